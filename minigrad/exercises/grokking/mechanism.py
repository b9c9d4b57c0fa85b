"""Mechanism and evidence: two waits, a loss above zero, the null of an instrument, laziness."""

from __future__ import annotations

import numpy as np

from ..judging import Answer, Case, Mistake, Task, as_number, changed_inputs, fail, take_outputs

# --- 5. two waits from one eigenvalue -----------------------------------------------------------


def crossing(s, lr, eps, q):
    level = eps / q**2  # the loss at which the accuracy is reached
    shrink = abs(1 - 2 * lr * s)  # of the error, in one step

    def wait(loss):
        if loss <= level:
            return 0.0
        if shrink >= 1:
            return np.inf
        return np.log(loss / level) / (-2 * np.log(shrink))

    return wait(s), wait(1.0)


def _crossing_cases(rng: np.random.Generator) -> list[Case]:
    def between(low, high):
        return float(rng.uniform(low, high))

    lr = between(0.1, 0.2)
    return [
        Case("a slow direction", (between(0.05, 0.1), lr, between(1e-4, 1e-3), 1.96)),
        Case("a direction of average size", (between(0.8, 1.2), lr, between(1e-4, 1e-3), 1.64)),
        Case("a strict threshold", (between(0.05, 0.1), lr, 1e-9, 1.96)),
        Case("steps that jump over the minimum", (2.0, between(0.3, 0.45), 1e-4, 1.96)),
        Case("right from the start on the training set", (0.01, lr, 0.2, 1.96)),
        Case("a direction that no example shows", (0.0, lr, 1e-3, 1.96)),
        Case("a learning rate that is too large", (3.0, between(0.4, 0.6), 1e-3, 1.96)),
    ]


def _cross(two=2.0, power=2.0, level=lambda eps, q: eps / q**2, flow=False, clip=True, never=np.inf,
           train=lambda s: s):  # fmt: skip
    def mistaken(s, lr, eps, q):
        aim, factor = level(eps, q), 1 - two * lr * s
        rate = two * lr * s if flow else -np.log(abs(factor))

        def wait(loss):
            if clip and loss <= aim:
                return 0.0
            if clip and rate <= 0:
                return never
            return np.log(loss / aim) / (power * rate)

        return wait(train(s)), wait(1.0)

    return mistaken


_CROSSING_MISTAKES = (
    Mistake(
        "is the wait of the test loss",
        "The training loss is s D^2: the examples see this direction only with the weight s, and "
        "that is where the delay comes from. (Or are the two results exchanged?)",
        _cross(train=lambda s: 1.0), "train",
    ),
    Mistake("is that of a training loss s^2", "The training loss is the mean of (x D)^2, and the "
            "mean of x^2 is s.", _cross(train=lambda s: s * s), "train"),
    Mistake(
        "is twice too long: the loss is the square of the error",
        "The error shrinks by 1 - 2 lr s in a step, the loss by the square of that.",
        _cross(power=1.0),
    ),
    Mistake(
        "is that of a loss with a factor 1/2",
        "The loss is the mean square without 1/2, so its gradient is 2 s D.", _cross(two=1.0),
    ),
    Mistake(
        "is that of gradient flow",
        "exp(-2 lr s) is the limit of small steps. One step multiplies the error by 1 - 2 lr s "
        "exactly.", _cross(flow=True),
    ),
    Mistake(
        "asks the loss to fall to eps",
        "Then one standard deviation of the errors would equal sqrt(eps), and 68 % be right. For "
        "more, q standard deviations must fit: q * sqrt(L) = sqrt(eps).",
        _cross(level=lambda eps, q: eps),
    ),
    Mistake("asks the loss to fall to eps / q", "The loss is the square of the standard "
            "deviation: q * sqrt(L) = sqrt(eps).", _cross(level=lambda eps, q: eps / q)),
    Mistake("takes eps for a bound on the error itself", "An answer is right if its *squared* "
            "error is at most eps.", _cross(level=lambda eps, q: (eps / q) ** 2)),
    Mistake(
        "is negative, where the answer is right before the first step",
        "If the loss begins below the level, the wait is 0.", _cross(clip=False),
    ),
    Mistake(
        "is 0 for a direction that is never learned",
        "With s = 0 no gradient ever points there, and with lr s > 1 the error grows: the test "
        "set waits for ever, np.inf.", _cross(never=0.0), "test",
    ),
)  # fmt: skip


