"""Derivative rules: finite differences at first and second order, JAX, and the conventions at
kinks.

One table of cases serves all tests. A case is a function ``f(np, *arrays)`` of an array library, so
that the same line runs on NumPy (with Tensors) and on ``jax.numpy``.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.rules import convolution, special, windows

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
jnp = jax.numpy

# --- arguments: shapes, and domains away from kinks -----------------------------------------------


def normal(*shape: int) -> Any:
    return lambda rng: rng.standard_normal(shape)


def between(low: float, high: float, *shape: int) -> Any:
    return lambda rng: rng.uniform(low, high, shape)


def apart(*shape: int) -> Any:
    """Values at least 0.1 from each other and from 0, and never halfway between integers."""
    n = int(np.prod(shape))
    return lambda rng: (rng.permutation(n) - n // 2 + 0.3).reshape(shape) * 0.37


def spd(n: int, *batch: int) -> Any:
    """Symmetric positive definite with distinct eigenvalues."""

    def make(rng: Any) -> Any:
        q = np.linalg.qr(rng.standard_normal((*batch, n, n)))[0]
        return (q * np.arange(1.0, n + 1.0)) @ np.swapaxes(q, -1, -2)

    return make


def sym(x: Any) -> Any:
    return 0.5 * (x + x.swapaxes(-1, -2))


INDEX = np.array([[0, 2], [2, 1]])
MASK = np.array([[True, False, True], [False, False, True]])

Case = tuple[str, Any, list[Any]]

ELEMENTWISE: list[Case] = [
    ("add", lambda np, a, b: np.add(a, b), [normal(2, 3), normal(3)]),
    ("subtract", lambda np, a, b: a - b, [normal(2, 1), normal(2, 3)]),
    ("multiply", lambda np, a, b: a * b * a, [normal(2, 1, 3), normal(4, 1)]),
    ("divide", lambda np, a, b: a / b, [normal(2, 3), between(1, 2, 3)]),
    ("reflected", lambda np, a: 2.0 / a - 1.0 + 3.0 * a, [between(1, 2, 3)]),
    ("negative", lambda np, a: np.negative(a) * a, [normal(3)]),
    ("reciprocal", lambda np, a: np.reciprocal(a), [between(1, 2, 3)]),
    ("square", lambda np, a: np.square(a), [normal(3)]),
    ("remainder", lambda np, a, b: np.remainder(a, b), [between(2.1, 2.9, 3), between(0.9, 1, 3)]),
    ("fmod", lambda np, a, b: np.fmod(a, b), [between(-2.9, -2.1, 3), between(0.9, 1, 3)]),
    ("power", lambda np, a, b: np.power(a, b), [between(0.5, 2, 2, 3), normal(3)]),
    ("power_3", lambda np, a: a**3, [normal(3)]),
    ("power_half", lambda np, a: a**-0.5, [between(1, 2, 3)]),
    ("power_of_2", lambda np, a: 2.0**a, [normal(3)]),
    ("exp", lambda np, a: np.exp(a), [normal(3)]),
    ("exp2", lambda np, a: np.exp2(a), [normal(3)]),
    ("expm1", lambda np, a: np.expm1(a), [normal(3)]),
    ("log", lambda np, a: np.log(a), [between(0.5, 2, 3)]),
    ("log2", lambda np, a: np.log2(a), [between(0.5, 2, 3)]),
    ("log10", lambda np, a: np.log10(a), [between(0.5, 2, 3)]),
    ("log1p", lambda np, a: np.log1p(a), [between(-0.5, 2, 3)]),
    ("sqrt", lambda np, a: np.sqrt(a), [between(0.5, 2, 3)]),
    ("cbrt", lambda np, a: np.cbrt(a), [between(0.5, 2, 3)]),
    ("logaddexp", lambda np, a, b: np.logaddexp(a, b), [normal(2, 3), normal(3)]),
    ("logaddexp2", lambda np, a, b: np.logaddexp2(a, b), [normal(2, 3), normal(3)]),
    ("hypot", lambda np, a, b: np.hypot(a, b), [between(1, 2, 2, 3), between(1, 2, 3)]),
    ("sin", lambda np, a: np.sin(a), [normal(3)]),
    ("cos", lambda np, a: np.cos(a), [normal(3)]),
    ("tan", lambda np, a: np.tan(a), [between(-1, 1, 3)]),
    ("arcsin", lambda np, a: np.arcsin(a), [between(-0.8, 0.8, 3)]),
    ("arccos", lambda np, a: np.arccos(a), [between(-0.8, 0.8, 3)]),
    ("arctan", lambda np, a: np.arctan(a), [normal(3)]),
    ("arctan2", lambda np, a, b: np.arctan2(a, b), [between(1, 2, 3), normal(2, 3)]),
    ("sinh", lambda np, a: np.sinh(a), [normal(3)]),
    ("cosh", lambda np, a: np.cosh(a), [normal(3)]),
    ("tanh", lambda np, a: np.tanh(a), [normal(3)]),
    ("arcsinh", lambda np, a: np.arcsinh(a), [normal(3)]),
    ("arccosh", lambda np, a: np.arccosh(a), [between(1.5, 2, 3)]),
    ("arctanh", lambda np, a: np.arctanh(a), [between(-0.8, 0.8, 3)]),
    ("degrees", lambda np, a: np.sin(np.radians(np.degrees(a))), [normal(3)]),
    ("sinc", lambda np, a: np.sinc(a), [between(0.2, 0.8, 3)]),
    ("abs", lambda np, a: np.abs(a) * a, [apart(5)]),
    ("maximum", lambda np, a, b: np.maximum(a, b) ** 2, [apart(2, 3), lambda r: np.full(3, 0.5)]),
    ("minimum", lambda np, a, b: np.minimum(a, b) ** 2, [apart(2, 3), lambda r: np.full(3, 0.5)]),
    ("fmax", lambda np, a, b: np.fmax(a, b) ** 2, [apart(2, 3), lambda r: np.full(3, 0.5)]),
    ("fmin", lambda np, a, b: np.fmin(a, b) ** 2, [apart(2, 3), lambda r: np.full(3, 0.5)]),
    ("clip", lambda np, a: np.clip(a, -0.5, 0.5) * a, [apart(7)]),
    ("where", lambda np, a, b: np.where(MASK, a, b) ** 2, [normal(2, 3), normal(3)]),
    ("nan_to_num", lambda np, a: np.nan_to_num(a) ** 2, [normal(3)]),
    ("steps", lambda np, a: a * np.sign(a) + np.floor(a) * np.ceil(a) + np.trunc(a), [apart(5)]),
    ("round", lambda np, a: a * np.round(a, 1), [apart(5)]),
    ("copysign", lambda np, a, b: np.copysign(a, b) * a, [apart(5), apart(5)]),
    ("heaviside", lambda np, a: a * np.heaviside(a, 0.5), [apart(5)]),
    ("astype", lambda np, a: a.astype(np.float64) ** 2, [normal(3)]),
]

REDUCTIONS: list[Case] = [
    ("sum", lambda np, a: np.sum(a) ** 2, [normal(2, 3)]),
    ("sum_axis", lambda np, a: np.sum(a, axis=-1) ** 2, [normal(2, 3)]),
    ("sum_axes", lambda np, a: np.sum(a * a, axis=(0, -1)), [normal(2, 3, 2)]),
    ("sum_keepdims", lambda np, a: a * np.sum(a, axis=1, keepdims=True), [normal(2, 3)]),
    ("sum_all_keepdims", lambda np, a: a * np.sum(a, keepdims=True), [normal(2, 3)]),
    ("sum_of_scalar", lambda np, a: np.sum(a) * a, [normal()]),
    ("mean", lambda np, a: np.mean(a, axis=(0, 2)) ** 2, [normal(2, 3, 2)]),
    ("var", lambda np, a: np.var(a, axis=1, ddof=1), [normal(2, 3)]),
    ("std", lambda np, a: np.std(a, axis=0, keepdims=True), [normal(4, 3)]),
    ("average", lambda np, a, w: np.average(a, 1, w), [normal(2, 3), between(1, 2, 3)]),
    ("max", lambda np, a: np.max(a) ** 2, [apart(2, 3)]),
    ("max_axes", lambda np, a: np.max(a, axis=(0, 2)) ** 2, [apart(2, 3, 2)]),
    ("amin", lambda np, a: np.amin(a, axis=-1, keepdims=True) * a, [apart(2, 3)]),
    ("ptp", lambda np, a: np.ptp(a, axis=0) ** 2, [apart(3, 2)]),
    ("nansum", lambda np, a: np.nansum(a, axis=0) ** 2, [normal(3, 2)]),
    ("nanmean", lambda np, a: np.nanmean(a, axis=0) ** 2, [normal(3, 2)]),
    ("nanmax", lambda np, a: np.nanmax(a, axis=0) ** 2, [apart(3, 2)]),
    ("nanmin", lambda np, a: np.nanmin(a, axis=0) ** 2, [apart(3, 2)]),
    ("prod", lambda np, a: np.prod(a), [normal(2, 3)]),
    ("prod_axes", lambda np, a: np.prod(a, axis=(0, 2), keepdims=True), [normal(2, 3, 2)]),
    (
        "prod_zero",
        lambda np, a: np.prod(a, axis=-1),
        [lambda r: np.array([[2.0, 0, 3], [0, 0, 3]])],
    ),
    ("cumsum", lambda np, a: np.cumsum(a, axis=1) ** 2, [normal(2, 3)]),
    ("cumsum_flat", lambda np, a: np.cumsum(a) ** 2, [normal(2, 3)]),
    ("cumprod", lambda np, a: np.cumprod(a, axis=-1), [normal(2, 3)]),
    ("median", lambda np, a: np.median(a, axis=1) ** 2, [apart(2, 4)]),
    ("median_all", lambda np, a: np.median(a, keepdims=True) * a, [apart(3, 3)]),
    ("quantile", lambda np, a: np.quantile(a, 0.3, axis=0) ** 2, [apart(5, 2)]),
    ("quantiles", lambda np, a: np.quantile(a, np.array([0.1, 0.9])) ** 2, [apart(5, 2)]),
    ("percentile", lambda np, a: np.percentile(a, 40.0, axis=(0, 1)) ** 2, [apart(3, 2, 2)]),
    ("trapezoid", lambda np, a, x: np.trapezoid(a, x, axis=0), [normal(4), apart(4)]),
]

SHAPES: list[Case] = [
    ("reshape", lambda np, a: a.reshape(3, -1) @ a, [normal(2, 3)]),
    ("transpose", lambda np, a: np.transpose(a, (2, 0, 1)) ** 2, [normal(2, 3, 4)]),
    ("transpose_back", lambda np, a: np.transpose(a, (-1, 0, 1)) ** 2, [normal(2, 3, 4)]),
    ("T", lambda np, a: a.T @ a, [normal(2, 3)]),
    ("swapaxes", lambda np, a: np.swapaxes(a, 0, -1) ** 2, [normal(2, 3, 4)]),
    ("moveaxis", lambda np, a: np.moveaxis(a, (0, 1), (-1, 0)) ** 2, [normal(2, 3, 4)]),
    ("rollaxis", lambda np, a: np.rollaxis(a, 2, 1) ** 2, [normal(2, 3, 4)]),
    ("squeeze", lambda np, a: np.squeeze(a, axis=1) ** 2, [normal(2, 1, 4)]),
    ("expand_dims", lambda np, a: np.expand_dims(a, (0, -1)) ** 2, [normal(2, 3)]),
    ("ravel", lambda np, a: np.ravel(a) ** 2, [normal(2, 3)]),
    ("atleast", lambda np, a: np.atleast_3d(np.atleast_1d(a)) ** 2, [normal(2, 3)]),
    ("flip", lambda np, a: np.flip(a, axis=(0, 1)) * a, [normal(2, 3)]),
    ("flips", lambda np, a: np.fliplr(a) * np.flipud(a), [normal(2, 3)]),
    ("rot90", lambda np, a: np.rot90(a, 3) @ a, [normal(2, 3)]),
    ("roll", lambda np, a: np.roll(a, (1, 2), axis=(0, 1)) * a, [normal(2, 3)]),
    ("roll_flat", lambda np, a: np.roll(a, -2) * a, [normal(2, 3)]),
    ("broadcast_to", lambda np, a: np.broadcast_to(a, (2, 2, 3)) ** 2, [normal(2, 1)]),
    ("pad", lambda np, a: np.pad(a, ((1, 0), (2, 1)), constant_values=2.0) ** 2, [normal(2, 3)]),
    ("pad_edge", lambda np, a: np.pad(a, 1, mode="edge") ** 2, [normal(2, 3)]),
    ("pad_reflect", lambda np, a: np.pad(a, (1, 1), mode="reflect") ** 2, [normal(2, 3)]),
    ("pad_wrap", lambda np, a: np.pad(a, ((0, 1), (2, 0)), mode="wrap") ** 2, [normal(2, 3)]),
    (
        "concatenate",
        lambda np, a, b: np.concatenate([a, b, a], axis=-1) ** 2,
        [normal(2, 3), normal(2, 1)],
    ),
    (
        "concatenate_flat",
        lambda np, a, b: np.concatenate([a, b], axis=None) ** 2,
        [normal(2, 3), normal(2)],
    ),
    ("stack", lambda np, a, b: np.stack([a, b, a], axis=-1) ** 2, [normal(2, 3), normal(2, 3)]),
    ("vstack", lambda np, a, b: np.vstack([a, b]) ** 2, [normal(3), normal(2, 3)]),
    ("hstack", lambda np, a, b: np.hstack([a, b]) ** 2, [normal(3), normal(2)]),
    ("column_stack", lambda np, a, b: np.column_stack([a, b]) ** 2, [normal(3), normal(3, 2)]),
    ("dstack", lambda np, a, b: np.dstack([a, b]) ** 2, [normal(2, 3), normal(2, 3)]),
    ("append", lambda np, a, b: np.append(a, b) ** 2, [normal(3), normal(2)]),
    ("unstack", lambda np, a: [row**2 for row in a][1], [normal(3, 2)]),
    ("split", lambda np, a: np.multiply(*np.split(a, 2, axis=1)), [normal(2, 4)]),
    ("split_at", lambda np, a: np.split(a, [1, 3])[1] ** 2, [normal(4, 2)]),
    ("array_split", lambda np, a: np.array_split(a, 3)[0] ** 2, [normal(5)]),
    ("repeat", lambda np, a: np.repeat(a, 2, axis=1) ** 2, [normal(2, 3)]),
    ("repeat_counts", lambda np, a: np.repeat(a, np.array([2, 0, 1]), axis=1) ** 2, [normal(2, 3)]),
    ("repeat_flat", lambda np, a: np.repeat(a, 2) ** 2, [normal(2, 3)]),
    ("tile", lambda np, a: np.tile(a, (2, 1, 2)) ** 2, [normal(2, 3)]),
    ("meshgrid", lambda np, a, b: np.multiply(*np.meshgrid(a, b)), [normal(2), normal(3)]),
    ("diff", lambda np, a: np.diff(a, n=2, axis=0) ** 2, [normal(4, 2)]),
]

INDEXING: list[Case] = [
    ("item", lambda np, a: a[1, -1] ** 2, [normal(2, 3)]),
    ("slices", lambda np, a: a[::-1, 1:, None] ** 2, [normal(2, 3)]),
    ("ellipsis", lambda np, a: a[..., 0] ** 2, [normal(2, 3)]),
    ("repeated", lambda np, a: a[INDEX] ** 2, [normal(3, 2)]),
    ("negative_index", lambda np, a: a[np.array([-1, 2, -1])] ** 2, [normal(3, 2)]),
    ("pairs", lambda np, a: a[np.array([0, 1, 0]), np.array([2, 1, 2])] ** 2, [normal(2, 3)]),
    ("mixed", lambda np, a: a[1:, INDEX, None, 0] ** 2, [normal(2, 3, 2)]),
    ("separated", lambda np, a: a[np.array([0, 0]), :, np.array([1, 1])] ** 2, [normal(2, 3, 2)]),
    ("mask", lambda np, a: a[MASK] ** 2, [normal(2, 3)]),
    ("mask_and_slice", lambda np, a: a[:, np.array([True, False, True])] ** 2, [normal(2, 3)]),
    ("empty_index", lambda np, a: np.sum(a[np.array([], dtype=int)]) + np.sum(a**2), [normal(3)]),
    ("take", lambda np, a: np.take(a, INDEX, axis=-1) ** 2, [normal(2, 3)]),
    ("take_flat", lambda np, a: np.take(a, INDEX) ** 2, [normal(2, 3)]),
    ("take_along_axis", lambda np, a: np.take_along_axis(a, INDEX, axis=1) ** 2, [normal(2, 3)]),
    ("diagonal", lambda np, a: np.diagonal(a, 1, 0, 2) ** 2, [normal(2, 3, 3)]),
    ("diag_of_matrix", lambda np, a: np.diag(a, -1) ** 2, [normal(3, 3)]),
    ("diag_of_vector", lambda np, a: np.diag(a, 1) @ np.diag(a, -1), [normal(3)]),
    ("trace", lambda np, a: np.trace(a) ** 2, [normal(3, 3)]),
    ("tril", lambda np, a: np.tril(a, -1) @ np.triu(a), [normal(3, 3)]),
    ("sort", lambda np, a: np.sort(a, axis=0) ** 2, [apart(3, 2)]),
    ("sort_flat", lambda np, a: np.sort(a, axis=None) ** 2, [apart(3, 2)]),
    (
        "interp",
        lambda np, x, f: np.interp(x, np.array([0.0, 1, 2]), f),
        [between(0.1, 0.9, 4), normal(3)],
    ),
]

PRODUCTS: list[Case] = [
    ("matmul", lambda np, a, b: a @ b, [normal(2, 3), normal(3, 4)]),
    ("matmul_vectors", lambda np, a, b: a @ b, [normal(3), normal(3)]),
    ("matmul_left_vector", lambda np, a, b: a @ b, [normal(3), normal(2, 3, 4)]),
    ("matmul_right_vector", lambda np, a, b: a @ b, [normal(2, 4, 3), normal(3)]),
    ("matmul_batch", lambda np, a, b: a @ b, [normal(2, 1, 2, 3), normal(4, 3, 2)]),
    ("matmul_shared", lambda np, a, b: a @ b, [normal(2, 4, 3), normal(3, 2)]),
    ("matmul_members", lambda np, a, b: a @ b, [normal(4, 3), normal(2, 3, 2)]),
    ("dot", lambda np, a, b: np.dot(a, b), [normal(2, 3), normal(4, 3, 2)]),
    ("inner", lambda np, a, b: np.inner(a, b), [normal(2, 3), normal(4, 3)]),
    ("outer", lambda np, a, b: np.outer(a, b), [normal(2, 2), normal(3)]),
    ("vdot", lambda np, a, b: np.vdot(a, b), [normal(2, 3), normal(2, 3)]),
    (
        "tensordot",
        lambda np, a, b: np.tensordot(a, b, ((0, 2), (1, 0))),
        [normal(2, 4, 3), normal(3, 2)],
    ),
    ("tensordot_2", lambda np, a, b: np.tensordot(a, b), [normal(2, 4, 3), normal(4, 3)]),
    ("kron", lambda np, a, b: np.kron(a, b), [normal(2, 3), normal(3, 2)]),
    ("cross", lambda np, a, b: np.cross(a, b), [normal(2, 3), normal(3)]),
    ("einsum_trace", lambda np, a: np.einsum("ii", a) ** 2, [normal(3, 3)]),
    ("einsum_diagonal", lambda np, a: np.einsum("jii->ij", a) ** 2, [normal(2, 3, 3)]),
    ("einsum_sum", lambda np, a, b: np.einsum("ij,k->k", a, b), [normal(2, 3), normal(2)]),
    (
        "einsum_batch",
        lambda np, a, b: np.einsum("...ij,...kj->...ik", a, b),
        [normal(2, 3, 2), normal(2, 4, 2)],
    ),
    ("einsum_implicit", lambda np, a, b: np.einsum("ij,jk", a, b), [normal(2, 3), normal(3, 2)]),
    (
        "einsum_three",
        lambda np, a, b, c: np.einsum("ij,jk,kl->il", a, b, c),
        [normal(2, 3), normal(3, 2), normal(2, 2)],
    ),
]

LINALG: list[Case] = [
    ("solve", lambda np, a, b: np.linalg.solve(a, b), [spd(3, 2), normal(2, 3, 2)]),
    ("solve_vector", lambda np, a, b: np.linalg.solve(a, b), [spd(3), normal(3)]),
    ("inv", lambda np, a: np.linalg.inv(a), [spd(3, 2)]),
    ("det", lambda np, a: np.linalg.det(a), [spd(3, 2)]),
    ("slogdet", lambda np, a: np.linalg.slogdet(a)[1], [spd(3, 2)]),
    ("cholesky", lambda np, a: np.linalg.cholesky(sym(a)), [spd(3, 2)]),
    ("eigvalsh", lambda np, a: np.linalg.eigvalsh(sym(a)), [spd(3, 2)]),
    ("eigh", lambda np, a: np.linalg.eigh(sym(a))[1] ** 2, [spd(3, 2)]),
    ("svd_values", lambda np, a: np.linalg.svd(a, compute_uv=False), [normal(2, 3)]),
    ("svd_tall", lambda np, a: np.linalg.svd(a, full_matrices=False)[0] ** 2, [normal(4, 2)]),
    ("svd_wide", lambda np, a: np.linalg.svd(a, full_matrices=False)[2] ** 2, [normal(2, 4)]),
    (
        "qr",
        lambda np, a: np.matmul(*np.linalg.qr(a)[::-1][::-1]) * np.linalg.qr(a)[0],
        [normal(4, 3)],
    ),
    ("pinv_tall", lambda np, a: np.linalg.pinv(a), [normal(4, 2)]),
    ("pinv_wide", lambda np, a: np.linalg.pinv(a), [normal(2, 2, 3)]),
    (
        "matrix_power",
        lambda np, a: np.linalg.matrix_power(a, 5),
        [lambda r: r.normal(size=(2, 3, 3)) * 0.5],
    ),
    ("matrix_power_inverse", lambda np, a: np.linalg.matrix_power(a, -2), [spd(3)]),
    (
        "multi_dot",
        lambda np, a, b, c: np.linalg.multi_dot([a, b, c]),
        [normal(2, 3), normal(3, 2), normal(2)],
    ),
    ("norm", lambda np, a: np.linalg.norm(a), [normal(2, 3)]),
    ("norm_axis", lambda np, a: np.linalg.norm(a, axis=-1, keepdims=True) * a, [normal(2, 3)]),
    ("norm_1", lambda np, a: np.linalg.norm(a, ord=1, axis=0) ** 2, [apart(2, 3)]),
    ("norm_3", lambda np, a: np.linalg.norm(a, ord=3, axis=0), [apart(2, 3)]),
    ("norm_inf", lambda np, a: np.linalg.norm(a, ord=np.inf, axis=1) ** 2, [apart(2, 3)]),
    ("norm_fro", lambda np, a: np.linalg.norm(a, "fro", axis=(0, 2)), [normal(2, 3, 2)]),
    ("norm_nuc", lambda np, a: np.linalg.norm(a, "nuc"), [normal(2, 3)]),
    ("norm_spectral", lambda np, a: np.linalg.norm(a, 2, axis=(-2, -1)), [normal(2, 3, 2)]),
    ("norm_columns", lambda np, a: np.linalg.norm(a, 1) ** 2, [apart(2, 3)]),
]

FOURIER: list[Case] = [
    (
        f"{name}_{norm}",
        lambda np, a, name=name, norm=norm: np.abs(getattr(np.fft, name)(a, norm=norm)),
        [normal(2, 5)],
    )
    for name in ("fft", "ifft", "rfft")
    for norm in (None, "ortho", "forward")
] + [
    ("fft_cut", lambda np, a: np.abs(np.fft.fft(a, n=3, axis=0)), [normal(5, 2)]),
    ("fft_pad", lambda np, a: np.abs(np.fft.fft(a, n=7)), [normal(2, 5)]),
    ("rfft_even", lambda np, a: np.abs(np.fft.rfft(a, n=8, axis=0)), [normal(6, 2)]),
    (
        "irfft_odd",
        lambda np, a, b: np.fft.irfft(a + 1j * b, n=5) ** 2,
        [normal(2, 4), normal(2, 4)],
    ),
    (
        "irfft_even",
        lambda np, a, b: np.fft.irfft(a + 1j * b, norm="ortho") ** 2,
        [normal(2, 4), normal(2, 4)],
    ),
    (
        "irfft_axis",
        lambda np, a, b: np.fft.irfft(a + 1j * b, n=9, axis=0, norm="forward") ** 2,
        [normal(4, 2), normal(4, 2)],
    ),
    ("fft2", lambda np, a: np.abs(np.fft.fft2(a)), [normal(3, 4)]),
    ("ifft2", lambda np, a: np.abs(np.fft.ifft2(a, s=(2, 3))), [normal(3, 4)]),
    ("rfft2", lambda np, a: np.abs(np.fft.rfft2(a)), [normal(3, 4)]),
    ("irfft2", lambda np, a: np.fft.irfft2(np.fft.rfft2(a) ** 2), [normal(3, 4)]),
    ("fftn", lambda np, a: np.abs(np.fft.fftn(a, axes=(0, 2))), [normal(2, 3, 2)]),
    ("ifftn", lambda np, a: np.abs(np.fft.ifftn(a)), [normal(2, 3)]),
    ("fftshift", lambda np, a: np.fft.fftshift(a) * np.fft.ifftshift(a, axes=1), [normal(3, 5)]),
]

COMPLEX: list[Case] = [
    (
        "complex_product",
        lambda np, a, b: np.abs((a + 1j * b) ** 2 / (2.0 - 1j * a)),
        [normal(3), normal(3)],
    ),
    (
        "conj_real_imag",
        lambda np, a, b: np.real(np.conj(a * 1j + b) * a) + np.imag((a + 1j * b) ** 3),
        [normal(3), normal(3)],
    ),
    ("angle", lambda np, a, b: np.angle(a + 1j * b), [between(1, 2, 3), normal(3)]),
    (
        "complex_exp",
        lambda np, a, b: np.abs(np.exp(a + 1j * b) + np.sin(b - 1j * a)),
        [normal(3), normal(3)],
    ),
    (
        "complex_solve",
        lambda np, a, b: np.abs(np.linalg.solve(a + 1j * sym(a), b)),
        [spd(3), normal(3)],
    ),
    ("complex_var", lambda np, a, b: np.var(a + 1j * b), [normal(4), normal(4)]),
    ("complex_norm", lambda np, a, b: np.linalg.norm(a + 1j * b), [normal(4), normal(4)]),
    (
        "complex_index",
        lambda np, a, b: np.abs((a + 1j * b)[np.array([0, 0, 2])]),
        [normal(4), normal(4)],
    ),
]

NUMPY_CASES = [
    *ELEMENTWISE,
    *REDUCTIONS,
    *SHAPES,
    *INDEXING,
    *PRODUCTS,
    *LINALG,
    *FOURIER,
    *COMPLEX,
]

# Functions that NumPy has no name for, and what JAX calls them.
special_j = jax.scipy.special
PAIRS: list[tuple[str, Any, Any, list[Any]]] = [
    ("erf", special.erf, special_j.erf, [normal(4)]),
    ("erfc", special.erfc, special_j.erfc, [normal(4)]),
    ("ndtr", special.ndtr, special_j.ndtr, [normal(4)]),
    ("log_ndtr", special.log_ndtr, special_j.log_ndtr, [between(-8, 2, 4)]),
    ("ndtri", special.ndtri, special_j.ndtri, [between(0.1, 0.9, 4)]),
    ("gammaln", special.gammaln, special_j.gammaln, [between(0.5, 3, 4)]),
    ("digamma", special.digamma, special_j.digamma, [between(0.5, 3, 4)]),
    ("expit", special.expit, special_j.expit, [normal(4)]),
    ("log_expit", special.log_expit, jax.nn.log_sigmoid, [normal(4)]),
    ("softplus", special.softplus, jax.nn.softplus, [normal(4)]),
    ("xlogy", special.xlogy, special_j.xlogy, [between(1, 2, 2, 3), between(1, 2, 3)]),
    ("relu", lambda x: special.relu(x) ** 2, lambda x: jax.nn.relu(x) ** 2, [apart(5)]),
    ("softmax", special.softmax, jax.nn.softmax, [normal(2, 3)]),
    (
        "softmax_0",
        lambda x: special.softmax(x, axis=0),
        lambda x: jax.nn.softmax(x, 0),
        [normal(2, 3)],
    ),
    ("log_softmax", special.log_softmax, jax.nn.log_softmax, [normal(2, 3)]),
    (
        "logsumexp",
        lambda x: mg.rules.reductions.logsumexp(x, axis=(0, 2)),
        lambda x: special_j.logsumexp(x, axis=(0, 2)),
        [normal(2, 3, 2)],
    ),
    (
        "top_k",
        lambda x: mg.rules.indexing.top_k(x, 2)[0] ** 2,
        lambda x: jax.lax.top_k(x, 2)[0] ** 2,
        [apart(2, 4)],
    ),
    (
        "embedding",
        lambda w: mg.rules.indexing.embedding(w, INDEX) ** 2,
        lambda w: w[INDEX] ** 2,
        [normal(3, 2)],
    ),
]


def jax_conv(
    x: Any,
    w: Any,
    stride: Any = (1, 1),
    padding: Any = (0, 0),
    dilation: Any = (1, 1),
    groups: int = 1,
) -> Any:
    return jax.lax.conv_general_dilated(
        x, w, stride, [(p, p) for p in padding], rhs_dilation=dilation, feature_group_count=groups
    )


def jax_pool(
    x: Any, start: float, combine: Any, kernel: Any, stride: Any, padding: Any = (0, 0)
) -> Any:
    pads = [(0, 0), (0, 0), *((p, p) for p in padding)]
    return jax.lax.reduce_window(x, start, combine, (1, 1, *kernel), (1, 1, *stride), pads)


def jax_unfold(x: Any) -> Any:
    out = jax.lax.conv_general_dilated_patches(x, (2, 3), (2, 1), [(1, 1), (1, 1)])
    return out.reshape(*out.shape[:2], -1)


PAIRS += [
    ("conv2d", windows.conv2d, jax_conv, [normal(2, 3, 5, 6), normal(4, 3, 3, 2)]),
    (
        "conv2d_options",
        lambda x, w: windows.conv2d(x, w, None, (2, 1), (1, 2), (1, 2)),
        lambda x, w: jax_conv(x, w, (2, 1), (1, 2), (1, 2)),
        [normal(2, 3, 5, 6), normal(4, 3, 3, 2)],
    ),
    (
        "conv2d_groups",
        lambda x, w: windows.conv2d(x, w, padding=1, groups=2),
        lambda x, w: jax_conv(x, w, padding=(1, 1), groups=2),
        [normal(2, 4, 5, 4), normal(6, 2, 3, 3)],
    ),
    (
        "conv2d_depthwise",
        lambda x, w: windows.conv2d(x, w, stride=2, groups=4),
        lambda x, w: jax_conv(x, w, (2, 2), groups=4),
        [normal(2, 4, 5, 4), normal(4, 1, 3, 3)],
    ),
    (
        "conv1d",
        lambda x, w, b: windows.conv1d(x, w, b, 2, 1, 2),
        lambda x, w, b: (
            jax.lax.conv_general_dilated(x, w, (2,), [(1, 1)], rhs_dilation=(2,)) + b[:, None]
        ),
        [normal(2, 3, 9), normal(4, 3, 3), normal(4)],
    ),
    (
        "conv_transpose2d",
        lambda g, w: windows.conv_transpose2d(g, w, None, 2, 1, 1),
        lambda g, w: jax.vjp(lambda x: jax_conv(x, w, (2, 2), (1, 1)), jnp.zeros((2, 4, 6, 8)))[1](
            g
        )[0],
        [normal(2, 3, 3, 4), normal(3, 4, 3, 3)],
    ),
    (
        "conv_transpose1d",
        lambda g, w: windows.conv_transpose1d(g, w, stride=3),
        lambda g, w: jax.vjp(
            lambda x: jax.lax.conv_general_dilated(x, w, (3,), [(0, 0)]), jnp.zeros((2, 4, 11))
        )[1](g)[0],
        [normal(2, 3, 4), normal(3, 4, 2)],
    ),
    (
        "max_pool2d",
        lambda x: windows.max_pool2d(x, 2) ** 2,
        lambda x: jax_pool(x, -np.inf, jax.lax.max, (2, 2), (2, 2)) ** 2,
        [apart(2, 2, 5, 4)],
    ),
    (
        "max_pool2d_overlapping",
        lambda x: windows.max_pool2d(x, (3, 2), (1, 2), (1, 1)) ** 2,
        lambda x: jax_pool(x, -np.inf, jax.lax.max, (3, 2), (1, 2), (1, 1)) ** 2,
        [apart(2, 2, 5, 4)],
    ),
    (
        "avg_pool2d",
        lambda x: windows.avg_pool2d(x, (3, 2), 2, (1, 1)) ** 2,
        lambda x: (jax_pool(x, 0.0, jax.lax.add, (3, 2), (2, 2), (1, 1)) / 6) ** 2,
        [normal(2, 2, 5, 4)],
    ),
    (
        "pool1d",
        lambda x: windows.max_pool1d(x, 3, 2, 1) * windows.avg_pool1d(x, 3, 2, 1),
        lambda x: (
            jax_pool(x[None], -np.inf, jax.lax.max, (1, 3), (1, 2), (0, 1))[0]
            * jax_pool(x[None], 0.0, jax.lax.add, (1, 3), (1, 2), (0, 1))[0]
            / 3
        ),
        [apart(2, 2, 7)],
    ),
    (
        "adaptive_avg_pool2d",
        lambda x: windows.adaptive_avg_pool2d(x, (2, 3)) ** 2,
        lambda x: (
            jnp.stack(
                [
                    jnp.stack(
                        [x[..., a:b, c:d].mean((-2, -1)) for c, d in ((0, 2), (1, 3), (2, 4))], -1
                    )
                    for a, b in ((0, 3), (2, 5))
                ],
                -2,
            )
            ** 2
        ),
        [normal(2, 2, 5, 4)],
    ),
    (
        "global_pool",
        lambda x: windows.adaptive_avg_pool2d(x, 1) ** 2,
        lambda x: x.mean((-2, -1), keepdims=True) ** 2,
        [normal(2, 2, 5, 4)],
    ),
    (
        "unfold",
        lambda x: windows.unfold(x, (2, 3), padding=1, stride=(2, 1)) ** 2,
        lambda x: jax_unfold(x) ** 2,
        [normal(2, 2, 4, 5)],
    ),
    (
        "fold",
        lambda c: windows.fold(c, (4, 5), (2, 3), padding=1, stride=(2, 1)) ** 2,
        lambda c: jax.vjp(jax_unfold, jnp.zeros((2, 2, 4, 5)))[1](c)[0] ** 2,
        [normal(2, 12, 15)],
    ),
]

OURS = {name: (lambda *a, f=f: f(np, *a), args) for name, f, args in NUMPY_CASES}
OURS |= {name: (f, args) for name, f, _, args in PAIRS}
JAX = {name: (lambda *a, f=f: f(jnp, *a)) for name, f, _ in NUMPY_CASES}
JAX |= {name: f for name, _, f, _ in PAIRS}
assert len(OURS) == len(NUMPY_CASES) + len(PAIRS), "two cases have the same name"


def arguments(makers: list[Any], seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.asarray(make(rng)) for make in makers]


def loss_of(f: Any, seed: int = 1) -> Any:
    """A scalar out of ``f``: its output times fixed random numbers."""

    def loss(*args: Any) -> Any:
        out = f(*args)
        weights = np.random.default_rng(seed).standard_normal(out.shape).astype(args[0].dtype)
        return (out * weights).sum()

    return loss


def gradients(f: Any, arrays: list[Any], create_graph: bool = False) -> Any:
    leaves = [mg.tensor(a, requires_grad=True) for a in arrays]
    return mg.grad(f(*leaves), leaves, create_graph)


def along(f: Any, arrays: list[Any], step: float, directions: list[Any]) -> Any:
    return f(*(a + step * v for a, v in zip(arrays, directions, strict=True)))


@pytest.mark.parametrize("name", OURS)
def test_gradient_is_the_slope_in_any_direction(name: str) -> None:
    f, makers = OURS[name]
    arrays, loss = arguments(makers), loss_of(f)
    directions = [np.random.default_rng(2).standard_normal(a.shape) for a in arrays]

    def plain(*args: Any) -> Any:
        return loss(*map(mg.tensor, args)).item()

    h = 1e-5
    slope = (along(plain, arrays, h, directions) - along(plain, arrays, -h, directions)) / (2 * h)
    found = gradients(loss, arrays)
    for g, a in zip(found, arrays, strict=True):
        assert g.shape == a.shape and g.dtype == a.dtype
    total = sum(np.sum(g * v) for g, v in zip(found, directions, strict=True))
    assert total == pytest.approx(slope, rel=2e-7, abs=2e-7)


@pytest.mark.parametrize("name", OURS)
def test_second_derivative_is_the_slope_of_the_gradient(name: str) -> None:
    f, makers = OURS[name]
    arrays, loss = arguments(makers), loss_of(f)
    directions = [np.random.default_rng(3).standard_normal(a.shape) for a in arrays]

    leaves = [mg.tensor(a, requires_grad=True) for a in arrays]
    first = mg.grad(loss(*leaves), leaves, create_graph=True)
    for recorded, g in zip(first, gradients(loss, arrays), strict=True):
        np.testing.assert_allclose(recorded.numpy(), g, rtol=1e-12, atol=1e-12)

    h = 1e-5
    ahead, behind = (along(lambda *a: gradients(loss, a), arrays, s, directions) for s in (h, -h))
    dotted = sum((g * v).sum() for g, v in zip(first, directions, strict=True))
    if not dotted.requires_grad:  # linear: the gradient does not depend on the arguments
        hvp = [np.zeros_like(a) for a in arrays]
    else:
        hvp = mg.grad(dotted, leaves)
    for found, up, down in zip(hvp, ahead, behind, strict=True):
        np.testing.assert_allclose(found, (up - down) / (2 * h), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", OURS)
def test_float32_stays_float32(name: str) -> None:
    f, makers = OURS[name]
    arrays = [a.astype(np.float32) for a in arguments(makers)]
    leaves = [mg.tensor(a, requires_grad=True) for a in arrays]
    out = f(*leaves)
    if name != "astype":
        assert out.dtype == np.float32
    first = mg.grad((out * out).sum(), leaves, create_graph=True)
    assert {g.dtype for g in first} == {np.dtype(np.float32)}
    total = sum((g * g).sum() for g in first)
    if total.requires_grad:
        assert {g.dtype for g in mg.grad(total, leaves)} == {np.dtype(np.float32)}


# --- JAX as the judge -----------------------------------------------------------------------------

# Not in JAX, or in-place there: our own finite differences have judged them.
NOT_IN_JAX = {
    "unstack",
    "atleast",
    "steps",
    "astype",
    "rollaxis",
    "qr",
    "multi_dot",
    "complex_solve",
}


def agrees_with_jax(name: str) -> None:
    f, makers = OURS[name]
    arrays = arguments(makers)
    reference = [jnp.asarray(a) for a in arrays]
    value = JAX[name](*reference)
    np.testing.assert_allclose(f(*map(mg.tensor, arrays)).numpy(), value, rtol=1e-9, atol=1e-10)
    expected = jax.grad(loss_of(JAX[name]), range(len(arrays)))(*reference)
    for found, wanted in zip(gradients(loss_of(f), arrays), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-9)


# JAX compiles every one of them for a second or so.
QUICK = ("conv2d_options", "irfft_even")


@pytest.mark.parametrize("name", QUICK)
def test_agrees_with_jax(name: str) -> None:
    agrees_with_jax(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in OURS if n not in NOT_IN_JAX and n not in QUICK])
def test_every_rule_agrees_with_jax(name: str) -> None:
    agrees_with_jax(name)


# --- conventions at ties and kinks ----------------------------------------------------------------


def slope(f: Any, *arrays: Any) -> Any:
    """The gradient of sum(f) towards the first array."""
    first, *rest = (np.asarray(a, dtype=np.float64) for a in arrays)
    return gradients(lambda x: np.sum(f(x, *rest)), [first])[0].tolist()


def test_derivatives_at_kinks_follow_pytorch() -> None:
    assert slope(np.abs, [0.0, -2.0]) == [0, -1]
    assert slope(special.relu, [0.0, 1.0]) == [0, 1]
    assert slope(np.sign, [0.0]) == [0]
    assert slope(lambda x: np.clip(x, -1, 1), [-1.0, 1.0, 1.5]) == [1, 1, 0]
    assert slope(np.maximum, [1.0, 2.0], [1.0, 1.0]) == [0.5, 1]
    assert slope(np.minimum, [1.0, 2.0], [1.0, 1.0]) == [0.5, 0]


def test_ties_of_max_share_the_gradient() -> None:
    assert slope(lambda x: np.max(x, axis=1), [[3.0, 1, 3], [2, 2, 2]]) == [
        [0.5, 0, 0.5],
        [1 / 3, 1 / 3, 1 / 3],
    ]


def test_max_pooling_sends_ties_to_the_first_element() -> None:
    assert slope(lambda x: windows.max_pool2d(x, 2), [[[[5.0, 5], [1, 5]]]]) == [[[[1, 0], [0, 0]]]]


def test_norms_have_derivative_0_at_0() -> None:
    for ord in (None, 1, 2, 3):
        assert slope(lambda x, ord=ord: np.linalg.norm(x, ord), [0.0, 0.0]) == [0, 0]
    assert slope(lambda x: np.linalg.norm(x, axis=1), [[0.0, 0], [0, 4]]) == [[0, 0], [0, 1]]
    assert slope(np.hypot, [0.0], [0.0]) == [0]
    assert slope(np.std, [2.0, 2.0]) == [0, 0]


def test_zero_to_the_power_zero_is_flat() -> None:
    assert slope(lambda x: x**0, [0.0, 2.0]) == [0, 0]
    assert slope(np.power, [0.0, 2.0], [0.0, 0.0]) == [0, 0]
    assert slope(lambda b, a: np.power(a, b), [0.0, 2.0], [0.0, 1.0]) == [0, 0]


def test_zero_times_log_zero_is_zero() -> None:
    x = mg.tensor(np.zeros(1), requires_grad=True)
    y = mg.tensor(np.zeros(1), requires_grad=True)
    out = special.xlogy(x, y).sum()
    assert out.item() == 0
    assert [g.item() for g in mg.grad(out, [x, y])] == [0, 0]


def test_minus_infinity_has_no_share_of_a_log_sum() -> None:
    inf = np.inf
    assert slope(np.logaddexp, [-inf, -inf, 1.0], [-inf, 0.0, -inf]) == [0, 0, 1]
    assert slope(lambda x: mg.rules.reductions.logsumexp(x, 1), [[-inf, 0.0]]) == [[0, 1]]


def test_sigmoid_family_neither_overflows_nor_loses_its_tails() -> None:
    x = np.array([-800.0, -40.0, 0.0, 40.0, 800.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(special.expit(x), [0, np.exp(-40), 0.5, 1, 1], rtol=1e-12)
        np.testing.assert_allclose(special.log_expit(x)[:2], [-800, -40], rtol=1e-12)
        np.testing.assert_allclose(special.softplus(x)[1], np.exp(-40), rtol=1e-12)
        np.testing.assert_allclose(special.softmax(x), [0, 0, 0, 0, 1], atol=1e-300)


def test_gradient_of_log_ndtr_far_to_the_left() -> None:
    assert slope(special.log_ndtr, [-1e3])[0] == pytest.approx(1e3, rel=1e-5)


def test_trigamma_at_one_is_pi_squared_over_6() -> None:
    assert special.trigamma(np.array(1.0)) == pytest.approx(np.pi**2 / 6)


# --- axes, empty arrays, integer types ------------------------------------------------------------


@pytest.mark.parametrize("function", [np.sum, np.mean, np.max, np.prod, np.var, np.median, np.flip])
def test_axis_may_be_a_numpy_integer(function: Any) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3))
    expected = slope(lambda x: function(x, axis=1) ** 2, x)
    assert slope(lambda x: function(x, axis=np.int64(1)) ** 2, x) == expected
    assert slope(lambda x: function(x, axis=-1) ** 2, x) == expected


@pytest.mark.parametrize("function", [np.sum, np.prod, np.cumsum, np.cumprod, np.sort, np.copy])
def test_empty_arrays_have_empty_gradients(function: Any) -> None:
    assert np.shape(
        slope(lambda x: function(x, 0) if function is not np.copy else x, np.ones((0, 2)))
    ) == (0,)


def test_axis_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="axis 2"):
        np.prod(mg.tensor(np.ones((2, 3)), requires_grad=True), axis=2)


def test_small_unsigned_indices_do_not_overflow() -> None:
    index = np.array([250, 250, 3], dtype=np.uint8)
    expected = np.zeros(300)
    expected[[250, 3]] = [2, 1]
    assert slope(lambda x: x[index], np.ones(300)) == expected.tolist()
    assert slope(lambda x: x[[0, -1]], np.ones(3)) == [1, 0, 1]
    assert slope(lambda x: x[[True, False]], np.ones(2)) == [1, 0]


def test_scatter_adds_up_repeated_indices() -> None:
    found = mg.rules.indexing.scatter(np.array([1.0, 2, 4]), np.array([0, 1, 0]), (3,))
    assert found.tolist() == [5, 2, 0]


# --- degenerate spectra ---------------------------------------------------------------------------


def test_symmetric_functions_of_equal_eigenvalues_have_finite_gradients() -> None:
    np.testing.assert_allclose(
        slope(lambda a: np.linalg.eigvalsh(a) ** 2, np.eye(3)), 2 * np.eye(3)
    )
    np.testing.assert_allclose(
        slope(lambda a: np.linalg.norm(a, "nuc"), np.eye(3)), np.eye(3), atol=1e-12
    )
    assert np.isfinite(slope(lambda a: np.linalg.norm(a, "nuc"), np.ones((2, 3)))).all()


# --- SciPy's names --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["erf", "ndtr", "gammaln", "expit", "xlogy", "psi"])
def test_scipy_names_are_in_the_table(name: str) -> None:
    import scipy.special

    from minigrad.primitive import RULES

    x = np.array([0.5, 1.5])
    arguments = (x, x) if name == "xlogy" else (x,)
    expected = getattr(scipy.special, name)(*arguments)
    np.testing.assert_allclose(RULES[f"scipy.special.{name}"](*arguments), expected, rtol=1e-14)


# --- convolution: members, layouts ----------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("shared", ["nothing", "images", "kernels"])
def test_ensemble_convolution_is_one_convolution_per_member(shared: str, groups: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 6, 6) if shared == "images" else (3, 2, 4, 6, 6))
    channels = 4 // groups
    w = rng.standard_normal((4, channels, 3, 3) if shared == "kernels" else (3, 4, channels, 3, 3))
    bias = rng.standard_normal((3, 4))

    def together(x: Any, w: Any, bias: Any) -> Any:
        out = windows.conv2d(x, w, bias, stride=2, padding=1, groups=groups)
        return windows.max_pool2d(out, 2)

    def alone(x: Any, w: Any, bias: Any) -> Any:
        xs = [x] * 3 if shared == "images" else list(x)
        ws = [w] * 3 if shared == "kernels" else list(w)
        return np.stack([together(p, q, b) for p, q, b in zip(xs, ws, list(bias), strict=True)])

    for found, wanted in zip(
        gradients(loss_of(together), [x, w, bias]),
        gradients(loss_of(alone), [x, w, bias]),
        strict=True,
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_convolution_in_portions_is_convolution_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((5, 2, 6, 6)), rng.standard_normal((3, 2, 3, 3))
    whole = gradients(loss_of(windows.conv2d), [x, w])
    monkeypatch.setattr(convolution, "_PATCH_BYTES", 1)
    for found, wanted in zip(gradients(loss_of(windows.conv2d), [x, w]), whole, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


# --- errors name the argument and the mend --------------------------------------------------------

X = mg.tensor(np.ones((2, 3)), requires_grad=True)
IMAGES = mg.tensor(np.ones((1, 2, 4, 4)), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: np.sum(X, where=X.data > 0), "where"),
        (lambda: np.var(X, dtype=np.float32), "dtype"),
        (lambda: np.split(X, 2, axis=1), "equal parts"),
        (lambda: np.linalg.svd(X), "full_matrices=False"),
        (lambda: np.linalg.eigh(X[:, :2] * 1j), "real matrix"),
        (lambda: np.quantile(X, 1.5), r"q must lie in \[0, 1\]"),
        (lambda: np.pad(X, 1, mode="mean"), "mode 'mean'"),
        (lambda: mg.rules.indexing.embedding(X, np.array([2])), r"\[0, 2\)"),
        (lambda: mg.rules.indexing.embedding(X, np.array([0.5])), "integers"),
        (lambda: mg.rules.indexing.top_k(X, 4), "k must lie"),
        (lambda: windows.conv2d(IMAGES, np.ones((3, 1, 3, 3))), "2 channels"),
        (lambda: windows.conv2d(IMAGES, np.ones((3, 2, 5, 5))), "does not fit"),
        (lambda: windows.conv2d(IMAGES, np.ones((3, 2, 3, 3)), stride=0), "stride"),
        (lambda: windows.max_pool2d(IMAGES, 2, padding=2), "half the kernel"),
        (
            lambda: windows.conv_transpose2d(IMAGES, np.ones((2, 1, 2, 2)), output_padding=1),
            "stride",
        ),
        (lambda: windows.fold(X, 4, 2), "fold: expected"),
    ],
)
def test_errors_name_the_argument(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError, IndexError), match=message):
        call()
