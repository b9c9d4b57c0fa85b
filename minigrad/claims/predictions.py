"""The "Predict" step: the reader commits to an answer before the run, and the result scores it.

A chapter asks with `predict`, the reader fills in a cell `predictions = {...}`, and the verdict
calls `score`. Nothing waits for input, so a chapter runs from top to bottom without a reader.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .censoring import Censored, as_measurements, quantile
from .display import Display, coarse, html_table, wrap


@dataclass(frozen=True)
class Question:
    """One question. Made by `question`."""

    name: str
    ask: str
    choices: tuple[str, ...]
    unit: str
    factor: float

    def expects(self) -> str:
        if self.choices:
            return " / ".join(repr(choice) for choice in self.choices)
        unit = f" of {self.unit}" if self.unit else ""
        return f"a number{unit}, right within a factor of {self.factor:g}"


def question(
    name: str, ask: str, choices: Sequence[str] = (), *, unit: str = "", factor: float = 2.0
) -> Question:
    """A question with choices, or one with a number as its answer (in ``unit``).

    A number is right if it lies within ``factor`` of the result, in either direction.
    """
    if isinstance(choices, str) or len(choices) == 1:
        raise ValueError(f"question {name!r}: choices={choices!r}; expected at least two, or none")
    if not factor > 1:
        raise ValueError(f"question {name!r}: factor={factor!r}; expected more than 1")
    return Question(name, ask, tuple(choices), unit, factor)


@dataclass(frozen=True, repr=False)
class Questions(Display):
    """The questions of a chapter. Made by `predict`."""

    questions: tuple[Question, ...]

    def text(self) -> str:
        lines = ["Before you run on, write your answers down:", ""]
        for q in self.questions:
            lines += [*wrap(q.ask, f"  {q.name}: "), *wrap(q.expects(), "    answer: ")]
        return "\n".join(lines)

    def html(self) -> str:
        rows = [([("code", q.name)], [q.ask], [q.expects()]) for q in self.questions]
        return html_table(("", "What do you expect?", "Answer"), rows)

    def score(self, predictions: Mapping[str, Any], **outcomes: Any) -> Scores:
        """Hold the reader's ``predictions`` against what happened, one outcome per question.

        An outcome is a choice, a number, ``censored(limit)``, or one number per seed (the median
        counts). An answer that is missing, None or ``...`` is unanswered, which is no error.

        Raises:
            ValueError: an outcome is missing, or a prediction names no question.
        """
        names = [q.name for q in self.questions]
        for name in outcomes:
            if name not in names:
                raise ValueError(f"score: outcome {name!r} has no question; known: {names}")
        for name in predictions:
            if name not in names:
                raise ValueError(f"score: prediction {name!r} has no question; known: {names}")
        missing = [name for name in names if name not in outcomes]
        if missing:
            raise ValueError(f"score: no outcome for {missing}; pass {missing[0]}=...")
        rows = (_row(q, predictions.get(q.name), outcomes[q.name]) for q in self.questions)
        return Scores(tuple(rows))


@dataclass(frozen=True, repr=False)
class Scores(Display):
    """Answers beside results. Made by `Questions.score`."""

    rows: tuple[tuple[Question, str, str, str], ...]  # question, answer, result, mark

    @property
    def right(self) -> int:
        return sum(mark == "right" for *_, mark in self.rows)

    def _summary(self) -> str:
        answered = sum(mark in ("right", "not this time") for *_, mark in self.rows)
        if not answered:
            return (
                "No predictions yet. Fill in the cell `predictions = {...}` and run this cell "
                "again: a guess that turns out wrong teaches more than none."
            )
        return f"{self.right} of {answered} right."

    def text(self) -> str:
        lines = []
        for q, answer, result, mark in self.rows:
            lines += wrap(f"{q.name}: {q.ask}", "", "  ")
            lines.append(f"  you: {answer}   result: {result}   [{mark}]")
        return "\n".join([*lines, "", *wrap(self._summary())])

    def html(self) -> str:
        rows = [
            ([q.ask], [answer], [result], [("strong", mark)])
            for q, answer, result, mark in self.rows
        ]
        table = html_table(("What did you expect?", "You", "Result", ""), rows)
        return table + f"<p>{self._summary()}</p>"


def predict(*questions: Question) -> Questions:
    """Ask before the run. Shows the questions; keep the result and call its ``score`` later."""
    for entry in questions:
        if not isinstance(entry, Question):
            raise TypeError(f"predict: {entry!r} is no question; make it with question(name, ask)")
    if len({q.name for q in questions}) < len(questions):
        raise ValueError(f"predict: names repeat in {[q.name for q in questions]}")
    return Questions(questions)


def _row(q: Question, answer: Any, outcome: Any) -> tuple[Question, str, str, str]:
    if q.choices:
        if outcome not in q.choices:
            raise ValueError(f"score: {q.name}={outcome!r}; expected one of {list(q.choices)}")
        result = outcome
    else:
        outcome = quantile(as_measurements(outcome, f"score: {q.name}"), 0.5)
        result = coarse(outcome) + (f" {q.unit}" if q.unit else "")
    if answer is None or answer is ...:
        return q, "no answer yet", result, "open"
    if q.choices:
        if answer not in q.choices:
            return q, f"{answer!r}", result, f"choose one of {q.expects()}"
        return q, answer, result, "right" if answer == outcome else "not this time"
    try:
        guess = float(answer)
    except (TypeError, ValueError):
        return q, f"{answer!r}", result, "write a number"
    right = _near(guess, outcome, q.factor)
    shown = f"{guess:g}" + (f" {q.unit}" if q.unit else "")
    return q, shown, result, "right" if right else "not this time"


def _near(guess: float, outcome: Any, factor: float) -> bool:
    if isinstance(outcome, Censored):  # "later than the budget" is all that is known
        return outcome.low <= guess <= outcome.high
    if guess == outcome:
        return True
    if guess * outcome <= 0:
        return False
    return abs(math.log(guess / outcome)) <= math.log(factor) * (1 + 1e-12)