# --- 6. a loss that is never zero ---------------------------------------------------------------


def never_zero(z, y):
    rows = np.arange(len(y))
    lead = z - z[rows, y][:, None]  # (n, classes), 0 for the right class
    lead[rows, y] = -np.inf  # leaves the right class out of sums
    wrong = np.logaddexp.reduce(lead, axis=1)  # log of the sum over the wrong classes
    loss = np.logaddexp(0, wrong)  # log(1 + e^wrong), through log1p
    gradient = np.exp(lead - loss[:, None])  # q of the wrong classes
    gradient[rows, y] = -gradient.sum(axis=1)  # no 1 - 1
    return loss, gradient


def _zero_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, gap, classes=5, dtype=float, shift=0.0):
        n = 6
        y = rng.integers(0, classes, n)
        z = rng.normal(size=(n, classes)) + shift
        z[np.arange(n), y] = z.max(axis=1) + rng.uniform(gap[0], gap[1], n)
        return Case(label, (z.astype(dtype), y))

    # Within a case all gaps are alike, so that a small loss is not judged beside a large one.
    return [
        case("ordinary logits", (-3, 3)),
        case("all logits near 5000", (-3, 3), shift=5000.0),
        case("the right logit leads by 40 to 42", (40, 42)),
        case("float32, the right logit leads by 20 to 22", (20, 22), dtype=np.float32),
        case("two classes, a lead of 200", (200, 201), classes=2),
        case("badly wrong: the right logit is 10000 below", (-10000, -9990)),
    ]


def _naive(shift=True, tiny=0.0, target="cancels", form="total"):
    """Cross-entropy as most people write it, with variants."""

    def mistaken(z, y):
        rows = np.arange(len(y))
        low = z - z.max(axis=1, keepdims=True) if shift else z
        e = np.exp(low)
        total = e.sum(axis=1)
        q = e / total[:, None]
        if form == "probability":
            loss = -np.log(q[rows, y] + tiny)
        elif form == "log1p":
            lead = np.exp(z - z[rows, y][:, None])
            lead[rows, y] = 0
            loss = np.log1p(lead.sum(axis=1))
        else:
            loss = np.log(total) - low[rows, y]
        q[rows, y] = q[rows, y] - 1 if target == "cancels" else 0
        if target == "kept":
            q[rows, y] = -q.sum(axis=1)
        return loss, q

    return mistaken


_ZERO = (
    "The sum over all classes holds a 1, from the right one, and 1 + x is 1 for x below 1e-7 in "
    "float32 and 1e-16 in float64. Keep the 1 out of the sum: log1p(x), with x the sum over the "
    "wrong classes."
)
_ZERO_MISTAKES = (
    *(
        Mistake(
            "overflows", "exp of a large logit is infinite. Use differences z - z[y], and "
            "logaddexp, which takes out the larger of its two arguments.",
            _naive(shift=False, form=form), "loss",
        )
        for form in ("total", "probability")
    ),
    Mistake("becomes exactly zero", _ZERO, _naive(), "loss"),
    Mistake("becomes exactly zero", _ZERO, _naive(form="probability"), "loss"),
    Mistake(
        "cannot fall below a small constant", "An epsilon inside the logarithm hides the zero and "
        "changes the loss, also where it is small or large.",
        _naive(form="probability", tiny=1e-12), "loss",
    ),
    Mistake(
        "overflows where the right logit is far below",
        "log1p(e^d) is right for a large lead and infinite for d = 10000. np.logaddexp(0, d) is "
        "log(1 + e^d) for every d.", _naive(form="log1p"), "loss",
    ),
    Mistake(
        "is one number", "Return one loss per example here, without the mean.",
        lambda z, y: never_zero(z, y)[0].mean(), "loss",
    ),
    Mistake("has the wrong sign", "The loss is minus the log of a probability.",
            lambda z, y: -never_zero(z, y)[0], "loss"),
    Mistake(
        "is zero for the right class",
        "q - 1 subtracts two numbers that are equal in the computer, and what should remain is the "
        "sum of the wrong classes' probabilities. Compute it as that: minus their sum.",
        _naive(), "gradient",
    ),
    Mistake("lacks the component of the right class", "It is minus the sum of the others: the "
            "components of one example sum to zero.", _naive(target="nothing"), "gradient"),
    *(
        Mistake("overflows", "exp of a large logit is infinite: subtract first.",
                _naive(shift=False, target=target), "gradient")
        for target in ("cancels", "kept")
    ),
    Mistake("is divided by the number of examples", "Here each example has a loss of its own, "
            "without a mean.", lambda z, y: never_zero(z, y)[1] / len(y), "gradient"),
    Mistake("has the wrong sign", "The wrong logits are pushed down by descent, so their "
            "gradient, q, is positive.", lambda z, y: -never_zero(z, y)[1], "gradient"),
)  # fmt: skip


