"""How an answer is judged: run it on fresh random inputs, then say what is wrong and why.

A `Task` is data: the right answer, random inputs, and a list of known mistakes. What a student's
function returns is compared with the right answer; where it differs, with each known mistake, and
the mistake that gives the same numbers is the diagnosis. The text of the answer is never read.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import inspect
import io
import linecache
import textwrap
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np


@dataclass(frozen=True)
class Case:
    """One input: `label` says what is special about it ("logits up to 1e4")."""

    label: str
    args: tuple[Any, ...]


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that people give, and what to tell them.

    Args:
        what: completes "the gradient ..." ("is the sum over the batch, not the mean").
        why: the likely reason, often as a question.
        function: takes the task's arguments, returns what this mistake would return: a tuple of
            all outputs, or `output` alone.
        output: the output that it concerns, for tasks with several; None is "any".
    """

    what: str
    why: str
    function: Callable[..., Any]
    output: str | None = None


@dataclass(frozen=True)
class Task:
    """One exercise. Only `judge` contains code of its own, and most tasks need none.

    Args:
        name: "set.task", the name that `check`, `hint` and `solution` take.
        title: a few words for the overview.
        reference: the worked solution; its signature is the signature that is asked for.
        hints: revealed one at a time, from a nudge to nearly the answer.
        explanation: shown with the solution.
        outputs: names of what is returned, in order.
        cases: random generator -> inputs, simplest first.
        mistakes: known wrong answers, the likeliest first.
        look: where to read when no known mistake fits.
        success: one sentence worth remembering, shown when the answer is right.
        judge: replaces the comparison: called with the guarded answer and a generator, it raises
            `Wrong` or returns the list of what is right.
        tensors: also try the answer on minigrad Tensors and remark on what happened.
    """

    name: str
    title: str
    reference: Callable[..., Any]
    hints: tuple[str, ...]
    explanation: str
    outputs: tuple[str, ...] = ("result",)
    cases: Callable[[np.random.Generator], Iterable[Case]] | None = None
    mistakes: tuple[Mistake, ...] = ()
    look: str = ""
    success: str = ""
    judge: Callable[[Answer, np.random.Generator], Sequence[str]] | None = None
    tensors: bool = False

    @property
    def signature(self) -> str:
        names = ", ".join(inspect.signature(self.reference).parameters)
        return f"{self.reference.__name__}({names})"


class Wrong(Exception):
    """The verdict "not right": what was found, the likely reason, and where to look."""

    def __init__(self, what: str, why: str = "", look: str = "", kind: str = "value"):
        super().__init__(what)
        self.what, self.why, self.look, self.kind = what, why, look, kind
        self.right: list[str] = []


@dataclass
class Outcome:
    """What one call gave: a value or an error, and the arguments that it changed in place."""

    value: Any = None
    error: Wrong | None = None
    changed: list[str] = field(default_factory=list)


# --- calling code that may do anything ----------------------------------------------------------


