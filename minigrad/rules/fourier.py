"""Fourier transforms. A transform is linear, so its derivative is its transpose: again a transform.

The matrix F[j, k] = exp(-2 pi i j k / n) is symmetric, so under the convention of
``rules/__init__.py`` (no conjugation) the gradient of ``fft`` is ``fft`` itself, with the same
``norm``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..primitive import RULES, Rule
from .compose import composed, normal_axes


def _fit(g: Any, n: int, axis: int) -> Any:
    """Cut or pad with zeros to length ``n``: the transpose of the transform's own padding or
    cutting."""
    axis, length = axis % g.ndim, g.shape[axis]
    if length == n:
        return g
    if length > n:
        return g[(slice(None),) * axis + (slice(0, n),)]
    return np.pad(g, [(0, n - length if i == axis else 0) for i in range(g.ndim)])


def _complex_transform(transform: Any) -> Rule:
    def vjp(
        g: Any, _out: Any, a_shape: Any, n: Any = None, axis: int = -1, norm: Any = None
    ) -> Any:
        return _fit(transform(g, axis=axis, norm=norm), a_shape[axis], axis)

    RULES[transform] = declared = Rule(
        lambda a, n=None, axis=-1, norm=None: transform(a, n=n, axis=axis, norm=norm),
        vjp,
        name=f"np.fft.{transform.__name__}",
    )
    return declared


_complex_transform(np.fft.fft)
_complex_transform(np.fft.ifft)


def _rfft_vjp(
    g: Any, _out: Any, a_shape: Any, n: Any = None, axis: int = -1, norm: Any = None
) -> Any:
    """The first n // 2 + 1 rows of F, transposed: pad with zeros, transform, keep the real part."""
    n = a_shape[axis] if n is None else n
    return _fit(np.real(np.fft.fft(g, n=n, axis=axis, norm=norm)), a_shape[axis], axis)


def _irfft_vjp(
    g: Any, _out: Any, a_shape: Any, n: Any = None, axis: int = -1, norm: Any = None
) -> Any:
    """Each frequency but 0 and n/2 stands for itself and its mirror image, so it counts twice."""
    n = 2 * (a_shape[axis] - 1) if n is None else n
    other: Any = {"forward": "backward", "ortho": "ortho"}.get(norm, "forward")
    spectrum = np.conj(np.fft.rfft(g, axis=axis, norm=other))
    m = n // 2 + 1
    twice = np.full((m,) + (1,) * (g.ndim - axis % g.ndim - 1), 2.0, dtype=g.dtype, like=g)
    twice[0] = 1.0
    if n % 2 == 0:
        twice[-1] = 1.0
    return _fit(spectrum * twice, a_shape[axis], axis)


RULES[np.fft.rfft] = Rule(
    lambda a, n=None, axis=-1, norm=None: np.fft.rfft(a, n=n, axis=axis, norm=norm),
    _rfft_vjp,
    name="np.fft.rfft",
)
RULES[np.fft.irfft] = Rule(
    lambda a, n=None, axis=-1, norm=None: np.fft.irfft(a, n=n, axis=axis, norm=norm),
    _irfft_vjp,
    name="np.fft.irfft",
)

# --- several axes: one after the other ------------------------------------------------------------


def _sizes(a: Any, s: Any, axes: Any) -> list[tuple[Any, int]]:
    """(length, axis) pairs, in NumPy's reading of ``s`` and ``axes``."""
    if axes is None:
        axes = range(a.ndim) if s is None else range(a.ndim - len(s), a.ndim)
    axes = tuple(axes)
    normal_axes(axes, a.ndim)
    lengths = [None] * len(axes) if s is None else [None if n == -1 else n for n in s]
    return list(zip(lengths, axes, strict=True))


@composed(np.fft.fftn)
def fftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    """``np.fft.fftn``."""
    for n, axis in _sizes(a, s, axes):
        a = np.fft.fft(a, n=n, axis=axis, norm=norm)
    return a


@composed(np.fft.ifftn)
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    """``np.fft.ifftn``."""
    for n, axis in _sizes(a, s, axes):
        a = np.fft.ifft(a, n=n, axis=axis, norm=norm)
    return a


@composed(np.fft.rfftn)
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    """``np.fft.rfftn``: real along the last of the axes, then complex along the others."""
    *others, (n, axis) = _sizes(a, s, axes)
    a = np.fft.rfft(a, n=n, axis=axis, norm=norm)
    for n, axis in others:
        a = np.fft.fft(a, n=n, axis=axis, norm=norm)
    return a


@composed(np.fft.irfftn)
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    """``np.fft.irfftn``: `rfftn` undone in the opposite order."""
    *others, (n, axis) = _sizes(a, s, axes)
    for m, other in others:
        a = np.fft.ifft(a, n=m, axis=other, norm=norm)
    return np.fft.irfft(a, n=n, axis=axis, norm=norm)


RULES[np.fft.fft2] = lambda a, s=None, axes=(-2, -1), norm=None: fftn(a, s, axes, norm)
RULES[np.fft.ifft2] = lambda a, s=None, axes=(-2, -1), norm=None: ifftn(a, s, axes, norm)
RULES[np.fft.rfft2] = lambda a, s=None, axes=(-2, -1), norm=None: rfftn(a, s, axes, norm)
RULES[np.fft.irfft2] = lambda a, s=None, axes=(-2, -1), norm=None: irfftn(a, s, axes, norm)


@composed(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    """``np.fft.fftshift``: frequency 0 to the middle."""
    axes = normal_axes(axes, x.ndim)
    return np.roll(x, tuple(x.shape[i] // 2 for i in axes), axes)


@composed(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    """``np.fft.ifftshift``: `fftshift` undone, also for odd lengths."""
    axes = normal_axes(axes, x.ndim)
    return np.roll(x, tuple(-(x.shape[i] // 2) for i in axes), axes)