# --- 7. design the null of an instrument --------------------------------------------------------


def null_test(instrument, embedding, draws, seed):
    rng = np.random.default_rng(seed)
    measured = instrument(embedding)
    null = np.array([instrument(rng.permutation(embedding)) for _ in range(draws)])
    return measured, (1 + np.sum(null >= measured)) / (1 + draws)


class _Instrument:
    """Stands in for an instrument: reads 0.7 on the real embedding, 0.0, 0.1 ... 0.9 on others."""

    def __init__(self, real: np.ndarray, generator: np.random.Generator):
        self.real, self.generator = real, generator
        self.shown: list[np.ndarray] = []
        self.readings: list[float] = []

    def __call__(self, embedding):
        self.shown.append(np.array(embedding, dtype=float))
        real = np.array_equal(self.shown[-1], self.real)
        self.readings.append(0.7 if real else int(self.generator.integers(0, 10)) / 10)
        return self.readings[-1]


def _what_was_shown(shown: np.ndarray, E: np.ndarray) -> str:
    if shown.shape != E.shape:
        return "another shape"
    if np.array_equal(shown, E):
        return "itself"
    if np.array_equal(shown[np.lexsort(shown.T)], E[np.lexsort(E.T)]):
        return "rows"
    if np.array_equal(shown.T[np.lexsort(shown)], E.T[np.lexsort(E)]):
        return "columns"
    if np.array_equal(np.sort(shown, axis=0), np.sort(E, axis=0)):
        return "each column"
    if np.array_equal(np.sort(shown, axis=None), np.sort(E, axis=None)):
        return "all entries"
    return "other numbers"


_NULL_FAULTS = {
    "another shape": (
        "the instrument is given an array of another shape.",
        "A null is an embedding like the real one, without what the instrument looks for.",
    ),
    "columns": (
        "the null exchanges columns.",
        "The order of the columns means nothing in the first place. The instrument looks along "
        "the numbers 0 ... p - 1: destroy *their* order, that of the rows.",
    ),
    "each column": (
        "the null permutes each column on its own.",
        "That also destroys how the columns go together, so two things differ from the real "
        "embedding. Move whole rows: the numbers get new names, and nothing else changes.",
    ),
    "all entries": (
        "the null permutes all entries of the array.",
        "Then rows are no longer rows: their lengths and all relations between columns are gone. "
        "Move whole rows.",
    ),
    "other numbers": (
        "the null is made of new numbers.",
        "Random numbers differ from a trained embedding in everything: length, shape, rank. Use "
        "the embedding's own rows, in a random order.",
    ),
}