class Answer:
    """A student's function, called so that nothing it does can disturb the check."""

    def __init__(self, function: Any, reference: Callable[..., Any], name: str):
        self.function, self.name = function, name
        self.parameters = list(inspect.signature(reference).parameters)
        self.expected = f"{reference.__name__}({', '.join(self.parameters)})"
        self.printed = io.StringIO()
        self._require_function()

    def _require_function(self) -> None:
        answer, kind = self.function, type(self.function).__name__
        if answer is None or answer is Ellipsis:
            raise Wrong(
                "there is no answer yet.",
                f"Write the function {self.expected} and pass it to check.",
                kind="empty",
            )
        if not callable(answer):
            raise Wrong(
                f"the answer is {a(kind)}, not a function.",
                "Pass the function itself, without calling it: "
                f'check("{self.name}", {self.expected.split("(")[0]}), without "(...)" after it.',
                kind="type",
            )
        try:
            signature = inspect.signature(answer)
        except (TypeError, ValueError):
            return  # a builtin: the call itself will tell
        try:
            signature.bind(*self.parameters)
        except TypeError:
            raise Wrong(
                f"the function takes {describe_parameters(signature)}, and it is called with "
                f"{len(self.parameters)} arguments: {', '.join(self.parameters)}.",
                f"Begin it with `def {self.expected}:`.",
                kind="signature",
            ) from None

    def call(self, *args: Any) -> Outcome:
        """Call with copies of `args`; never raises (an interrupt from the keyboard passes)."""
        given = tuple(_copied(arg) for arg in args)
        outcome = Outcome()
        try:
            with contextlib.redirect_stdout(self.printed), _quiet():
                outcome.value = self.function(*given)
        except (Exception, SystemExit) as error:
            outcome.error = self._explain(error)
        outcome.changed = [
            name
            for name, before, after in zip(self.parameters, args, given, strict=False)
            if not _same(before, after)
        ]
        return outcome

    def __call__(self, *args: Any) -> Any:
        """The value of a call; raises Wrong where the function raised, or changed its inputs."""
        outcome = self.call(*args)
        if outcome.error is not None:
            raise outcome.error
        if outcome.changed:
            raise changed_inputs(outcome.changed)
        return outcome.value

    def _explain(self, error: BaseException) -> Wrong:
        if isinstance(error, NotImplementedError):
            return Wrong(
                "the answer is not filled in yet.",
                f"Replace `raise NotImplementedError()` by your own code for {self.expected}.",
                kind="empty",
            )
        kind, text = type(error).__name__, " ".join(str(error).split())
        if len(text) > 160:
            text = text[:157] + "..."
        return Wrong(
            f"it stops with {kind}: {text or 'no message'}{self._line(error)}",
            likely_cause(error),
            kind="raised",
        )

    def _line(self, error: BaseException) -> str:
        """The last line of the student's own file or cell that was running."""
        code = getattr(self.function, "__code__", None)
        found, trace = "", error.__traceback__
        while trace is not None:
            if code is not None and trace.tb_frame.f_code.co_filename == code.co_filename:
                text = linecache.getline(code.co_filename, trace.tb_lineno).strip()
                found = f" (at `{text}`)" if text else f" (at line {trace.tb_lineno})"
            trace = trace.tb_next
        return found


def likely_cause(error: BaseException) -> str:
    """A sentence on what usually lies behind an exception of this type."""
    text = str(error)
    if isinstance(error, NameError):
        return (
            "A name is used that nothing defined: a typing slip, or a cell above that has not run "
            "(a restarted kernel forgets them all)."
        )
    if isinstance(error, ValueError) and any(
        word in text for word in ("matmul", "broadcast", "aligned", "shape", "dimension")
    ):
        return (
            "Two shapes do not fit. Write the shape of each factor behind the line as a comment; "
            "which axis should disappear in the product?"
        )
    if isinstance(error, TypeError) and "cast" in text:
        return (
            "An in-place operation (`+=`, `/=`) cannot change the dtype of the array it writes to. "
            "Make a new array: `x = x + ...`."
        )
    if isinstance(error, IndexError):
        return (
            "An index lies outside the array: are rows and columns exchanged, or does an axis have "
            "another length than you think? Print the shapes."
        )
    if isinstance(error, RecursionError):
        return "The function calls itself without end: does it call its own name inside?"
    if isinstance(error, AssertionError):
        return "An `assert` of your own says no: that is a finding, follow it."
    if isinstance(error, (ModuleNotFoundError, ImportError)):
        return "The tasks need only NumPy: `import numpy as np` in the first cell."
    if isinstance(error, (TypeError, AttributeError)) and "NoneType" in text:
        return "Something is None: a helper of yours without `return`?"
    if isinstance(error, AttributeError):
        return "The object has no such attribute: print its type one line above."
    if isinstance(error, TypeError):
        return "A function is called with something of another type or number than it takes."
    if isinstance(error, SystemExit):
        return "The function ends Python (`exit`, `quit`): return the result instead."
    return "Call the function yourself on a tiny example and read the whole traceback."


def changed_inputs(names: Sequence[str]) -> Wrong:
    listed = ", ".join(f"`{name}`" for name in names)
    return Wrong(
        f"the function changes its input {listed} in place.",
        "`x -= ...`, `x /= ...`, `x[i] = ...` and `np.exp(x, out=x)` write into the caller's "
        "array, and a slice is a view of it. Whoever uses that array next gets wrong numbers.",
        "Work on a new array: `x = x - ...`, or `x = x.copy()` first.",
        kind="in place",
    )


def describe_parameters(signature: inspect.Signature) -> str:
    names = list(signature.parameters)
    if not names:
        return "no arguments"
    return f"{len(names)} argument{'s' * (len(names) > 1)} ({', '.join(names)})"


