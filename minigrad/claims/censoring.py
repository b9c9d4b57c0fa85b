"""Numbers of which only a bound is known: the event that never came within the budget.

`censored(5000)` is "later than 5000". Comparing it with 1000 has an answer, comparing it with 6000
has none, and the arithmetic below keeps the two apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np


class Undecided(ValueError):
    """A comparison that the bounds of a censored value cannot answer."""


class Censored:
    """A value known to lie strictly between ``low`` and ``high`` (either may be infinite).

    Comparisons return True or False where every value in the interval agrees, and raise
    `Undecided` elsewhere. ``+ - * /`` with numbers and other intervals give intervals.
    """

    __slots__ = ("high", "low")
    __array_ufunc__ = None  # np.float64(3) < censored(5) must ask us, not make an array

    def __init__(self, low: float, high: float = math.inf):
        self.low, self.high = float(low), float(high)
        if math.isnan(self.low) or math.isnan(self.high) or self.low >= self.high:
            raise ValueError(f"Censored: bounds ({low}, {high}); expected low < high")

    def __repr__(self) -> str:
        return self.show(lambda x: f"{x:g}")

    def show(self, number: Callable[[float], str]) -> str:
        """Text such as "> 5000", with each bound written by ``number``."""
        if math.isinf(self.low) and math.isinf(self.high):
            return "unknown"
        if math.isinf(self.high):
            return f"> {number(self.low)}"
        if math.isinf(self.low):
            return f"< {number(self.high)}"
        return f"{number(self.low)} to {number(self.high)}"

    def __reduce__(self) -> tuple[Any, ...]:
        return Censored, (self.low, self.high)

    # Equal bounds are the same knowledge, not the same value, so == compares the knowledge.
    def __eq__(self, other: object) -> bool:
        same = isinstance(other, Censored)
        return same and (self.low, self.high) == (other.low, other.high)  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((self.low, self.high))

    def __gt__(self, other: Any) -> bool:
        low, high = _ends(other)
        if self.low >= high:
            return True
        if self.high <= low:
            return False
        raise Undecided(
            f"a value {self!r} compared with {other!r}: the budget was too short to tell; compare "
            "with thresholds inside the budget"
        )

    def __lt__(self, other: Any) -> bool:
        low, high = _ends(other)
        if isinstance(other, Censored):
            return other > self
        if self.high <= low:
            return True
        return not self.__gt__(high)

    __ge__, __le__ = __gt__, __lt__  # the interval is open: the bounds themselves are excluded

    def __neg__(self) -> Censored:
        return Censored(-self.high, -self.low)

    def __add__(self, other: Any) -> Censored:
        low, high = _ends(other)
        return Censored(self.low + low, self.high + high)

    def __sub__(self, other: Any) -> Censored:
        low, high = _ends(other)
        return Censored(self.low - high, self.high - low)

    def __rsub__(self, other: Any) -> Censored:
        return -(self - other)

    def __mul__(self, other: Any) -> Censored:
        return _hull(self, other, lambda a, b: 0.0 if 0 in (a, b) else a * b)

    def __truediv__(self, other: Any) -> Censored:
        low, high = _ends(other)
        if low < 0 < high or low == high == 0:
            raise ZeroDivisionError(f"{self!r} / {other!r}: the divisor may be zero")
        return _hull(self, other, _divide)

    def __rtruediv__(self, other: Any) -> Censored:
        if self.low < 0 < self.high:
            raise ZeroDivisionError(f"{other!r} / {self!r}: the divisor may be zero")
        return _hull(other, self, _divide)

    __radd__, __rmul__ = __add__, __mul__


def _ends(value: Any) -> tuple[float, float]:
    if isinstance(value, Censored):
        return value.low, value.high
    return float(value), float(value)


def _divide(a: float, b: float) -> float:
    if b == 0:
        return 0.0 if a == 0 else math.copysign(math.inf, a)
    if math.isinf(a) and math.isinf(b):
        return 0.0  # both ends open: anything from 0 on, and the other corners supply infinity
    return a / b


def _hull(a: Any, b: Any, operation: Callable[[float, float], float]) -> Censored:
    corners = [operation(x, y) for x in _ends(a) for y in _ends(b)]
    return Censored(min(corners), max(corners))


def censored(limit: float) -> Censored:
    """A run in which the event never came within the budget ``limit``: "> limit".

    >>> censored(5000) > 1000
    True
    """
    if not math.isfinite(limit):
        raise ValueError(f"censored: limit={limit!r}; expected a finite budget, such as 5000")
    return Censored(limit)


def first_time(steps: Any, values: Any, level: float) -> Any:
    """The first of ``steps`` at which ``values`` reaches ``level``; else ``censored(last step)``.

    A value that falls to a level is found by ``first_time(steps, -values, -level)``. NaN never
    reaches anything.

    Args:
        steps: ``(k,)`` increasing, at least one.
        values: ``(k,)``, measured at these steps.
        level: the threshold; equality counts.

    >>> first_time([0, 10, 20], [0.1, 0.5, 0.9], 0.5), first_time([0, 10], [0.1, 0.5], 0.9)
    (10, > 10)
    """
    steps, values = np.asarray(steps), np.asarray(values, dtype=float)
    if steps.ndim != 1 or steps.shape != values.shape or not len(steps):
        raise ValueError(
            f"first_time: steps {steps.shape} and values {values.shape}; expected (k,) both, k >= 1"
        )
    hits = np.flatnonzero(values >= level)
    return steps[hits[0]].item() if len(hits) else censored(steps[-1].item())


def as_measurements(values: Any, name: str) -> list[Any]:
    """A list of bools, floats and `Censored`, one per seed; refuses what would hide a failure."""
    if isinstance(values, Censored) or np.ndim(values) == 0:
        values = [values]
    result: list[Any] = []
    for seed, value in enumerate(values):
        if isinstance(value, Censored):
            result.append(value)
            continue
        if isinstance(value, (bool, np.bool_)):
            result.append(bool(value))
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ValueError(
                f"{name}[{seed}] is {value!r}; expected a number, or censored(limit) for an event "
                "that never came within the budget"
            ) from None
        if not math.isfinite(number):
            raise ValueError(
                f"{name}[{seed}] is {number}; expected a finite number. An event that never came "
                "is censored(limit); a run that diverged counts through holds=[...]"
            )
        result.append(number)
    return result


def quantile(values: Iterable[Any], q: float) -> Any:
    """The ``q`` quantile, linear between order statistics; `Censored` where only bounds are known.

    The k-th smallest value lies between the k-th smallest lower and the k-th smallest upper bound.
    """
    ends = [_ends(v) for v in values]

    def order_statistic(bounds: list[float]) -> float:
        bounds = sorted(bounds)
        position = q * (len(bounds) - 1)
        k, fraction = int(position), position % 1
        if fraction == 0 or bounds[k] == bounds[k + 1]:
            return bounds[k]
        return (1 - fraction) * bounds[k] + fraction * bounds[k + 1]

    low, high = order_statistic([e[0] for e in ends]), order_statistic([e[1] for e in ends])
    return low if low == high else Censored(low, high)
