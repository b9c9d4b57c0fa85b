"""The verdict of one claim, by rules that are fixed here, and the table of a chapter's claims."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .censoring import Censored, Undecided, as_measurements, quantile
from .display import Display, coarse, html_table, to_precision_of, wrap

HOLDS = "holds"
PARTLY = "partly"
FAILS = "does not hold at this scale"
UNSURE = "inconclusive"
FEWEST_SEEDS = 5
MIME = "application/vnd.minigrad.claims+json"


@dataclass(frozen=True, repr=False)
class Claim(Display):
    """One claim with its verdict. Made by `claim`; shows itself in Jupyter and in a terminal."""

    statement: str
    paper: str
    published: str
    measured: str  # coarse text, such as "4900 steps"
    spread: str  # coarse text, such as "quartiles 3100 to 5200, 5 seeds"
    verdict: str
    setting: str
    note: str = ""

    def record(self) -> dict[str, str]:
        """The row of the ledger: eight texts, safe to compare strictly on another machine."""
        return asdict(self)

    def text(self) -> str:
        lines = [*wrap(f"[{self.verdict}] {self.statement}", "", "  ")]
        lines += wrap(f"{self.published} ({self.paper}, {self.setting})", "  paper  ")
        lines += wrap(f"{self.measured}; {self.spread}", "  ours   ")
        if self.note:
            lines += wrap(self.note, "  note   ")
        return "\n".join(lines)

    def html(self) -> str:
        return Table((self,)).html()

    def extra(self) -> dict[str, Any]:
        return {MIME: [self.record()]}


@dataclass(frozen=True, repr=False)
class Table(Display):
    """The verdict table of a chapter. Made by `table`."""

    claims: tuple[Claim, ...]

    def text(self) -> str:
        verdicts = [c.verdict for c in self.claims]
        counts = [(v, verdicts.count(v)) for v in (HOLDS, PARTLY, FAILS, UNSURE)]
        summary = ", ".join(f"{verdict}: {count}" for verdict, count in counts if count)
        return "\n\n".join([*(c.text() for c in self.claims), summary])

    def html(self) -> str:
        marks = {HOLDS: "●", PARTLY: "◐", FAILS: "○", UNSURE: "?"}
        rows = []
        for c in self.claims:
            statement = [c.statement] + ([("small", c.note)] if c.note else [])
            rows.append((
                statement,
                [c.published, ("small", f"{c.paper}, {c.setting}")],
                [c.measured, ("small", c.spread)],
                [("strong", f"{marks[c.verdict]} {c.verdict}")],
            ))  # fmt: skip
        return html_table(("Claim", "The paper", "Ours", "Verdict"), rows)

    def extra(self) -> dict[str, Any]:
        return {MIME: [c.record() for c in self.claims]}


def claim(
    statement: str,
    *,
    paper: str,
    published: str | float,
    measured: Any,
    holds: Callable[[Any], Any] | Sequence[Any] | None = None,
    over: str = "seeds",
    unit: str = "",
    setting: str = "replication",
    note: str = "",
    digits: int = 2,
) -> Claim:
    r"""Judge one claim on the runs of fresh seeds.

    **The verdict over seeds** (the default) asks how often the effect appears:

    - fewer than 5 seeds: inconclusive;
    - the claim is true in every seed: holds;
    - in at least half of the seeds: partly;
    - otherwise: does not hold at this scale.

    A seed can be undecided: a run censored at 5000 steps cannot say whether its event came within
    6000. If the undecided seeds could change the verdict, it is inconclusive.

    **The verdict over the mean** (``over="mean"``) is for theories that predict an expectation.
    There a single seed may lie on either side although the theory is right, and no count of seeds
    says anything. ``holds`` is asked about the mean instead, over its 95 % t interval

    .. math:: \bar m \pm t_{0.975,\,n-1}\, s / \sqrt n :

    - fewer than 5 seeds: inconclusive;
    - true on the whole interval: holds;
    - nowhere on it: does not hold at this scale;
    - on a part of it: inconclusive (more seeds would decide). There is no "partly".

    The interval is honest for means that are roughly normal; one enormous seed widens it until
    nothing is decided, which is the right answer near a singularity.

    **Comparisons of two arms** are paired first: ``measured=paired(with_decay, without)`` has one
    difference or ratio per seed, so that what the arms share (split, initialization) cancels.

    Args:
        statement: the claim in one sentence.
        paper: bibliography key or name, ``"power2022grokking"``.
        published: the paper's number, as text or number.
        measured: one value per seed: numbers, or ``censored(limit)`` where the event never came
            within the budget. Booleans (did it happen?) are allowed and counted.
        holds: predicate on one seed's value (on a possible mean with ``over="mean"``), or a list
            with one truth value per seed. May be left out if ``measured`` is boolean.
        over: ``"seeds"`` or ``"mean"``.
        unit: written behind the numbers.
        setting: ``"replication"`` of the paper's setting or ``"analogue"`` of it.
        note: what differs, or why it does not hold.
        digits: significant digits shown, 1 or 2. Rounding is what keeps stored text equal on
            another BLAS; choose 1 when training amplifies rounding errors.
    Raises:
        ValueError: NaN or infinite values, lengths that differ, an unknown ``over`` or
            ``setting``, a mean of censored runs.
    """
    if setting not in ("replication", "analogue"):
        raise ValueError(f"claim: setting={setting!r}; expected 'replication' or 'analogue'")
    if over not in ("seeds", "mean"):
        raise ValueError(f"claim: over={over!r}; expected 'seeds' or 'mean'")
    if digits not in (1, 2):
        raise ValueError(f"claim: digits={digits!r}; expected 1 or 2, for robust text")
    values = as_measurements(measured, "claim: measured")
    if not values:
        raise ValueError("claim: measured is empty; expected one value per seed")
    if over == "mean":
        verdict, shown, spread = _judge_mean(values, holds, digits)
    else:
        verdict = seeds_verdict(_truths(values, holds))
        shown, spread = _describe(values, digits)
    if all(isinstance(v, bool) for v in values):
        unit = ""
    tail = f" {unit}" if unit else ""
    if not isinstance(published, str):
        published = f"{published:g}{tail}"
    return Claim(statement, paper, published, shown + tail, spread, verdict, setting, note)


def seeds_verdict(truths: Sequence[bool | None]) -> str:
    """The fixed rule of `claim` over seeds; None is a seed that cannot decide."""

    def rule(true: int, n: int) -> str:
        return HOLDS if true == n else PARTLY if 2 * true >= n else FAILS

    n, true, unknown = len(truths), truths.count(True), truths.count(None)
    if n < FEWEST_SEEDS:
        return UNSURE
    worst, best = rule(true, n), rule(true + unknown, n)
    return worst if worst == best else UNSURE


def _truths(values: list[Any], holds: Any) -> list[bool | None]:
    if holds is None:
        if not all(isinstance(v, bool) for v in values):
            raise ValueError("claim: holds is missing; give a predicate such as lambda t: t > 1000")
        return list(values)
    if not callable(holds):
        truths = [None if t is None else bool(t) for t in holds]
        if len(truths) != len(values):
            raise ValueError(
                f"claim: holds has {len(truths)} entries and measured {len(values)}; expected one "
                "truth value per seed"
            )
        return truths

    def truth(value: Any) -> bool | None:
        try:
            return bool(holds(value))
        except Undecided:
            return None

    return [truth(value) for value in values]


def _judge_mean(values: list[Any], holds: Any, digits: int) -> tuple[str, str, str]:
    if not callable(holds):
        raise ValueError('claim: over="mean" needs holds to be a predicate on the mean')
    if any(isinstance(v, Censored) for v in values):
        raise ValueError(
            'claim: over="mean" with censored runs: their mean is unknown; judge over="seeds"'
        )
    x, n = np.array(values, dtype=float), len(values)
    mean = float(x.mean())
    if n == 1:
        return UNSURE, coarse(mean, digits), "1 seed"
    from scipy.special import stdtrit  # the quantile of Student's t

    half = float(stdtrit(n - 1, 0.975) * x.std(ddof=1) / math.sqrt(n))
    # A predicate may be a band (abs(m - 1) < 0.1), so the ends alone would not do.
    truths = [bool(holds(mean + half * step / 100)) for step in range(-100, 101)]
    verdict = HOLDS if all(truths) else UNSURE if any(truths) else FAILS
    if n < FEWEST_SEEDS:
        verdict = UNSURE
    shown = to_precision_of(half, mean, digits)
    return verdict, shown, f"mean ± {coarse(half, 1)} (95 %), {n} seeds"


def _describe(values: list[Any], digits: int) -> tuple[str, str]:
    """Coarse median and quartiles; exact about what censoring leaves unknown."""
    n = len(values)
    seeds = f"{n} seed" + "s" * (n > 1)
    if all(isinstance(v, bool) for v in values):
        return f"{values.count(True)} of {n}", seeds
    lower, median, upper = (quantile(values, q) for q in (0.25, 0.5, 0.75))
    parts = []
    if n > 1:
        parts.append(f"quartiles {coarse(lower, digits)} to {coarse(upper, digits)}")
    open_ended = [v for v in values if isinstance(v, Censored)]
    for bound in sorted({coarse(v, digits) for v in open_ended}):
        count = sum(coarse(v, digits) == bound for v in open_ended)
        parts.append(f"{bound} ({count} of {n})")
    return coarse(median, digits), ", ".join([*parts, seeds])


def paired(treatment: Iterable[Any], control: Iterable[Any], how: str = "difference") -> list[Any]:
    """One comparison per seed of two arms that share seeds, splits and batch order.

    ``how="difference"`` is treatment - control, ``"ratio"`` treatment / control (positive values).
    Censored runs stay honest: a treatment that never came within 5000 over a control of 500 is
    "> 10"; where both are censored nothing is known and the seed is undecided.

    >>> paired([censored(5000), 900], [500, 300], how="ratio")
    [> 10, 3.0]
    """
    if how not in ("difference", "ratio"):
        raise ValueError(f"paired: how={how!r}; expected 'difference' or 'ratio'")
    a = as_measurements(treatment, "paired: treatment")
    b = as_measurements(control, "paired: control")
    if len(a) != len(b):
        raise ValueError(f"paired: {len(a)} treated and {len(b)} control runs; expected same seeds")
    if how == "difference":
        return [x - y for x, y in zip(a, b, strict=True)]
    ends = [end for v in a + b for end in ((v.low, v.high) if isinstance(v, Censored) else (v,))]
    if min(ends, default=1.0) <= 0:
        raise ValueError("paired: a ratio needs positive values; use how='difference'")
    return [x / y for x, y in zip(a, b, strict=True)]


def table(*claims: Claim) -> Table:
    """All verdicts of a chapter as one display. Takes `Claim` objects."""
    for position, entry in enumerate(claims):
        if not isinstance(entry, Claim):
            raise TypeError(f"table: entry {position} is {type(entry).__name__}; expected a Claim")
    return Table(claims)
