"""Exercises that say what is wrong and why: check, hint, solution, progress.

    from minigrad.exercises import check, hint, solution
    check("training.cross_entropy", my_cross_entropy)

To add a task: write a file `minigrad/exercises/<set>.py`, or open one, and add to its `TASKS`::

    def double(x):                              # the worked solution; solution() shows its source
        return 2 * x

    TASKS = [
        Task(
            name="<set>.double", title="Twice", reference=double, outputs=("product",),
            cases=lambda rng: [Case("a vector", (rng.normal(size=5),)),
                               Case("large numbers", (1e30 * rng.normal(size=3),))],
            mistakes=(Mistake("is the square", "`x ** 2` is not `2 * x`.", lambda x: x**2),),
            hints=("What is x + x?",), explanation="Twice x is x + x.",
        ),
    ]

The file is found by its name. A task whose answer is not a value to compare (a sampler, an
experiment) brings its own `judge`. Then add right and wrong answers in
`tests/exercise_answers/<set>.py`, the cells in `exercises/source/<set>.ipynb`, and run
`python tools/build_exercises.py`.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import pkgutil
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from .judging import Case, Mistake, Result, Task, Wrong, fail, judge

__all__ = [
    "Case",
    "Mistake",
    "Result",
    "Task",
    "Wrong",
    "check",
    "fail",
    "hint",
    "progress",
    "solution",
    "tasks",
]


@dataclass
class _Record:
    """What happened with one task since Python started."""

    tries: int = 0
    right: bool = False
    hints: int = 0
    solution: bool = False


_records: dict[str, _Record] = {}


def check(name: str, answer: Any, *, seed: int | None = None, quiet: bool = False) -> Result:
    """Judge `answer` on fresh random inputs, print what is right or what is wrong and why.

    Args:
        name: the task, such as "training.cross_entropy".
        answer: your function, not a call of it.
        seed: repeats the inputs of an earlier check; None draws new ones.
        quiet: print nothing if the answer is right (for hidden tests).
    Returns: a Result, true if the answer is right.
    Raises: LookupError for a name that no task has.
    """
    task = _find(name)
    if seed is None:
        seed = int(np.random.default_rng().integers(1_000_000))
    result = judge(task, answer, seed)
    record = _records.setdefault(task.name, _Record())
    record.tries += result.kind != "empty"
    record.right = record.right or result.right
    if not (quiet and result.right):
        print(result.message)
    return result


def hint(name: str) -> None:
    """Print the next hint for a task; each call reveals one more."""
    task = _find(name)
    record = _records.setdefault(task.name, _Record())
    record.hints = min(record.hints + 1, len(task.hints))
    for i, text in enumerate(task.hints[: record.hints], start=1):
        print(_fill(f"Hint {i} of {len(task.hints)}: {text}"))
    if record.hints == len(task.hints):
        print(f'That was the last hint. solution("{task.name}") shows the worked solution.')


def solution(name: str) -> None:
    """Print the worked solution of a task: the reasoning, then the code."""
    task = _find(name)
    _records.setdefault(task.name, _Record()).solution = True
    print(f"{task.name}: {task.title}\n")
    for paragraph in inspect.cleandoc(task.explanation).split("\n\n"):
        print(_fill(" ".join(paragraph.split())) + "\n")
    print(textwrap.dedent(inspect.getsource(task.reference)).rstrip())


def progress(set_name: str | None = None) -> None:
    """Print each task with its state in this session; nothing is kept after Python ends."""
    shown = [task for task in tasks() if set_name in (None, task.name.split(".")[0])]
    if not shown:
        _find(str(set_name) + ".")  # raises, with the closest names
    for task in shown:
        record = _records.get(task.name, _Record())
        state = "right" if record.right else "not yet" if record.tries else "open"
        notes = [f"{record.tries} tries" if record.tries != 1 else "1 try"] * bool(record.tries)
        notes += [f"{record.hints} of {len(task.hints)} hints"] * bool(record.hints)
        notes += ["solution read"] * record.solution
        remark = f" ({', '.join(notes)})" if notes else ""
        print(f"{state:8} {task.name:28} {task.title}{remark}")
    done = sum(_records.get(task.name, _Record()).right for task in shown)
    print(f"{done} of {len(shown)} tasks are right.")


def tasks() -> list[Task]:
    """All tasks, set by set, in the order in which they are meant to be solved."""
    return list(_all_tasks().values())


@functools.cache
def _all_tasks() -> dict[str, Task]:
    found: dict[str, Task] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name == "judging":
            continue
        for task in importlib.import_module(f"{__name__}.{module.name}").TASKS:
            if task.name in found or not task.name.startswith(module.name + "."):
                raise ValueError(
                    f"task {task.name!r} in {module.name}.py: expected a name that is used once "
                    "and "
                    f"begins with '{module.name}.'; rename it"
                )
            found[task.name] = task
    return found


def _find(name: Any) -> Task:
    if not isinstance(name, str):
        raise TypeError(
            f"name: expected the name of a task, found {type(name).__name__}; "
            'write check("training.cross_entropy", my_function), name first'
        )
    known = _all_tasks()
    if name in known:
        return known[name]
    short = {full.split(".", 1)[1]: full for full in known}
    close = [
        short[match] for match in difflib.get_close_matches(name.split(".")[-1], short, 2, 0.6)
    ]
    close += difflib.get_close_matches(name, known, 2, 0.6)
    suggestion = " or ".join(repr(match) for match in dict.fromkeys(close))
    raise LookupError(
        f"name: there is no task {name!r}"
        + (f"; did you mean {suggestion}?" if close else "")
        + f" The tasks are {', '.join(known)}."
    )


def _fill(text: str) -> str:
    return textwrap.fill(text, 92, break_long_words=False, break_on_hyphens=False)
