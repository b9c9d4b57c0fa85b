"""A stand-in for GPU arrays: what CuPy refuses, it refuses; what CuPy lacks, it lacks.

`DeviceArray` wraps an ndarray, but there is no way back except ``.get()``: NumPy may not convert
it, host arrays may not meet it, and a function or keyword that CuPy does not have raises. So code
that runs on it moves nothing to the host in secret. What is missing follows CuPy 15.
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np

# NumPy functions that CuPy does not have (np.<name>, and np.linalg.<name>).
MISSING = (
    *("as_strided", "block", "einsum_path", "geomspace", "histogram_bin_edges", "insert"),
    *("matrix_norm", "matvec", "multi_dot", "nanpercentile", "nanquantile", "polyder", "polyint"),
    *("spacing", "svdvals", "unstack", "vecdot", "vecmat", "vector_norm"),
)

# Arguments of CuPy's functions where NumPy has more (where=, initial=, order=, mode=).
_REDUCTION = "a axis dtype out keepdims"
ARGUMENTS = {
    "sum": _REDUCTION,
    "prod": _REDUCTION,
    "nansum": _REDUCTION,
    "nanprod": _REDUCTION,
    "mean": _REDUCTION,
    "nanmean": _REDUCTION,
    "argmax": _REDUCTION,
    "argmin": _REDUCTION,
    "cumsum": "a axis dtype out",
    "cumprod": "a axis dtype out",
    "max": "a axis out keepdims",
    "min": "a axis out keepdims",
    "amax": "a axis out keepdims",
    "amin": "a axis out keepdims",
    "any": "a axis out keepdims",
    "all": "a axis out keepdims",
    "var": "a axis dtype out ddof keepdims",
    "std": "a axis dtype out ddof keepdims",
    "sort": "a axis kind",
    "argsort": "a axis kind",
    "take": "a indices axis out",
    "median": "a axis out overwrite_input keepdims",
    "count_nonzero": "a axis",
    "bincount": "x weights minlength",
    "where": "condition x y",
    "clip": "a a_min a_max out",
    "repeat": "a repeats axis",
    "concatenate": "arrays axis out dtype casting",
    "stack": "arrays axis out dtype casting",
}
_QUERIES = {"shape", "ndim", "size"}  # answers about an array are host numbers


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array "on the device"."""

    def __init__(self, values: np.ndarray, base: Any = None) -> None:
        assert isinstance(values, np.ndarray)
        self.on_device = values
        self.base = base

    __hash__ = None  # type: ignore[assignment]

    def get(self) -> np.ndarray:
        """Copy to the host, on purpose."""
        return self.on_device.copy()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("implicit conversion of a device array to a NumPy array: use .get()")

    # --- NumPy's dispatch ---

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        handled = (DeviceArray, np.ndarray, np.generic, int, float, complex)
        if not all(isinstance(x, handled) for x in inputs):
            return NotImplemented
        if ufunc.__name__ in MISSING or method not in ("__call__", "reduce", "at"):
            return NotImplemented
        unknown = set(kwargs) - {"out", "dtype", "casting"}
        if unknown and method == "__call__":
            raise TypeError(f"{ufunc.__name__}: the device's ufuncs do not know {sorted(unknown)}")
        out = kwargs.pop("out", None)
        if out is not None:
            assert len(out) == 1
            getattr(ufunc, method)(*map(host, inputs), out=out[0].on_device, **kwargs)
            return out[0]
        return wrap(getattr(ufunc, method)(*map(host, inputs), **kwargs), inputs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = func.__name__
        if name in MISSING or not all(issubclass(t, (DeviceArray, np.ndarray)) for t in types):
            return NotImplemented  # another library's turn, for instance a Tensor's
        known = ARGUMENTS.get(name)
        if known is not None:
            names = known.split()
            unknown = [k for k in kwargs if k not in names and k not in ("arrays", "tup", "like")]
            if unknown or len(args) > len(names):
                raise TypeError(f"{name}: the device's function takes ({known}), found {unknown}")
        if name in ("asarray", "array", "ascontiguousarray"):  # with like=x: an explicit copy
            return asarray(*args, **kwargs)
        result = func(*host(args), **{k: host(v) for k, v in kwargs.items() if k != "like"})
        return result if name in _QUERIES else wrap(result, args)

    # --- the ndarray's attributes and methods that CuPy has ---

    shape = property(lambda self: self.on_device.shape)
    dtype = property(lambda self: self.on_device.dtype)
    ndim = property(lambda self: self.on_device.ndim)
    size = property(lambda self: self.on_device.size)
    nbytes = property(lambda self: self.on_device.nbytes)
    itemsize = property(lambda self: self.on_device.itemsize)
    strides = property(lambda self: self.on_device.strides)
    flags = property(lambda self: self.on_device.flags)
    T = property(lambda self: wrap(self.on_device.T, (self,)))
    real = property(lambda self: wrap(self.on_device.real, (self,)))
    imag = property(lambda self: wrap(self.on_device.imag, (self,)))

    def __getitem__(self, index: Any) -> Any:
        return wrap(self.on_device[_as_index(index)], (self,))

    def __setitem__(self, index: Any, value: Any) -> None:
        self.on_device[_as_index(index)] = host(value)

    def __len__(self) -> int:
        return len(self.on_device)

    def __iter__(self) -> Any:
        return (wrap(row, (self,)) for row in self.on_device)

    def __bool__(self) -> bool:
        return bool(self.on_device)

    def __float__(self) -> float:
        return float(self.on_device)

    def __int__(self) -> int:
        return int(self.on_device)

    def __index__(self) -> int:
        return self.on_device.__index__()

    def __repr__(self) -> str:
        return f"DeviceArray({self.on_device!r})"


def _forward(name: str) -> Any:
    def method(self: DeviceArray, *args: Any, **kwargs: Any) -> Any:
        arguments = {k: host(v) for k, v in kwargs.items()}
        result = getattr(self.on_device, name)(*host(args), **arguments)
        return result if name in ("item", "tolist", "tobytes") else wrap(result, (self,))

    return method


for _name in (
    *("all", "any", "argmax", "argmin", "argsort", "astype", "clip", "conj", "copy", "cumsum"),
    *("diagonal", "dot", "fill", "flatten", "item", "max", "mean", "min", "nonzero", "prod"),
    *(
        "ravel",
        "repeat",
        "reshape",
        "round",
        "squeeze",
        "std",
        "sum",
        "swapaxes",
        "take",
        "tobytes",
    ),
    *("tolist", "trace", "transpose", "var", "view"),
):
    setattr(DeviceArray, _name, _forward(_name))


def host(x: Any) -> Any:
    """The ndarrays inside, for the stand-in's own use; a host array among them is refused."""
    if isinstance(x, DeviceArray):
        return x.on_device
    if isinstance(x, (tuple, list)):
        return type(x)(map(host, x)) if type(x) in (tuple, list) else x
    if isinstance(x, np.ndarray):
        raise TypeError(f"a host array of shape {x.shape} meets a device array")
    return x


def _as_index(index: Any) -> Any:
    """Index arrays may come from the host: CuPy copies them to the device."""
    if type(index) is tuple:
        return tuple(map(_as_index, index))
    return index if isinstance(index, np.ndarray) else host(index)


def wrap(x: Any, sources: Any) -> Any:
    """A device array around every result; 0-d results stay arrays, as CuPy's do."""
    if type(x) is tuple or type(x) is list:
        return type(x)(wrap(part, sources) for part in x)
    if isinstance(x, tuple):  # named tuples of numpy.linalg
        return type(x)(*(wrap(part, sources) for part in x))
    if isinstance(x, np.generic):
        return DeviceArray(np.asarray(x))
    if not isinstance(x, np.ndarray):
        return x
    for source in sources:  # a view says whose
        if isinstance(source, DeviceArray) and np.may_share_memory(x, source.on_device):
            return DeviceArray(x, source)
    return DeviceArray(x)


# --- the module, as far as minigrad.backend needs it ----------------------------------------------


def asarray(data: Any, dtype: Any = None, **_: Any) -> DeviceArray:
    """Explicit copy to the device."""
    if isinstance(data, DeviceArray):
        return data if dtype in (None, data.dtype) else data.astype(dtype)
    return DeviceArray(np.array(data, dtype=dtype))


class _Generator:
    """CuPy's Generator: ``random``, ``standard_normal`` and ``integers``, with sizes and dtypes."""

    def __init__(self, seed: Any = None) -> None:
        self.host = np.random.default_rng(seed)

    def random(self, size: Any = None, dtype: Any = np.float64) -> DeviceArray:
        return DeviceArray(np.asarray(self.host.random(size, dtype=dtype)))

    def standard_normal(self, size: Any = None, dtype: Any = np.float64) -> DeviceArray:
        return DeviceArray(np.asarray(self.host.standard_normal(size, dtype=dtype)))

    def integers(self, low: int, high: int | None = None, size: Any = None) -> DeviceArray:
        return DeviceArray(np.asarray(self.host.integers(low, high, size)))


module = types.SimpleNamespace(
    __name__="device_array",
    ndarray=DeviceArray,
    asarray=asarray,
    array=asarray,
    random=types.SimpleNamespace(default_rng=_Generator),
)
