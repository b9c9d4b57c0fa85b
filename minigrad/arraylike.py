"""What makes a Tensor behave as a NumPy array: operators, method names and the dispatch protocols.

Nothing here knows about derivatives. Everything ends in the table ``RULES`` (``primitive.py``).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import diagnostics
from .primitive import RULES

# np.zeros(3, like=tensor) and friends make plain arrays on the tensor's device.
_MAKERS = {
    np.zeros,
    np.ones,
    np.empty,
    np.full,
    np.eye,
    np.identity,
    np.arange,
    np.array,
    np.asarray,
}


def _operator(ufunc: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """``a + b`` and its reflection, straight to the rule (NumPy's own dispatch costs 1 us)."""
    return lambda a, b: RULES[ufunc](a, b), lambda a, b: RULES[ufunc](b, a)


def _plain(function: Any) -> Callable[[Any, Any], Any]:
    """Comparisons and logic: plain arrays of booleans, without a derivative."""
    return lambda a, b: function(a.data, b.data if isinstance(b, ArrayLike) else b)


def _call(function: Any, *args: Any, **kwargs: Any) -> Any:
    """The rule of a NumPy function, or an error that names what is missing."""
    handler = RULES.get(function)
    if handler is None:
        raise diagnostics.unsupported_function(function)
    try:
        return handler(*args, **kwargs)
    except TypeError as error:
        raise diagnostics.unexpected_keyword(function, error) from error


def _method(function: Any) -> Callable[..., Any]:
    """A method that is a NumPy function of ``self``: ``x.sum(axis=0)`` is ``np.sum(x, axis=0)``."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _call(function, self, *args, **kwargs)

    method.__name__ = function.__name__
    method.__doc__ = f"As ``numpy.{function.__name__}``."
    return method


def _extras(t: Any) -> dict[str, Any]:
    """What a copy of a leaf takes along besides the array."""
    return {"members": t.members} if t.grad is None else {"members": t.members, "grad": t.grad}


class ArrayLike:
    """The array half of `minigrad.Tensor`: everything that follows from ``self.data``."""

    __slots__ = ()
    data: Any
    node: Any
    __hash__ = object.__hash__  # == compares elements, so identity serves sets and dicts

    # --- NumPy hands its functions over here (NEP 13 and NEP 18) ---

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        handler = RULES.get(ufunc)
        if handler is None or method != "__call__" or kwargs:
            raise diagnostics.unsupported_ufunc(ufunc, method, inputs, kwargs)
        return handler(*inputs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func in _MAKERS:
            return func(*args, like=self.data, **kwargs)
        return _call(func, *args, **kwargs)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.node is not None:
            raise diagnostics.leaves_the_graph("np.asarray(tensor)")
        return np.array(self.data, dtype=dtype, copy=copy)

    # --- operators ---

    __add__, __radd__ = _operator(np.add)
    __sub__, __rsub__ = _operator(np.subtract)
    __mul__, __rmul__ = _operator(np.multiply)
    __truediv__, __rtruediv__ = _operator(np.divide)
    __floordiv__, __rfloordiv__ = _operator(np.floor_divide)
    __mod__, __rmod__ = _operator(np.remainder)
    __pow__, __rpow__ = _operator(np.power)
    __matmul__, __rmatmul__ = _operator(np.matmul)
    __eq__, __ne__ = _plain(operator.eq), _plain(operator.ne)
    __lt__, __le__ = _plain(operator.lt), _plain(operator.le)
    __gt__, __ge__ = _plain(operator.gt), _plain(operator.ge)
    __and__, __or__, __xor__ = map(_plain, (operator.and_, operator.or_, operator.xor))

    def __neg__(self) -> Any:
        return RULES[np.negative](self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return RULES[np.abs](self)

    def __invert__(self) -> Any:
        return ~self.data

    # --- indexing, and leaving for Python ---

    def __getitem__(self, index: Any) -> Any:
        return RULES["getitem"](self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.node is not None or getattr(value, "node", None) is not None:
            raise diagnostics.item_assignment()
        self.data[index] = getattr(value, "data", value) if isinstance(value, ArrayLike) else value

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Any]:
        return iter(RULES["unstack"](self))  # one node for all rows, not one per row

    def __bool__(self) -> bool:
        return bool(self.data)

    def __index__(self) -> int:
        return self.data.__index__()

    def __float__(self) -> float:
        if self.node is not None:  # arr[0] = tensor comes through here as well
            raise diagnostics.leaves_the_graph("float(tensor) or array[i] = tensor")
        return float(self.data)

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        if self.node is not None:
            raise diagnostics.leaves_the_graph("complex(tensor) or array[i] = tensor")
        return complex(self.data)

    def __format__(self, spec: str) -> str:
        """``f"{loss:.3f}"`` shows the value of a 0-d tensor; without ``:.3f`` it is the repr."""
        return format(self.item(), spec) if spec and self.ndim == 0 else format(repr(self), spec)

    def __reduce__(self) -> Any:
        """Pickle and deepcopy make an independent leaf, and refuse tensors with a history."""
        if getattr(self.node, "rule", None) is not None:
            raise diagnostics.copy_of_non_leaf()
        return type(self), (self.data, self.node is not None), _extras(self)

    def __setstate__(self, extras: dict[str, Any]) -> None:
        for name, value in extras.items():
            setattr(self, name, value)

    def item(self) -> Any:
        """The one value as a Python number, without history."""
        return self.data.item()

    def tolist(self) -> Any:
        """The values as nested Python lists, without history."""
        return self.data.tolist()

    # --- NumPy's methods ---

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)
    ndim = property(lambda self: self.data.ndim)
    size = property(lambda self: self.data.size)
    T = property(lambda self: _call(np.transpose, self))
    mT = property(lambda self: _call(np.swapaxes, self, -1, -2))
    real = property(lambda self: _call(np.real, self))
    imag = property(lambda self: _call(np.imag, self))

    sum, mean, prod, cumsum = map(_method, (np.sum, np.mean, np.prod, np.cumsum))
    var, std, max, min = map(_method, (np.var, np.std, np.max, np.min))
    argmax, argmin, argsort = map(_method, (np.argmax, np.argmin, np.argsort))
    any, all, round = map(_method, (np.any, np.all, np.round))
    clip, take, repeat, squeeze = map(_method, (np.clip, np.take, np.repeat, np.squeeze))
    ravel, swapaxes, dot, conj = map(_method, (np.ravel, np.swapaxes, np.dot, np.conj))
    trace, diagonal = map(_method, (np.trace, np.diagonal))
    flatten = ravel

    def reshape(self, *shape: Any) -> Any:
        """As ``numpy.reshape``; ``x.reshape(2, 3)`` and ``x.reshape((2, 3))`` both work."""
        return _call(np.reshape, self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Any:
        """As ``numpy.transpose``; ``x.transpose(1, 0)`` and ``x.transpose((1, 0))`` both work."""
        return _call(np.transpose, self, (axes[0] if len(axes) == 1 else axes) or None)

    def astype(self, dtype: Any) -> Any:
        """Convert; the gradient is converted back."""
        return RULES["astype"](self, dtype)

    def copy(self) -> Any:
        """A new array with the same values, still part of the graph."""
        return RULES[np.copy](self)
