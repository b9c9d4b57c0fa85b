"""Linear algebra on stacks of matrices ``(..., n, n)``: solve, determinants, decompositions, norms.

The derivatives are those of Giles 2008 (collected matrix derivative results), Murray 2016
(Cholesky) and Townsend 2016 (SVD). Decompositions are for real matrices; `solve`, `inv` and `det`
also for complex.

**Degenerate spectra.** Where eigenvalues (singular values) coincide, the eigenvectors are not
unique and have no derivative: the terms with 1 / (w_j - w_i) are left out there. Gradients through
eigenvalues alone are right if they are distinct, and for symmetric functions of them (sum, norms)
always.
"""

from __future__ import annotations

import math
from collections import namedtuple
from typing import Any

import numpy as np

from ..engine import raw
from ..primitive import RULES, Rule, rule
from .compose import composed, merge_axes, normal_axes
from .products import _t

SlogdetResult = namedtuple("SlogdetResult", "sign logabsdet")
EighResult = namedtuple("EighResult", "eigenvalues eigenvectors")
SVDResult = namedtuple("SVDResult", "U S Vh")
QRResult = namedtuple("QRResult", "Q R")

# --- systems of equations and determinants --------------------------------------------------------


def _solve_b(g: Any, _out: Any, a: Any, b_shape: Any) -> Any:
    """a^-T g."""
    if len(b_shape) == 1:
        return np.linalg.solve(_t(a), g[..., None])[..., 0]
    return np.linalg.solve(_t(a), g)


def _solve_a(g: Any, out: Any, a: Any, b_shape: Any) -> Any:
    """-(a^-T g) x^T, for the solution x."""
    towards_b = _solve_b(g, out, a, b_shape)
    if len(b_shape) == 1:
        return -towards_b[..., :, None] * out[..., None, :]
    return -np.matmul(towards_b, _t(out))


rule(np.linalg.solve, _solve_a, _solve_b, name="np.linalg.solve")
rule(np.linalg.inv, lambda g, out, _a: -np.matmul(np.matmul(_t(out), g), _t(out)))
rule(  # Jacobi's formula; a singular matrix raises LinAlgError on the way back
    np.linalg.det, lambda g, out, a: (g * out)[..., None, None] * _t(np.linalg.inv(a))
)
_slogdet = Rule(
    lambda a: tuple(np.linalg.slogdet(_real("slogdet", a))),
    lambda g, _out, a: g[1][..., None, None] * _t(np.linalg.inv(a)),
    name="np.linalg.slogdet",
)
RULES[np.linalg.slogdet] = lambda a: SlogdetResult(*_slogdet(a))


def _pinv_vjp(g: Any, out: Any, a: Any, _rcond: Any = None) -> Any:
    """Golub and Pereyra 1973; right where the rank does not change nearby."""
    g_t, p_t = _t(g), _t(out)
    through = np.matmul(np.matmul(p_t, g), p_t)
    left = np.matmul(g_t - np.matmul(a, np.matmul(out, g_t)), np.matmul(out, p_t))
    right = np.matmul(np.matmul(p_t, out), g_t - np.matmul(np.matmul(g_t, out), a))
    return -through + left + right


_pinv = Rule(
    lambda a, rcond=None: (
        np.linalg.pinv(_real("pinv", a)) if rcond is None else np.linalg.pinv(a, rcond)
    ),
    _pinv_vjp,
    name="np.linalg.pinv",
)
RULES[np.linalg.pinv] = _pinv


@composed(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """``a`` times itself, ``n`` times, by repeated squaring; negative ``n`` inverts first."""
    if n < 0:
        a, n = np.linalg.inv(a), -n
    result = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype, like=raw(a)), a.shape)
    while n:
        result = np.matmul(result, a) if n % 2 else result
        n //= 2
        a = np.matmul(a, a) if n else a
    return result


@composed(np.linalg.multi_dot)
def multi_dot(arrays: Any) -> Any:
    """The product of several matrices, from left to right."""
    first, *others = arrays
    for other in others:
        first = np.dot(first, other)
    return first


# --- decompositions -------------------------------------------------------------------------------


def _real(name: str, a: Any) -> Any:
    if a.dtype.kind == "c":
        raise TypeError(
            f"np.linalg.{name}: expected a real matrix, found {a.dtype}; the complex derivative "
            "has no rule. Mend: write the complex matrix as a real one of twice the size"
        )
    return a


