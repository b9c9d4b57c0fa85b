"""Dropout itself: the layer, its noise, the penalty that it hides, and the doubt of many masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..judging import Answer, Case, Mistake, Task, as_array, changed_inputs, fail, take_outputs

# --- 1. dropout and its derivative --------------------------------------------------------------


def dropout(x, p, training, generator):
    if not training:
        return x, lambda g: g
    keep = generator.random(x.shape) >= p  # drawn once, used forward and backward
    scale = 1 / (1 - p) if p < 1 else 0.0

    def backward(g):
        return np.where(keep, scale * g, 0)

    return np.where(keep, scale * x, 0), backward


def _backward_of_dropout(g):
    return g


_COIN = "`generator.random(x.shape) >= p` tosses one coin for every entry."


def _run_dropout(
    answer: Answer, x: np.ndarray, p: float, training: bool, seed: int
) -> tuple[np.ndarray, Answer]:
    """The output, and the backward function behind the same guards as the answer."""
    outcome = answer.call(x, p, training, np.random.default_rng(seed))
    if outcome.error is not None:
        raise outcome.error
    if outcome.changed:
        raise changed_inputs(outcome.changed)
    out, backward = take_outputs(outcome.value, ("out", "backward"))
    if not callable(backward):
        fail(
            f"backward is of type {type(backward).__name__}, where a function is expected.",
            "Return the function itself: define `def backward(g): ...` inside `dropout`, and "
            "return it without calling it. It remembers the mask.",
            kind="type",
        )
    out = as_array(out, "output")
    if out.shape != x.shape:
        fail(f"the output has shape {out.shape}, where {x.shape} is expected.", kind="shape")
    return out, Answer(backward, _backward_of_dropout, "dropout.dropout")


def _back(backward: Answer, g: np.ndarray, where: str) -> np.ndarray:
    gradient = as_array(backward(g), "gradient")
    if gradient.shape != g.shape:
        fail(
            f"the gradient has shape {gradient.shape} {where}, where {g.shape} is expected.",
            kind="shape",
        )
    return gradient


def _judge_dropout(answer: Answer, generator: np.random.Generator) -> list[str]:
    for p in (float(generator.uniform(0.15, 0.4)), 0.9):
        x, g = generator.normal(size=(2, 120, 250))
        x[generator.random(x.shape) < 0.1] = 0  # as ReLU leaves them
        seed, where = int(generator.integers(1_000_000)), f"for p = {p:.2g}"
        out, backward = _run_dropout(answer, x, p, True, seed)
        dropped = _judge_forward(answer, x, out, p, seed, where)
        _judge_backward(x, out, g, backward, dropped, p, where)
    _judge_evaluation(answer, x, g, p=0.3)
    _judge_limits(answer, x, g)
    return ["share and scale", "one coin per entry", "one mask both ways", "evaluation", "p = 0, 1"]


def _judge_forward(
    answer: Answer, x: np.ndarray, out: np.ndarray, p: float, seed: int, where: str
) -> np.ndarray:
    """Returns where entries were dropped (of those that were not 0 before)."""
    if not np.isfinite(out).all():
        fail(f"the output contains NaN or infinity {where}.", kind="nan")
    live = x != 0
    ratio = np.divide(out, x, out=np.zeros(x.shape), where=live)
    dropped = live & (ratio == 0)
    share = float(dropped.sum() / live.sum())
    if share in (0.0, 1.0):
        others = [_run_dropout(answer, x, p, True, seed + i)[0] for i in range(1, 60)]
        if len({bool(other.any()) for other in others} | {share == 0}) == 2:
            fail("everything is dropped, or nothing.", f"One coin serves the whole array. {_COIN}")
        if share == 0 and np.ptp(ratio[live]) > 1e-6:
            fail(
                f"entries are multiplied by random numbers that are never 0 {where}.",
                "Gaussian noise of mean 1 is a relative of dropout. Here the mask shows only 0 "
                "and 1 / (1 - p).",
            )
        fail(
            f"{'nothing' if share == 0 else 'everything'} is dropped in training {where}.",
            "Is `training` the wrong way round, or the mask of booleans cast to integers after "
            "scaling?",
        )
    error = 5 * (p * (1 - p) / live.sum()) ** 0.5
    lines = [dropped.sum(axis=k) / live.sum(axis=k) for k in (0, 1)]
    for part, name in zip(lines, ("column", "row"), strict=True):
        if np.isin(part, (0, 1)).all():
            fail(f"whole {name}s are dropped, never single entries.", _COIN)
    if abs(share - p) > error:
        if abs(share - (1 - p)) < error:
            fail(
                f"the share {share:.2f} is dropped {where}.",
                "In this book p is the probability to *drop*. You keep with probability p (as "
                "some papers do): compare the random numbers the other way round.",
            )
        fail(f"the share {share:.2f} is dropped {where}.", _COIN)
    ones = [_run_dropout(answer, np.ones((9, 20)), 0.5, True, seed + i)[0] for i in range(9)]
    if np.ptp([np.sum(one == 0) for one in ones]) == 0 and np.ptp(ones, axis=0).any():
        fail(
            "every mask drops exactly the same number of entries.",
            f"Entries are dropped independently, so their number varies. {_COIN}",
        )
    scale = ratio[live & ~dropped]
    for factor, what, why in (
        (1.0, "are not rescaled", "Then the mean output is (1 - p) x, and the next layer meets "
         "larger inputs at evaluation than it was trained on. Divide the survivors by 1 - p."),
        (1 / p, "are divided by p", "The mean of the coin is 1 - p: divide by that."),
        (1 - p, "are multiplied by 1 - p", "That is what the oldest form of dropout does at *test* "
         "time. In training, divide."),
        (1 / (1 - p) ** 2, "are divided by 1 - p twice", "Once is enough for the mean to be x."),
    ):  # fmt: skip
        if np.allclose(scale, factor, rtol=1e-6):
            fail(f"the survivors {what} {where}.", why)
    if not np.allclose(scale, 1 / (1 - p), rtol=1e-6):
        fail(
            f"the survivors are multiplied by {scale.min():.3g} to {scale.max():.3g} {where}, "
            f"where {1 / (1 - p):.3g} is expected.",
            "Each entry is multiplied by 0 or by 1 / (1 - p), by nothing between.",
        )
    if not np.array_equal(out, _run_dropout(answer, x, p, True, seed)[0]):
        fail(
            "two generators with the same seed give different masks.",
            "Draw from the `generator` that is passed in, not from `np.random`.",
        )
    if np.array_equal(out, _run_dropout(answer, x, p, True, seed + 1)[0]):
        fail("two different generators give the same mask.", "Draw from `generator`.")
    return dropped


def _judge_backward(
    x: np.ndarray,
    out: np.ndarray,
    g: np.ndarray,
    backward: Answer,
    dropped: np.ndarray,
    p: float,
    where: str,
) -> None:
    found = _back(backward, g, where)
    live = x != 0
    kept, factor = live & ~dropped, found / g
    mask = kept * (1 / (1 - p))
    if not np.array_equal(found, _back(backward, g, where)):
        fail(
            "backward gives another gradient when it is called again.",
            "It tosses new coins. The derivative belongs to the mask of the forward pass: keep "
            "that one.",
        )
    if not np.allclose(factor[live], mask[live], rtol=1e-6):
        if np.allclose(found, g):
            fail(
                "the gradient passes everywhere, as if nothing had been dropped.",
                "The output is mask * x, so its derivative by x is the mask.",
            )
        for scale, what, why in (
            (1.0, "1 - p times too small", "The mask that multiplied x was 0 or 1 / (1 - p), not 0 "
             "or 1. The derivative has the same factor."),
            (1 / (1 - p) ** 2, "1/(1-p) times too large", "Did you scale in the forward pass and "
             "once more on the way back, or a mask that was scaled already?"),
            (1 - p, "(1-p)^2 times too small", "You multiply by 1 - p where the forward pass "
             "divides."),
        ):  # fmt: skip
            if np.allclose(factor[live], scale * kept[live], rtol=1e-6):
                fail(f"the gradient is {what} {where}.", why)
        if np.allclose(factor, out, rtol=1e-6):
            fail(
                "the gradient is multiplied by the output.",
                "out = mask * x: its derivative by x is the mask, not mask * x.",
            )
        if np.allclose(factor[live], 1 / (1 - p), rtol=1e-6):
            fail("the gradient is scaled, but not masked.", "Dropped entries pass nothing back.")
        if np.isin(np.round(factor[live] * (1 - p), 6), (0, 1)).all():
            fail(
                "the gradient passes through another mask than the output.",
                "Coins were tossed again in backward. A dropped unit did not influence the loss, "
                "so it must get no gradient: use the mask of the forward pass.",
            )
        fail(f"the gradient is not mask * g {where}.", "out = mask * x, entry by entry.")
    through = factor[~live]
    if not through.any():
        fail(
            "entries that are 0 in x never get a gradient.",
            "`out != 0` is not the mask: a ReLU output of 0 gives out = 0, whether it was kept or "
            "not. Keep the mask itself.",
        )
    if not np.isin(np.round(through * (1 - p), 6), (0, 1)).all():
        fail("where x is 0 the gradient is not mask * g.", "Never divide by x to find the mask.")


def _judge_evaluation(answer: Answer, x: np.ndarray, g: np.ndarray, p: float) -> None:
    out, backward = _run_dropout(answer, x, p, False, 1)
    gradient = _back(backward, g, "at evaluation")
    if not np.allclose(out, x, rtol=1e-12):
        if np.allclose(out, (1 - p) * x):
            fail(
                "at evaluation the output is (1 - p) x.",
                "You scale twice: the survivors were already divided by 1 - p in training. Scale "
                "in one of the two places, here in training.",
            )
        if np.mean(out[x != 0] == 0) > p / 2:
            fail("entries are dropped at evaluation.", "If not training: return x as it is.")
        fail("at evaluation the output is not x.", "If not training, dropout does nothing.")
    if not np.allclose(gradient, g, rtol=1e-12):
        if np.allclose(gradient, g / (1 - p)):
            fail(
                "the gradient at evaluation is 1/(1-p) times too large.",
                "Did you scale at test time as well? There the output is x, its derivative 1.",
            )
        fail("at evaluation the gradient is not g.", "The output is x: its derivative is 1.")


def _judge_limits(answer: Answer, x: np.ndarray, g: np.ndarray) -> None:
    for p, factor in ((0.0, 1.0), (1.0, 0.0)):
        out, backward = _run_dropout(answer, x, p, True, 2)
        gradient = _back(backward, g, f"for p = {p:g}")
        if not (np.isfinite(out).all() and np.isfinite(gradient).all()):
            fail(
                f"there are NaN or infinite numbers for p = {p:g}.",
                "1 / (1 - p) is infinite, and 0 times infinity is NaN. If all is dropped, the "
                "output and the gradient are 0, whatever the scale.",
                kind="nan",
            )
        if not (np.allclose(out, factor * x) and np.allclose(gradient, factor * g)):
            fail(
                f"for p = {p:g} the output or the gradient is wrong.",
                "`generator.random` gives numbers in [0, 1): with `>= p` nothing is dropped for p "
                "= 0, and everything for p = 1.",
            )
    single = x.astype(np.float32)
    out, backward = _run_dropout(answer, single, 0.5, True, 3)
    if out.dtype != np.float32:
        fail(
            f"the output has dtype {out.dtype} for a float32 input.",
            "`keep / (1 - p)` is a float64 array. Multiply x by a Python number instead: `np.where("
            "keep, x / (1 - p), 0)`.",
            kind="dtype",
        )


# --- 2. predict: the noise of a committee -------------------------------------------------------


def committee(h, k, p):
    alone = h**2 * p / (1 - p)
    return h, alone, alone / k  # k variances of (h / k)^2 p / (1 - p)


def _committee_cases(rng: np.random.Generator) -> list[Case]:
    h, k = float(rng.uniform(1.5, 4.0)), int(rng.integers(3, 9))
    return [
        Case("a few units", (h, k, float(rng.uniform(0.2, 0.4)))),
        Case("a negative contribution", (-h, k + 1, 0.7)),
        Case("very large dropout", (h, 2, 0.95)),
        Case("no dropout", (h, k, 0.0)),
        Case("a committee of one", (h, 1, 0.3)),
    ]


_COMMITTEE_MISTAKES = (
    Mistake(
        "is that of survivors that are not rescaled",
        "Survivors are divided by 1 - p, so that the mean stays h.",
        lambda h, k, p: (1 - p) * h, "mean",
    ),
    Mistake("is divided by 1 - p", "(1 - p) times h / (1 - p), plus p times 0.",
            lambda h, k, p: h / (1 - p), "mean"),
    Mistake(
        "is that of survivors that are not rescaled",
        "p (1 - p) is the variance of a coin of 0 and 1. This coin shows 0 or 1 / (1 - p): divide "
        "by (1 - p)^2.",
        lambda h, k, p: h**2 * p * (1 - p), "alone",
    ),
    Mistake(
        "has p and 1 - p exchanged",
        "In this book p is the probability to drop. For p = 0 there is no noise.",
        lambda h, k, p: h**2 * (1 - p) / p, "alone",
    ),
    Mistake(
        "is the mean of the square", "Subtract the square of the mean.",
        lambda h, k, p: h**2 / (1 - p), "alone",
    ),
    Mistake("is a standard deviation", "The variance is its square.",
            lambda h, k, p: abs(h) * (p / (1 - p)) ** 0.5, "alone"),
    Mistake("is proportional to h, not to its square", "The variance of c s is c^2 times that of "
            "s.", lambda h, k, p: h * p / (1 - p), "alone"),
    Mistake("lacks h", "That is the variance of the coin alone.",
            lambda h, k, p: p / (1 - p), "alone"),
    Mistake(
        "is as large as if one unit did it alone",
        "That would need one coin for the whole committee. They have k independent coins.",
        lambda h, k, p: h**2 * p / (1 - p), "shared",
    ),
    Mistake(
        "is the variance of one member",
        "(h/k)^2 belongs to each member. The sum has k of them, and variances of independent "
        "numbers add up.",
        lambda h, k, p: (h / k) ** 2 * p / (1 - p), "shared",
    ),
    Mistake("grows with k", "Each member does only h / k.",
            lambda h, k, p: k * h**2 * p / (1 - p), "shared"),
    Mistake("adds standard deviations", "Of independent numbers the variances add up, which gives "
            "1 / k.", lambda h, k, p: h**2 * p / (1 - p) / k**0.5, "shared"),
)  # fmt: skip


# --- 3. the gradient of the hidden penalty ------------------------------------------------------


def penalty_gradient(h, A, p):
    n = len(h)
    odds = p / (1 - p)
    d_A = odds * A * np.mean(h**2, axis=0)  # (outputs, units) * (units,)
    d_h = odds / n * np.sum(A**2, axis=0) * h  # (units,) * (n, units)
    return d_A, d_h


def _penalty_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, n, units, outputs, p, dtype=np.float64, dead=False):
        h, A = rng.normal(size=(n, units)), rng.normal(size=(outputs, units))
        h[:, 0] *= not dead
        return Case(label, (h.astype(dtype), A.astype(dtype), p))

    return [
        case("more units than outputs", 7, 6, 3, 0.3),
        case("as many of everything", 5, 5, 5, 0.7),
        case("one example", 1, 4, 2, 0.4),
        case("a unit that is always 0", 6, 4, 3, 0.2, dead=True),
        case("very large dropout", 6, 5, 2, 0.95),
        case("float32", 6, 5, 2, 0.3, np.float32),
    ]


def _penalty_factors():
    """The same slip in both gradients: a wrong number in front of them."""
    rows: tuple[tuple[str, str, Any], ...] = (
        ("is half of what it should be", "The derivative of a square has a 2, which cancels the "
         "1/2 in R.", lambda p, n: 0.5),
        ("is twice what it should be", "The 2 of the square cancels against the 1/2 in R.",
         lambda p, n: 2),
        ("is n times too large", "R is a mean over the n examples: where is its 1/n?",
         lambda p, n: n),
        ("is divided by n twice", "1/n once: `np.mean` has it already.", lambda p, n: 1 / n),
        ("has p and 1 - p exchanged", "p is the probability to drop; for p = 0 there is no "
         "penalty. Zhang et al. write p for our 1 - p.", lambda p, n: ((1 - p) / p) ** 2),
        ("has the factor p (1 - p)", "The coin shows 0 or 1 / (1 - p). Its variance is p / (1 - "
         "p).", lambda p, n: (1 - p) ** 2),
        ("lacks the division by 1 - p", "The odds p / (1 - p): at p = 0.9 they are 9.",
         lambda p, n: 1 - p),
    )  # fmt: skip
    return tuple(
        Mistake(
            what, why, lambda h, A, p, f=factor, i=i: penalty_gradient(h, A, p)[i] * f(p, len(h)),
            output,
        )
        for what, why, factor in rows
        for i, output in enumerate(("d_A", "d_h"))
    )  # fmt: skip


_PENALTY_MISTAKES = (
    *_penalty_factors(),
    Mistake(
        "contains the square of the mean of h", "R contains the mean of the squares: square first.",
        lambda h, A, p: p / (1 - p) * A * np.mean(h, axis=0) ** 2, "d_A",
    ),
    Mistake(
        "averages h over the units as well", "Each unit has a mean square of its own: `axis=0`.",
        lambda h, A, p: p / (1 - p) * A * np.mean(h**2), "d_A",
    ),
    Mistake(
        "lacks A", "The derivative of |a_r|^2 is 2 a_r.",
        lambda h, A, p: p / (1 - p) * np.ones_like(A) * np.mean(h**2, axis=0), "d_A",
    ),
    Mistake(
        "is that of ordinary weight decay", "Each unit's weights are weighed with its mean square: "
        "a silent unit pays nothing.", lambda h, A, p: p / (1 - p) * A, "d_A",
    ),
    Mistake(
        "uses the rows of A", "a_r, by which unit r speaks, is *column* r of A: sum over the "
        "outputs, axis 0.",
        lambda h, A, p: p / (1 - p) / len(h) * np.sum(A**2, axis=1) * h, "d_h",
    ),
    Mistake(
        "uses one number for all of A", "Each unit has an |a_r|^2 of its own: `axis=0`.",
        lambda h, A, p: p / (1 - p) / len(h) * np.sum(A**2) * h, "d_h",
    ),
    Mistake(
        "uses the length of a_r, not its square", "|a_r|^2 is the sum of the squares, without a "
        "root.",
        lambda h, A, p: p / (1 - p) / len(h) * np.linalg.norm(A, axis=0) * h, "d_h",
    ),
    Mistake(
        "contains the square of the sum of a_r", "Square first, then sum over the outputs.",
        lambda h, A, p: p / (1 - p) / len(h) * np.sum(A, axis=0) ** 2 * h, "d_h",
    ),
    Mistake(
        "lacks h", "The derivative of h^2 is 2 h.",
        lambda h, A, p: p / (1 - p) / len(h) * np.sum(A**2, axis=0) * np.ones_like(h), "d_h",
    ),
    Mistake(
        "is zero", "R depends on the hidden units too. Through them dropout shapes all layers "
        "below.", lambda h, A, p: 0 * h, "d_h",
    ),
    Mistake("is zero", "R contains |a_r|^2.", lambda h, A, p: 0 * A, "d_A"),
)  # fmt: skip


# --- 4. what many masks know --------------------------------------------------------------------


def ask_masks(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_q = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))  # (T, n, classes)
    q = np.exp(log_q)
    probabilities = q.mean(axis=0)
    safe = np.where(probabilities > 0, probabilities, 1)  # 0 log 0 = 0
    entropy = -np.sum(probabilities * np.log(safe), axis=-1)
    mean_entropy = -np.sum(q * log_q, axis=-1).mean(axis=0)
    return probabilities, entropy, entropy - mean_entropy


def _masks_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, logits):
        return Case(label, (logits,))

    alike = 2 * rng.normal(size=(5, 6, 4))
    alike[:, 0] = alike[0, 0]  # all masks agree about the first example
    return [
        case("ordinary logits", 2 * rng.normal(size=(7, 5, 3))),
        case("as many masks as examples and classes", 2 * rng.normal(size=(4, 4, 4))),
        case("masks that agree about one example", alike),
        case("logits with an offset of 1e4", 1e4 + rng.normal(size=(6, 5, 3))),
        case("logits up to 1e4", 1e4 * rng.uniform(-1, 1, size=(6, 9, 5))),
        case("float32 logits", 2 * rng.normal(size=(6, 5, 3)).astype(np.float32)),
    ]


def _softmax(z, axis=-1, shift=True):
    z = z - z.max(axis=axis, keepdims=True) if shift else z
    return np.exp(z) / np.exp(z).sum(axis=axis, keepdims=True)


def _entropy(q, log=np.log, careful=True):
    return -np.sum(q * log(np.where(q > 0, q, 1) if careful else q), axis=-1)


_UNDERFLOW = (
    "exp of a very negative number is 0, its log -inf, and 0 * -inf is NaN. The limit of q log q "
    "is 0: take the log of np.where(q > 0, q, 1), or work with log-probabilities."
)
_MASKS_MISTAKES = (
    Mistake(
        "is the softmax of the mean logits",
        "Average probabilities, not logits. A mask that is very sure has large logits, and would "
        "outvote all others.",
        lambda z: _softmax(z.mean(axis=0)), "probability",
    ),
    Mistake(
        "is normalized over the masks", "Softmax runs over the classes: the last axis.",
        lambda z: _softmax(z, axis=0).mean(axis=0), "probability",
    ),
    Mistake(
        "is normalized over the examples", "Softmax runs over the classes: the last axis, not axis "
        "1.", lambda z: _softmax(z, axis=1).mean(axis=0), "probability",
    ),
    Mistake(
        "is the sum over the masks", "A mean: rows of probabilities sum to 1.",
        lambda z: _softmax(z).sum(axis=0), "probability",
    ),
    Mistake(
        "is averaged over the examples", "Axis 0 are the masks, axis 1 the examples.",
        lambda z: _softmax(z).mean(axis=1), "probability",
    ),
    Mistake(
        "keeps the axis of the masks", "Average over axis 0.", lambda z: _softmax(z),
        "probability",
    ),
    Mistake(
        "overflows to NaN", "`exp` overflows above 709. Subtract the largest logit of each row "
        "first: softmax does not change.",
        lambda z: _softmax(z, shift=False).mean(axis=0), "probability",
    ),
    Mistake(
        "is the mean of the entropies of the masks",
        "That is how unsure the masks are, one by one. Asked for is the entropy of their mean: it "
        "also knows how much they disagree.",
        lambda z: _entropy(_softmax(z)).mean(axis=0), "entropy",
    ),
    Mistake("is measured in bits", "Natural logarithm: `np.log`.",
            lambda z: _entropy(_softmax(z).mean(axis=0), np.log2), "entropy"),
    Mistake("has the wrong sign", "Minus the sum of q log q: an entropy is not negative.",
            lambda z: -_entropy(_softmax(z).mean(axis=0)), "entropy"),
    Mistake("is that of the softmax of the mean logits", "Use your averaged probabilities.",
            lambda z: _entropy(_softmax(z.mean(axis=0))), "entropy"),
    Mistake("is a mean over the classes", "An entropy is a *sum* over the classes.",
            lambda z: _entropy(_softmax(z).mean(axis=0)) / z.shape[-1], "entropy"),
    Mistake("is divided by the log of the number of classes", "No normalization was asked for.",
            lambda z: _entropy(_softmax(z).mean(axis=0)) / np.log(z.shape[-1]), "entropy"),
    Mistake("is NaN where a class has probability 0", _UNDERFLOW,
            lambda z: _entropy(_softmax(z).mean(axis=0), careful=False), "entropy"),
    Mistake(
        "is the mean of the entropies of the masks", "Subtract it from the entropy of their mean.",
        lambda z: _entropy(_softmax(z)).mean(axis=0), "information",
    ),
    Mistake(
        "has the wrong sign", "The entropy of the mean minus the mean entropy: never negative.",
        lambda z: _entropy(_softmax(z)).mean(axis=0) - _entropy(_softmax(z).mean(axis=0)),
        "information",
    ),
    Mistake("is the whole entropy", "Subtract what each mask is unsure of by itself: the mean of "
            "their entropies.", lambda z: _entropy(_softmax(z).mean(axis=0)), "information"),
    Mistake(
        "is the variance of the probabilities", "A good measure of disagreement too, but here the "
        "difference of two entropies is asked for.",
        lambda z: _softmax(z).var(axis=0).sum(axis=-1), "information",
    ),
    Mistake(
        "subtracts the entropy of the mean logits", "Take the entropy of each mask, then average.",
        lambda z: _entropy(_softmax(z).mean(axis=0)) - _entropy(_softmax(z.mean(axis=0))),
        "information",
    ),
    Mistake(
        "is NaN where a mask gives a class probability 0", _UNDERFLOW,
        lambda z: _entropy(_softmax(z).mean(axis=0))
        - _entropy(_softmax(z), careful=False).mean(axis=0), "information",
    ),
)  # fmt: skip


_WHAT = "the chapter What dropout does, and what it minimizes"

TASKS = [
    Task(
        name="dropout.dropout",
        title="Dropout, forward and backward",
        reference=dropout,
        judge=_judge_dropout,
        hints=(
            "If a share 1 - p survives unchanged, the mean output is (1 - p) x. Which factor on "
            "the survivors makes it x? A uniform random number is below p with probability p.",
            "out = mask * x, so the derivative by x is the same mask, with the same factor. Define "
            "`backward` inside `dropout`, so that it sees that mask.",
            "For p = 1 the factor 1 / (1 - p) does not exist, and nobody needs it. `np.where(keep, "
            "..., 0)` keeps zeros zero.",
        ),
        explanation="Each entry is multiplied by 0 or by 1 / (1 - p), so that its mean stays x and "
        "evaluation needs no change. Multiplication by a mask is linear, so the way back is "
        "multiplication by the same mask. The inner function remembers it.",
        look=f"the section 'A network that fights itself' of {_WHAT}",
        success="Scaled once, in training; one mask, both ways.",
    ),
    Task(
        name="dropout.committee",
        title="Predict the noise of a committee",
        reference=committee,
        outputs=("mean", "alone", "shared"),
        cases=_committee_cases,
        mistakes=_COMMITTEE_MISTAKES,
        hints=(
            "The coin is 0 with probability p and 1 / (1 - p) otherwise: mean 1. What is the mean "
            "of its square?",
            "Variance of the coin: 1 / (1 - p) - 1 = p / (1 - p). A factor h in front counts "
            "squared.",
            "The sum of k independent numbers, each with the variance (h/k)^2 p / (1 - p).",
        ),
        explanation="The coin has mean 1 and variance 1/(1-p) - 1 = p/(1-p). Times h, that is h^2 "
        "p/(1-p). A committee adds up k variances of (h/k)^2 p/(1-p) each: k times smaller in "
        "total, for the same mean.",
        look=f"the section 'From scratch: what is minimized' of {_WHAT}",
        success="To share a job among k units divides its noise by k: dropout likes committees.",
    ),
    Task(
        name="dropout.penalty_gradient",
        title="The gradient of the hidden penalty",
        reference=penalty_gradient,
        outputs=("d_A", "d_h"),
        cases=_penalty_cases,
        mistakes=_PENALTY_MISTAKES,
        hints=(
            "One entry is enough: A[k, r] occurs in |a_r|^2 only, and there as its square.",
            "d|a_r|^2 / dA[k, r] = 2 A[k, r]. What stands beside |a_r|^2 in R?",
            "h[i, r] meets |a_r|^2, the sum of the squares of column r: `np.sum(A**2, axis=0)`.",
        ),
        explanation="R is a sum of products |a_r|^2 h_ir^2 with p / (2 (1-p) n) in front. The "
        "derivative of each square brings a 2, which cancels the 1/2. By A: odds times A times "
        "the mean square of the unit. By h: odds / n times |a_r|^2 times h.",
        look=f"the section 'From scratch: what is minimized' of {_WHAT}",
        success="Weight decay whose strength is the activity of the unit: silent units pay none.",
    ),
    Task(
        name="dropout.ask_masks",
        title="What many masks know",
        reference=ask_masks,
        outputs=("probability", "entropy", "information"),
        cases=_masks_cases,
        mistakes=_MASKS_MISTAKES,
        hints=(
            "Softmax over the last axis, each row shifted by its maximum; then the mean over axis "
            "0.",
            "0 log 0: put a 1 inside the logarithm wherever q is 0, `np.where(q > 0, q, 1)`.",
            "Two entropies: of the mean over axis 0, shape (n,); and of each mask, shape (T, n), "
            "of which you then take the mean over axis 0.",
        ),
        explanation="The entropy of the mean has two parts: how unsure the masks are one by one "
        "(the mean entropy), and how much they disagree (the rest, the mutual information "
        "between mask and class). The log of softmax is never formed from an underflowed number.",
        look=f"the section 'One network or many?' of {_WHAT}",
        success="Two kinds of doubt: each mask unsure, or all sure of different things.",
    ),
]
