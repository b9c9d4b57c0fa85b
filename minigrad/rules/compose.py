"""Helpers for the other files: functions made of other rules, and axes in all of NumPy's
spellings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from .. import diagnostics
from ..primitive import RULES

_UNSET = getattr(np, "_NoValue", None)


def composed(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: ``f`` answers for these NumPy functions; it calls only functions that have rules.

    A keyword that ``f`` does not know is refused by name, as rules do.
    """

    def register(f: Callable[..., Any]) -> Callable[..., Any]:
        code = f.__code__
        known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        name = f"{functions[0].__module__}.{functions[0].__name__}".replace("numpy", "np", 1)

        def call(*args: Any, **kwargs: Any) -> Any:
            for key in [key for key in kwargs if key not in known]:
                value = kwargs.pop(key)
                if value is not None and value is not _UNSET:
                    raise diagnostics.unsupported_keyword(name, key)
            return f(*args, **kwargs)

        for function in functions:
            RULES[function] = call
        return f

    return register


def also(function: Any, **names: Any) -> None:
    """Serve further NumPy functions (names of ``np``, missing in older versions) by the same
    rule."""
    for module, aliases in names.items():
        home = np.linalg if module == "linalg" else np
        for alias in aliases.split():
            if hasattr(home, alias):
                RULES[getattr(home, alias)] = RULES[function]


def normal_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes as non-negative integers; None means all.

    Raises:
        numpy.exceptions.AxisError: for an axis that does not exist. ValueError: for one named
        twice.
    """
    return tuple(range(ndim)) if axis is None else normalize_axis_tuple(axis, ndim)


def merge_axes(a: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """``a`` with the axes of a reduction merged into one last axis, and its shape under
    keepdims."""
    axes = normal_axes(axis, a.ndim)
    kept = tuple(i for i in range(a.ndim) if i not in axes)
    shape = (*(a.shape[i] for i in kept), math.prod(a.shape[i] for i in axes))
    ones = tuple(1 if i in axes else n for i, n in enumerate(a.shape))
    return np.transpose(a, kept + axes).reshape(shape), ones
