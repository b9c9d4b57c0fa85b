"""Layer and batch normalization: one rule, as they differ only in the axes of the statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import Tensor, raw, unbroadcast
from ..primitive import Rule
from .parts import column_sums


def composed_layer_norm(x: Any, weight: Any, bias: Any, axes: tuple[int, ...], eps: float) -> Any:
    """Normalization over ``axes`` in plain operations."""
    centered = x - np.mean(x, axis=axes, keepdims=True)
    out = centered / np.sqrt(np.mean(centered * centered, axis=axes, keepdims=True) + eps)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _is_last(a: Any, axes: tuple[int, ...]) -> bool:
    return axes in ((-1,), (a.ndim - 1,))


def _mean(a: Any, axes: tuple[int, ...]) -> Any:
    """The mean over ``axes``, kept as axes of length 1; within rows it is a product with ones."""
    if _is_last(a, axes):
        ones = np.ones(a.shape[-1], a.dtype, like=a)
        return (np.matmul(a.reshape(-1, a.shape[-1]), ones) / a.shape[-1]).reshape(
            (*a.shape[:-1], 1)
        )
    return np.mean(a, axis=axes, keepdims=True)


def _mean_of_product(a: Any, b: Any, axes: tuple[int, ...]) -> Any:
    """The mean of ``a * b`` over ``axes``; einsum makes no array of the products."""
    if _is_last(a, axes):
        return np.einsum("...i,...i->...", a, b)[..., None] / a.shape[-1]
    if a.ndim == 2 and axes in ((0,), (-2,)):
        return np.einsum("ij,ij->j", a, b)[None] / a.shape[0]
    return np.mean(a * b, axis=axes, keepdims=True)


def _moments(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """Mean, ``x - mean`` (a new array) and variance: two passes, so nothing cancels."""
    mean = _mean(x, axes)
    centered = x - mean
    return mean, centered, _mean_of_product(centered, centered, axes)


def composed_normalization(
    x: Any, weight: Any, bias: Any, _centered: Any, _variance: Any, axes: Any, eps: float
) -> Any:
    """The rule's twin: it recomputes the statistics, which depend on x."""
    return composed_layer_norm(x, weight, bias, axes, eps)


def _normalization_forward(
    x: Any, weight: Any, bias: Any, centered: Any, variance: Any, axes: Any, eps: float
) -> tuple[Any, Any]:
    scale = 1.0 / np.sqrt(variance + eps)
    centered *= scale  # the caller's array, made for this: normalized from here on
    out = centered * weight if weight is not None else centered.copy()
    if bias is not None:
        out = np.add(out, bias, out=out if out.ndim >= bias.ndim else None)
    return out, (centered, scale)


def _normalization_joint(
    need: Any, g: Any, kept: Any, _x: Any, weight: Any, bias: Any,
    _centered: Any, _variance: Any, axes: Any, eps: float,
) -> Any:  # fmt: skip
    """With h = normalized x and u = g * weight: dx = scale (u - mean(u) - h mean(u h))."""
    normalized, scale = kept
    towards_x = towards_weight = towards_bias = None
    if need[2]:
        towards_bias = _sum_to(g, bias.shape)
    if need[1]:
        if weight.ndim == 1 and g.shape == normalized.shape:
            rows = (-1, g.shape[-1])
            towards_weight = np.einsum("ij,ij->j", g.reshape(rows), normalized.reshape(rows))
        else:
            towards_weight = _sum_to(g * normalized, weight.shape)
    if need[0]:
        u = g if weight is None else np.multiply(g, weight, out=g)
        along = _mean_of_product(u, normalized, axes)
        u -= _mean(u, axes)
        u -= normalized * along
        u *= scale
        towards_x = u
    return towards_x, towards_weight, towards_bias


def _sum_to(g: Any, shape: tuple[int, ...]) -> Any:
    if g.shape == shape:
        return g.copy()
    if g.shape[-1:] == shape:
        return column_sums(g.reshape(-1, shape[0]))
    return unbroadcast(g, shape)


_normalization = Rule(
    _normalization_forward,
    joint=_normalization_joint,
    twin=composed_normalization,
    residual=True,
    overwrites=True,
    name="normalization",
)


def layer_norm(
    x: Any,
    weight: Any = None,
    bias: Any = None,
    axes: int | tuple[int, ...] = -1,
    eps: float = 1e-5,
) -> Any:
    r"""Layer normalization: mean 0 and variance 1 within each example, then scale and shift.

    .. math:: y = w \, \frac{x - \mathrm{mean}(x)}{\sqrt{\mathrm{var}(x) + \epsilon}} + b

    Args:
        x: any shape.
        weight, bias: shapes that broadcast against ``x``, or None.
        axes: what one example's mean and variance are taken over.
        eps: keeps a constant example finite.
    Returns: the shape of ``x * weight``, with the members mark of either.
    Numerics: the variance in two passes, dividing by the number of elements.
    Source: Ba, Kiros and Hinton 2016, eq. 3 and 4.
    """
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    _, centered, variance = _moments(raw(x), axes)
    out = _normalization(x, weight, bias, centered, variance, axes, eps)
    if type(out) is Tensor:
        out.members = getattr(weight, "members", None) or getattr(x, "members", None)
    return out


def batch_norm(
    x: Any, weight: Any = None, bias: Any = None, axes: Any = 0, eps: float = 1e-5
) -> tuple[Any, Any, Any]:
    r"""Batch normalization with the batch's own statistics (training mode).

    .. math:: y = w \, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + b

    Args:
        x: ``(n, features)``, or any shape.
        weight, bias: shapes that broadcast against ``x``, such as ``(1, features, 1)``, or None.
        axes: what each feature's mean and variance are taken over: the batch and all positions.
        eps: keeps a constant feature finite.
    Returns: y; the mean and the variance (divided by n), raw arrays with axes of length 1 in place
        of ``axes``, for running averages.
    Source: Ioffe and Szegedy 2015, algorithm 1.
    """
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    mean, centered, variance = _moments(raw(x), axes)
    out = _normalization(x, weight, bias, centered, variance, axes, eps)
    if type(out) is Tensor:
        out.members = getattr(weight, "members", None) or getattr(x, "members", None)
    return out, mean, variance
