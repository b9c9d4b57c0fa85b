"""Runs with dropout: mixout and its pull, a comparison at equal loss, and masks for the money."""

from __future__ import annotations

import itertools

import numpy as np

from ..judging import Case, Mistake, Task

# --- 5. find the errors: a step with mixout -----------------------------------------------------


def mixout_step(w, u, x, y, p, lr, keep):
    factor = keep / (1 - p)  # (in,): 0 or 1 / (1 - p), mean 1
    mixed = u + factor * (w - u)
    error = x @ mixed.T - y  # (n, out)
    gradient = error.T @ x / len(x)  # by `mixed`, (out, in)
    return w - lr * factor * gradient  # chain rule: d mixed / d w is `factor`


def _mixout_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, n, n_in, n_out, p, kept):
        w, u = rng.normal(size=(2, n_out, n_in))
        keep = rng.permutation(np.arange(n_in) < kept)
        x, y = rng.normal(size=(n, n_in)), rng.normal(size=(n, n_out))
        return Case(label, (w, u, x, y, p, float(rng.uniform(0.05, 0.2)), keep))

    return [
        case("more inputs than outputs", 8, 6, 3, 0.4, 3),
        case("as many inputs as outputs", 7, 5, 5, 0.7, 2),
        case("nothing is mixed, p = 0", 5, 4, 2, 0.0, 4),
        case("nothing is kept", 5, 4, 2, 0.9, 0),
        case("one example", 1, 5, 3, 0.3, 4),
    ]


_MEAN = (
    "The mean of `np.where(keep, w, u)` is (1 - p) w + p u, not w: at test time the network would "
    "be another one. Subtract p u and divide by 1 - p."
)
_CHAIN = {
    "none": (
        "the gradient ignores the mask",
        "A weight that was replaced by u did not influence the loss. By the chain rule its "
        "gradient is 0, and that of the others has the factor 1 / (1 - p).",
    ),
    "mask": (
        "the gradient lacks 1 / (1 - p)",
        "The mask is there, the division is not. (The authors' code does the same; it is not the "
        "derivative.)",
    ),
    "scale": (
        "the gradient has 1 / (1 - p), but no mask",
        "A weight that was replaced by u did not influence the loss: its gradient is 0.",
    ),
}
_START = (
    "the step starts at the mixed weights",
    "Mixing is for one forward pass only. The step changes w; otherwise w is lost wherever it was "
    "replaced by u.",
)


def _broken_step(centred, chain, start):
    def step(w, u, x, y, p, lr, keep):
        mixed = np.where(keep, w, u)
        mixed = (mixed - p * u) / (1 - p) if centred else mixed
        gradient = (x @ mixed.T - y).T @ x / len(x)
        factor = {"none": 1, "mask": keep, "scale": 1 / (1 - p), "both": keep / (1 - p)}[chain]
        return (w if start else mixed) - lr * factor * gradient

    return step


def _mixout_mistakes():
    for centred, chain, start in itertools.product(
        (True, False), ("both", "mask", "scale", "none"), (True, False)
    ):
        left = [("the mean of the mixed weights is not w", _MEAN)] * (not centred)
        left += [_CHAIN[chain]] if chain in _CHAIN else []
        left += [_START] * (not start)
        if not left:
            continue
        if len(left) == 3 and chain == "none":
            what = "still come from all three errors"
        else:
            what = f"are wrong since {left[0][0]}"
            what += f", and {len(left) - 1} more of the errors are left" * (len(left) > 1)
        yield Mistake(what, left[0][1], _broken_step(centred, chain, start))


_MIXOUT_MISTAKES = (
    *_mixout_mistakes(),
    Mistake(
        "are n times too far away", "The loss is a mean over the examples.",
        lambda w, u, x, y, p, lr, keep: w
        + len(x) * (mixout_step(w, u, x, y, p, lr, keep) - w),
    ),
    Mistake("move uphill", "Minus the gradient.",
            lambda w, u, x, y, p, lr, keep: 2 * w - mixout_step(w, u, x, y, p, lr, keep)),
    Mistake(
        "belong to the opposite mask", "`keep` is True where w is kept, False where it is replaced "
        "by u.", lambda w, u, x, y, p, lr, keep: mixout_step(w, u, x, y, p, lr, ~keep),
    ),
)  # fmt: skip