def _judge_null_test(answer: Answer, generator: np.random.Generator) -> list[str]:
    p, draws = int(generator.integers(11, 20)), int(generator.integers(20, 40))
    E, seed = generator.normal(size=(p, 4)), int(generator.integers(1_000_000))
    spy = _Instrument(E, generator)
    outcome = answer.call(spy, E, draws, seed)
    if outcome.error is not None:
        raise outcome.error
    if outcome.changed:
        raise changed_inputs(outcome.changed)
    if not spy.shown:
        fail("`instrument` is never called.", "Call it on the embedding, and on each null.")
    kinds = [_what_was_shown(shown, E) for shown in spy.shown]
    for kind, (what, why) in _NULL_FAULTS.items():
        if kind in kinds:
            fail(what, why, "the section 'Instrument 1: the circle' of the chapter Inside")
    if "itself" not in kinds:
        fail(
            "the instrument never sees the embedding as it is.",
            "The first reading is that of the real thing: instrument(embedding).",
        )
    null = [i for i, kind in enumerate(kinds) if kind == "rows"]
    if len(null) != draws:
        fail(
            f"the instrument sees {len(null)} permuted embeddings, where {draws} are asked for.",
            "One reading for each of the `draws`.",
        )
    if len({spy.shown[i].tobytes() for i in null}) < draws:
        fail(
            "the same order of the rows is used more than once.",
            "A generator made from the seed inside the loop begins anew each time. Make it once, "
            "before the loop.",
        )
    measured, p_value = (
        as_number(part, name)
        for part, name in zip(
            take_outputs(outcome.value, ("measured", "p_value")),
            ("measured", "p_value"),
            strict=True,
        )
    )
    _judge_p_value(measured, p_value, spy, kinds.index("itself"), null)
    second, third = _Instrument(E, generator), _Instrument(E, generator)
    answer(second, E, draws, seed)
    answer(third, E, draws, seed + 1)
    if not np.array_equal(np.sort(spy.shown, axis=0), np.sort(second.shown, axis=0)):
        fail(
            "the same seed gives other orders the second time.",
            "Use np.random.default_rng(seed) inside the function.",
        )
    if np.array_equal(np.sort(spy.shown, axis=0), np.sort(third.shown, axis=0)):
        fail("another seed gives the same orders.", "Is `seed` used?")
    value = as_number(take_outputs(answer(lambda e: 1.0, E, draws, seed), ("", ""))[1], "p_value")
    if not np.isclose(value, 1):
        fail(
            f"an instrument that always reads 1 has the p-value {value:.3g}.",
            "A null that equals the measurement counts as at least as large: `>=`.",
        )
    return ["whole rows move, and only they", "fresh orders, reproducible", "p-value", "ties"]


def _judge_p_value(
    measured: float, p_value: float, spy: _Instrument, real: int, null: list[int]
) -> None:
    reading, others = spy.readings[real], np.array([spy.readings[i] for i in null])
    draws = len(others)
    if not np.isclose(measured, reading):
        fail("`measured` is not what the instrument reads on the embedding.", "Which one is it?")
    wanted = (1 + np.sum(others >= reading)) / (1 + draws)
    if np.isclose(p_value, wanted):
        return
    slips = [
        (np.mean(others >= reading), "is the share of nulls without the real one",
         "It can be 0, and no number of draws proves that something never happens. The real "
         "order is one of the 1 + draws: (1 + count) / (1 + draws)."),
        ((1 + np.sum(others > reading)) / (1 + draws), "does not count ties",
         "A null that equals the measurement counts as at least as large: `>=`."),
        (np.mean(others > reading), "does not count ties, nor the real one",
         "(1 + number of nulls >= measured) / (1 + draws)."),
        ((1 + np.sum(others <= reading)) / (1 + draws), "counts the wrong side",
         "The question: how often is a null at least as *large* as the measurement?"),
        (1 - wanted, "is one minus the p-value", "Small should mean: rare among the nulls."),
        (np.mean(others < reading), "counts the nulls that are smaller",
         "Small should mean: rare among the nulls. Count those at least as large."),
    ]  # fmt: skip
    for value, what, why in slips:
        if np.isclose(p_value, value):
            fail(f"the p-value {what}.", why)
    fail(
        f"the p-value is {p_value:.4g}, where {wanted:.4g} is expected.",
        "(1 + number of nulls >= measured) / (1 + draws).",
    )


