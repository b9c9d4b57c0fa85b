"""Images: Conv2d, MaxPool2d, AvgPool2d. Arrays are (n, channels, height, width)."""

from __future__ import annotations

import math
from typing import Any

from ..rules import windows
from . import init
from .ensembles import mark, parameter
from .module import Module


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


class Conv2d(Module):
    """Cross-correlation with trainable filters, and a bias per filter.

    Args:
        in_channels, out_channels: channels of input and output.
        kernel_size, stride, padding, dilation: an int, or one for the height and one for the width.
        groups: channels are split into this many parts that do not see each other.
        bias: whether to add a bias.

    Attributes:
        weight: ``(out_channels, in_channels / groups, *kernel_size)``.
        bias: ``(out_channels,)`` or None.

    Both start uniform in +-1/sqrt(fan_in), as in PyTorch.
    Input ``(n, in_channels, h, w)``, output ``(n, out_channels, h', w')`` with
    h' = floor((h + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1; in an ensemble with a
    members axis in front.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        dtype: Any = None,
        generator: Any = None,
    ) -> None:
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: groups must divide in_channels and out_channels, found groups={groups} "
                f"with {in_channels} and {out_channels}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = _pair(kernel_size), _pair(stride)
        self.padding, self.dilation = _pair(padding), _pair(dilation)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = parameter(shape, dtype)
        self.bias = parameter((out_channels,), dtype) if bias else None
        init.kaiming_uniform_(self.weight, a=math.sqrt(5.0), generator=generator)
        if self.bias is not None:
            bound = 1.0 / math.sqrt(max(math.prod(shape[1:]), 1))
            init.uniform_(self.bias, -bound, bound, generator)

    def forward(self, x: Any) -> Any:
        marked = getattr(x, "members", None)
        if x.ndim != 4 + (marked is not None) or x.shape[-3] != self.in_channels:
            raise ValueError(
                f"Conv2d: expected (n, {self.in_channels}, height, "
                f"width){' after the members axis' if marked else ''}, found {x.shape}"
            )
        options = self.stride, self.padding, self.dilation, self.groups
        return mark(windows.conv2d(x, self.weight, self.bias, *options), self.weight, x)

    def describe(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        defaults = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
        text += "".join(
            f", {k}={getattr(self, k)}" for k, v in defaults.items() if getattr(self, k) != v
        )
        return text if self.bias is not None else text + ", bias=False"


class _Pool2d(Module):
    """What the two poolings share."""

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        self.kernel_size = _pair(kernel_size)
        self.stride = self.kernel_size if stride is None else _pair(stride)
        self.padding = _pair(padding)

    def pool(self, x: Any) -> Any:
        raise NotImplementedError

    def forward(self, x: Any) -> Any:
        m = getattr(x, "members", None)
        if x.ndim != 4 + (m is not None):
            raise ValueError(
                f"{type(self).__name__}: expected (n, channels, height, width)"
                f"{' after the members axis' if m else ''}, found {x.shape}"
            )
        return mark(self.pool(x), x)

    def describe(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_Pool2d):
    """The largest value in each window; ``stride`` defaults to ``kernel_size``."""

    def pool(self, x: Any) -> Any:
        return windows.max_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(_Pool2d):
    """The mean of each window, padding zeros included; ``stride`` defaults to ``kernel_size``."""

    def pool(self, x: Any) -> Any:
        return windows.avg_pool2d(x, self.kernel_size, self.stride, self.padding)