def _copied(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (np.random.Generator, list, dict, tuple)):
        return copy.deepcopy(value)
    return value


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, np.ndarray):
        return (
            before.shape == after.shape
            and before.dtype == after.dtype
            and np.array_equal(before, after, equal_nan=before.dtype.kind in "fc")
        )
    if isinstance(before, (list, dict)):
        return before == after
    return True  # generators are meant to advance; functions and numbers cannot change


@contextlib.contextmanager
def _quiet():
    """Silence warnings: overflow and 0/0 are judged by the values that they leave."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


# --- reading what came back ---------------------------------------------------------------------


def as_array(value: Any, name: str) -> np.ndarray:
    """`value` as a numeric array; a minigrad Tensor gives its data. Raises Wrong otherwise."""
    if value is None:
        raise Wrong(
            f"the {name} is None.", "Is a `return` missing in one of the branches?", kind="none"
        )
    if inspect.isgenerator(value):
        raise Wrong(f"the {name} is a generator.", "`yield` instead of `return`?", kind="type")
    if hasattr(value, "detach") and hasattr(value, "numpy"):
        value = value.detach().numpy()
    try:
        array = np.asarray(value)
    except Exception:
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "fiub":
        kind = (
            f"an array of dtype {array.dtype}"
            if array.dtype.kind == "c"
            else a(type(value).__name__)
        )
        raise Wrong(
            f"the {name} is {kind}, where a number or a numeric array is expected.",
            "Print what the function returns for a tiny input.",
            kind="type",
        )
    return array


def as_number(value: Any, name: str) -> float:
    """`value` as one number, such as a loss; arrays of size one count. Raises Wrong otherwise."""
    array = as_array(value, name)
    if array.size != 1:
        raise Wrong(
            f"the {name} has shape {array.shape}, where one number is expected.", kind="shape"
        )
    return float(array.reshape(()))


def take_outputs(value: Any, names: Sequence[str]) -> list[Any]:
    """Split a returned value into its named outputs, without reading them yet."""
    if value is None:
        raise Wrong(
            "the function returns None.",
            "Its last line should be `return ...`: computing or printing a value does not return "
            "it.",
            kind="none",
        )
    if len(names) == 1:
        return [value]
    if not isinstance(value, (tuple, list)) or len(value) != len(names):
        found = (
            f"{len(value)} values" if isinstance(value, (tuple, list)) else a(type(value).__name__)
        )
        raise Wrong(
            f"the function returns {found}, where {len(names)} results are expected.",
            f"End it with `return {', '.join(names)}`.",
            kind="outputs",
        )
    return list(value)


def agrees(found: np.ndarray, wanted: np.ndarray, tolerance: float) -> bool:
    """Same shape and same numbers (NaN equals NaN), relative to the largest number wanted."""
    if found.shape != wanted.shape:
        return False
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    finite = np.abs(wanted[np.isfinite(wanted)])
    scale = float(finite.max()) if finite.size else 1.0
    return bool(np.allclose(found, wanted, rtol=tolerance, atol=tolerance * scale, equal_nan=True))


# --- comparing with the right answer and with the known mistakes --------------------------------


def judge_by_comparison(task: Task, answer: Answer, generator: np.random.Generator) -> list[str]:
    """Compare with `task.reference` on `task.cases`; returns what is right or raises Wrong."""
    assert task.cases is not None
    cases = list(task.cases(generator))
    outcomes = [answer.call(*case.args) for case in cases]
    wanted = [_reference_outputs(task.reference, task, case) for case in cases]
    found: list[list[np.ndarray] | Wrong] = [
        _outputs_or_wrong(outcome, task) for outcome in outcomes
    ]
    right: list[str] = []
    try:
        for label in dict.fromkeys(case.label for case in cases):
            group = [i for i, case in enumerate(cases) if case.label == label]
            _judge_group(task, cases, group, found, wanted, right)
            right.append(label)
        for i, case in enumerate(cases):
            if outcomes[i].changed:
                raise changed_inputs(outcomes[i].changed)
            outputs = found[i]
            assert not isinstance(outputs, Wrong)
            for name, output, target in zip(task.outputs, outputs, wanted[i], strict=True):
                _require_dtype(name, output, target, case)
    except Wrong as wrong:
        wrong.right = wrong.right or right
        raise
    return right


def _judge_group(
    task: Task,
    cases: list[Case],
    group: list[int],
    found: list[list[np.ndarray] | Wrong],
    wanted: list[list[np.ndarray]],
    right: list[str],
) -> None:
    """Raise Wrong for the first thing that is wrong in the cases `group` of one label."""
    arrays: dict[int, list[np.ndarray]] = {}
    for i in group:
        outputs = found[i]
        if isinstance(outputs, Wrong):
            if outputs.kind == "raised":
                _blame_elsewhere(task, cases, found, wanted, outputs)
            if outputs.kind != "empty":
                outputs.what = f"{outputs.what.rstrip('.')} -- for {describe(task, cases[i])}."
                outputs.look = outputs.look or task.look
            raise outputs
        arrays[i] = outputs
    sound: list[str] = []
    for k, name in enumerate(task.outputs):
        bad = [i for i in group if not agrees(arrays[i][k], wanted[i][k], _tolerance(cases[i]))]
        if not bad:
            sound.append(name)
            continue
        first = cases[bad[0]]
        # A mistake that would have failed on an earlier input is not the one that was made.
        passed = [
            (case, out) for case, out in zip(cases, wanted, strict=True) if case.label in right
        ]
        wrong = _find_mistake(task, k, passed + [(cases[i], arrays[i]) for i in group])
        if wrong is None:
            wrong = _describe_difference(name, first, arrays[bad[0]][k], wanted[bad[0]][k], task)
        wrong.what = f"{wrong.what.rstrip('.')} -- for {describe(task, first)}."
        wrong.look = wrong.look or task.look
        wrong.right = right + [f"{', '.join(sound)} ({first.label})"] * bool(sound)
        raise wrong


def _blame_elsewhere(
    task: Task,
    cases: list[Case],
    found: list[list[np.ndarray] | Wrong],
    wanted: list[list[np.ndarray]],
    raised: Wrong,
) -> None:
    """A function that stops on one input may show on another (a square one) what is wrong."""
    ran = [
        (case, outputs, targets)
        for case, outputs, targets in zip(cases, found, wanted, strict=True)
        if not isinstance(outputs, Wrong)
    ]
    for k in range(len(task.outputs)):
        bad = [
            (case, outputs)
            for case, outputs, targets in ran
            if not agrees(outputs[k], targets[k], _tolerance(case))
        ]
        mistake = _find_mistake(task, k, bad) if bad else None
        if mistake is not None:
            raised.why = f"Where it does run, {mistake.what} {mistake.why}"
            return


def _find_mistake(
    task: Task, k: int, given: Sequence[tuple[Case, list[np.ndarray]]]
) -> Wrong | None:
    """The first known mistake that returns the same output k in all of these cases."""
    name = task.outputs[k]
    for mistake in task.mistakes:
        if mistake.output not in (None, name):
            continue
        try:
            with _quiet():
                same = all(
                    agrees(outputs[k], _mistaken_output(mistake, task, case, k), _tolerance(case))
                    for case, outputs in given
                )
        except Exception:
            continue  # this mistake cannot be made on this input
        if same:
            return Wrong(f"the {name} {mistake.what}.", mistake.why, kind="mistake")
    return None


def _mistaken_output(mistake: Mistake, task: Task, case: Case, k: int) -> np.ndarray:
    value = mistake.function(*(_copied(arg) for arg in case.args))
    if isinstance(value, tuple) and len(task.outputs) > 1:
        value = value[k]
    return np.asarray(value)


def _reference_outputs(function: Callable[..., Any], task: Task, case: Case) -> list[np.ndarray]:
    with _quiet():
        value = function(*(_copied(arg) for arg in case.args))
    return [np.asarray(output) for output in (value if len(task.outputs) > 1 else [value])]


def _outputs_or_wrong(outcome: Outcome, task: Task) -> list[np.ndarray] | Wrong:
    if outcome.error is not None:
        return outcome.error
    try:
        outputs = take_outputs(outcome.value, task.outputs)
        return [as_array(out, name) for out, name in zip(outputs, task.outputs, strict=True)]
    except Wrong as wrong:
        return wrong


def _tolerance(case: Case) -> float:
    """1e-6 in float64; 1e-4 where an input is float32."""
    single = any(isinstance(arg, np.ndarray) and arg.dtype == np.float32 for arg in case.args)
    return 1e-4 if single else 1e-6


def _require_dtype(name: str, found: np.ndarray, wanted: np.ndarray, case: Case) -> None:
    if wanted.ndim and wanted.dtype == np.float32 and found.dtype != np.float32:
        raise Wrong(
            f"the {name} has dtype {found.dtype} for float32 inputs; float32 is expected.",
            "`np.zeros`, `np.eye`, integer arrays and `np.sqrt(2)` (a float64 scalar) turn float32 "
            "into float64: twice the memory and half the speed from there on. Use "
            "`np.zeros_like(x)`, `x.dtype`, or plain Python numbers.",
            kind="dtype",
        )


def _describe_difference(
    name: str, case: Case, found: np.ndarray, wanted: np.ndarray, task: Task
) -> Wrong:
    """What can be said of a wrong array when no known mistake gives it."""
    if found.shape != wanted.shape:
        return _describe_shape(name, found, wanted)
    flat, target = found.astype(float).ravel(), wanted.astype(float).ravel()
    if not np.isfinite(flat).all():
        return Wrong(
            f"the {name} contains NaN or infinity ({int((~np.isfinite(flat)).sum())} of "
            f"{flat.size}).",
            "`exp` of a large number is infinity, inf - inf and 0/0 are NaN, and the log of 0 is "
            "-inf. Which of them occurs first? Print the intermediate arrays.",
            kind="nan",
        )
    large = np.abs(target) > 1e-3 * max(np.abs(target).max(), 1e-30)
    ratios = flat[large] / target[large]
    if ratios.size and np.allclose(ratios, ratios.mean(), rtol=1e-4, atol=0):
        factor = float(ratios.mean())
        if np.allclose(flat, factor * target, rtol=1e-3, atol=1e-6 * np.abs(target).max()):
            if np.isclose(factor, -1, rtol=1e-5):
                return Wrong(f"the {name} has the wrong sign.", "A minus too many or too few.")
            if abs(factor - 1) > 1e-3 and factor != 0 and (flat.size > 1):
                return Wrong(
                    f"the {name} is {factor:.4g} times what it should be.",
                    f"The same factor everywhere{_name_factor(factor, case, task)}: is something "
                    "summed that should be averaged, averaged twice, or scaled twice?",
                )
    off = np.abs(flat - target)
    relative = off.max() / max(np.abs(target).max(), 1e-30)
    if relative < 1e-2:
        return Wrong(
            f"the {name} is close, but off by {relative:.1e} relative to its largest entry.",
            "A small constant added for safety (an epsilon), a lower precision on the way, or a "
            "rounded number?",
        )
    if flat.size > 1 and np.allclose(flat - target, (flat - target).mean(), rtol=1e-4):
        return Wrong(
            f"the {name} is off by the same number, {float((flat - target).mean()):.4g}, "
            "everywhere.",
            "A constant is added or left out.",
        )
    worst = np.unravel_index(int(off.argmax()), wanted.shape)
    share = float((off <= 1e-6 * max(np.abs(target).max(), 1e-30)).mean())
    where = f" at index {tuple(int(i) for i in worst)}" if wanted.ndim else ""
    return Wrong(
        f"the {name} is {float(found[worst]):.5g}{where}, where {float(wanted[worst]):.5g} is "
        "expected" + (f"; {share:.0%} of its entries are right." if 0 < share < 1 else "."),
        "None of the usual slips gives these numbers. Work one tiny example by hand (two rows, "
        "three columns) and compare each intermediate line.",
    )


def _describe_shape(name: str, found: np.ndarray, wanted: np.ndarray) -> Wrong:
    text = f"the {name} has shape {found.shape}, where {wanted.shape} is expected."
    if found.ndim == 2 and found.shape[::-1] == wanted.shape:
        why = "It is transposed: exchange the factors of the product, or add `.T`."
    elif found.size == wanted.size:
        why = "The entries are as many as they should be: `keepdims` too much or missing?"
    elif found.ndim > wanted.ndim or found.size > wanted.size:
        why = "An axis is left that should have been summed (or averaged) away."
    else:
        why = "An axis is summed away that should have stayed: which `axis=` did you give?"
    return Wrong(text, why, kind="shape")


def _name_factor(factor: float, case: Case, task: Task) -> str:
    """ " (the length of axis 0 of x)" if the factor, or its inverse, is such a length."""
    for parameter, arg in zip(inspect.signature(task.reference).parameters, case.args, strict=True):
        for axis, length in enumerate(getattr(arg, "shape", ())):
            for value, text in ((length, ""), (1 / length, "1 over ")):
                if length > 1 and np.isclose(factor, value, rtol=1e-4):
                    return f" ({text}the length of axis {axis} of `{parameter}`)"
    return ""


def describe(task: Task, case: Case) -> str:
    """ "logits up to 1e4: logits (5, 7), target (5,)"."""
    shapes = [
        f"{name} {arg.shape if arg.shape else 'a scalar'}"
        for name, arg in zip(inspect.signature(task.reference).parameters, case.args, strict=True)
        if isinstance(arg, np.ndarray)
    ]
    return f"{case.label}: {', '.join(shapes)}" if shapes else case.label


def a(noun: str) -> str:
    """ "an int", "a list"."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


