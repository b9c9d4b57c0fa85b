"""Where arrays live and where randomness comes from: cpu (NumPy) or cuda (CuPy).

The rest of the package never asks which of the two it works on: NumPy's dispatch protocols send
``np.exp(x)`` to whichever library made ``x``. Only the *making* of new arrays and random numbers
needs a choice, and that choice lives here.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

default_dtype: Any = np.float32  # what Python numbers and lists become
_NAMES = ("cpu", "cuda")


class _State(threading.local):
    """The device of this thread, and one random generator per device."""

    def __init__(self) -> None:
        self.device = _shared_device
        self.generators: dict[str, Any] = {}


_shared_device = "cpu"
_state = _State()


def use(name: str) -> None:
    """Place new arrays on ``"cpu"`` or ``"cuda"`` from now on (this thread and later ones).

    Raises:
        ValueError: for another name. RuntimeError: for ``"cuda"`` where CuPy or a GPU is missing.
    """
    global _shared_device
    _module(name)  # fails now, with the reason, rather than at the first array
    _shared_device = _state.device = name


@contextlib.contextmanager
def device(name: str) -> Iterator[None]:
    """``with device("cuda"):`` places the arrays made inside on that device."""
    _module(name)
    before, _state.device = _state.device, name
    try:
        yield
    finally:
        _state.device = before


def current_device() -> str:
    """``"cpu"`` or ``"cuda"``: where new arrays go."""
    return _state.device


def _module(name: str) -> Any:
    """The array library of a device."""
    if name == "cpu":
        return np
    if name != "cuda":
        raise ValueError(f"device: expected one of {_NAMES}, found {name!r}")
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError(
            "device 'cuda' needs CuPy: pip install 'minigrad[gpu]' (or [gpu12]), or use 'cpu'"
        ) from error
    try:
        cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # CuPy is there, the driver or the card is not
        raise RuntimeError(
            f"device 'cuda': CuPy finds no usable GPU ({error}); use 'cpu'"
        ) from error
    return cupy


def asarray(data: Any, dtype: Any = None) -> Any:
    """``data`` as an array on the current device; Python numbers become ``default_dtype``."""
    if dtype is None and not hasattr(data, "dtype"):
        if data is None:
            raise TypeError("tensor: expected numbers or an array, found None")
        dtype = np.complex64 if np.iscomplexobj(data) else default_dtype
    if device_of(data) not in ("cpu", _state.device):  # a GPU array stays where it is
        return data if dtype is None else data.astype(dtype, copy=False)
    return _module(_state.device).asarray(data, dtype=dtype)


def device_of(array: Any) -> str:
    """The name of the device that holds a raw array; anything that is no array is on "cpu"."""
    return "cuda" if type(array).__module__.partition(".")[0] == "cupy" else "cpu"


def to_device(array: Any, name: str) -> Any:
    """Copy a raw array to ``"cpu"`` or ``"cuda"`` (no copy where it already is there)."""
    return to_host(array) if name == "cpu" else _module(name).asarray(array)


def to_host(array: Any) -> np.ndarray:
    """A raw array as a NumPy array: the one place where data leaves the GPU."""
    return array.get() if hasattr(array, "get") else np.asarray(array)


def manual_seed(seed: int) -> None:
    """Restart this thread's global random generators (cpu and, when used, cuda) from ``seed``."""
    _state.generators = {"cpu": np.random.default_rng(seed), "seed": seed}


def generator(name: str | None = None) -> Any:
    """The global random generator of a device (``numpy.random.Generator`` or CuPy's)."""
    name = name or _state.device
    if name not in _state.generators:
        _state.generators[name] = _module(name).random.default_rng(_state.generators.get("seed"))
    return _state.generators[name]


def uniform(like: Any, shape: tuple[int, ...] | None = None, rng: Any = None) -> Any:
    """Uniform draws in [0, 1) with the dtype and on the device of the raw array ``like``."""
    return _draw("random", like, shape, rng)


def normal(like: Any, shape: tuple[int, ...] | None = None, rng: Any = None) -> Any:
    """Standard normal draws with the dtype and on the device of the raw array ``like``."""
    return _draw("standard_normal", like, shape, rng)


def _draw(method: str, like: Any, shape: tuple[int, ...] | None, rng: Any) -> Any:
    rng = generator() if rng is None else rng
    dtype = like.dtype if like.dtype in (np.float32, np.float64) else np.float64
    numbers = getattr(rng, method)(like.shape if shape is None else shape, dtype=dtype)
    # float16 has no generator of its own; a host generator's numbers move to where `like` is.
    return np.asarray(numbers, dtype=like.dtype, like=like)


def keep_pages() -> bool:
    """Stop glibc from returning big arrays to the system at every free (Linux/glibc only).

    Each free of an array above 128 KiB unmaps its pages, and the next array of that size pays a
    page fault for each of them: up to 40 % of a training step. Raising the thresholds keeps the
    pages in the process. Called once at import; ``MINIGRAD_KEEP_PAGES=0`` in the environment
    before the import opts out.
    """
    if not sys.platform.startswith("linux") or os.environ.get("MINIGRAD_KEEP_PAGES") == "0":
        return False
    import ctypes

    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # M_* constants of <malloc.h>
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # musl and friends have no mallopt
        return False
    mmap = mallopt(mmap_threshold, 1 << 30) or mallopt(
        mmap_threshold, 32 << 20
    )  # old glibc: 32 MiB
    return bool(mmap and mallopt(trim_threshold, 1 << 30) and mallopt(top_pad, 64 << 20))
