"""NumPy functions without a derivative: they read the values and give plain arrays or numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine import raw
from ..primitive import RULES


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function on the arrays inside the Tensors."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*map(raw, args), **{k: raw(v) for k, v in kwargs.items()})

    return call


_COMPARISONS = "equal not_equal less less_equal greater greater_equal isclose allclose array_equal"
_LOGIC = "logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_xor invert"
_TESTS = "isnan isinf isfinite signbit isposinf isneginf isreal iscomplex iscomplexobj isrealobj"
_INTEGERS = "floor_divide argmax argmin argsort nanargmax nanargmin argpartition argwhere lexsort"
_COUNTS = "count_nonzero nonzero flatnonzero histogram bincount digitize searchsorted unique isin"
_QUERIES = "shape ndim size any all result_type array_equiv shares_memory may_share_memory"
_MAKERS = "zeros_like ones_like empty_like full_like array2string array_repr array_str spacing"
for _name in " ".join(
    [_COMPARISONS, _LOGIC, _TESTS, _INTEGERS, _COUNTS, _QUERIES, _MAKERS]
).split():
    RULES[getattr(np, _name)] = plain(getattr(np, _name))
RULES[np.linalg.matrix_rank] = plain(np.linalg.matrix_rank)


def rounded(a: Any, decimals: int = 0) -> Any:
    """``np.round``: flat between the jumps, so its derivative is 0."""
    return np.rint(a * 10.0**decimals) / 10.0**decimals if decimals else np.rint(a)


RULES[np.round] = RULES[np.around] = rounded
