"""Functions that move elements around: reshape, transpose, pad, join, split."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from ..engine import raw
from ..primitive import RULES, Rule, rule
from .compose import also, composed

# --- shape ----------------------------------------------------------------------------------------


def _transpose_vjp(g: Any, _out: Any, _a: Any, axes: Any = None) -> Any:
    if axes is None:
        return np.transpose(g)
    back = sorted(range(len(axes)), key=lambda i: axes[i] % len(axes))  # the inverse permutation
    return np.transpose(g, back)


rule(np.reshape, lambda g, _out, a_shape, shape: g.reshape(a_shape), view=True)
rule(np.transpose, _transpose_vjp, view=True)
rule(np.swapaxes, lambda g, _out, _a, axis1, axis2: np.swapaxes(g, axis1, axis2), view=True)
rule(
    np.moveaxis,
    lambda g, _out, _a, source, destination: np.moveaxis(g, destination, source),
    view=True,
)
rule(np.squeeze, lambda g, _out, a_shape, axis=None: g.reshape(a_shape), view=True)
rule(np.expand_dims, lambda g, _out, a_shape, axis: g.reshape(a_shape), view=True)
rule(np.ravel, lambda g, _out, a_shape: g.reshape(a_shape), view=True)
rule(np.flip, lambda g, _out, _m, axis=None: np.flip(g, axis), view=True)
rule(np.roll, lambda g, _out, _a, shift, axis=None: np.roll(g, _negative(shift), axis))
rule(np.copy, lambda g, _out, _a: g)
for at_least in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
    rule(at_least, lambda g, _out, a_shape: g.reshape(a_shape), view=True)
also(np.transpose, np="permute_dims")
RULES["astype"] = Rule(
    lambda x, dtype: x.astype(dtype), lambda g, _out, _x, _dtype: g, name="astype"
)


def _negative(shift: Any) -> Any:
    return -shift if np.ndim(shift) == 0 else tuple(-s for s in shift)


@composed(np.fliplr)
def fliplr(m: Any) -> Any:
    """``np.fliplr``: the second axis backwards."""
    return np.flip(m, 1)


@composed(np.flipud)
def flipud(m: Any) -> Any:
    """``np.flipud``: the first axis backwards."""
    return np.flip(m, 0)


@composed(np.rot90)
def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """``np.rot90``: k quarter turns from the first axis towards the second."""
    first, second = axes
    for _ in range(k % 4):
        m = np.flip(np.swapaxes(m, first, second), first)
    return m


@composed(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """``np.rollaxis``: move an axis to before ``start``; `np.moveaxis` is easier to read."""
    axis, start = axis % a.ndim, start + a.ndim if start < 0 else start
    return np.moveaxis(a, axis, start - 1 if start > axis else start)


if hasattr(np, "matrix_transpose"):
    RULES[np.matrix_transpose] = lambda x: np.swapaxes(x, -1, -2)
    RULES[np.linalg.matrix_transpose] = RULES[np.matrix_transpose]


def _pad_vjp(g: Any, _out: Any, a_shape: Any, pad_width: Any) -> Any:
    widths = np.broadcast_to(np.asarray(pad_width), (len(a_shape), 2)).tolist()
    return g[tuple(slice(low, low + n) for n, (low, _) in zip(a_shape, widths, strict=True))]


_pad = Rule(
    lambda array, pad_width, value: np.pad(array, pad_width, constant_values=value),
    lambda g, out, array_shape, pad_width, _value: _pad_vjp(g, out, array_shape, pad_width),
    name="np.pad",
)


@composed(np.pad)
def pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
    """``np.pad`` with the modes "constant", "edge", "wrap", "reflect" and "symmetric".

    All but "constant" only repeat elements, so they are an indexing, and differentiate as one.
    """
    if mode == "constant":
        return _pad(array, pad_width, constant_values)
    if mode not in ("edge", "wrap", "reflect", "symmetric"):
        raise ValueError(
            f"np.pad: mode {mode!r} has no derivative rule. Mend: use 'edge' or 'reflect'"
        )
    widths = np.broadcast_to(np.asarray(pad_width), (array.ndim, 2)).tolist()
    for axis, (n, width) in enumerate(zip(array.shape, widths, strict=True)):
        if any(width):
            places = np.pad(np.arange(n), width, mode)  # type: ignore[call-overload]
            array = np.take(array, np.asarray(places, like=raw(array)), axis=axis)
    return array


# --- joining and splitting ------------------------------------------------------------------------


def _concatenate_joint(need: Any, g: Any, _out: Any, *parts_shape: Any, axis: int = 0) -> Any:
    ends = np.cumsum([shape[axis] for shape in parts_shape]).tolist()
    cut = (slice(None),) * (axis % len(parts_shape[0]))
    starts = [0, *ends[:-1]]
    return [
        g[(*cut, slice(start, end))] if n else None
        for n, start, end in zip(need, starts, ends, strict=True)
    ]


def _stack_joint(need: Any, g: Any, _out: Any, *_parts: Any, axis: int = 0) -> Any:
    return [np.take(g, i, axis=axis) if n else None for i, n in enumerate(need)]


_concatenate = Rule(
    lambda *parts, axis=0: np.concatenate(parts, axis=axis),
    joint=_concatenate_joint,
    name="np.concatenate",
)
_stack = Rule(
    lambda *parts, axis=0: np.stack(parts, axis=axis), joint=_stack_joint, name="np.stack"
)


@composed(np.concatenate)
def concatenate(arrays: Any, axis: int | None = 0) -> Any:
    """``np.concatenate``; ``axis=None`` flattens first."""
    if axis is None:
        arrays, axis = [np.ravel(a) for a in arrays], 0
    return _concatenate(*arrays, axis=axis)


@composed(np.stack)
def stack(arrays: Any, axis: int = 0) -> Any:
    """``np.stack``: join along a new axis."""
    return _stack(*arrays, axis=axis)


RULES[np.vstack] = lambda tup: concatenate([np.atleast_2d(x) for x in tup], 0)
RULES[np.dstack] = lambda tup: concatenate([np.atleast_3d(x) for x in tup], 2)


@composed(np.hstack)
def hstack(tup: Any) -> Any:
    """``np.hstack``: join along the second axis, or the only one."""
    parts = [np.atleast_1d(x) for x in tup]
    return concatenate(parts, 0 if parts[0].ndim == 1 else 1)


@composed(np.column_stack)
def column_stack(tup: Any) -> Any:
    """``np.column_stack``: vectors become columns."""
    return concatenate([x if x.ndim > 1 else np.reshape(x, (-1, 1)) for x in tup], 1)


@composed(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """``np.append``: join two arrays."""
    return concatenate([arr, values], axis)


RULES["unstack"] = Rule(  # the rows along axis 0, as several outputs of one node
    lambda x: tuple(x), lambda g, _out, _x: np.stack(g), name="unstack", view=True
)
if hasattr(np, "unstack"):
    RULES[np.unstack] = lambda x, axis=0: RULES["unstack"](np.moveaxis(x, axis, 0))


def _cut(ary: Any, cuts: list[int], axis: int) -> tuple[Any, ...]:
    lead = (slice(None),) * axis
    return tuple(ary[(*lead, slice(a, b))] for a, b in itertools.pairwise(cuts))


_split = Rule(  # one node for all parts
    _cut, lambda g, _out, _ary, _cuts, axis: np.concatenate(g, axis=axis), name="np.split"
)


@composed(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """``np.array_split``: parts of nearly equal length, or cut before the given indices."""
    n, axis = ary.shape[axis], axis % ary.ndim
    if np.ndim(indices_or_sections) == 0:
        size, longer = divmod(n, int(indices_or_sections))  # the first `longer` parts get one more
        cuts = [i * size + min(i, longer) for i in range(int(indices_or_sections) + 1)]
    else:
        cuts = [slice(0, int(i)).indices(n)[1] for i in indices_or_sections]
        cuts = [0, *np.maximum.accumulate(cuts).tolist(), n]
    return list(_split(ary, cuts, axis))


@composed(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """``np.split``: as `array_split`, but equal parts must be equal."""
    n = ary.shape[axis]
    if np.ndim(indices_or_sections) == 0 and n % int(indices_or_sections):
        raise ValueError(
            f"np.split: {n} elements along axis {axis} do not make {indices_or_sections} equal "
            "parts. Mend: np.array_split allows parts of different lengths"
        )
    return array_split(ary, indices_or_sections, axis)


RULES[np.vsplit] = lambda ary, indices_or_sections: split(ary, indices_or_sections, 0)
RULES[np.hsplit] = lambda ary, sections: split(ary, sections, 0 if ary.ndim == 1 else 1)


@composed(np.repeat)
def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """``np.repeat``: each element ``repeats`` times; an array of counts makes it an indexing."""
    if axis is None:
        a, axis = a.reshape(-1), 0
    axis = axis % a.ndim
    shape = a.shape
    if np.ndim(repeats) == 0:
        wide = np.broadcast_to(
            np.expand_dims(a, axis + 1), (*shape[: axis + 1], int(repeats), *shape[axis + 1 :])
        )
        return wide.reshape((*shape[:axis], shape[axis] * int(repeats), *shape[axis + 1 :]))
    rows = np.repeat(np.arange(shape[axis]), np.asarray(raw(repeats)))
    return np.take(a, np.asarray(rows, like=raw(a)), axis=axis)


@composed(np.tile)
def tile(A: Any, reps: Any) -> Any:
    """``np.tile``: concatenate copies along each axis."""
    reps = (int(reps),) if np.ndim(reps) == 0 else tuple(map(int, reps))
    out = A.reshape((1,) * (len(reps) - A.ndim) + A.shape)
    for axis, n in enumerate((1,) * (out.ndim - len(reps)) + reps):
        if n == 0:
            out = out[(slice(None),) * axis + (slice(0, 0),)]
        elif n != 1:
            out = concatenate([out] * n, axis)
    return out


@composed(np.meshgrid)
def meshgrid(*xi: Any, indexing: str = "xy") -> tuple[Any, ...]:
    """``np.meshgrid``: the coordinates of a grid, one array per axis."""
    n = len(xi)
    grids = [np.reshape(x, (1,) * i + (-1,) + (1,) * (n - i - 1)) for i, x in enumerate(xi)]
    grids = list(np.broadcast_arrays(*grids))
    return tuple(np.swapaxes(x, 0, 1) if indexing == "xy" and n > 1 else x for x in grids)


# --- differences and integrals --------------------------------------------------------------------


@composed(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """``np.diff``: x[i + 1] - x[i], n times."""
    lead = (slice(None),) * (axis % a.ndim)
    for _ in range(n):
        a = a[(*lead, slice(1, None))] - a[(*lead, slice(None, -1))]
    return a


def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """``np.trapezoid``: the integral of y over x, linear between the points."""
    y = np.moveaxis(y, axis, -1)
    if x is not None:
        dx = np.diff(x) if x.ndim == 1 else np.diff(np.moveaxis(x, axis, -1))
    return np.sum((y[..., 1:] + y[..., :-1]) * 0.5 * dx, axis=-1)


RULES[np.trapezoid] = trapezoid
