"""Exercises for the chapter "Training a network from scratch on Fashion-MNIST".

From an array to an accuracy in eight tasks: predict, initialise, write the loss and the derivative
rules, write the optimizer's step, repair a training loop, design the control. Each task is its
worked solution, random inputs, and the mistakes that people make, with the reason for each.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .judging import Answer, Case, Mistake, Task, as_array, changed_inputs, fail, take_outputs

# --- 1. predict, then run -----------------------------------------------------------------------


def predictions(classes):
    return {
        "loss": np.log(classes),  # every class has probability 1 / classes
        "accuracy": 1 / classes,
        "rate_times_100": "fails",
    }


_OUTCOMES = ("faster", "same", "fails")


def _judge_predictions(answer: Answer, generator: np.random.Generator) -> list[str]:
    for classes in [10, *(int(c) for c in generator.choice(np.arange(3, 200), 3, replace=False))]:
        found = answer(classes)
        if not isinstance(found, dict):
            take_outputs(found, ["dictionary"])  # says so if it is None
            fail(
                f"the function returns a {type(found).__name__}, where a dictionary is expected.",
                'Return {"loss": ..., "accuracy": ..., "rate_times_100": ...}.',
                kind="type",
            )
        missing = [key for key in ("loss", "accuracy", "rate_times_100") if key not in found]
        if missing:
            fail(
                f"the dictionary lacks {', '.join(map(repr, missing))}.", "A typing slip in a key?"
            )
        loss = _single_number(found["loss"], "loss")
        accuracy = _single_number(found["accuracy"], "accuracy")
        _judge_start_loss(loss, classes)
        if not np.isclose(accuracy, 1 / classes, rtol=0.02):
            if np.isclose(accuracy, 100 / classes, rtol=0.02):
                fail(
                    "the accuracy is given in percent.",
                    "Accuracies are fractions between 0 and 1 in this book.",
                )
            fail(
                f"the accuracy for {classes} classes is {accuracy:.3g}.",
                "The scores of a fresh network do not depend on the label, and the classes are "
                "equally frequent. How often does such a guess hit?",
                "the first figure of the chapter, at step 0",
            )
        rate = found["rate_times_100"]
        if rate not in _OUTCOMES:
            fail(
                f"rate_times_100 is {rate!r}.",
                f"Choose one of {', '.join(map(repr, _OUTCOMES))}.",
            )
        if rate != "fails":
            fail(
                f"rate_times_100 is {rate!r}; that is not what happens.",
                "For a loss with curvature c a step multiplies the distance to the minimum by 1 - "
                "lr * c. A rate that works well has lr * c around 1. What is the factor at 100 "
                "times the rate, and what does that do to a ReLU network after three steps?",
                "the last section of the notebook runs it",
            )
    return ["the loss and the accuracy at step 0", "the rate times 100"]


def _judge_start_loss(loss: float, classes: int) -> None:
    slips = [
        (np.log2(classes), "in bits", "The loss uses the natural logarithm (nats): `np.log`."),
        (
            np.log10(classes),
            "a logarithm to base 10",
            "The loss uses the natural logarithm: `np.log`.",
        ),
        (-np.log(classes), "negative", "The loss is minus the log of a probability below 1."),
        (1 / classes, "the probability itself", "The loss is minus the log of that probability."),
        (
            1 - 1 / classes,
            "the error rate",
            "Cross-entropy is not the share of errors but minus the log of the probability that "
            "the right class receives.",
        ),
        (
            0.0,
            "zero",
            "Zero would mean that the right class has probability 1 before any training.",
        ),
    ]
    if np.isclose(loss, np.log(classes), rtol=0.01):
        return
    if np.isclose(loss, np.log(10), rtol=1e-3):
        fail(
            f"the loss at step 0 is right for 10 classes, and here there are {classes}.",
            "Use the argument `classes`.",
        )
    for value, what, why in slips:
        if np.isclose(loss, value, rtol=1e-3, atol=1e-9):
            fail(f"the loss at step 0 is {what} (for {classes} classes).", why)
    fail(
        f"the loss at step 0 for {classes} classes is not {loss:.4g}.",
        "A fresh network gives all classes nearly the same score. Which probability does softmax "
        "then give to the right one, and what is minus its log?",
        "the definition of cross-entropy in the chapter",
    )


def _single_number(value: Any, name: str) -> float:
    array = as_array(value, name)
    if array.size != 1:
        fail(f"the {name} has shape {array.shape}, where one number is expected.")
    return float(array.reshape(()))


# --- 2. initialise ------------------------------------------------------------------------------


def he_init(generator, out_features, in_features):
    # Var(output) = in_features * Var(weight) * E[input^2]; ReLU leaves half of E[input^2].
    scale = (2 / in_features) ** 0.5
    return scale * generator.normal(size=(out_features, in_features))


def _judge_he_init(answer: Answer, generator: np.random.Generator) -> list[str]:
    for out_features, in_features in [(320, 500), (900, 150), (150, 1200)]:
        seed = int(generator.integers(1_000_000))
        weight = as_array(answer(np.random.default_rng(seed), out_features, in_features), "weight")
        where = f"for out_features={out_features}, in_features={in_features}"
        if weight.shape == (in_features, out_features):
            fail(
                f"the weight has shape {weight.shape} {where}.",
                "It is transposed: the layer computes `x @ weight.T + bias`, so the weight is "
                "(out_features, in_features), as in PyTorch.",
                kind="shape",
            )
        if weight.shape != (out_features, in_features):
            fail(
                f"the weight has shape {weight.shape} {where}.",
                "Give `size=(out_features, in_features)` to the generator.",
                kind="shape",
            )
        _judge_variance(weight.astype(float), out_features, in_features, where)
        again = as_array(answer(np.random.default_rng(seed), out_features, in_features), "weight")
        if not np.array_equal(weight, again):
            fail(
                "two generators with the same seed give different weights.",
                "Draw from the `generator` that is passed in, not from `np.random`: otherwise no "
                "experiment can be repeated.",
            )
        other = answer(np.random.default_rng(seed + 1), out_features, in_features)
        if np.array_equal(weight, as_array(other, "weight")):
            fail(
                "two generators with different seeds give the same weights.",
                "A fixed seed inside the function makes all 'independent' runs the same run, and "
                "all error bars zero. Draw from the `generator` that is passed in.",
            )
    return ["shape", "variance 2 / in_features", "mean 0", "repeatable from the generator"]


def _judge_variance(weight: np.ndarray, n_out: int, n_in: int, where: str) -> None:
    deviation = float(weight.std())
    if deviation == 0:
        fail(
            f"all entries of the weight are {weight.flat[0]:.3g}.",
            "Equal weights get equal gradients: all units of the layer stay copies of one another "
            "for ever. Random numbers break the symmetry.",
        )
    if abs(weight.mean()) > 0.05 * deviation:
        fail(
            f"the weights have mean {weight.mean():.3g} {where}.",
            "The mean should be 0. `generator.random` is uniform on [0, 1): its mean is 1/2. Use "
            "`generator.normal`, or uniform on an interval that is symmetric about 0.",
        )
    wanted = (2 / n_in) ** 0.5
    slips: list[tuple[float, str, str]] = [
        ((2 / n_out) ** 0.5, "2 / out_features", "`fan in` is the number of inputs of a unit, the "
        "second axis of the weight. (2 / fan out would keep the size of the gradients instead.)"),
        ((1 / n_in) ** 0.5, "1 / in_features", "That is right for a linear layer (LeCun). ReLU "
        "sets half of its inputs to zero, which halves the mean square: where does a factor 2 "
        "belong?"),
        ((2 / (n_in + n_out)) ** 0.5, "2 / (in_features + out_features)", "That is Glorot's "
        "compromise, derived for tanh; He's keeps the forward pass of a ReLU network."),
        ((2 / n_in), "(2 / in_features) squared", "2 / in_features is the variance. A generator "
         "takes the standard deviation: its square root."),
        (1.0, "1", "It is not scaled. After a layer of n inputs the output's variance would be n "
        "times the input's: 784 times, for an image."),
        (2**0.5, "2", "It is scaled by sqrt(2), but not by the number of inputs."),
        (0.01, "1e-4", "A fixed 0.01 was the habit before He et al.: signals fade layer by layer."),
        (wanted / 3**0.5, "2 / (3 in_features)", "A uniform distribution on [-u, u] has variance "
         "u^2 / 3, so its bound must be sqrt(6 / in_features)."),
    ]  # fmt: skip
    if np.isclose(deviation, wanted, rtol=0.03):
        return
    for value, variance, why in slips:
        if np.isclose(deviation, value, rtol=0.03):
            fail(f"the variance of the weights is {variance} {where}.", why)
    fail(
        f"the variance of the weights is {deviation**2:.3g} {where}, where {wanted**2:.3g} is "
        "expected.",
        "Measure it: `weight.var() * in_features` should be 2, whatever the sizes.",
        "the chapter's section on initialisation",
    )


# --- 3. the loss and its gradient ---------------------------------------------------------------


def cross_entropy(logits, target):
    n = len(logits)
    rows = np.arange(n)
    shifted = logits - logits.max(axis=1, keepdims=True)  # softmax is unchanged, exp <= 1
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -log_p[rows, target].mean()
    gradient = np.exp(log_p)
    gradient[rows, target] -= 1
    return loss, gradient / n


def _cross_entropy_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, logits):
        n, classes = logits.shape
        return Case(label, (logits, rng.integers(0, classes, n)))

    n, classes = int(rng.integers(4, 9)), int(rng.integers(10, 13))
    far = np.array([[0.0], [1e4], [-1e4], [3e3], [-5e3]])
    return [
        case("ordinary logits", 2 * rng.normal(size=(n, classes))),
        case("ordinary logits", 2 * rng.normal(size=(n + 7, 3))),
        case("a single example", rng.normal(size=(1, classes))),
        case("logits with an offset of 1e4", rng.normal(size=(n, classes)) + 1e4),
        case("rows far apart", rng.normal(size=(5, classes)) + rng.permutation(far)),
        case("logits up to 1e4", 1e4 * rng.uniform(-1, 1, size=(24, classes))),
        case("float32 logits", rng.normal(size=(n, classes)).astype(np.float32)),
    ]


def _softmax(logits, axis=1, shift=True):
    if shift:
        logits = logits - logits.max(axis=axis, keepdims=True)
    p = np.exp(logits)
    return p / p.sum(axis=axis, keepdims=True)


def _picked(p, target):
    return p[np.arange(len(p)), target]


def _one_hot(logits, target):
    return np.eye(logits.shape[1])[target]


def _log_sum_exp_loss(logits, target, shift):
    sums = np.log(np.exp(logits - shift).sum(axis=1)) + np.squeeze(shift)
    return (sums - _picked(logits, target)).mean()


_OVERFLOW = (
    "`exp` overflows above 709 (88 in float32). Softmax does not change when a number is "
    "subtracted from a whole row: subtract each row's maximum before `exp`."
)
_UNDERFLOW = (
    "The maximum is subtracted, but the log is taken of a probability that has underflowed to 0. "
    "Never form p: log p = shifted - log(sum(exp(shifted))) stays finite."
)
_AXIS = "Softmax runs over the classes of one example, axis 1. Do the probabilities of each row "
"sum to 1?"

_CROSS_ENTROPY_MISTAKES = (
    Mistake(
        "is the sum over the batch instead of the mean", "`.sum()` where `.mean()` belongs?",
        lambda z, t: -np.log(_picked(_softmax(z), t)).sum(), "loss",
    ),
    Mistake(
        "has the wrong sign", "Minus the log-probability: a log of something below 1 is negative.",
        lambda z, t: np.log(_picked(_softmax(z), t)).mean(), "loss",
    ),
    Mistake(
        "is normalised over the wrong axis", _AXIS,
        lambda z, t: -np.log(_picked(_softmax(z, axis=0), t)).mean(), "loss",
    ),
    Mistake(
        "is normalised over the whole array",
        "`sum()` without an axis adds up all examples: keep one sum per row, `sum(axis=1, "
        "keepdims=True)`.",
        lambda z, t: -np.log(_picked(np.exp(z) / np.exp(z).sum(), t)).mean(), "loss",
    ),
    Mistake(
        "averages over classes as well as over examples",
        "`np.mean(one_hot * log_p)` divides by n * classes: one class per example counts, so sum "
        "over the classes and average over the examples.",
        lambda z, t: -(_one_hot(z, t) * np.log(_softmax(z))).mean(), "loss",
    ),
    Mistake(
        "picks every label in every row",
        "`log_p[:, target]` is an (n, n) table: every row meets every label. One entry per row is "
        "`log_p[np.arange(n), target]`.",
        lambda z, t: -np.log(_softmax(z))[:, t].mean(), "loss",
    ),
    Mistake(
        "is 1 - p of the right class, without a log",
        "That is the mean absolute error of the probabilities. Cross-entropy takes -log p.",
        lambda z, t: (1 - _picked(_softmax(z), t)).mean(), "loss",
    ),
    Mistake(
        "is one number per example", "The mean over the examples is missing.",
        lambda z, t: -np.log(_picked(_softmax(z), t)), "loss",
    ),
    Mistake(
        "is measured in bits", "`np.log2` where the natural logarithm `np.log` belongs?",
        lambda z, t: -np.log2(_picked(_softmax(z), t)).mean(), "loss",
    ),
    Mistake(
        "overflows to NaN", _OVERFLOW,
        lambda z, t: -np.log(_picked(_softmax(z, shift=False), t)).mean(), "loss",
    ),
    Mistake(
        "overflows to infinity", _OVERFLOW, lambda z, t: _log_sum_exp_loss(z, t, 0.0), "loss",
    ),
    Mistake(
        "loses the rows below the largest one",
        "One maximum is subtracted from the whole array. A row far below it underflows to 0 "
        "altogether: 0/0, or log 0. Each row needs its own: `max(axis=1, keepdims=True)`.",
        lambda z, t: -np.log(_picked(_softmax(z - z.max(), shift=False), t)).mean(), "loss",
    ),
    Mistake(
        "loses the rows below the largest one",
        "One maximum is subtracted from the whole array. A row far below it underflows to 0 "
        "altogether: log 0. Each row needs its own: `max(axis=1, keepdims=True)`.",
        lambda z, t: _log_sum_exp_loss(z, t, z.max()), "loss",
    ),
    Mistake(
        "is infinite where the right class has a far lower score", _UNDERFLOW,
        lambda z, t: -np.log(_picked(_softmax(z), t)).mean(), "loss",
    ),
    *(
        Mistake(
            f"cannot exceed {-np.log(epsilon):.3g}",
            "An epsilon inside the log hides the underflow instead of avoiding it: wherever the "
            "net is very wrong the loss is flat, and there is nothing to learn from. log p = "
            "shifted - log(sum(exp(shifted))) needs no epsilon.",
            function, "loss",
        )
        for epsilon in (1e-12, 1e-8, 1e-15, 1e-10, 1e-16, 1e-9, 1e-7, 1e-20, 1e-300)
        for function in (
            lambda z, t, e=epsilon: -np.log(_picked(_softmax(z), t) + e).mean(),
            lambda z, t, e=epsilon: -np.log(np.clip(_picked(_softmax(z), t), e, 1)).mean(),
        )
    ),
    Mistake(
        "is n times too large",
        "The loss is a mean over n examples, so each one contributes 1/n to the gradient.",
        lambda z, t: _softmax(z) - _one_hot(z, t), "gradient",
    ),
    Mistake(
        "has the wrong sign", "one-hot minus p is the direction of descent; the gradient is p "
        "minus one-hot.", lambda z, t: (_one_hot(z, t) - _softmax(z)) / len(z), "gradient",
    ),
    Mistake(
        "lacks the term of the right class",
        "Only the derivative of log-sum-exp is there (the softmax). The loss also contains "
        "-logits[target]: subtract 1 at the target.",
        lambda z, t: _softmax(z) / len(z), "gradient",
    ),
    Mistake(
        "subtracts 1 before dividing by n, but divides only the softmax",
        "(p - one_hot) / n: the brackets matter.",
        lambda z, t: _softmax(z) / len(z) - _one_hot(z, t), "gradient",
    ),
    Mistake(
        "uses a softmax over the wrong axis", _AXIS,
        lambda z, t: (_softmax(z, axis=0) - _one_hot(z, t)) / len(z), "gradient",
    ),
    Mistake(
        "is divided by the number of classes too",
        "The mean runs over the n examples only.",
        lambda z, t: (_softmax(z) - _one_hot(z, t)) / z.size, "gradient",
    ),
    Mistake(
        "subtracts 1 in whole columns",
        "`p[:, target] -= 1` touches every row. One entry per row is `p[np.arange(n), target] -= "
        "1`.",
        lambda z, t: (_softmax(z) - np.isin(np.arange(z.shape[1]), t)) / len(z), "gradient",
    ),
    Mistake(
        "is that of a squared error through the softmax",
        "The softmax's own Jacobian is applied once more. For cross-entropy it cancels against "
        "1/p: p - one_hot is already the gradient towards the logits.",
        lambda z, t: _through_softmax(_softmax(z), _softmax(z) - _one_hot(z, t)) / len(z),
        "gradient",
    ),
    Mistake(
        "overflows to NaN", _OVERFLOW,
        lambda z, t: (_softmax(z, shift=False) - _one_hot(z, t)) / len(z), "gradient",
    ),
    Mistake(
        "loses the rows below the largest one", "One maximum is subtracted from the whole array; "
        "each row needs its own: `max(axis=1, keepdims=True)`.",
        lambda z, t: (_softmax(z - z.max(), shift=False) - _one_hot(z, t)) / len(z), "gradient",
    ),
)  # fmt: skip


def _through_softmax(p, g):
    return p * (g - (p * g).sum(axis=1, keepdims=True))


# --- 4. the linear layer ------------------------------------------------------------------------


def linear_backward(g, x, weight):
    d_x = g @ weight  # (n, out) @ (out, in) = (n, in)
    d_weight = g.T @ x  # (out, n) @ (n, in) = (out, in)
    d_bias = g.sum(axis=0)  # the bias is added to every row: its gradient is summed over them
    return d_x, d_weight, d_bias


def _linear_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, n, n_in, n_out):
        arrays = (rng.normal(size=shape) for shape in [(n, n_out), (n, n_in), (n_out, n_in)])
        return Case(label, tuple(arrays))

    n, n_in, n_out = (int(size) for size in rng.permutation(np.arange(2, 9))[:3])
    single = tuple(arg.astype(np.float32) for arg in case("", n, n_in, n_out).args)
    return [
        case("three different sizes", n, n_in, n_out),
        case("all sizes equal", 4, 4, 4),
        case("a single example", 1, 3, 5),
        Case("float32", single),
    ]


_LINEAR_MISTAKES = (
    Mistake(
        "uses the weight transposed",
        "Forward, the layer multiplies by `weight.T`; backward, by `weight` itself. (With equal "
        "sizes both run, so the shapes will not warn you.)",
        lambda g, x, w: g @ w.T, "d_x",
    ),
    Mistake(
        "is averaged over the batch", "g already contains the 1/n of the mean in the loss; a layer "
        "adds no further factor.", lambda g, x, w: g @ w / len(g), "d_x",
    ),
    Mistake(
        "has the wrong sign", "The descent's minus belongs in the optimizer, not in the rule.",
        lambda g, x, w: -g @ w, "d_x",
    ),
    Mistake(
        "lacks the incoming gradient g",
        "d_x is the chain rule's product of g and the weight, not the weight alone.",
        lambda g, x, w: np.broadcast_to(w.sum(axis=0), x.shape), "d_x",
    ),
    Mistake(
        "is transposed", "It must have the shape of the weight, (out, in): g.T @ x rather than x.T "
        "@ g.",
        lambda g, x, w: x.T @ g, "d_weight",
    ),
    Mistake(
        "is averaged over the batch", "The matrix product sums over the examples, and that is "
        "right: the 1/n of the mean is in g already.", lambda g, x, w: g.T @ x / len(g), "d_weight",
    ),
    Mistake(
        "has the wrong sign", "The descent's minus belongs in the optimizer, not in the rule.",
        lambda g, x, w: -g.T @ x, "d_weight",
    ),
    Mistake(
        "is taken with the weight instead of the input",
        "The derivative of x @ weight.T towards the weight contains x.",
        lambda g, x, w: g.T @ (g @ w), "d_weight",
    ),
    Mistake(
        "is not summed over the batch",
        "The same bias is added to all n rows (broadcasting), so all rows of g flow back into it.",
        lambda g, x, w: g, "d_bias",
    ),
    Mistake(
        "is averaged over the batch", "`mean` where `sum` belongs: the 1/n is in g already.",
        lambda g, x, w: g.mean(axis=0), "d_bias",
    ),
    Mistake(
        "is summed over the wrong axis", "Axis 0 runs over the examples, axis 1 over the outputs. "
        "One number per output must remain.", lambda g, x, w: g.sum(axis=1), "d_bias",
    ),
    Mistake(
        "is summed over everything", "`sum()` without an axis leaves one number; the bias has one "
        "per output: `sum(axis=0)`.", lambda g, x, w: g.sum(), "d_bias",
    ),
    Mistake(
        "has an axis of length 1 too much", "`keepdims=True` is not wanted here: the bias is "
        "(out,).",
        lambda g, x, w: g.sum(axis=0, keepdims=True), "d_bias",
    ),
    Mistake(
        "is all ones times the batch size",
        "d(out)/d(bias) is 1, but the chain rule multiplies it by g before the sum.",
        lambda g, x, w: np.full(g.shape[1], float(len(g))), "d_bias",
    ),
)  # fmt: skip


# --- 5. a rule for the engine, with broadcasting ------------------------------------------------


def divide_rule(g, a, b):
    def unbroadcast(gradient, shape):
        gradient = gradient.sum(
            axis=tuple(range(gradient.ndim - len(shape)))
        )  # axes added in front
        stretched = tuple(i for i, length in enumerate(shape) if length == 1)
        return gradient.sum(axis=stretched, keepdims=True)  # axes stretched from length 1

    return unbroadcast(g / b, a.shape), unbroadcast(-g * a / b**2, b.shape)


def _divide_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, a_shape, b_shape):
        b = rng.uniform(0.5, 2, size=b_shape) * rng.choice([-1.0, 1.0], size=b_shape)
        g = rng.normal(size=np.broadcast_shapes(a_shape, b_shape))
        return Case(label, (g, np.asarray(rng.normal(size=a_shape)), np.asarray(b)))

    n, d = int(rng.integers(4, 7)), int(rng.integers(7, 10))
    return [
        case("equal shapes", (n, d), (n, d)),
        case("b has fewer axes", (n, d), (d,)),
        case("b has an axis of length 1", (n, d), (n, 1)),
        case("a has fewer axes", (d,), (n, d)),
        case("both are stretched", (n, 1), (1, d)),
        case("b is a scalar", (n, d), ()),
        case("three axes", (2, n, d), (n, 1)),
        case("axes of length 1 on both sides", (1, n), (1, 1)),
    ]


def _summed_to(gradient, shape, how):
    """The gradient brought to `shape` in a wrong way, or in the right one ("sum")."""
    if how == "not at all":
        return gradient
    if how == "everything":
        return gradient.sum()
    front = tuple(range(gradient.ndim - len(shape)))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1)
    if how == "mean":
        return gradient.mean(axis=front).mean(axis=stretched, keepdims=True)
    if how == "first":
        gradient = gradient[(0,) * len(front)]
        return gradient[tuple(slice(0, 1) if n == 1 else slice(None) for n in shape)]
    gradient = gradient.sum(axis=front)
    return gradient.sum(axis=stretched, keepdims=how != "no keepdims")


def _divide_mistakes() -> tuple[Mistake, ...]:
    def rule(which: str, how: str = "sum", b_part: Callable[..., Any] | None = None):
        if which == "d_a":
            return lambda g, a, b: _summed_to(
                (b_part or (lambda g, a, b: g / b))(g, a, b), a.shape, how
            )
        right = b_part or (lambda g, a, b: -g * a / b**2)
        return lambda g, a, b: _summed_to(right(g, a, b), b.shape, how)

    calculus = [
        ("d_a", lambda g, a, b: g * b, "is multiplied by b",
         "That is the rule of the product. The derivative of a / b towards a is 1 / b."),
        ("d_a", lambda g, a, b: 1 / b * np.ones_like(g), "lacks the incoming gradient g",
         "A rule multiplies the local derivative by g, what flows in from behind."),
        ("d_b", lambda g, a, b: g * a / b**2, "has the wrong sign",
         "The derivative of 1 / b is -1 / b^2: mind the minus."),
        ("d_b", lambda g, a, b: -g * a / b, "is divided by b once, not twice",
         "The derivative of 1 / b is -1 / b^2."),
        ("d_b", lambda g, a, b: -g / b**2, "lacks the factor a",
         "a / b is a times 1 / b, so a stays as a factor."),
        ("d_b", lambda g, a, b: g * a, "is the rule of the product",
         "Towards b, a / b has the derivative -a / b^2."),
        ("d_b", lambda g, a, b: -a / b**2 * np.ones_like(g), "lacks the incoming gradient g",
         "A rule multiplies the local derivative by g, what flows in from behind."),
    ]  # fmt: skip
    found = [
        Mistake(what, why, rule(which, "sum", part), which) for which, part, what, why in calculus
    ]
    for which, name in (("d_a", "a"), ("d_b", "b")):
        found += [
            Mistake(
                f"is not summed back to the shape of {name}",
                f"Broadcasting used each entry of {name} many times, and every use sends a "
                "gradient: "
                "sum over the axes that were added in front, then over the axes of length 1.",
                rule(which, "not at all"), which,
            ),
            Mistake(
                f"is averaged back to the shape of {name}",
                "Contributions of several uses add up: `sum`, not `mean`.",
                rule(which, "mean"), which,
            ),
            Mistake(
                "has lost its axes of length 1",
                "Give `keepdims=True` when you sum over an axis of length 1: the gradient has "
                "exactly the shape of the input.",
                rule(which, "no keepdims"), which,
            ),
            Mistake(
                "is summed over everything",
                "Sum only over the axes that broadcasting added or stretched.",
                rule(which, "everything"), which,
            ),
            Mistake(
                "takes the first copy instead of the sum over the copies",
                "Every use of an entry sends a gradient, not only the first.",
                rule(which, "first"), which,
            ),
        ]  # fmt: skip
    return tuple(found)


# --- 6. the optimizer's step --------------------------------------------------------------------


def momentum_step(parameter, gradient, velocity, lr, momentum, weight_decay):
    gradient = gradient + weight_decay * parameter  # the gradient of weight_decay / 2 * |w|^2
    velocity = momentum * velocity + gradient
    return parameter - lr * velocity, velocity


def _momentum_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, momentum, weight_decay, dtype=float):
        arrays = [rng.normal(size=(3, 4)).astype(dtype) for _ in range(3)]
        return Case(label, (*arrays, float(rng.uniform(0.05, 0.4)), momentum, weight_decay))

    momentum, decay = float(rng.uniform(0.6, 0.95)), float(rng.uniform(0.1, 0.5))
    return [
        case("no momentum, no decay", 0.0, 0.0),
        case("momentum, no decay", momentum, 0.0),
        case("decay, no momentum", 0.0, decay),
        case("momentum and decay", momentum, decay),
        case("float32", momentum, decay, np.float32),
    ]


def _momentum_variant(
    *, step=-1.0, average=False, rate_inside=False, stale=False, nesterov=False, coupled=True,
    decoupled=False, decay_sign=1.0, flipped=False, without_momentum=False, forgetful=False,
):  # fmt: skip
    """A step with one thing different; the default is the right one."""

    def function(p, g, v, lr, mu, decay):
        if coupled:
            g = g + decay_sign * decay * p
        scale = (1 - mu) if average else lr if rate_inside else -1.0 if flipped else 1.0
        new = scale * g if without_momentum else mu * v + scale * g
        used = v if stale else g + mu * new if nesterov else new
        factor = 1.0 if rate_inside else lr
        moved = p + (-step if flipped else step) * factor * used
        if decoupled:
            moved = moved - lr * decay * p
        return moved, (v if forgetful else new)

    return function


_MOMENTUM_DIFFERENCES: list[tuple[str, str, str | None, dict[str, Any]]] = [
    ("moves uphill", "Descent subtracts: parameter - lr * velocity.", None, {"step": 1.0}),
    (
        "ignores the velocity",
        "The step is the velocity, which remembers earlier gradients: "
        "velocity = momentum * velocity + gradient.",
        None,
        {"without_momentum": True},
    ),
    (
        "comes from (1 - momentum) * gradient",
        "That is the running mean of Adam. Classical momentum (and "
        "PyTorch's SGD) adds the whole gradient; the two differ by a factor 1 / (1 - momentum) in "
        "the learning rate.",
        None,
        {"average": True},
    ),
    (
        "has the learning rate inside the velocity",
        "Here velocity = momentum * velocity + "
        "gradient, and lr multiplies it in the step. With lr inside, old steps keep an old rate "
        "when lr changes.",
        None,
        {"rate_inside": True},
    ),
    (
        "uses the velocity from before the update",
        "First update the velocity, then step with the new one.",
        "parameter",
        {"stale": True},
    ),
    (
        "is Nesterov's",
        "gradient + momentum * velocity looks one step ahead. A good method, and "
        "another one: here the step is lr * velocity.",
        "parameter",
        {"nesterov": True},
    ),
    (
        "has the opposite sign convention",
        "velocity = momentum * velocity - gradient with "
        "parameter + lr * velocity also exists; here the velocity has the gradient's sign.",
        None,
        {"flipped": True},
    ),
    (
        "has the weight decay decoupled, as AdamW does",
        "parameter * (1 - lr * weight_decay) "
        "bypasses the velocity. Here the decay is part of the gradient: gradient + weight_decay * "
        "parameter comes first.",
        None,
        {"coupled": False, "decoupled": True},
    ),
    (
        "lacks the weight decay",
        "Add weight_decay * parameter to the gradient.",
        None,
        {"coupled": False},
    ),
    (
        "lets the weights grow instead of decay",
        "The gradient of weight_decay / 2 * |w|^2 is + weight_decay * w; the step subtracts it.",
        None,
        {"decay_sign": -1.0},
    ),
    (
        "applies the decay twice",
        "Once in the gradient is enough; `(1 - lr * weight_decay)` on top counts it again.",
        "parameter",
        {"decoupled": True},
    ),
    (
        "has a factor 2 in the decay",
        "The penalty is weight_decay / 2 * |w|^2, so that its gradient is weight_decay * w.",
        None,
        {"decay_sign": 2.0},
    ),
    (
        "is returned unchanged",
        "Return the new velocity: the next step needs it.",
        "velocity",
        {"forgetful": True},
    ),
]

_MOMENTUM_MISTAKES = tuple(
    Mistake(what, why, _momentum_variant(**difference), output)
    for what, why, output, difference in _MOMENTUM_DIFFERENCES
)


# --- 7. find the bugs ---------------------------------------------------------------------------


def fit(x, y, classes, lr, epochs, batch_size, generator):
    weight, bias = np.zeros((classes, x.shape[1])), np.zeros(classes)
    for _ in range(epochs):
        order = generator.permutation(len(x))
        x_shuffled, y_shuffled = x[order], y[order]  # one order for both
        for start in range(0, len(x), batch_size):
            x_batch = x_shuffled[start : start + batch_size]
            y_batch = y_shuffled[start : start + batch_size]
            logits = x_batch @ weight.T + bias
            p = np.exp(logits - logits.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)  # over the classes of one example
            p[np.arange(len(y_batch)), y_batch] -= 1
            g = p / len(y_batch)
            d_weight, d_bias = g.T @ x_batch, g.sum(axis=0)  # fresh gradients in every step
            weight -= lr * d_weight
            bias -= lr * d_bias
    return weight, bias


def _broken_fit(axis=False, keep=False, order=False, still=False, by_all=False):
    """`fit` with some of the errors: softmax axis, gradients kept, labels not shuffled, ..."""

    def function(x, y, classes, lr, epochs, batch_size, generator):
        weight, bias = np.zeros((classes, x.shape[1])), np.zeros(classes)
        d_weight, d_bias = np.zeros_like(weight), np.zeros_like(bias)
        for _ in range(epochs):
            shuffle = np.arange(len(x)) if still else generator.permutation(len(x))
            for start in range(0, len(x), batch_size):
                rows = shuffle[start : start + batch_size]
                labels = y[start : start + batch_size] if order else y[rows]
                logits = x[rows] @ weight.T + bias
                p = np.exp(logits - logits.max(axis=1, keepdims=True))
                p /= p.sum(axis=0 if axis else 1, keepdims=True)
                p[np.arange(len(rows)), labels] -= 1
                g = p / (len(x) if by_all else len(rows))
                d_weight = keep * d_weight + g.T @ x[rows]
                d_bias = keep * d_bias + g.sum(axis=0)
                weight -= lr * d_weight
                bias -= lr * d_bias
        return weight, bias

    return function


def _repair_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, n, classes, batch_size):
        y = rng.integers(0, classes, n)
        x = rng.normal(size=(n, 5)) + 2 * rng.normal(size=(classes, 5))[y]
        generator = np.random.default_rng(rng.integers(1_000_000))
        return Case(label, (x, y, classes, float(rng.uniform(0.1, 0.3)), 3, batch_size, generator))

    return [case("whole batches", 24, 3, 8), case("a last batch that is smaller", 21, 4, 8)]


_CLUES = {
    "axis": "Look at one row of `p` after the division: does it sum to 1?",
    "keep": "Print the length of `d_weight` from step to step: does a step use only its own batch?",
    "order": "After the shuffle, does an image still meet its own label? Compare with the rows "
    "drawn.",
}


def _repair_mistakes() -> tuple[Mistake, ...]:
    found = []
    for count in (3, 2, 1):
        for errors in itertools.combinations(_CLUES, count):
            what = {
                3: "is that of the broken loop: all three errors are still there",
                2: "shows one error mended and two left",
                1: "shows two errors mended and one left",
            }[count]
            variant = _broken_fit(**dict.fromkeys(errors, True))
            found.append(Mistake(what, _CLUES[errors[0]], variant))
    return (
        *found,
        Mistake(
            "comes from batches in the order of the data",
            "The shuffle is gone. With data sorted by class, each batch would hold one class only. "
            "Shuffle x and y by the same order.",
            _broken_fit(still=True),
        ),
        Mistake(
            "is from gradients divided by the size of the whole set",
            "A batch's mean divides by the batch's size; the last batch may be smaller.",
            _broken_fit(by_all=True),
        ),
    )


# --- 8. design the control ----------------------------------------------------------------------


def label_control(train_and_score, x_train, y_train, x_test, y_test, seeds):
    real, shuffled = [], []
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(y_train))  # another shuffle per seed
        real.append(train_and_score(x_train, y_train, x_test, y_test, seed))
        shuffled.append(train_and_score(x_train, y_train[order], x_test, y_test, seed))
    return np.array(real), np.array(shuffled)


class _Spy:
    """Stands in for training: remembers what it was given, and returns a score of its own."""

    def __init__(self, generator: np.random.Generator):
        self.generator = generator
        self.calls: list[tuple[Any, ...]] = []
        self.scores: list[float] = []

    def train_and_score(self, x_train, y_train, x_test, y_test, seed):
        arrays = (np.asarray(item) for item in (x_train, y_train, x_test, y_test))
        self.calls.append((*(item.copy() for item in arrays), seed))
        self.scores.append(float(self.generator.uniform(0.05, 0.95)))
        return self.scores[-1]


def _judge_label_control(answer: Answer, generator: np.random.Generator) -> list[str]:
    n, seeds = 60, [int(s) for s in generator.choice(10_000, 4, replace=False)]
    x, x_test = generator.normal(size=(n, 3)), generator.normal(size=(20, 3))
    y = generator.choice(4, size=n, p=[0.4, 0.3, 0.2, 0.1])
    y_test = generator.choice(4, size=20)
    spy = _Spy(generator)
    outcome = answer.call(spy.train_and_score, x, y, x_test, y_test, seeds)
    if "y_train" in outcome.changed or "x_train" in outcome.changed:
        fail(
            "the function shuffles its caller's array in place.",
            "`generator.shuffle(y_train)` destroys the labels for every later arm: from the second "
            "seed on, the arm with real labels is trained on shuffled ones. "
            "`generator.permutation(y_train)` returns a new array.",
            kind="in place",
        )
    if outcome.error is not None:
        raise outcome.error
    if outcome.changed:
        raise changed_inputs(outcome.changed)
    arms = [_arm(call, (x, y, x_test, y_test)) for call in spy.calls]
    _judge_arms(spy, arms, seeds, x, y)
    found = take_outputs(outcome.value, ("real", "shuffled"))
    real, shuffled = (
        as_array(v, name) for v, name in zip(found, ("real", "shuffled"), strict=True)
    )
    scores = {
        (arm, call[4]): score for arm, call, score in zip(arms, spy.calls, spy.scores, strict=True)
    }
    wanted = {arm: np.array([scores[arm, seed] for seed in seeds]) for arm in ("real", "shuffled")}
    for name, value in (("real", real), ("shuffled", shuffled)):
        if value.shape != (len(seeds),):
            if value.size == 1 and np.isclose(value, wanted[name].mean()):
                fail(
                    f"`{name}` is only the mean over the seeds.",
                    "Return one score per seed: without them nobody can draw an error bar, nor see "
                    "whether the difference is larger than the spread.",
                )
            fail(
                f"`{name}` has shape {value.shape}, where {(len(seeds),)} is expected.",
                "One score per seed.",
                kind="shape",
            )
    if np.allclose(real, wanted["shuffled"]) and np.allclose(shuffled, wanted["real"]):
        fail("the two arms are exchanged.", "Return `real, shuffled`, in this order.")
    for name, value in (("real", real), ("shuffled", shuffled)):
        if not np.allclose(value, wanted[name]):
            fail(
                f"`{name}` does not hold the scores of its arm in the order of the seeds.",
                "Which list does each score go to?",
            )
    return [
        "both arms for every seed, paired",
        "labels shuffled, counts kept",
        "test set untouched",
    ]


def _arm(call: tuple[Any, ...], given: tuple[np.ndarray, ...]) -> str:
    """What a call was given: "real", "shuffled", or the name of what is wrong with it."""
    (x, y, x_test, y_test), (x_train, y_train, x_true, y_true) = call[:4], given
    if x_test.shape != x_true.shape or not np.array_equal(x_test, x_true):
        return "other test inputs"
    if y_test.shape != y_true.shape or not np.array_equal(y_test, y_true):
        return "other test labels"
    if x.shape != x_train.shape or y.shape != y_train.shape:
        return "another size"
    labels = _labels_by_image(x, y, x_train)
    if labels is None:
        return "other inputs"
    if np.array_equal(labels, y_train):
        return "real" if np.array_equal(x, x_train) else "moved together"
    if np.array_equal(np.sort(y), np.sort(y_train)):
        return "shuffled"
    return "new labels"


def _labels_by_image(x: np.ndarray, y: np.ndarray, x_train: np.ndarray) -> np.ndarray | None:
    """The label that each row of `x_train` has in (x, y), in whatever order x came."""
    rows, own = np.lexsort(x.T), np.lexsort(x_train.T)
    if not np.array_equal(x[rows], x_train[own]):
        return None
    labels = np.empty_like(y)
    labels[own] = y[rows]
    return labels


_ARM_FAULTS = {
    "other test labels": (
        "the test labels are changed in one arm.",
        "Against shuffled test labels every model scores at chance, a perfect one too: the control "
        "would say nothing about training. Shuffle the training labels only.",
    ),
    "other test inputs": (
        "the test images are changed in one arm.",
        "Both arms are scored on the same untouched test set; the training labels alone differ.",
    ),
    "another size": (
        "one arm gets another number of training examples.",
        "An arm should differ from the other in one thing only, here the link of image and label.",
    ),
    "other inputs": (
        "one arm gets other training images.",
        "Leave the images as they are; the labels are what is shuffled.",
    ),
    "moved together": (
        "images and labels move together.",
        "One order for both only changes the order of the data set: every image keeps its label, "
        "and nothing is destroyed. Shuffle the labels alone.",
    ),
    "new labels": (
        "the control's labels are not a permutation of the real ones.",
        "Newly drawn labels change the class frequencies too, so two things differ between the "
        "arms. A permutation keeps the frequencies and destroys only the link to the images.",
    ),
}


def _judge_arms(
    spy: _Spy, arms: list[str], seeds: Sequence[int], x: np.ndarray, y: np.ndarray
) -> None:
    if not arms:
        fail("`train_and_score` is never called.", "Call it once per arm and seed.")
    for fault, (what, why) in _ARM_FAULTS.items():
        if fault in arms:
            fail(what, why)
    for arm in ("real", "shuffled"):
        if arm not in arms:
            fail(
                f"no run has {arm} labels.",
                "A control is a comparison: both arms are needed."
                if arm == "real"
                else "Did the shuffled labels reach `train_and_score`?",
            )
    for arm in ("real", "shuffled"):
        used = [call[4] for call, name in zip(spy.calls, arms, strict=True) if name == arm]
        if sorted(used) != sorted(seeds):
            if len(used) == 1:
                fail(
                    f"the arm with {arm} labels is run once, for {len(seeds)} seeds.",
                    "One run is an anecdote: run both arms for every seed.",
                )
            fail(
                f"the arm with {arm} labels is run with the seeds {used}, where {list(seeds)} are "
                "given.",
                "The arms are paired: for each seed both get that same seed, hence the same "
                "initialisation and batch order, and only the labels differ.",
            )
    drawn = [
        np.asarray(_labels_by_image(call[0], call[1], x))
        for call, arm in zip(spy.calls, arms, strict=True)
        if arm == "shuffled"
    ]
    if all(np.array_equal(drawn[0], other) for other in drawn[1:]):
        fail(
            "every seed uses the same shuffle.",
            "A seed should resample everything random. With one fixed shuffle the spread over "
            "seeds leaves out the luck of that shuffle: draw it from a generator that depends on "
            "the seed.",
        )
    moved = min(float((labels != y).mean()) for labels in drawn)
    if moved < 0.3:
        fail(
            f"a run with shuffled labels has {1 - moved:.0%} of them still in place.",
            "Shuffle all labels: `generator.permutation(y_train)`.",
        )


# --- the set ------------------------------------------------------------------------------------

TASKS = [
    Task(
        name="training.predictions",
        title="Predict the first step",
        reference=predictions,
        outputs=("predictions",),
        judge=_judge_predictions,
        hints=(
            "A fresh network knows nothing: its scores are nearly equal for all classes.",
            "Equal scores give every class the probability 1 / classes. The loss is minus the log "
            "of that, and a guess hits with that probability.",
            "For the learning rate think of one parabola with curvature c: a step multiplies the "
            "distance to its minimum by 1 - lr * c.",
        ),
        explanation="""
            With equal scores softmax gives each of C classes the probability 1/C, so the loss is
            -log(1/C) = log C: 2.303 for ten classes. A first loss far from log C means that the
            initialisation is too large (confident and wrong), or that there is a bug.

            Near a minimum the loss is a parabola with curvature c in each direction, and a step of
            gradient descent multiplies the distance by 1 - lr c. It shrinks while lr c < 2. A rate
            that works well uses much of that range, so 100 times as much overshoots by a growing
            factor: the loss jumps, ReLU units are thrown to where they are never active, and the
            accuracy ends at chance, or the numbers at NaN.
        """,
        success="log C is the first number to look at in any training run. The last section lets "
        "you see the rest.",
    ),
    Task(
        name="training.he_init",
        title="Initialise a ReLU layer",
        reference=he_init,
        outputs=("weight",),
        judge=_judge_he_init,
        hints=(
            "An output is a sum of in_features products. Its variance is in_features * Var(weight) "
            "* E[input^2], if weights have mean 0.",
            "ReLU sets the negative half to zero: E[relu(z)^2] = Var(z) / 2. Which Var(weight) "
            "makes the variance the same behind the next layer?",
            "Var(weight) = 2 / in_features; generators take the standard deviation.",
        ),
        explanation="""
            Each output is a sum over in_features independent products with mean 0, so Var(out) =
            in_features * Var(weight) * E[input^2]. The input is relu(z) of a symmetric z, and half
            of its square is lost: E[input^2] = Var(z) / 2. So Var(out) = Var(z) needs Var(weight) =
            2 / in_features (He et al. 2015). With 1 / in_features, ten layers shrink the variance
            by 2^10.
        """,
        success="Var(weight) = 2 / in_features keeps the size of a signal from layer to layer.",
    ),
    Task(
        name="training.cross_entropy",
        title="Cross-entropy and its gradient",
        reference=cross_entropy,
        outputs=("loss", "gradient"),
        cases=_cross_entropy_cases,
        mistakes=_CROSS_ENTROPY_MISTAKES,
        look="the chapter's section on the loss",
        hints=(
            "Start from log p = logits - log(sum(exp(logits))), one sum per row, and pick one "
            "entry per row with log_p[np.arange(n), target].",
            "exp overflows for large logits. Subtracting the row's maximum changes nothing in log "
            "p, and every exp is then at most 1. Do not compute p first and its log afterwards.",
            "The derivative of log-sum-exp is the softmax p; that of -logits[target] is -1 at the "
            "target. So the gradient is (p - one_hot) / n.",
        ),
        explanation="""
            For one example, loss = log(sum_j exp z_j) - z_y. Subtracting the row's maximum from z
            lowers both terms by the same amount, and no exp can overflow. The log is taken of a sum
            that is at least 1, so it cannot be -inf either.

            The derivative of the first term towards z_j is exp z_j / sum = p_j, that of the second
            is -1 at j = y: the gradient is p - one_hot, divided by n for the mean over the batch.
            Each row sums to 0: raising all scores together changes nothing.
        """,
        success="the gradient towards the logits is (p - one_hot) / n: bounded, however wrong the "
        "net is.",
    ),
    Task(
        name="training.linear_backward",
        title="The gradients of a linear layer",
        reference=linear_backward,
        outputs=("d_x", "d_weight", "d_bias"),
        cases=_linear_cases,
        mistakes=_LINEAR_MISTAKES,
        look="write the three shapes down: each gradient has the shape of its input",
        tensors=True,
        hints=(
            "out[i, k] = sum_j x[i, j] weight[k, j] + bias[k]. Which entries of `out` does one "
            "entry x[i, j] touch? Sum g over them, times the derivative.",
            "Each gradient has the shape of what it belongs to, and there is one way to multiply g "
            "(n, out) with weight (out, in) that gives (n, in).",
            "d_x = g @ weight; d_weight has shape (out, in), so g.T comes first; the bias is used "
            "by every row.",
        ),
        explanation="""
            out[i, k] = sum_j x[i, j] weight[k, j] + bias[k]. Towards x[i, j]: sum_k g[i, k]
            weight[k, j], which is g @ weight. Towards weight[k, j]: sum_i g[i, k] x[i, j], which is
            g.T @ x. Towards bias[k]: sum_i g[i, k]. The sum over examples is not a mean: the 1/n of
            the loss is already in g.
        """,
        success="each gradient has the shape of its input, and shared inputs collect a sum.",
    ),
    Task(
        name="training.divide_rule",
        title="A rule for the engine: division, with broadcasting",
        reference=divide_rule,
        outputs=("d_a", "d_b"),
        cases=_divide_cases,
        mistakes=_divide_mistakes(),
        look="the chapter's section on broadcasting; compare `d_a.shape` with `a.shape`",
        tensors=True,
        hints=(
            "First suppose equal shapes: the derivatives of a / b towards a and b, each times g.",
            "Then a helper unbroadcast(gradient, shape). Broadcasting does two things: it adds "
            "axes in front, and it stretches axes of length 1. Undo each by a sum.",
            "Sum over the first gradient.ndim - len(shape) axes; then over every axis i with "
            "shape[i] == 1, with keepdims=True.",
        ),
        explanation="""
            The local derivatives are 1/b and -a/b^2. Broadcasting copies an entry of the smaller
            input to many places; each place sends back its gradient, and they add up. So the
            gradient is summed over the axes that were added in front, and over those stretched from
            length 1 (keepdims, so that the shape is exactly that of the input). This one helper
            serves every elementwise rule of the engine.
        """,
        success="broadcasting forward is a sum backward: the one is the other's transpose.",
    ),
    Task(
        name="training.momentum_step",
        title="A step of SGD with momentum and weight decay",
        reference=momentum_step,
        outputs=("parameter", "velocity"),
        cases=_momentum_cases,
        mistakes=_MOMENTUM_MISTAKES,
        look="the three formulas above the cell, in their order",
        tensors=False,
        hints=(
            "Three lines, in this order: add the decay to the gradient, update the velocity, step.",
            "velocity = momentum * velocity + gradient; the step is lr times the new velocity.",
            "Make new arrays (`x = x - ...`), since `-=` would change the caller's.",
        ),
        explanation="""
            The penalty weight_decay / 2 * |w|^2 adds weight_decay * w to the gradient. The velocity
            sums past gradients with weights 1, momentum, momentum^2, ..., so along a constant
            gradient the steps grow to lr / (1 - momentum). This is PyTorch's convention. AdamW
            instead shrinks the weights directly, past the velocity: for SGD without momentum the
            two are the same.
        """,
        success="with momentum 0.9 a constant slope is descended with ten times the learning rate.",
    ),
    Task(
        name="training.repair",
        title="Find three bugs in a training loop",
        reference=fit,
        outputs=("weight", "bias"),
        cases=_repair_cases,
        mistakes=_repair_mistakes(),
        look="change as little as possible: one call of generator.permutation per epoch, as given",
        hints=(
            "Do not stare: measure. Print p.sum(axis=1), the length of d_weight over the steps, "
            "and check one image against its label after the shuffle.",
            "One bug is in the softmax, one in the shuffle, one in what a step remembers.",
            "p must be normalised over axis 1; y must be shuffled by the same order as x; d_weight "
            "and d_bias must start at zero in every step.",
        ),
        explanation="""
            (1) `p.sum(axis=0)` normalises over the examples of the batch: a row is then no
            distribution. (2) Only x is shuffled: image and label no longer belong together, and the
            net learns from noise. (3) d_weight and d_bias are made once and only ever added to:
            each step repeats all earlier gradients (the missing `zero_grad`). The loop runs without
            an error all the same. Only numbers that you expect (log C at the start, rows that sum
            to 1, an accuracy far above chance) can tell.
        """,
        success="a loop with bugs still runs: check sums, shapes and chance levels, not only "
        "crashes.",
    ),
    Task(
        name="training.label_control",
        title="Design a control: shuffled labels",
        reference=label_control,
        outputs=("real", "shuffled"),
        judge=_judge_label_control,
        hints=(
            "What should be destroyed: the link between image and label, in training, and nothing "
            "else. Which of the four arrays changes?",
            "A permutation of y_train keeps how often each class occurs. Draw it from "
            "np.random.default_rng(seed), so that each seed has its own.",
            "For each seed call train_and_score twice, with the same seed; collect two lists; "
            "return them as arrays.",
        ),
        explanation="""
            The control differs from the real arm in one thing: which label an image has in
            training. The class frequencies, the images, the test set, the initialisation and the
            batch order are the same, because both arms share the seed. If a pipeline scores above
            chance with shuffled labels, something leaks from the test set. One score per seed and
            arm is what an error bar, or a paired difference, is made of.
        """,
        success="a control changes one thing; arms are paired by seed; every score is kept.",
    ),
]
