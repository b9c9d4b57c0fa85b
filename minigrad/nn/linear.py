"""Linear: the affine layer."""

from __future__ import annotations

import math
from typing import Any

from .. import fused
from . import init
from .ensembles import parameter
from .module import Module


class Linear(Module):
    r"""Affine map :math:`y = x W^\top + b`.

    Args:
        in_features, out_features: sizes of the last axis of input and output.
        bias: whether to add ``b``.
        dtype: of the parameters (default float32).
        generator: random numbers for the start (default: the global generator).

    Attributes:
        weight: ``(out_features, in_features)``, PyTorch's orientation.
        bias: ``(out_features,)`` or None.

    Both start uniform in +-1/sqrt(in_features), as in PyTorch.

    Input ``(..., in_features)``, output ``(..., out_features)``; in an ensemble
    ``(members, ..., out_features)``.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: Any = None,
        generator: Any = None,
    ) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.weight = parameter((out_features, in_features), dtype)
        self.bias = parameter((out_features,), dtype) if bias else None
        init.kaiming_uniform_(self.weight, a=math.sqrt(5.0), generator=generator)
        if self.bias is not None:
            bound = 1.0 / math.sqrt(max(in_features, 1))
            init.uniform_(self.bias, -bound, bound, generator)

    def forward(self, x: Any, activation: str | None = None) -> Any:
        """``activation="relu"`` applies ReLU in the product's own memory (`Sequential` does)."""
        return fused.linear(x, self.weight, self.bias, activation)

    def describe(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"
