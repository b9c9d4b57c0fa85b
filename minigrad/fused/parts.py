"""Small helpers that several fused rules share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..engine import Tensor

BLOCK = 65536  # elements: a few such float32 arrays fit into second-level caches of 1 or 2 MiB


def t(matrix: Any) -> Any:
    """The transposed matrix, or stack of matrices."""
    return matrix.swapaxes(-1, -2)


def row(bias: Any) -> Any:
    """A bias that broadcasts over rows: ``(out,)``, or ``(members, 1, out)`` for an ensemble."""
    return bias if bias.ndim == 1 else bias[:, None, :]


def column_sums(g: Any) -> Any:
    """``(..., rows, k)`` -> ``(..., k)``. A product with ones is twice as fast as ``g.sum(-2)``."""
    return np.matmul(np.ones((1, g.shape[-2]), g.dtype, like=g), g)[..., 0, :]


def marked(out: Any, *sources: Any) -> Any:
    """Give ``out`` the ensemble mark of the first of ``sources`` that has one."""
    if type(out) is Tensor:
        marks = (getattr(source, "members", None) for source in sources)
        out.members = next((m for m in marks if m is not None), None)
    return out


def real_numbers(function: str, argument: str, x: Any) -> None:
    """Refuse integers: in-place steps cannot hold fractions, and float32 weights would turn 64."""
    if x.dtype.kind in "iub":
        raise TypeError(
            f"{function}: {argument} must be real numbers, found {x.dtype}. Mend: "
            f"{argument}.astype(np.float32); integers that name symbols go through nn.Embedding"
        )


def blocks(*arrays: Any) -> Iterator[tuple[Any, ...]]:
    """The same flat piece of several equally shaped arrays, piece by piece; on the GPU all at once.

    Twenty elementwise steps on a large array read it from main memory twenty times. Done piece by
    piece, the piece stays in cache: the steps then cost about a third. Arrays to be written to must
    be contiguous, or the pieces would be copies.
    """
    flat = [a.reshape(-1) for a in arrays]
    size = flat[0].size
    step = BLOCK if type(flat[0]) is np.ndarray else max(size, 1)
    for start in range(0, size, step):
        yield tuple(a[start : start + step] for a in flat)


def polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    """``c0 + c1 x + c2 x^2 + ...`` by Horner's rule, in one new array."""
    *rest, last = coefficients
    out = x * last
    for c in rest[:0:-1]:
        out += c
        out *= x
    out += rest[0]
    return out