# --- 6. on paper: three pulls -------------------------------------------------------------------


def three_pulls(best, c, u, strength, p):
    to_zero = c * best / (c + strength)
    to_start = (c * best + strength * u) / (c + strength)
    mixout = (1 - p) * best + p * u  # the curvature has cancelled
    return to_zero, to_start, mixout


def _pulls_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, strength, p, scale=1.0):
        best, u = rng.normal(size=(2, 5))
        c = np.exp(1.5 * rng.normal(size=5))
        return Case(label, (best, c, scale * u, strength, p))

    return [
        case("five weights", 0.7, 0.3),
        case("strong pulls", 40.0, 0.9),
        case("no pull at all", 0.0, 0.0),
        case("a start at 0", 0.4, 0.6, scale=0.0),
    ]


_PULLS_MISTAKES = (
    Mistake(
        "is that of half the strength", "The penalty is strength / 2 times |w|^2: its gradient is "
        "strength times w.", lambda b, c, u, s, p: c * b / (c + s / 2), "to_zero",
    ),
    Mistake(
        "is that of twice the strength", "The 2 of the square cancels against the 1/2.",
        lambda b, c, u, s, p: c * b / (c + 2 * s), "to_zero",
    ),
    Mistake("ignores the curvature", "The gradient of the loss is c (w - best).",
            lambda b, c, u, s, p: b / (1 + s), "to_zero"),
    Mistake("is pulled to the start", "Weight decay pulls to 0.",
            lambda b, c, u, s, p: (c * b + s * u) / (c + s), "to_zero"),
    Mistake("has curvature and strength exchanged", "Check: without a pull it should be `best`.",
            lambda b, c, u, s, p: s * b / (c + s), "to_zero"),
    Mistake(
        "is ordinary weight decay", "L2-SP pulls to u: its gradient is strength * (w - u).",
        lambda b, c, u, s, p: c * b / (c + s), "to_start",
    ),
    Mistake(
        "is that of twice the strength", "The 2 of the square cancels against the 1/2.",
        lambda b, c, u, s, p: (c * b + 2 * s * u) / (c + 2 * s), "to_start",
    ),
    Mistake(
        "is weight decay, moved by u", "The pull to 0 is still in it. Shift the origin to u "
        "instead: u + c / (c + strength) * (best - u).",
        lambda b, c, u, s, p: c * b / (c + s) + u, "to_start",
    ),
    Mistake(
        "has the pull with the wrong sign", "strength * (w - u), not strength * (w + u).",
        lambda b, c, u, s, p: (c * b - s * u) / (c + s), "to_start",
    ),
    Mistake("has curvature and strength exchanged", "Check: without a pull it should be `best`.",
            lambda b, c, u, s, p: (s * b + c * u) / (c + s), "to_start"),
    Mistake("ignores the curvature", "The gradient of the loss is c (w - best).",
            lambda b, c, u, s, p: (b + s * u) / (1 + s), "to_start"),
    Mistake(
        "is the minimum without mixout", "The mean of the mixed weights is w, but the loss also "
        "feels their variance, p / (1 - p) * (w - u)^2.",
        lambda b, c, u, s, p: b + 0 * u, "mixout",
    ),
    Mistake(
        "has p and 1 - p exchanged", "p is the probability to take u. For p = 0 nothing pulls.",
        lambda b, c, u, s, p: p * b + (1 - p) * u, "mixout",
    ),
    Mistake(
        "is that of L2-SP with the strength p / (1 - p)", "That is the bound with m = 1. The "
        "curvature of each weight enters: c p / (1 - p) (w - u)^2 / 2. What happens to c then?",
        lambda b, c, u, s, p: (c * b + p / (1 - p) * u) / (c + p / (1 - p)), "mixout",
    ),
    Mistake(
        "lacks the division by 1 - p", "The variance of the coin is p / (1 - p), not p.",
        lambda b, c, u, s, p: (b + p * u) / (1 + p), "mixout",
    ),
    Mistake(
        "is that of a coin without rescaling", "p (1 - p) is the variance of a coin of 0 and 1. "
        "Mixout's coin is divided by 1 - p.",
        lambda b, c, u, s, p: (b + p * (1 - p) * u) / (1 + p * (1 - p)), "mixout",
    ),
    Mistake("is pulled to 0, as by dropout", "Mixout pulls to u; dropout is its case u = 0.",
            lambda b, c, u, s, p: (1 - p) * b, "mixout"),
    Mistake("is that of L2-SP", "Mixout does not know `strength`; what counts is p.",
            lambda b, c, u, s, p: (c * b + s * u) / (c + s), "mixout"),
)  # fmt: skip


