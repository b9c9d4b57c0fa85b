"""Learning-rate schedules: functions ``step -> factor``, and a class that sets ``optimizer.lr``.

``step`` counts updates from 0; that update's learning rate is the optimizer's own times the factor.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .optimizer import Optimizer

Factor = Callable[[int], float]


def constant() -> Factor:
    """1 at every step."""
    return lambda step: 1.0


def linear_warmup(steps: int, then: Factor | None = None) -> Factor:
    """1/steps, 2/steps, ..., 1 in the first ``steps`` updates; then ``then``, counted from 0."""
    _positive("linear_warmup", steps=steps)
    after = then or constant()
    return lambda step: (step + 1) / steps if step < steps else after(step - steps)


def linear_decay(steps: int, final: float = 0.0) -> Factor:
    """From 1 in a straight line to ``final`` after ``steps`` updates; ``final`` from there on."""
    _positive("linear_decay", steps=steps)
    return lambda step: 1.0 + (final - 1.0) * min(step / steps, 1.0)


def cosine(steps: int, final: float = 0.0) -> Factor:
    r"""Half a cosine from 1 to ``final``: :math:`f + (1 - f)(1 + \cos(\pi t / T)) / 2`.

    Source: Loshchilov and Hutter 2017, eq. 5, without restarts.
    """
    _positive("cosine", steps=steps)
    return lambda step: (
        final + (1.0 - final) * (1.0 + math.cos(math.pi * min(step / steps, 1.0))) / 2.0
    )


def step_decay(every: int, gamma: float = 0.1) -> Factor:
    """Times ``gamma`` after each ``every`` updates (PyTorch's ``StepLR``)."""
    _positive("step_decay", every=every)
    return lambda step: gamma ** (step // every)


def one_cycle(steps: int, warmup: float = 0.3, start: float = 0.04, final: float = 4e-6) -> Factor:
    """Up along half a cosine from ``start`` to 1 in the fraction ``warmup``, down to ``final``.

    Source: Smith and Topin 2019; the shape and defaults of PyTorch's ``OneCycleLR``.
    """
    _positive("one_cycle", steps=steps)
    peak = max(warmup * steps - 1.0, 1e-12)

    def factor(step: int) -> float:
        step = min(step, steps - 1)
        if step <= peak:
            begin, end, part = start, 1.0, step / peak
        else:
            begin, end, part = 1.0, final, (step - peak) / max(steps - 1 - peak, 1e-12)
        return end + (begin - end) * (1.0 + math.cos(math.pi * part)) / 2.0

    return factor


class Schedule:
    """Multiplies the learning rate of every group by ``factor(step)``.

    Args:
        optimizer: its ``lr`` when the first schedule is made is the base, kept in the groups as
            ``"initial_lr"`` (and so in its ``state_dict``).
        factor: ``step -> factor``, one of the functions above or your own.

    Call ``step()`` after each ``optimizer.step()``, or pass it to ``train.fit`` as a callback.
    The factor depends on the step alone, so a resumed run needs no state but the step.
    """

    def __init__(self, optimizer: Optimizer, factor: Factor) -> None:
        self.optimizer, self.factor = optimizer, factor
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.set(0)

    def set(self, step: int) -> None:
        """Set the learning rate for update number ``step`` (from 0)."""
        self.count = step
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self.factor(step)

    def step(self) -> None:
        """Go on to the next update."""
        self.set(self.count + 1)

    def __call__(self, run: Any) -> None:
        """As a callback of ``train.fit``, which calls it after ``run.step`` updates."""
        self.set(run.step)


def _positive(owner: str, **steps: int) -> None:
    for name, value in steps.items():
        if value != int(value) or value < 1:
            raise ValueError(f"{owner}: {name}={value!r}; expected a whole number >= 1")