# --- 8. lazy or rich? ---------------------------------------------------------------------------


def bend(f, w0, w):
    way, h = w - w0, 1e-4
    change = f(w) - f(w0)
    straight = (f(w0 + h * way) - f(w0 - h * way)) / (2 * h)  # the tangent at the start
    size = np.linalg.norm(change)
    return np.linalg.norm(change - straight) / size if size > 0 else 0.0


def _bend_cases(rng: np.random.Generator) -> list[Case]:
    X = rng.normal(size=(9, 4))
    A = rng.normal(size=(9, 4))

    def quadratic(w):
        return 2 * X @ w + (A @ w) ** 2 + 3

    def network(w):
        return np.tanh(X @ w.T).mean(axis=1) + 1

    def start(*shape):
        return rng.normal(size=shape) / 2

    w0, W0 = start(4), start(5, 4)
    return [
        Case("a layer of tanh, weights (5, 4)", (network, W0, W0 + start(5, 4))),
        Case("a quadratic function", (quadratic, w0, w0 + start(4))),
        Case("a small step", (quadratic, w0, w0 + 0.1 * start(4))),
        Case("no step at all", (quadratic, w0, w0.copy())),
    ]


def _bent(at="start", over="change", squared=False, unit=False, guard=True, plain=False):
    def mistaken(f, w0, w):
        way, h, change = w - w0, 1e-4, f(w) - f(w0)
        if unit:
            way = way / np.linalg.norm(way)
        place = {"start": w0, "end": w, "middle": (w + w0) / 2}[at]
        straight = (f(place + h * way) - f(place - h * way)) / (2 * h)
        below = {"change": change, "end": f(w), "start": f(w0), "straight": straight}[over]
        top = straight if plain else change - straight
        size = np.linalg.norm(below)
        if guard and not size > 0:
            return 0.0
        found = np.linalg.norm(top) / size
        return found**2 if squared else found

    return mistaken


_BEND_MISTAKES = (
    Mistake("takes the tangent at the end", "Lazy means that the tangent at the *start* predicts "
            "the change.", _bent(at="end")),
    Mistake("takes the tangent half-way", "Half-way, a quadratic function has no error at all. "
            "The tangent at the start is meant.", _bent(at="middle")),
    Mistake("is relative to the output at the end", "The output at the start may be large and "
            "says nothing. Compare with the change, f(w) - f(w0).", _bent(over="end")),
    Mistake("is relative to the output at the start", "Compare with the change, f(w) - f(w0).",
            _bent(over="start")),
    Mistake("is relative to what the tangent predicts", "Divide by the real change, f(w) - "
            "f(w0).", _bent(over="straight")),
    Mistake("is the share that the tangent does explain", "The length of the difference is "
            "asked, not that of the prediction.", _bent(plain=True)),
    Mistake("is squared", "Lengths, not squared lengths.", _bent(squared=True)),
    Mistake("uses a direction of length 1", "The tangent must be followed along the whole way w - "
            "w0, not one unit along it.", _bent(unit=True)),
    Mistake("is 0 / 0 where nothing has moved", "Without a change nothing bends: return 0.",
            _bent(guard=False)),
    Mistake(
        "is how far the weights moved",
        "Weights may move far while the function changes in a straight line, and the other way "
        "round. Ask the function.",
        lambda f, w0, w: np.linalg.norm(w - w0) / np.linalg.norm(w0),
    ),
    Mistake(
        "is always 0", "f(w0 + way) - f(w0) is the change itself. The tangent needs a small h.",
        lambda f, w0, w: 0.0,
    ),
)  # fmt: skip