# --- 7. the control: compare at the same loss ---------------------------------------------------


def value_at_loss(losses, values, level):
    found = np.full(len(losses), np.nan)
    for seed, (loss, value) in enumerate(zip(losses, values, strict=True)):
        below = loss <= level
        if below[0] or not below.any():
            continue  # this run was never seen to pass the level
        k = np.argmax(below)  # first tick at or below it
        share = (loss[k - 1] - level) / (loss[k - 1] - loss[k])
        found[seed] = value[k - 1] + share * (value[k] - value[k - 1])
    return found


def _loss_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, wobble=False, late=False, early=False, exact=False):
        seeds, ticks = 4, 9
        pace = rng.permutation(np.linspace(0.65, 1.1, seeds)) * rng.uniform(0.98, 1.02, seeds)
        losses = 2.3 * np.exp(-np.linspace(0, 2, ticks)) * pace[:, None]
        losses[:, 0] = rng.uniform(2.2, 2.4, size=seeds)
        if wobble:  # down, up again, and down for good
            losses[:, 3] = rng.uniform(0.6, 0.8, seeds)
            losses[:, 4] = rng.uniform(1.2, 1.4, seeds)
            losses[:, 1:3] = rng.uniform(1.3, 2.0, (seeds, 2))
        if late:
            losses[1] = np.linspace(2.3, 1.2, ticks)
        if early:
            losses[2] *= 0.3
        values = rng.normal(size=(seeds, ticks))
        level = 1.0
        if exact:
            losses[0, 5] = level
            losses[0, :5] += 0.5
        return Case(label, (losses, values, level))

    return [
        case("falling curves"),
        case("a tick exactly at the level", exact=True),
        case("curves that fall, rise and fall again", wobble=True),
        case("one run that never falls so far", late=True),
        case("one run that starts below the level", early=True),
    ]


def _at_loss(which="first", missing=np.nan, between=True, summary=None):
    def mistaken(losses, values, level):
        found = []
        for loss, value in zip(losses, values, strict=True):
            below = loss <= level
            if below[0] or not below.any():
                k = 0 if below[0] or missing == "first" else -1
                if missing == "wrap":  # argmax gave 0, and tick -1 is the last
                    share = (loss[-1] - level) / (loss[-1] - loss[0])
                    found.append(value[-1] + share * (value[0] - value[-1]))
                else:
                    found.append(value[k] if missing in ("clamp", "first") else missing)
                continue
            crossings = 1 + np.flatnonzero(below[1:] & ~below[:-1])
            k = crossings[0 if which == "first" else -1]
            share = (loss[k - 1] - level) / (loss[k - 1] - loss[k]) if between else 1.0
            found.append(value[k - 1] + share * (value[k] - value[k - 1]))
        return np.array(found, dtype=float) if summary is None else summary(found)

    return mistaken


def _sorted_interpolation(losses, values, level):
    order = np.argsort(losses, axis=1)
    losses, values = (np.take_along_axis(a, order, axis=1) for a in (losses, values))
    return np.array([np.interp(level, a, b) for a, b in zip(losses, values, strict=True)])