# --- the verdict --------------------------------------------------------------------------------


@dataclass
class Result:
    """What `check` returns: true if the answer is right, with the message that was printed."""

    name: str
    right: bool
    message: str
    kind: str  # "right", "empty", "raised", "mistake", ...
    seed: int

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return f"<{self.name}: {'right' if self.right else 'not yet'}>"

    def _ipython_display_(self) -> None:
        """Nothing: in a notebook the message has already been printed."""


def judge(task: Task, function: Any, seed: int) -> Result:
    """Judge an answer to `task` on the random inputs that belong to `seed`."""
    answer = None
    try:
        answer = Answer(function, task.reference, task.name)
        generator = np.random.default_rng(seed)
        right = _judge_any(task, answer, generator)
    except Wrong as wrong:
        lines = [f"{task.name}: not yet."]
        if wrong.right:
            lines += _wrap("Right so far:", "; ".join(wrong.right) + ".")
        lines += _wrap("Wrong:" if wrong.kind != "empty" else "Empty:", wrong.what)
        lines += _wrap("Likely reason:" if wrong.kind != "empty" else "Next:", wrong.why)
        lines += _wrap("Where to look:", wrong.look)
        if wrong.kind != "empty":
            lines += _wrap("Same inputs again:", f'check("{task.name}", ..., seed={seed})')
        lines += _wrap("Stuck?", f'hint("{task.name}")')
        result = Result(task.name, False, "", wrong.kind, seed)
    else:
        lines = [f"{task.name}: right."]
        lines += _wrap("Checked:", "; ".join(right) + "." if right else "")
        lines += _wrap("Remember:", task.success)
        if task.tensors:
            lines += _wrap("On Tensors:", _try_tensors(task, function, np.random.default_rng(seed)))
        result = Result(task.name, True, "", "right", seed)
    if answer is not None and (printed := answer.printed.getvalue().strip()):
        rows = printed.splitlines()
        shown = rows[0] if len(rows[0]) <= 60 else rows[0][:57] + "..."
        lines += _wrap("It also printed", f"{len(rows)} line(s), beginning with: {shown}")
    result.message = "\n".join(lines)
    return result


