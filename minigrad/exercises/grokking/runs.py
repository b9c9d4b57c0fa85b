"""Training and counting: leak against penalty, an honest split, runs that never arrived."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..judging import Answer, Case, Mistake, Task, as_array, as_number, fail, take_outputs

# --- 1. predict: the leak and the penalty -------------------------------------------------------


def predictions(lr, decay):
    return {
        "half_life": np.log(2) / (lr * decay),  # (1 - lr * decay)^t = 1/2
        "limit": 1 / decay,  # the leak takes lr * decay * size per step, the pull adds lr
        "leak_doubled": "half",
        "penalty_doubled": "same",
    }


_KEYS = ("half_life", "limit", "leak_doubled", "penalty_doubled")
_HALF_LIFE_SLIPS: list[tuple[Callable[[float, float], float], str, str]] = [
    (lambda lr, decay: 1 / (lr * decay), "the time in which the weight falls to 1/e",
     "exp(-1) is 0.37. For one half, (1 - lr * decay)^t = 1/2: which logarithm is that?"),
    (lambda lr, decay: 0.5 / (lr * decay), "that of a straight line down to zero",
     "The leak takes a share of what is left, so it takes less and less: an exponential."),
    (lambda lr, decay: np.log(2) / decay, "missing the learning rate",
     "AdamW multiplies by 1 - lr * decay in each step, not by 1 - decay."),
    (lambda lr, decay: np.log(2) / lr, "missing the decay",
     "AdamW multiplies by 1 - lr * decay in each step."),
    (lambda lr, decay: lr * decay, "the rate itself",
     "lr * decay is the share that is lost in one step. How many steps make one half?"),
    (lambda lr, decay: 0.5 / lr, "that of a penalty inside Adam",
     "There every weight walks by lr a step. The leak is a factor instead: 1 - lr * decay."),
]  # fmt: skip
_LIMIT_SLIPS: list[tuple[Callable[[float, float], float], str, str]] = [
    (lambda lr, decay: 1 / (lr * decay), "1 / (lr * decay)",
     "That would hold if the pull added 1 in each step. Adam's step has the size lr."),
    (lambda lr, decay: lr / decay, "lr / decay",
     "The leak takes lr * decay * size, the pull adds lr. The learning rate cancels."),
    (lambda lr, decay: lr, "the learning rate", "That is one step. The pull goes on and on."),
    (lambda lr, decay: np.inf, "infinite",
     "What the leak takes grows with the size, what the pull adds does not. Where are they equal?"),
    (lambda lr, decay: decay, "the decay", "A stronger leak must mean a smaller limit."),
]  # fmt: skip


def _judgeas_number(name, found, wanted, setting, slips, look) -> None:
    if np.isclose(found, wanted(*setting), rtol=0.04):
        return
    for value, what, why in slips:
        if np.isclose(found, value(*setting), rtol=1e-2):
            fail(f"the {name} is {what}.", why, look)
    fail(
        f"the {name} for lr = {setting[0]:.4g} and decay = {setting[1]:.3g} is not {found:.4g}.",
        "Write one step down: new size = (1 - lr * decay) * old size + what the gradient adds.",
        look,
    )


def _judge_predictions(answer: Answer, generator: np.random.Generator) -> list[str]:
    settings = [(0.01, 1.5)]
    settings += [(float(10 ** generator.uniform(-3, -2)), d) for d in generator.uniform(0.3, 3, 3)]
    for setting in settings:
        found = answer(*setting)
        if not isinstance(found, dict):
            take_outputs(found, ["dictionary"])  # says so if it is None
            fail(
                f"the function returns a {type(found).__name__}, where a dictionary is expected.",
                f"Its keys are {', '.join(map(repr, _KEYS))}.",
                kind="type",
            )
        missing = [key for key in _KEYS if key not in found]
        if missing:
            fail(
                f"the dictionary lacks {', '.join(map(repr, missing))}.", "A typing slip in a key?"
            )
        look = "the section 'Adam, and the leak' of the chapter Grokking"
        for name, slips in (("half_life", _HALF_LIFE_SLIPS), ("limit", _LIMIT_SLIPS)):
            number = as_number(found[name], name)
            _judgeas_number(
                name, number, lambda *s, name=name: predictions(*s)[name], setting, slips, look
            )
        for name in ("leak_doubled", "penalty_doubled"):
            if not isinstance(found[name], str) or found[name] not in ("half", "same", "double"):
                fail(f"{name} is {found[name]!r}.", "Choose one of 'half', 'same', 'double'.")
        if found["leak_doubled"] != "half":
            fail(
                f"leak_doubled is {found['leak_doubled']!r}; that is not what happens.",
                "The half-life contains the product lr * decay. Double one of its factors.",
                look,
            )
        if found["penalty_doubled"] != "same":
            fail(
                f"penalty_doubled is {found['penalty_doubled']!r}; that is not what happens.",
                "The penalty's gradient, decay * weight, is divided by its own typical size. What "
                "is left of the strength after the division?",
                "the section 'Leak or penalty?' of the chapter Grokking",
            )
    return ["the half-life", "the limit", "what doubling does to a leak and to a penalty"]


# --- 2. the optimizer with a leak and a penalty -------------------------------------------------


def adam_step(theta, g, m, v, t, lr, leak, penalty):
    g = g + penalty * theta  # a part of the loss: goes through both averages
    m = 0.9 * m + 0.1 * g
    v = 0.98 * v + 0.02 * g**2
    step = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.98**t)) + 1e-8)
    return (1 - lr * leak) * theta - lr * step, m, v  # the leak passes by Adam


def _adam_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, t, leak=0.0, penalty=0.0, dtype=float, size=1.0):
        theta, g, m = (rng.normal(size=(3, 4)).astype(dtype) for _ in range(3))
        v = (0.3 + rng.random((3, 4))).astype(dtype)
        if t == 1:
            m, v = np.zeros_like(m), np.zeros_like(v)
        lr = float(rng.uniform(0.01, 0.1))
        return Case(label, (theta, size * g, m, v, t, lr, leak, penalty))

    leak, penalty = float(rng.uniform(0.5, 2)), float(rng.uniform(0.2, 0.6))
    return [
        case("the first step, no decay", 1),
        case("the first step, gradients near 1e-6", 1, size=1e-6),
        case("a later step, no decay", int(rng.integers(3, 9))),
        case("a leak", 5, leak),
        case("a penalty", 5, 0.0, penalty),
        case("both", 7, leak, penalty),
        case("no gradient, a leak, first step", 1, leak, size=0.0),
        case("float32", 4, leak, penalty, np.float32),
    ]


def _adam(correct=0, root=True, inside=False, sign=-1.0, squares=True, betas=(0.9, 0.98), eps=1e-8,
          leaks="theta", penalizes="loss", strength=1.0, stale=False, coupled=False):  # fmt: skip
    """An Adam step with one thing different; the default is the right one."""

    def function(theta, g, m, v, t, lr, leak, penalty):
        raw, extra = g, strength * penalty * theta
        if penalizes in ("loss", "first moment"):
            g = g + extra
        if leaks == "loss":
            g = g + leak * theta
        new_m = betas[0] * m + (1 - betas[0]) * g
        second = raw if penalizes == "first moment" else g
        new_v = betas[1] * v + (1 - betas[1]) * (second**2 if squares else second)
        top, low = (m, v) if stale else (new_m, new_v)
        if correct is not None:
            top = top / (1 - betas[0] ** (t + correct))
            low = low / (1 - betas[1] ** (t + correct))
        low = (
            np.sqrt(low + eps if inside else low) + (0 if inside else eps) if root else (low + eps)
        )
        if leaks == "the sum":
            top = top + leak * theta
        if penalizes == "update":
            top = top + extra
        moved = theta + sign * lr * top / low
        if leaks == "theta":
            moved = moved - lr * leak * theta
        if leaks == "grows":
            moved = moved + lr * leak * theta
        if leaks == "without lr":
            moved = moved - leak * theta
        if penalizes == "leak":
            moved = moved - lr * extra
        return moved, new_m, new_v

    return function


_ADAM_DIFFERENCES: list[tuple[str, str, str | None, dict[str, Any]]] = [
    ("moves uphill", "Descent subtracts lr times the quotient.", "theta", {"sign": 1.0}),
    (
        "lacks the bias correction",
        "m and v start at zero, so after t steps they hold only 1 - beta^t of what they average. "
        "Divide by that. Without it the first step has the size lr * 0.1 / sqrt(0.02), not lr.",
        "theta", {"correct": None},
    ),
    ("corrects for one step too many", "t counts from 1: the first step divides by 1 - beta.",
     "theta", {"correct": 1}),
    ("corrects for one step too few", "t counts from 1: the first step divides by 1 - beta^1. "
     "With t - 1 it divides by zero.", "theta", {"correct": -1}),
    ("is divided by the mean square, without a root", "g / g^2 has the unit of 1 / g. With the "
     "square root the size of the gradient cancels.", "theta", {"root": False}),
    ("has epsilon inside the square root", "sqrt(v + 1e-8) is at least 1e-4, ten thousand times "
     "the 1e-8 that is meant: gradients below 1e-4 would lose their pull.", "theta",
     {"inside": True}),
    ("lacks epsilon", "Where the gradient has always been zero, this is 0 / 0.", "theta",
     {"eps": 0.0}),
    ("has the two betas exchanged", "0.9 belongs to the gradient, 0.98 to its square.", None,
     {"betas": (0.98, 0.9)}),
    ("comes from an average v of the gradient, not of its square",
     "v is a running mean of g**2. A gradient may be negative, and has no root then.", None,
     {"squares": False}),
    ("uses the averages from before the update", "First update m and v, then step.", "theta",
     {"stale": True}),
    (
        "has the leak inside the gradient, where Adam divides it away",
        "A leak is a factor on the weights, (1 - lr * leak) * theta, which no gradient touches. "
        "As part of the gradient it would be a penalty: divided by sqrt(v), its strength cancels.",
        None, {"leaks": "loss"},
    ),
    (
        "has a leak that is divided by the denominator",
        "`m_hat + leak * theta` over sqrt(v) lets each weight leak at a rate of its own, fastest "
        "where gradients are small. Keep the leak outside: (1 - lr * leak) * theta.",
        "theta", {"leaks": "the sum"},
    ),
    ("leaks without the learning rate", "The factor is 1 - lr * leak.", "theta",
     {"leaks": "without lr"}),
    ("grows where it should leak", "The factor is 1 - lr * leak, below 1.", "theta",
     {"leaks": "grows"}),
    ("has no leak", "Multiply theta by 1 - lr * leak.", "theta", {"leaks": "none"}),
    (
        "has the penalty beside Adam, as a second leak",
        "The penalty is a part of the loss. Its gradient, penalty * theta, is added to g before "
        "the averages, and divided like the rest.",
        None, {"penalizes": "leak"},
    ),
    (
        "has a penalty that only the numerator has seen",
        "Add penalty * theta to g once, in the first line: then m and v both average the sum.",
        None, {"penalizes": "first moment"},
    ),
    ("has the penalty added behind the averages", "Add penalty * theta to g in the first line.",
     None, {"penalizes": "update"}),
    ("has a factor 2 in the penalty", "The gradient of penalty / 2 * |theta|^2 is penalty * "
     "theta.", None, {"strength": 2.0}),
    ("has no penalty", "Add penalty * theta to g in the first line.", None,
     {"penalizes": "nothing"}),
]  # fmt: skip

_ADAM_MISTAKES = (
    *(Mistake(what, why, _adam(**more), out) for what, why, out, more in _ADAM_DIFFERENCES),
    Mistake("is the average from before the step", "Return the new averages: the next step needs "
            "them.", lambda theta, g, m, *rest: m, "m"),
    Mistake("is the average from before the step", "Return the new averages: the next step needs "
            "them.", lambda theta, g, m, v, *rest: v, "v"),
    Mistake(
        "is returned with its bias corrected",
        "m_hat and v_hat are for this step only. Kept, they would be corrected again in the next.",
        lambda *args: adam_step(*args)[1] / (1 - 0.9 ** args[4]), "m",
    ),
)  # fmt: skip


# --- 3. find the bugs: a split that keeps mirror images together --------------------------------


def split(p, share, seed):
    a, b = np.divmod(np.arange(p * p), p)
    table = np.stack([a, b], axis=1)  # (p * p, 2)
    facts = np.flatnonzero(a <= b)  # one cell for each fact {a, b}, those with a = b included
    order = np.random.default_rng(seed).permutation(facts)
    shown = order[: round(share * len(facts))]
    name = np.minimum(a, b) * p + np.maximum(a, b)  # a cell and its mirror image share it
    known = np.isin(name, name[shown])
    return table[known], table[~known]


def _cells(value: Any, name: str, p: int) -> np.ndarray:
    """The pairs as numbers a * p + b."""
    pairs = as_array(value, name)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        fail(
            f"`{name}` has shape {pairs.shape}, where (n, 2) is expected.",
            "One row for each cell: a and b.",
            kind="shape",
        )
    if pairs.dtype.kind not in "iu":
        fail(
            f"`{name}` has dtype {pairs.dtype}, where integers are expected.",
            "The pairs will be used as indices.",
        )
    if len(pairs) and not (pairs.min() >= 0 and pairs.max() < p):
        fail(f"`{name}` has numbers outside 0 ... {p - 1}.", "Is the modulus p exceeded?")
    return pairs[:, 0] * p + pairs[:, 1]


def _judge_cover(train: np.ndarray, test: np.ndarray, p: int) -> None:
    for name, cells in (("training", train), ("test", test)):
        if len(np.unique(cells)) < len(cells):
            fail(
                f"some cells occur twice in the {name} set.",
                "`integers` and `choice` draw with replacement. A permutation does not. (Or is "
                "the mirror image of a cell with a = b added, which is the cell itself?)",
            )
    both = np.intersect1d(train, test)
    if len(both) and np.all(np.isin(train % p * p + train // p, train)):
        fail(
            f"{len(both)} cells are in both sets.",
            "The mirror images were added to the training set. Take them out of the test set.",
        )
    if len(both):
        fail(
            f"{len(both)} cells are in both sets.",
            "Two calls of permutation give two different orders: the rest of the second is not "
            "the rest of the first. Draw one order and cut it.",
        )
    lost = np.setdiff1d(np.arange(p * p), np.concatenate([train, test]))
    a, b = np.divmod(lost, p)
    if len(lost) and np.all(a == b):
        fail(
            "the cells with a = b are in neither set.",
            "3 + 3 is a question like any other. A cell on the diagonal is its own mirror image.",
        )
    if len(lost) and (np.all(a <= b) or np.all(a >= b) or np.all(a != b)):
        fail(
            "one cell of each mirrored pair is in neither set.",
            "Both (3, 28) and (28, 3) are in the table. Keep them together, and keep both.",
        )
    if len(lost):
        fail(f"{len(lost)} of {p * p} cells are in neither set.", "Which ones? Print them.")


def _judge_split(answer: Answer, generator: np.random.Generator) -> list[str]:
    def cells(p, share, seed):
        parts = take_outputs(answer(p, share, seed), ("train", "test"))
        return [_cells(part, n, p) for part, n in zip(parts, ("train", "test"), strict=True)]

    p, seed = int(generator.integers(19, 28)), int(generator.integers(1_000_000))
    for share in (0.5, float(generator.uniform(0.62, 0.8))):
        train, test = cells(p, share, seed)
        _judge_cover(train, test, p)
        a, b = np.divmod(test, p)
        torn = int(np.sum(np.isin(b * p + a, train)))
        if torn:
            fail(
                f"{torn} of {len(test)} test cells have their mirror image in the training set.",
                "The order was drawn over the cells (a, b). Draw it over the facts {a, b}, say the "
                "cells with a <= b, and put both cells of a fact on the same side.",
            )
        found = len(train) / p**2
        if abs(found - share) > 0.04:
            if abs(found - (1 - share)) < 0.04:
                fail("the two sets are exchanged.", "Return `train, test`, in this order.")
            fail(
                f"the training set has {found:.0%} of the table, where {share:.0%} is asked for.",
                "A share of the facts, round(share * number of facts), gives this share of cells.",
            )
    again, other = cells(p, share, seed), cells(p, share, seed + 1)
    if not np.array_equal(np.sort(train), np.sort(again[0])):
        fail(
            "the same seed gives another split the second time.",
            "Use np.random.default_rng(seed) inside the function.",
        )
    if np.array_equal(np.sort(train), np.sort(other[0])):
        fail("another seed gives the same split.", "Is `seed` used?")
    diagonal = np.arange(p) * (p + 1)
    on_one_side = [np.isin(diagonal, part[0]).mean() in (0, 1) for part in (again, other)]
    if all(on_one_side):
        fail(
            "all cells with a = b are on the same side.",
            "They are facts like the others and must be drawn with them.",
        )
    return ["every cell once", "mirror images together", "the right share", "its own seed"]


# --- 4. runs that never arrived -----------------------------------------------------------------


def median_wait(steps, accuracy, level):
    reached = accuracy >= level  # (seeds, ticks); NaN never reaches anything
    first = np.where(reached.any(axis=1), steps[reached.argmax(axis=1)], np.inf)
    middle = np.sort(first)[len(first) // 2]
    if np.isinf(middle):
        return steps[-1], False
    return middle, True


def _wait_cases(rng: np.random.Generator) -> list[Case]:
    steps = np.cumsum(rng.integers(3, 40, 14))
    level = 0.95

    def runs(arrivals):
        """Rising accuracies; run i first has the level at tick arrivals[i] (None: never)."""
        rows = np.sort(np.round(rng.uniform(0, 0.94, (len(arrivals), 14)), 3), axis=1)
        for row, arrival in zip(rows, arrivals, strict=True):
            if arrival is not None:
                row[arrival:] = np.sort(np.round(rng.uniform(0.96, 1, 14 - arrival), 3))
        return rows

    def draw(count, low=2):
        return rng.choice(np.arange(low, 12), count, replace=False).tolist()

    exact = runs(draw(5))
    for row in exact:
        row[np.argmax(row >= level)] = level
    falling = runs(draw(5, 6))
    for row in falling:
        row[rng.integers(1, 5)] = 0.97  # a lucky tick, early
        row[-1] = 0.9  # and it does not last
    diverged = runs([*draw(2), None, None, *draw(1)])
    diverged[2, 5:] = diverged[3, 2:] = np.nan
    one = [None, *draw(3), None]
    return [
        Case("five runs arrive", (steps, runs(draw(5)), level)),
        Case("the level is met exactly", (steps, exact, level)),
        Case("two of five never arrive", (steps, runs(one), level)),
        Case("three of five never arrive", (steps, runs([None, 6, None, None, 8]), level)),
        Case("runs that fall back", (steps, falling, level)),
        Case("two runs become NaN", (steps, diverged, level)),
        Case("one run", (steps, runs(draw(1)), level)),
        Case("no run arrives", (steps, runs([None] * 3), level)),
    ]


def _wait(never=np.inf, among=None, average=None, strict=False, last=False, report=None):
    """`median_wait` with one thing different."""

    def mistaken(steps, accuracy, level):
        reached = accuracy > level if strict else accuracy >= level
        arrived = reached.any(axis=1)
        if last:  # the last tick below the level, plus one
            below = ~reached
            place = steps.size - below[:, ::-1].argmax(axis=1)
            arrived, first = place < steps.size, steps[np.minimum(place, steps.size - 1)]
        else:
            first = steps[reached.argmax(axis=1)]
        filler = {"first": steps[0], "last": steps[-1]}.get(never, never)
        first = np.where(arrived, first, filler).astype(float)
        if among == "arrived":
            first = first[arrived]
            if not len(first):
                return steps[-1], False
        middle = np.mean(first) if average == "mean" else np.sort(first)[len(first) // 2]
        if average == "least":
            middle = first.min()
        if np.isinf(middle):
            return steps[-1], False
        return middle, (bool(arrived.all()) if report == "all" else True)

    return mistaken


def _of_median_curve(steps, accuracy, level):
    return median_wait(steps, np.median(accuracy, axis=0)[None], level)


_WAIT_MISTAKES = (
    Mistake(
        "leaves out the runs that never arrived",
        "They are the slowest of all, and the median of the others is too early. A run that did "
        "not arrive counts as later than every one that did.",
        _wait(among="arrived"), "step",
    ),
    Mistake(
        "takes the first step for the arrival of a run that never arrived",
        "`argmax` of nothing but False is 0. Ask `any` first.",
        _wait(never="first"), "step",
    ),
    Mistake(
        "takes the last step for an arrival",
        "A run that had not arrived at the end of its budget arrives later, or never. If the "
        "median run is one of these, the budget is a lower bound: return the last step and False.",
        _wait(never="last"), "arrived",
    ),
    Mistake(
        "is the mean",
        "A mean needs the times of all runs, also of those that never arrived. The median can be "
        "known without them.",
        _wait(average="mean"), "step",
    ),
    Mistake("is that of the fastest run", "The median is the middle one of the sorted times.",
            _wait(average="least"), "step"),
    Mistake("does not count a level that is met exactly", "0.95 reaches 0.95: `>=`.",
            _wait(strict=True)),
    Mistake(
        "is the last time below the level, not the first time at it",
        "The *first* time counts here, even if the accuracy falls back later.", _wait(last=True),
    ),
    Mistake(
        "is the time of the median curve",
        "The median over the runs at each tick mixes runs; where they fall back, or become NaN, "
        "it is no run's story. First the time of each run, then the median of the times.",
        _of_median_curve,
    ),
    Mistake(
        "is an index, not a step", "The ticks are not one step apart: `steps[index]`.",
        lambda s, a, level: median_wait(np.arange(len(s)), a, level), "step",
    ),
    Mistake(
        "says whether all runs arrived", "The question is whether the *median* run did: with two "
        "of five missing, the median is known.", _wait(report="all"), "arrived",
    ),
)  # fmt: skip


TASKS = [
    Task(
        name="grokking.predictions",
        title="Predict: the leak and the penalty",
        reference=predictions,
        judge=_judge_predictions,
        hints=(
            "Without a gradient AdamW multiplies a weight by 1 - lr * decay in each step. When is "
            "the product of t such factors one half?",
            "For small x, log(1 - x) is about -x. And where the pull adds lr while the leak takes "
            "lr * decay * size, the weight stands still.",
            "In Adam with a penalty the only gradient is decay * weight. Adam divides it by its "
            "own size: what is left is the sign.",
        ),
        explanation="""
            (1 - lr decay)^t = 1/2 gives t = log 2 / (lr decay). The weight stands still where
            lr = lr decay size, so size = 1 / decay: the learning rate cancels. A leak that is twice
            as strong halves the time.

            A penalty's gradient is divided by its own typical size, and its strength cancels: the
            weight walks by about lr a step, whatever the strength.
        """,
        success="a leak has a clock of its own, lr * decay * steps; a penalty inside Adam has "
        "none.",
    ),
    Task(
        name="grokking.adam_step",
        title="Adam with a leak and a penalty",
        reference=adam_step,
        outputs=("theta", "m", "v"),
        cases=_adam_cases,
        mistakes=_ADAM_MISTAKES,
        look="the five formulas above the cell, in their order",
        hints=(
            "Which of the two decays is a part of the gradient, and which never meets it?",
            "g = g + penalty * theta comes first. Then the averages m and v, then their "
            "corrections by 1 - 0.9**t and 1 - 0.98**t, for this step only.",
            "theta = (1 - lr * leak) * theta - lr * m_hat / (sqrt(v_hat) + 1e-8). Make new arrays.",
        ),
        explanation="""
            The penalty is a part of the loss, so it is added to g before anything is averaged: it
            passes through m and v, and is divided by sqrt(v) like the rest. The leak multiplies the
            weights and meets no gradient. m and v are returned uncorrected, since the correction
            belongs to one value of t.
        """,
        success="what passes through sqrt(v) loses its strength; what passes by keeps it.",
    ),
    Task(
        name="grokking.split",
        title="Find three bugs in a split",
        reference=split,
        judge=_judge_split,
        hints=(
            "Count before you read: how many cells are in neither set, in both, and how many test "
            "cells have their mirror image in training?",
            "One bug loses cells, one uses two different orders, one tears mirror images apart.",
            "Draw one order of the facts, the cells with a <= b. Give a cell and its mirror image "
            "a common name, min(a, b) * p + max(a, b), and select by name.",
        ),
        explanation="""
            (1) The cells with a = b are thrown away: they are their own mirror images, and belong
            to the table. (2) Training and test are cut from two different permutations, so they
            overlap, and other cells are lost. (3) The order is drawn over cells. Then (3, 28) is
            shown and (28, 3) tested. The unit that is drawn must be the fact {a, b}.
        """,
        success="a split divides facts, not rows; count overlaps before you train.",
    ),
    Task(
        name="grokking.median_wait",
        title="Runs that never arrived",
        reference=median_wait,
        outputs=("step", "arrived"),
        cases=_wait_cases,
        mistakes=_WAIT_MISTAKES,
        look="'censored' in the chapter Grokking",
        hints=(
            "First one time per run, then the median of the times. What is known about a run that "
            "never arrived?",
            "It arrives later than the budget: write np.inf, and sort. The median of an odd number "
            "of runs is first[len(first) // 2] of the sorted times.",
            "`(accuracy >= level).argmax(axis=1)` is the first tick, and 0 also where there is "
            "none: ask `.any(axis=1)`. If the median is infinite, return steps[-1], False.",
        ),
        explanation="""
            A run that did not arrive has a time, we only do not know it: it is later than the
            budget. With np.inf in its place the order is right, and the median is known as long as
            more than half of the runs arrived. Otherwise the budget is a lower bound, and False
            says so. Leaving such runs out would make every setting that mostly fails look fast.
        """,
        success="a run that never arrived is information: it is slower than all that did.",
    ),
]