_CENSORED = (
    "np.interp and argmax invent an answer where the curve never passes the level: the value at "
    "the nearest end. Such a run is censored. Say so: NaN."
)
_LOSS_MISTAKES = (
    Mistake(
        "is read off after sorting the ticks by their loss",
        "Sorting by loss mixes early and late ticks of a curve that goes up and down. Look for the "
        "first tick at or below the level.", _sorted_interpolation,
    ),
    Mistake("is that of the end where the level is never passed", _CENSORED,
            _at_loss(missing="clamp")),
    Mistake("is that of tick 0 where the level is never passed", "argmax of nothing but False is "
            "0. Ask `below.any()` first; such a run is censored: NaN.", _at_loss(missing="first")),
    Mistake(
        "is interpolated between the last tick and the first",
        "argmax of nothing but False is 0, and tick 0 - 1 = -1 is the last one. Such a run never "
        "passes the level: NaN.", _at_loss(missing="wrap"),
    ),
    Mistake("is 0 where the level is never passed", "0 looks like a measurement. Use NaN.",
            _at_loss(missing=0.0)),
    Mistake(
        "is that of the first tick below the level, without interpolation",
        "That tick has a smaller loss than asked for, and by how much depends on how fast the run "
        "learns: the very thing to be controlled. Interpolate from the tick before.",
        _at_loss(between=False),
    ),
    Mistake(
        "is that of the last time the loss passes the level",
        "The *first* passage is asked for: the last one depends on how long the run was watched.",
        _at_loss(which="last"),
    ),
    Mistake(
        "is read from np.interp with falling losses",
        "np.interp needs increasing x. With decreasing x it returns nonsense without a word.",
        lambda losses, values, level: np.array(
            [np.interp(level, a, b) for a, b in zip(losses, values, strict=True)]),
    ),
    Mistake("is a mean over the seeds", "One number for each seed: arms are compared seed by seed.",
            _at_loss(summary=np.nanmean)),
    Mistake(
        "is taken where the *mean* curve passes the level",
        "Each seed has its own moment. Do it curve by curve.",
        lambda losses, values, level: values[:, np.argmax(losses.mean(axis=0) <= level)],
    ),
)  # fmt: skip


# --- 8. the budget: how many masks? -------------------------------------------------------------


def best_masks(by_batch, by_masks, body, head):
    best = np.sqrt(by_masks / by_batch * body / head)  # where the derivative is 0
    few = max(1, int(np.floor(best)))
    return min((few, few + 1), key=lambda m: (by_batch + by_masks / m) * (body + m * head))


def _budget_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, ratio, best):
        """Variances in this ratio, and costs for which `best` is the best real number."""
        by_batch, head = float(rng.uniform(0.5, 2.0)), float(rng.integers(100, 900))
        return Case(label, (by_batch, ratio * by_batch, best**2 / ratio * head, head))

    m = [int(number) for number in rng.permutation(np.arange(3, 10))]
    return [
        case("noisy masks", 3.1, m[0] + 0.2),
        case("noisy masks", 2.2, m[1] + 0.8),
        case("noisy masks", 40.0, m[2] + 0.3),
        case("masks that matter little", 0.35, m[3] + 0.25),
        case("nearly no mask noise", 1e-6, 0.01),
        case("just above the middle of two numbers", 1.0, (m[4] * (m[4] + 1) + 0.12) ** 0.5),
    ]


_BUDGET_MISTAKES = (
    Mistake(
        "is not a whole number", "Nobody can draw 2.7 masks. Compare the two whole numbers around "
        "it.", lambda b, m, body, head: np.sqrt(m / b * body / head),
    ),
    Mistake(
        "is the square of the best number, rounded", "A square root is missing: the derivative of "
        "V_B c_h M + V_m c_B / M is zero where M^2 = V_m c_B / (V_B c_h).",
        lambda b, m, body, head: max(1, round(m / b * body / head)),
    ),
    Mistake(
        "has the ratio of the variances upside down", "More noise from masks asks for more masks.",
        lambda b, m, body, head: max(1, round(np.sqrt(b / m * body / head))),
    ),
    Mistake(
        "has the ratio of the costs upside down", "The dearer the head, the fewer masks.",
        lambda b, m, body, head: max(1, round(np.sqrt(m / b * head / body))),
    ),
    Mistake(
        "ignores the price", "Masks cost multiplications, too: c_B and c_h belong in.",
        lambda b, m, body, head: max(1, round(m / b)),
    ),
    Mistake(
        "ignores the price", "Masks cost multiplications, too: c_B and c_h belong in.",
        lambda b, m, body, head: max(1, round(np.sqrt(m / b))),
    ),
    Mistake(
        "can be 0", "At least one mask is needed. (The formula knows nothing about that.)",
        lambda b, m, body, head: round(np.sqrt(m / b * body / head)),
    ),
    Mistake(
        "is the best real number, rounded",
        "The nearest whole number need not be the better one. Evaluate variance times cost at "
        "both.", lambda b, m, body, head: max(1, round(np.sqrt(m / b * body / head))),
    ),
    Mistake(
        "is always rounded down", "Evaluate variance times cost at both neighbours.",
        lambda b, m, body, head: max(1, int(np.sqrt(m / b * body / head))),
    ),
    Mistake(
        "is always rounded up", "Evaluate variance times cost at both neighbours.",
        lambda b, m, body, head: max(1, int(np.ceil(np.sqrt(m / b * body / head)))),
    ),
    Mistake("is the recipe of the paper", "Eight is not always the best: use the arguments.",
            lambda b, m, body, head: 8),
    Mistake("is 1 everywhere", "Try M = 2 in variance times cost, with a cheap head.",
            lambda b, m, body, head: 1),
)  # fmt: skip


