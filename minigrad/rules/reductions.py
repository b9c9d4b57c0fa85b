"""Reductions: sums, means, variance, extremes, products, log-sum-exp."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine import raw
from ..primitive import Rule, rule
from .compose import also, composed, merge_axes, normal_axes

# --- sums and means -------------------------------------------------------------------------------


def _spread(g: Any, shape: Any, axis: Any, keepdims: bool) -> Any:
    """Give ``g`` back the axes that a reduction removed: broadcast to ``shape``."""
    if axis is None:
        return np.broadcast_to(g, shape)
    if not keepdims:
        axes = (axis,) if type(axis) is int else normal_axes(axis, len(shape))
        kept = list(shape)
        for i in axes:
            kept[i] = 1
        g = g.reshape(tuple(kept))  # the reduced axes as ones
    return np.broadcast_to(g, shape)


def _count(shape: Any, axis: Any) -> int:
    """How many elements each output of a reduction covers."""
    return math.prod(shape[i] for i in normal_axes(axis, len(shape)))


def _mean_vjp(g: Any, _out: Any, a_shape: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _spread(g / max(_count(a_shape, axis), 1), a_shape, axis, keepdims)


def _sum_vjp(g: Any, _out: Any, a_shape: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _spread(g, a_shape, axis, keepdims)


rule(np.sum, _sum_vjp)
rule(np.mean, _mean_vjp)
rule(np.broadcast_to, lambda g, _out, _array, shape: g, view=True)  # the engine sums it back


@composed(np.broadcast_arrays)
def broadcast_arrays(*args: Any) -> tuple[Any, ...]:
    """``np.broadcast_arrays``."""
    shape = np.broadcast_shapes(*(np.shape(raw(a)) for a in args))
    return tuple(np.broadcast_to(a, shape) for a in args)


def _cumsum_vjp(g: Any, _out: Any, a_shape: Any, axis: Any = None) -> Any:
    """Element i feeds all later sums: a cumulative sum from the other end."""
    if axis is None:
        return np.flip(np.cumsum(np.flip(g))).reshape(a_shape)
    return np.flip(np.cumsum(np.flip(g, axis), axis), axis)


rule(np.cumsum, _cumsum_vjp)
also(np.cumsum, np="cumulative_sum")


@composed(np.var)
def var(a: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """Mean squared distance from the mean (divided by n - ddof), in two passes: no cancellation."""
    deviation = a - np.mean(a, axis=axis, keepdims=True)
    square = deviation * deviation
    if a.dtype.kind == "c":
        square = np.real(deviation * np.conj(deviation))
    n = _count(a.shape, axis)
    scale = n / (n - ddof) if n > ddof else math.nan
    return np.mean(square, axis=axis, keepdims=keepdims) * scale


@composed(np.std)
def std(a: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """The root of the variance; where that is 0, its derivative is taken as 0."""
    variance = var(a, axis, ddof=ddof, keepdims=keepdims)
    none = raw(variance) == 0
    return np.where(none, 0.0, np.sqrt(np.where(none, 1.0, variance)))


@composed(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Any:
    """``np.average``: sum(w a) / sum(w); one-dimensional weights go along ``axis``."""
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    if np.ndim(weights) == 1 and a.ndim > 1:
        (i,) = normal_axes(axis, a.ndim) if axis is not None else (-1,)
        weights = np.reshape(weights, (1,) * i + (-1,) + (1,) * (a.ndim - i - 1))
    total = np.sum(a * weights, axis=axis, keepdims=keepdims)
    weights = np.broadcast_to(weights, a.shape)
    return total / np.sum(weights, axis=axis, keepdims=keepdims)


def _ignore_nan(x: Any, instead: float) -> Any:
    return np.where(np.isnan(raw(x)), instead, x)


@composed(np.nansum)
def nansum(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """``np.nansum``: the sum of what is not NaN."""
    return np.sum(_ignore_nan(a, 0.0), axis=axis, keepdims=keepdims)


@composed(np.nanmean)
def nanmean(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """``np.nanmean``: the mean of what is not NaN."""
    count = np.sum(~np.isnan(raw(a)), axis=axis, keepdims=keepdims)
    return nansum(a, axis, keepdims) / count.astype(a.dtype)


# --- products, extremes, log-sum-exp --------------------------------------------------------------


def _extreme_vjp(g: Any, out: Any, a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """The gradient goes to the largest element, in equal parts where several tie."""
    shape = a.shape
    ties = raw(a) == _spread(raw(out), shape, axis, keepdims)
    share = ties / np.sum(ties, axis=axis, keepdims=True)
    return _spread(g, shape, axis, keepdims) * share.astype(a.dtype)


rule(np.max, _extreme_vjp)
rule(np.min, _extreme_vjp)
also(np.max, np="amax")
also(np.min, np="amin")


@composed(np.ptp)
def ptp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """``np.ptp``: largest minus smallest."""
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


@composed(np.nanmax)
def nanmax(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """``np.nanmax``: the largest of what is not NaN."""
    return np.max(_ignore_nan(a, -math.inf), axis=axis, keepdims=keepdims)


@composed(np.nanmin)
def nanmin(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """``np.nanmin``: the smallest of what is not NaN."""
    return np.min(_ignore_nan(a, math.inf), axis=axis, keepdims=keepdims)


@composed(np.prod)
def prod(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """``np.prod``."""
    merged, ones = merge_axes(a, axis)
    out = _prod(merged)
    return out.reshape(ones) if keepdims else out


def _prod_vjp(g: Any, _out: Any, a: Any) -> Any:
    """The product of the *other* elements, from the left and from the right: right at zeros too."""
    return g[..., None] * _others(a, -1)


def _others(a: Any, axis: int) -> Any:
    """Per element, the product of all other elements along ``axis``."""
    first = np.ones_like(_cut(raw(a), axis, 0, 1))
    left = np.cumprod(np.concatenate([first, _cut(a, axis, None, -1)], axis=axis), axis=axis)
    reverse = np.concatenate([first, np.flip(_cut(a, axis, 1, None), axis)], axis=axis)
    return left * np.flip(np.cumprod(reverse, axis=axis), axis)


def _cut(a: Any, axis: int, start: int | None, stop: int | None) -> Any:
    return a[(slice(None),) * (axis % a.ndim) + (slice(start, stop),)]


_prod = Rule(lambda a: np.prod(a, axis=-1), _prod_vjp, name="np.prod")


@composed(np.cumprod)
def cumprod(a: Any, axis: Any = None) -> Any:
    """Cumulative product as repeated multiplication, so that zeros keep their derivative."""
    if axis is None:
        a, axis = a.reshape(-1), 0
    rows = [_cut(a, axis, 0, 1)]
    for i in range(1, a.shape[axis]):
        rows.append(rows[-1] * _cut(a, axis, i, i + 1))
    return np.concatenate(rows, axis=axis)


also(np.cumprod, np="cumulative_prod")


def _logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)  # a row of -inf has the sum 0 and the log -inf
    total = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return (
        total
        if keepdims
        else np.squeeze(total, axis=axis)
        if axis is not None
        else total.reshape(())
    )


def _logsumexp_vjp(g: Any, out: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Softmax: every term's share of the sum."""
    total = _spread(out, x.shape, axis, keepdims)
    share = np.exp(x - np.where(np.isfinite(raw(total)), total, 0.0))
    return _spread(g, x.shape, axis, keepdims) * share


logsumexp = Rule(_logsumexp, _logsumexp_vjp, name="logsumexp")