TASKS = [
    Task(
        name="grokking.crossing",
        title="Derive two waits from one eigenvalue",
        reference=crossing,
        outputs=("train", "test"),
        cases=_crossing_cases,
        mistakes=_CROSSING_MISTAKES,
        look="the section 'From scratch: one number decides' of the chapter A model that groks "
        "without understanding",
        hints=(
            "One step: D becomes D - lr * 2 s D. What is D after t steps, and D^2?",
            "The share is reached when q standard deviations of the errors fit into sqrt(eps): "
            "q^2 L = eps.",
            "Solve loss * |1 - 2 lr s|^(2 t) = eps / q^2 for t, with loss s and 1. Then the three "
            "special cases: already below, s = 0, and |1 - 2 lr s| >= 1.",
        ),
        explanation="""
            D is multiplied by 1 - 2 lr s in each step, the loss by its square. So t = log(loss at
            the start / level) / (-2 log|1 - 2 lr s|), with level = eps / q^2; the loss at the start
            is s on the training set and 1 on the test set. The difference is log(1/s) /
            (-2 log|1 - 2 lr s|): it does not contain eps.

            If the loss starts below the level the wait is 0. If the factor is not below 1 in size
            (s = 0, or too large a learning rate) it is infinite.
        """,
        success="the difference of the two waits does not depend on eps, their ratio does.",
    ),
    Task(
        name="grokking.never_zero",
        title="A loss that is never zero",
        reference=never_zero,
        outputs=("loss", "gradient"),
        cases=_zero_cases,
        mistakes=_ZERO_MISTAKES,
        look="the section 'From scratch: where the numbers end' of the chapter Numbers end "
        "before learning does",
        hints=(
            "With d_k = z_k - z_y the loss is log(1 + sum of e^(d_k) over the wrong classes). "
            "Which NumPy function computes log(1 + x) without forming 1 + x?",
            "x may also overflow. Keep its logarithm: wrong = np.logaddexp.reduce(d, axis=1), with "
            "-np.inf at the right class; then loss = np.logaddexp(0, wrong).",
            "The probability of a wrong class is exp(d_k - loss). The component of the right class "
            "is minus the sum of these.",
        ),
        explanation="""
            Divide numerator and denominator of the softmax by e^(z_y): q_y = 1 / (1 + x), where x
            sums e^(z_k - z_y) over the wrong classes. So the loss is log(1 + x), and logaddexp(0,
            log x) computes it through log1p for small x, and as log x for large x. In the gradient
            q_y - 1 = -x / (1 + x) is the negative sum of the wrong probabilities: a sum of small
            numbers, where 1 - 1 would lose them all.
        """,
        success="never add a small number to 1 if the small number is what you want.",
    ),
    Task(
        name="grokking.null_test",
        title="Design a null for an instrument",
        reference=null_test,
        judge=_judge_null_test,
        hints=(
            "The instrument looks along the numbers 0 ... p - 1, that is along the rows. What is "
            "the smallest change that takes their order away and leaves the rest?",
            "rng.permutation(embedding) moves whole rows. One generator, made before the loop.",
            "p-value = (1 + number of nulls that are >= measured) / (1 + draws).",
        ),
        explanation="""
            To the network numbers are names. A random order of the rows gives the numbers new
            names: each row, its length, and every relation between columns stay, only the order on
            the clock is gone. The share of orders that read at least as high as the real one is
            the p-value. The real order is counted among them, (1 + count) / (1 + draws), so that
            it is never 0.
        """,
        success="an instrument that reads the same on renamed numbers has not seen their order.",
    ),
    Task(
        name="grokking.bend",
        title="Lazy or rich? Measure the bend",
        reference=bend,
        outputs=("bend",),
        cases=_bend_cases,
        mistakes=_BEND_MISTAKES,
        look="what 'lazy' means in the chapter From lazy to rich",
        hints=(
            "The tangent predicts the change J (w - w0), where J is the derivative at w0. You do "
            "not need J, only its product with one direction.",
            "(f(w0 + h * d) - f(w0 - h * d)) / (2 * h) with d = w - w0 and h = 1e-4.",
            "np.linalg.norm(change - straight) / np.linalg.norm(change), and 0 if the change is 0.",
        ),
        explanation="""
            J d is the derivative of f along d, a difference quotient of two outputs. A lazy network
            moves along its tangent: change and prediction agree, and the bend is 0. A network that
            learns new features has a bend near 1 or above: the tangent at the start knows
            nothing about where it went.
        """,
        success="lazy is a statement about the function, not about how far the weights moved.",
    ),
]
