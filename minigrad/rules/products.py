"""Products of matrices: matmul, dot, tensordot, outer, einsum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..primitive import RULES, Rule, rule
from .compose import also, composed


def _t(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def _matmul_a(g: Any, _out: Any, a: Any, b: Any) -> Any:
    """g b^T, with vectors as one-row or one-column matrices."""
    if a.ndim == 1:
        return g * b if b.ndim == 1 else np.matmul(b, g[..., None])[..., 0]
    if b.ndim == 1:
        return g[..., None] * b
    return np.matmul(g, _t(b))


def _matmul_b(g: Any, _out: Any, a: Any, b: Any) -> Any:
    """a^T g, likewise."""
    if b.ndim == 1:
        return g * a if a.ndim == 1 else np.matmul(_t(a), g[..., None])[..., 0]
    if a.ndim == 1:
        return a[:, None] * g[..., None, :]
    if a.ndim > 2 and b.ndim == 2:  # one big product instead of a stack of small ones to sum
        return np.matmul(_t(a.reshape(-1, a.shape[-1])), g.reshape(-1, g.shape[-1]))
    return np.matmul(_t(a), g)


rule(np.matmul, _matmul_a, _matmul_b, name="np.matmul")
also(np.matmul, linalg="matmul")


@composed(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """``np.tensordot`` as one matrix product of the reshaped arguments."""
    if np.ndim(axes) == 0:
        axes = (range(a.ndim - axes, a.ndim), range(axes))
    ax_a, ax_b = (
        [int(i) % n for i in ([ax] if np.ndim(ax) == 0 else list(ax))]
        for ax, n in zip(axes, (a.ndim, b.ndim), strict=True)
    )
    free_a = [i for i in range(a.ndim) if i not in ax_a]
    free_b = [i for i in range(b.ndim) if i not in ax_b]
    inner = math.prod(a.shape[i] for i in ax_a)
    left = np.transpose(a, free_a + ax_a).reshape((math.prod(a.shape[i] for i in free_a), inner))
    right = np.transpose(b, ax_b + free_b).reshape((inner, math.prod(b.shape[i] for i in free_b)))
    shape = tuple(a.shape[i] for i in free_a) + tuple(b.shape[i] for i in free_b)
    return np.matmul(left, right).reshape(shape)


@composed(np.dot)
def dot(a: Any, b: Any) -> Any:
    """``np.dot``: the last axis of ``a`` with the second-to-last of ``b``."""
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return tensordot(a, b, (a.ndim - 1, max(b.ndim - 2, 0)))


@composed(np.inner)
def inner(a: Any, b: Any) -> Any:
    """``np.inner``: the last axis of both."""
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return tensordot(a, b, (a.ndim - 1, b.ndim - 1))


RULES[np.outer] = lambda a, b: np.ravel(a)[:, None] * np.ravel(b)[None, :]
RULES[np.vdot] = lambda a, b: dot(np.conj(np.ravel(a)), np.ravel(b))
also(np.tensordot, linalg="tensordot")
also(np.outer, linalg="outer")


@composed(np.kron)
def kron(a: Any, b: Any) -> Any:
    """``np.kron``: blocks a[i, j] b, for any number of axes."""
    n = max(a.ndim, b.ndim)
    rows, columns = (1,) * (n - a.ndim) + a.shape, (1,) * (n - b.ndim) + b.shape
    blocks = a.reshape([m for i in rows for m in (i, 1)]) * b.reshape(
        [m for i in columns for m in (1, i)]
    )
    return blocks.reshape([i * j for i, j in zip(rows, columns, strict=True)])


@composed(np.cross)
def cross(a: Any, b: Any, axis: int = -1) -> Any:
    """``np.cross`` of vectors with three components along ``axis``."""
    if a.shape[axis] != 3 or b.shape[axis] != 3:
        raise ValueError(
            f"np.cross: expected 3 components along axis {axis}, found {a.shape} and {b.shape}"
        )
    (a1, a2, a3), (b1, b2, b3) = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    return np.stack([a2 * b3 - a3 * b2, a3 * b1 - a1 * b3, a1 * b2 - a2 * b1], axis=axis)


also(np.cross, linalg="cross")

# --- einsum ---------------------------------------------------------------------------------------


def einsum(subscripts: str, *operands: Any, optimize: Any = None) -> Any:
    """``np.einsum`` with a subscript string, ellipsis and implicit output included.

    The gradient towards an operand is again an einsum: swap its subscripts with the output's. A
    letter that only this operand has was summed over, so its gradient is constant along it.
    """
    if not isinstance(subscripts, str):
        raise TypeError("np.einsum: expected subscripts such as 'ij,jk->ik' as the first argument")
    inputs, output = _parse(subscripts, [x.ndim for x in operands])
    prepared = []
    for i, (letters, x) in enumerate(zip(inputs, operands, strict=True)):
        while len(set(letters)) < len(letters):  # a letter twice in one operand: take the diagonal
            letter = next(c for c in letters if letters.count(c) > 1)
            first, second = letters.index(letter), letters.rindex(letter)
            x = np.diagonal(x, 0, first, second)  # moves the diagonal to the end
            letters = "".join(c for k, c in enumerate(letters) if k not in (first, second)) + letter
        inputs[i] = letters
        prepared.append(x)
    return _einsum(*prepared, subscripts=",".join(inputs) + "->" + output)


def _parse(subscripts: str, ndims: list[int]) -> tuple[list[str], str]:
    """Subscripts with the ellipses spelled out in letters and the output made explicit."""
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ndims):
        raise ValueError(
            f"np.einsum: {len(inputs)} subscripts for {len(ndims)} operands in {subscripts!r}"
        )
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in subscripts]
    hidden = [n - len(s) + 3 if "..." in s else 0 for s, n in zip(inputs, ndims, strict=True)]
    dots = "".join(spare[: max(hidden, default=0)])
    if not arrow:
        letters = sorted(c for c in set(left) - set(",.") if left.count(c) == 1)
        output = ("..." if "..." in left else "") + "".join(letters)
    inputs = [s.replace("...", dots[len(dots) - h :]) for s, h in zip(inputs, hidden, strict=True)]
    for s, n in zip(inputs, ndims, strict=True):
        if len(s) != n:
            raise ValueError(
                f"np.einsum: subscripts {s!r} name {len(s)} axes of an operand with {n}"
            )
    return inputs, output.replace("...", dots)


def _einsum_joint(need: Any, g: Any, _out: Any, *operands: Any, subscripts: str) -> Any:
    left, _, output = subscripts.partition("->")
    inputs = left.split(",")
    gradients: list[Any] = []
    for i, (n, letters, x) in enumerate(zip(need, inputs, operands, strict=True)):
        if not n:
            gradients.append(None)
            continue
        others = [s for j, s in enumerate(inputs) if j != i]
        known = set(output).union(*others)
        present = "".join(c for c in letters if c in known)
        formula = ",".join([output, *others]) + "->" + present
        r = _einsum(g, *(o for j, o in enumerate(operands) if j != i), subscripts=formula)
        sizes = dict(zip(present, r.shape, strict=True))  # letters of this operand alone: constant
        r = r.reshape(tuple(sizes.get(c, 1) for c in letters))
        gradients.append(np.broadcast_to(r, np.broadcast_shapes(r.shape, x.shape)))
    return gradients


_einsum = Rule(  # optimize: products of matrices go to BLAS
    lambda *operands, subscripts: np.einsum(subscripts, *operands, optimize=len(operands) > 1),
    joint=_einsum_joint,
    name="np.einsum",
)
RULES[np.einsum] = einsum
