"""Indexing in all its forms: slices, arrays of indices (also repeated), sorting, top-k,
embedding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine import raw
from ..primitive import RULES, Rule
from .compose import composed, merge_axes

# x[index] reads; its adjoint `scatter` adds values into zeros at index. Each is the other's
# derivative.


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``: slices, integers, None, Ellipsis, boolean masks, arrays of (repeated)
    indices."""
    if type(index) is tuple:
        return _getitem(x, tuple(_index(i, x) for i in index))
    return _getitem(x, _index(index, x))


def _index(i: Any, x: Any) -> Any:
    """One part of an index as a raw value; lists and ranges as arrays on the device of ``x``."""
    if isinstance(i, (list, range)):
        i = np.asarray(i, like=raw(x))
        return i if i.size else i.astype(np.int64)
    return raw(i)


def _scatter_forward(values: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of ``shape`` with ``values`` added at ``index``; repeated indices add up."""
    if not _may_repeat(index):
        out = np.zeros(shape, values.dtype, like=values)
        out[index] = values
        return out
    size = math.prod(shape)
    if hasattr(index, "dtype"):  # rows of a table (embedding): no index array of the table's size
        rows = np.asarray(index, np.int64, like=values).reshape(-1) % max(shape[0], 1)  # (picks,)
        if type(values) is np.ndarray and values.size > _MANY and values.dtype.char in "fdFD":
            return _sum_rows(values.reshape(rows.size, -1), rows, shape[0]).reshape(shape)
        width = math.prod(shape[1:])
        position = rows[:, None] * width + np.arange(width, like=values, dtype=np.int64)
    else:
        position = np.arange(size, like=values, dtype=np.int64).reshape(shape)[index]
    parts = [values.real, values.imag] if values.dtype.kind == "c" else [values]
    sums = [np.bincount(position.reshape(-1), p.reshape(-1), minlength=size) for p in parts]
    total = sums[0] if len(sums) == 1 else sums[0] + 1j * sums[1]
    return total.astype(values.dtype).reshape(shape)


_MANY = 20_000  # from so many numbers on, the sparse product wins; fewer never load SciPy


def _sum_rows(values: Any, rows: Any, n: int) -> Any:
    """Row i of the result is the sum of the values whose entry in ``rows`` is i: ``(n, width)``.

    That is the product of the one-hot matrix (n, picks) with the values. As a sparse matrix it adds
    whole rows: 1.2 to 11 times as fast as ``bincount`` over single numbers, 4 to 36 times as
    ``np.add.at``. Loading SciPy's sparse matrices costs 0.4 s once.
    """
    from scipy.sparse import csc_array

    one_hot = (np.ones(rows.size, values.dtype), rows, np.arange(rows.size + 1))
    return csc_array(one_hot, shape=(n, rows.size)) @ values


def _may_repeat(index: Any) -> bool:
    """Whether an index holds integer arrays: only those can name an element twice."""
    parts = index if type(index) is tuple else (index,)
    return any(getattr(p, "ndim", 0) > 0 and p.dtype != bool for p in parts)


_getitem: Rule = Rule(
    lambda x, index: x[index],
    lambda g, _out, x_shape, index: scatter(g, index, x_shape),
    name="indexing",
    view=True,
)
scatter: Rule = Rule(
    _scatter_forward, lambda g, _out, _values, index, _shape: _getitem(g, index), name="scatter"
)
RULES["getitem"] = getitem


@composed(np.take)
def take(a: Any, indices: Any, axis: int | None = None) -> Any:
    """``np.take``: pick along one axis (of the flattened array without ``axis``)."""
    if axis is None:
        return getitem(a.reshape(-1), indices)
    return getitem(a, (slice(None),) * (axis % a.ndim) + (indices,))


@composed(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """``np.take_along_axis``: out[i, j] = arr[i, indices[i, j]] along the last axis, and so on."""
    if axis is None:
        arr, axis = arr.reshape(-1), 0
    indices, axis = raw(indices), axis % arr.ndim
    grid = [
        np.arange(n, like=indices).reshape((-1,) + (1,) * (arr.ndim - i - 1))
        for i, n in enumerate(arr.shape)
    ]
    grid[axis] = indices
    return getitem(arr, tuple(grid))


@composed(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """``np.diagonal``: the diagonal becomes the last axis."""
    a = np.moveaxis(a, (axis1, axis2), (-2, -1))
    n = min(a.shape[-2] + min(offset, 0), a.shape[-1] - max(offset, 0))
    i = np.arange(max(n, 0), like=raw(a))
    return getitem(a, (Ellipsis, i + max(-offset, 0), i + max(offset, 0)))


@composed(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """``np.trace``: the sum of the diagonal."""
    return np.sum(diagonal(a, offset, axis1, axis2), axis=-1)


RULES[np.diag] = lambda v, k=0: diagonal(v, k) if v.ndim == 2 else _diagonal_matrix(v, k)
RULES[np.diagflat] = lambda v, k=0: _diagonal_matrix(v.reshape(-1), k)
if hasattr(np.linalg, "diagonal"):  # from NumPy 2.0 on; these take the last two axes
    RULES[np.linalg.diagonal] = lambda x, offset=0: diagonal(x, offset, -2, -1)
    RULES[np.linalg.trace] = lambda x, offset=0: trace(x, offset, -2, -1)


def _diagonal_matrix(v: Any, k: int) -> Any:
    n = v.shape[0] + abs(k)
    i = np.arange(v.shape[0], like=raw(v))
    return scatter(v, (i + max(-k, 0), i + max(k, 0)), (n, n))


def _triangle(function: Any) -> Any:
    def part(m: Any, k: int = 0) -> Any:
        inside = function(np.ones(m.shape[-2:], bool, like=raw(m)), k)
        return np.where(inside, m, 0.0)

    return part


RULES[np.tril], RULES[np.triu] = _triangle(np.tril), _triangle(np.triu)

# --- order: sorting is an indexing with indices that have no derivative ---------------------------


@composed(np.sort)
def sort(a: Any, axis: int | None = -1, kind: str | None = None) -> Any:
    """``np.sort``, always stable: equal elements keep their order, each its own gradient."""
    if axis is None:
        a, axis = a.reshape(-1), 0
    return take_along_axis(a, np.argsort(raw(a), axis=axis, kind="stable"), axis)


def top_k(x: Any, k: int, axis: int = -1) -> tuple[Any, Any]:
    """The ``k`` largest along ``axis``, largest first, and their indices.

    Raises:
        ValueError: unless 0 <= k <= the length of the axis.
    """
    if not 0 <= k <= x.shape[axis]:
        raise ValueError(
            f"top_k: k must lie between 0 and {x.shape[axis]} (axis {axis}), found {k}"
        )
    order = np.flip(np.argsort(raw(x), axis=axis, kind="stable"), axis)
    indices = np.take(order, np.arange(k, like=order), axis=axis)
    return take_along_axis(x, indices, axis), indices


@composed(np.quantile)
def quantile(a: Any, q: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """``np.quantile``, linear between neighbours in sorted order; no derivative towards ``q``."""
    merged, ones = merge_axes(a, axis)
    q = np.asarray(raw(q), dtype=np.float64)
    if q.size and not (q.min() >= 0.0 and q.max() <= 1.0):
        raise ValueError(f"np.quantile: q must lie in [0, 1], found {q.min()} to {q.max()}")
    place = q * (merged.shape[-1] - 1)
    low = np.floor(place).astype(np.int64)
    ordered = np.moveaxis(sort(merged, -1), -1, 0)  # (n, ...)
    column = (-1,) + (1,) * (ordered.ndim - 1)
    share = np.asarray((place - low).reshape(column), dtype=merged.dtype, like=raw(a))
    below = getitem(ordered, np.asarray(low.reshape(-1), like=raw(a)))  # (q, ...)
    above = getitem(ordered, np.asarray(np.ceil(place).astype(np.int64).reshape(-1), like=raw(a)))
    out = below * (1.0 - share) + above * share
    return out.reshape(q.shape + (ones if keepdims else out.shape[1:]))


@composed(np.percentile)
def percentile(a: Any, q: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """``np.percentile``: the quantile at q / 100."""
    return quantile(a, np.asarray(raw(q), dtype=np.float64) / 100.0, axis, keepdims)


@composed(np.median)
def median(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """``np.median``: the middle of the sorted values, or the mean of the two middle ones."""
    return quantile(a, 0.5, axis, keepdims)


@composed(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    """``np.interp``: piecewise linear through (xp, fp); derivatives towards ``x`` and ``fp``."""
    x = x if hasattr(x, "dtype") else np.asarray(x, like=raw(fp))
    xp = np.asarray(raw(xp), dtype=fp.dtype if x.dtype.kind in "iu" else x.dtype, like=raw(x))
    i = np.clip(np.searchsorted(xp, raw(x), side="right") - 1, 0, xp.shape[0] - 2)
    t = np.clip((x - xp[i]) / (xp[i + 1] - xp[i]), 0.0, 1.0)
    out = fp[i] * (1.0 - t) + fp[i + 1] * t
    out = out if left is None else np.where(raw(x) < xp[0], left, out)
    return out if right is None else np.where(raw(x) > xp[-1], right, out)


def embedding(weight: Any, index: Any) -> Any:
    """Rows of a table: ``weight[index]``, shape ``index.shape + (features,)``.

    Raises:
        IndexError: if an index lies outside ``[0, rows)``.
        TypeError: if the indices are not integers.
    """
    index = raw(index)
    if not hasattr(index, "dtype") or index.dtype.kind not in "iu":
        found = getattr(index, "dtype", type(index).__name__)
        raise TypeError(
            f"embedding: index must be an array of integers, found {found}. "
            "Mend: index.astype(np.int64)"
        )
    rows = weight.shape[0]
    if index.size and (int(index.min()) < 0 or int(index.max()) >= rows):
        raise IndexError(
            f"embedding: index must lie in [0, {rows}), found values from {int(index.min())} to "
            f"{int(index.max())}. Mend: a weight with {int(index.max()) + 1} rows, or other indices"
        )
    return getitem(weight, index)