_WHEN = "the chapter When to drop"
_TUNE = "the chapter Fine-tuning with dropout"

TASKS = [
    Task(
        name="dropout.mixout_step",
        title="Repair a step with mixout",
        reference=mixout_step,
        outputs=("new weights",),
        cases=_mixout_cases,
        mistakes=_MIXOUT_MISTAKES,
        hints=(
            "First: what is the mean over masks of the weights in the forward pass?",
            "Second: they depend on w only where w was kept. The chain rule needs d mixed / d w.",
            "Third: which weights does the function return, and where has w gone?",
        ),
        explanation="Mixout is dropout of the difference: u + keep / (1 - p) * (w - u). Its "
        "derivative by w is keep / (1 - p), and the step is a step of w: the mixed weights are "
        "thrown away after the forward pass.",
        look=f"the section 'From scratch: mixout' of {_TUNE}",
        success="Noise for one forward pass, its exact derivative, and a step of the real weights.",
    ),
    Task(
        name="dropout.three_pulls",
        title="Where do three pulls end?",
        reference=three_pulls,
        outputs=("to_zero", "to_start", "mixout"),
        cases=_pulls_cases,
        mistakes=_PULLS_MISTAKES,
        hints=(
            "Every weight is a problem of its own. Set the derivative to zero: c (w - best) + pull "
            "= 0.",
            "Mixout: the mean over coins of c/2 (mixed - best)^2 is c/2 [(w - best)^2 + variance "
            "of mixed].",
            "That variance is p / (1 - p) (w - u)^2. Now c stands before both terms.",
        ),
        explanation="Decay and L2-SP weigh the curvature against one strength for all: flat "
        "directions follow the pull, steep ones ignore it. Under mixout the noise is felt in "
        "proportion to the curvature, so that c cancels: every weight goes the share p of the "
        "way back.",
        look=f"the section 'What mixout asks for' of {_TUNE}",
        success="L2-SP is felt in flat directions; mixout in all, steep ones included.",
    ),
    Task(
        name="dropout.value_at_loss",
        title="Compare at the same loss",
        reference=value_at_loss,
        outputs=("value",),
        cases=_loss_cases,
        mistakes=_LOSS_MISTAKES,
        hints=(
            "One curve at a time. `np.argmax(loss <= level)` is the first tick at or below the "
            "level, if there is one.",
            "Between that tick and the one before: share = (loss before - level) / (loss before - "
            "loss there).",
            "argmax answers 0 in two other cases as well: if tick 0 is below already, and if no "
            "tick is. Both get NaN.",
        ),
        explanation="The first tick at or below the level, a straight line from the tick before, "
        "and NaN where the run was not seen to pass the level. Compared at the same loss, two runs "
        "are equally far in their training, however fast they got there.",
        look=f"'What is left at the same training loss?' in {_WHEN}",
        success="At equal steps the slower learner is younger: compare at equal loss as well.",
    ),
    Task(
        name="dropout.best_masks",
        title="How many masks for your money?",
        reference=best_masks,
        outputs=("number",),
        cases=_budget_cases,
        mistakes=_BUDGET_MISTAKES,
        hints=(
            "Multiply out. Which terms depend on M?",
            "V_B c_h M + V_m c_B / M is smallest at M^2 = V_m c_B / (V_B c_h).",
            "Evaluate variance times cost at the two whole numbers around M, and never below 1.",
        ),
        explanation="(V_B + V_m / M)(c_B + M c_h) has one term that grows with M and one that "
        "falls; they are equal at the best M. It is no whole number, so the two neighbours are "
        "compared, and the smallest possible number is 1.",
        look=f"the section 'Is it worth its price?' of {_WHEN}",
        success="At equal steps more masks always look better; at equal cost there is a best M.",
    ),
]