def _judge_any(task: Task, answer: Answer, generator: np.random.Generator) -> list[str]:
    if task.judge is None:
        return judge_by_comparison(task, answer, generator)
    try:
        return list(task.judge(answer, generator))
    except Exception as error:
        if isinstance(error, Wrong):
            raise
        raise Wrong(
            f"the check cannot read what the function gives ({type(error).__name__}: {error}).",
            "Is something in it of another type or shape than the task asks for? Print it.",
            kind="type",
        ) from error


def _wrap(head: str, text: str) -> list[str]:
    if not text:
        return []
    return textwrap.wrap(
        f"{head} {text}", 92, initial_indent="  ", subsequent_indent="      ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _try_tensors(task: Task, function: Any, generator: np.random.Generator) -> str:
    """A remark: does the answer run on Tensors too, as a rule for higher derivatives must?"""
    try:
        mg: Any = importlib.import_module("minigrad")
        tensor = mg.tensor
    except (ImportError, AttributeError):
        return ""
    assert task.cases is not None
    case = next(iter(task.cases(generator)))
    args = [
        tensor(arg, requires_grad=True)
        if isinstance(arg, np.ndarray) and arg.dtype.kind == "f"
        else arg
        for arg in case.args
    ]
    try:
        with _quiet(), contextlib.redirect_stdout(io.StringIO()):
            outputs = take_outputs(function(*args), task.outputs)
        recorded = all(getattr(output, "requires_grad", False) for output in outputs)
    except Exception as error:
        return (
            f"it stops there with {type(error).__name__}. That is no fault here; a rule made of "
            "NumPy "
            "functions and operators only would also give second derivatives."
        )
    if not recorded:
        return "it runs, but what it returns has left the graph: no second derivatives."
    return "it runs there too, so the engine can differentiate it again (second derivatives)."


def fail(what: str, why: str = "", look: str = "", kind: str = "mistake") -> NoReturn:
    """Raise Wrong: the short form for a task's own judge."""
    raise Wrong(what, why, look, kind)