def _lower_half(x: Any) -> Any:
    """The lower triangle with half the diagonal: x = half + half^T if x is symmetric."""
    mask = np.tril(np.ones(x.shape[-2:], dtype=x.dtype, like=raw(x)))
    return x * (mask - 0.5 * np.eye(x.shape[-1], dtype=x.dtype, like=raw(x)))


def _cholesky_vjp(g: Any, out: Any, _a: Any) -> Any:
    """L^-T half(L^T g) L^-1, made symmetric (Murray 2016, equation 10)."""
    middle = _lower_half(np.matmul(_t(out), g))
    right = np.linalg.solve(_t(out), _t(np.linalg.solve(_t(out), middle)))
    return 0.5 * (right + _t(right))


rule(np.linalg.cholesky, _cholesky_vjp)


def _inverse_differences(w: Any) -> Any:
    """F[i, j] = 1 / (w_j - w_i), and 0 where the two are equal."""
    difference = w[..., None, :] - w[..., :, None]
    equal = raw(difference) == 0
    return np.where(equal, 0.0, 1.0 / np.where(equal, 1.0, difference))


def _inverse(s: Any) -> Any:
    """1 / s, and 0 where s is 0."""
    zero = raw(s) == 0
    return np.where(zero, 0.0, 1.0 / np.where(zero, 1.0, s))


def _diagonal(w: Any) -> Any:
    return w[..., None] * np.eye(w.shape[-1], dtype=w.dtype, like=raw(w))


def _eigh_vjp(g: Any, out: Any, _a: Any) -> Any:
    """V (diag(g_w) + F * (V^T g_V)) V^T, made symmetric."""
    (g_w, g_v), (w, v) = g, out
    inner = _diagonal(g_w) + _inverse_differences(w) * np.matmul(_t(v), g_v)
    towards = np.matmul(np.matmul(v, inner), _t(v))
    return 0.5 * (towards + _t(towards))


_eigh = Rule(lambda a: tuple(np.linalg.eigh(_real("eigh", a))), _eigh_vjp, name="np.linalg.eigh")
RULES[np.linalg.eigh] = lambda a: EighResult(*_eigh(a))
RULES[np.linalg.eigvalsh] = lambda a: _eigh(a)[0]


def _svd_vjp(g: Any, out: Any, _a: Any) -> Any:
    """Townsend 2016: the parts along U and V, and those that leave their column spaces."""
    (g_u, g_s, g_vh), (u, s, vh) = g, out
    v, g_v, inverse = _t(vh), _t(g_vh), _inverse(s)
    f = _inverse_differences(s * s)
    a, b = np.matmul(_t(u), g_u), np.matmul(vh, g_v)
    inner = _diagonal(g_s) + f * (a - _t(a)) * s[..., None, :] + s[..., :, None] * (f * (b - _t(b)))
    towards = np.matmul(np.matmul(u, inner), vh)
    if u.shape[-2] > u.shape[-1]:
        towards = towards + np.matmul((g_u - np.matmul(u, a)) * inverse[..., None, :], vh)
    if v.shape[-2] > v.shape[-1]:
        towards = towards + np.matmul(u, _t((g_v - np.matmul(v, b)) * inverse[..., None, :]))
    return towards


_svd = Rule(
    lambda a: tuple(np.linalg.svd(_real("svd", a), full_matrices=False)),
    _svd_vjp,
    name="np.linalg.svd",
)


@composed(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """``a = U diag(S) Vh``, thin: U is (..., m, k), S (..., k), Vh (..., k, n), with k = min(m,
    n)."""
    if not compute_uv:
        return _svd(a)[1]
    if full_matrices and a.shape[-1] != a.shape[-2]:
        raise TypeError(
            f"np.linalg.svd: the full U and Vh of a {a.shape[-2:]} matrix are not unique and have "
            "no derivative. Mend: full_matrices=False"
        )
    return SVDResult(*_svd(a))


if hasattr(np.linalg, "svdvals"):
    RULES[np.linalg.svdvals] = lambda x: _svd(x)[1]


def _qr_vjp(g: Any, out: Any, _a: Any) -> Any:
    """(g_Q + Q sym(R g_R^T - g_Q^T Q)) R^-T, sym copying the lower triangle to the upper."""
    (g_q, g_r), (q, r) = g, out
    lower = _lower_half(np.matmul(r, _t(g_r)) - np.matmul(_t(g_q), q))
    left = g_q + np.matmul(q, lower + _t(lower))
    return _t(np.linalg.solve(r, _t(left)))


def _qr_forward(a: Any) -> Any:
    if a.shape[-2] < a.shape[-1]:
        raise ValueError("np.linalg.qr: expected at least as many rows as columns; transpose a")
    return tuple(np.linalg.qr(_real("qr", a)))


_qr = Rule(_qr_forward, _qr_vjp, name="np.linalg.qr")


@composed(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    """``a = Q R`` for full column rank, Q (..., m, n) with orthonormal columns, R (..., n, n)."""
    if mode == "r":
        return _qr(a)[1]
    if mode != "reduced":
        raise ValueError(
            f"np.linalg.qr: mode {mode!r} has no derivative rule. Mend: mode='reduced'"
        )
    return QRResult(*_qr(a))


# --- norms ----------------------------------------------------------------------------------------


def _euclidean_vjp(g: Any, out: Any, x: Any) -> Any:
    """x / |x|, and 0 at x = 0."""
    scale = g / np.where(raw(out) == 0, 1.0, out)
    return scale[..., None] * (np.conj(x) if x.dtype.kind == "c" else x)


def _euclidean_forward(x: Any) -> Any:
    return np.sqrt(np.sum(np.square(np.abs(x)), axis=-1))


_euclidean = Rule(_euclidean_forward, _euclidean_vjp, name="np.linalg.norm")


def vector_norm(x: Any, axis: Any = None, ord: Any = 2, keepdims: bool = False) -> Any:
    """(sum |x|^p)^(1/p) for ``ord`` = p; inf: the largest |x|, -inf: the smallest, 0: how many !=
    0.

    The derivative at x = 0 is 0 for every p >= 1, and the ties of inf share it equally.
    """
    axes = normal_axes(axis, x.ndim)
    if ord == 2:
        merged, ones = merge_axes(x, axis)
        out = _euclidean(merged)
        return out.reshape(ones) if keepdims else out
    if ord == math.inf:
        return np.max(np.abs(x), axis=axes, keepdims=keepdims)
    if ord == -math.inf:
        return np.min(np.abs(x), axis=axes, keepdims=keepdims)
    if ord == 0:
        return np.sum((x != 0).astype(x.real.dtype), axis=axes, keepdims=keepdims)
    if ord == 1:
        return np.sum(np.abs(x), axis=axes, keepdims=keepdims)
    total = np.sum(np.abs(x) ** ord, axis=axes, keepdims=keepdims)
    zero = raw(total) == 0
    return np.where(zero, 0.0, np.where(zero, 1.0, total) ** (1.0 / ord))


def matrix_norm(x: Any, ord: Any = "fro", axis: Any = (-2, -1), keepdims: bool = False) -> Any:
    """Norms of matrices: with s the singular values,

    "fro" root of sum s^2, "nuc" sum of s, 2 / -2 largest / smallest s, 1 / inf largest column / row
    sum of |x|, -1 / -inf smallest.
    """
    row, column = axis
    if ord in (None, "fro"):
        return vector_norm(x, axis, 2, keepdims)
    x = np.moveaxis(x, (row, column), (-2, -1))
    if ord in ("nuc", 2, -2):
        s = _svd(x)[1]
        out = np.sum(s, axis=-1) if ord == "nuc" else np.max(s, axis=-1) if ord == 2 else s[..., -1]
    elif ord in (1, -1, math.inf, -math.inf):
        sums = np.sum(np.abs(x), axis=-2 if abs(ord) == 1 else -1)
        out = np.max(sums, axis=-1) if ord > 0 else np.min(sums, axis=-1)
    else:
        raise ValueError(
            f"np.linalg.norm: ord={ord!r} is not a norm of matrices; try 'fro' or 'nuc'"
        )
    return np.expand_dims(out, normal_axes(axis, x.ndim)) if keepdims else out


@composed(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """``np.linalg.norm``: of vectors along an axis, or of matrices along two."""
    if ord is None:
        return vector_norm(x, axis, 2, keepdims)
    if axis is None and x.ndim not in (1, 2):
        raise ValueError(f"np.linalg.norm: ord={ord!r} of a {x.ndim}-d array needs axis=")
    axes = normal_axes(axis, x.ndim)
    return (
        matrix_norm(x, ord, axes, keepdims)
        if len(axes) == 2
        else vector_norm(x, axes, ord, keepdims)
    )


if hasattr(np.linalg, "vector_norm"):

    @composed(np.linalg.vector_norm)
    def _vector_norm(x: Any, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
        return vector_norm(x, axis, ord, keepdims)

    @composed(np.linalg.matrix_norm)
    def _matrix_norm(x: Any, keepdims: bool = False, ord: Any = "fro") -> Any:
        return matrix_norm(x, ord, (-2, -1), keepdims)
