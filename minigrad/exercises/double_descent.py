"""Exercises for the chapters on double descent: the peak, real networks, random labels.

Predict the error of a linear model on paper, write the fits that gradient descent and ridge find,
split an error into bias and variance, draw label noise that can be compared, and read a curve
without deceiving yourself.
"""

from __future__ import annotations

import numpy as np

from .judging import Answer, Case, Mistake, Task, as_array, changed_inputs, fail

# --- 1. predict the peak on paper ---------------------------------------------------------------


def mean_risk(n, d, noise):
    if n < d:
        return 1 - n / d, noise * n / (d - n - 1)
    return 0.0, noise * d / (n - d - 1)


def _risk_cases(rng: np.random.Generator) -> list[Case]:
    d = int(rng.integers(30, 80))
    noise = float(rng.uniform(0.1, 2.0))
    below, near, above = d // 2, d - 2, 3 * d
    return [
        Case("more examples than parameters", (above, d, noise)),
        Case("fewer examples than parameters", (below, d, noise)),
        Case("two examples fewer than parameters", (near, d, noise)),
        Case("two examples more than parameters", (d + 2, d, noise)),
        Case("no noise", (below, d, 0.0)),
    ]


def _risk(bias=None, variance=None):
    """The answer with one of its four pieces replaced: functions of (n, d, noise)."""

    def mistaken(n, d, noise):
        right = mean_risk(n, d, noise)
        return (
            right[0] if bias is None else bias(n, d),
            right[1] if variance is None else variance(n, d, noise),
        )

    return mistaken


_RISK_MISTAKES = (
    Mistake(
        "lacks the -1 in its denominator",
        "d / (n - d) is the limit of large n and d. For finite sizes the mean of the trace of an "
        "inverse Wishart matrix has n - d - 1, which makes it infinite one step earlier.",
        _risk(variance=lambda n, d, s: s * min(n, d) / abs(n - d)), "variance",
    ),
    Mistake(
        "uses n > d's formula on both sides",
        "With fewer examples than parameters there are n singular values, not d, and d - n - 1 "
        "below: the two lines are mirror images of each other.",
        _risk(variance=lambda n, d, s: s * d / (abs(n - d) - 1)), "variance",
    ),
    Mistake(
        "has the noise's standard deviation squared once more",
        "`noise` is the variance already.",
        _risk(variance=lambda n, d, s: mean_risk(n, d, s * s)[1]), "variance",
    ),
    Mistake(
        "is negative where n < d",
        "n - d - 1 is negative there. Which of the two differences is the number of spare "
        "dimensions on this side?",
        _risk(variance=lambda n, d, s: s * min(n, d) / (n - d - 1)), "variance",
    ),
    Mistake(
        "is the part that the examples see",
        "n / d is the share of |beta|^2 inside the span of the n examples. The bias is what is "
        "outside.",
        _risk(bias=lambda n, d: min(n / d, 1.0)), "bias",
    ),
    Mistake(
        "is not zero with more examples than parameters",
        "n examples span all d directions as soon as n >= d: nothing of beta is missed.",
        _risk(bias=lambda n, d: abs(1 - n / d)), "bias",
    ),
    Mistake(
        "is squared once too often",
        "A random span of n among d dimensions catches the share n / d of the *squared* length.",
        _risk(bias=lambda n, d: max(1 - n / d, 0.0) ** 2), "bias",
    ),
)  # fmt: skip


# --- 2. the fit that gradient descent finds -----------------------------------------------------


def shortest_fit(X, y):
    return np.linalg.pinv(X) @ y


def _fit_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, n, d, repeat=False):
        X = rng.normal(size=(n, d))
        if repeat:
            X[-1] = X[0]
        y = X @ rng.normal(size=d) if repeat else rng.normal(size=n)
        return Case(label, (X, y))

    return [
        case("more parameters than examples", 4, 9),
        case("as many examples as parameters", 5, 5),
        case("more examples than parameters", 12, 4),
        case("one example", 1, 6),
        case("two equal examples among more parameters", 4, 8, repeat=True),
    ]


def _basic_solution(X, y):
    n, d = X.shape
    k = min(n, d)
    return np.concatenate([np.linalg.lstsq(X[:, :k], y, rcond=None)[0], np.zeros(d - k)])


_FIT_MISTAKES = (
    Mistake(
        "fits, but is not the shortest: the parameters beyond the first n are zero",
        "Setting d - n parameters to zero leaves a solvable system. It is *a* perfect fit, and "
        "gradient descent from zero finds another, the shortest.",
        _basic_solution,
    ),
    Mistake(
        "is pulled towards zero, as by a ridge penalty",
        "A small number added to the diagonal makes the system solvable and changes the answer. "
        "Where the fit is unique nothing may be added.",
        lambda X, y: np.linalg.solve(X.T @ X + 1e-3 * np.eye(X.shape[1]), X.T @ y),
    ),
    Mistake(
        "is X.T @ y, without the inverse",
        "X.T @ y is one step of gradient descent from zero. The end of the descent has "
        "(X X^T)^-1 in between.",
        lambda X, y: X.T @ y,
    ),
    Mistake(
        "fits, but its length is not the smallest: a part that no example can see is left",
        "Did you start the descent at random weights? What lies at right angles to all examples is "
        "never changed. Start at zero.",
        lambda X, y: np.linalg.pinv(X) @ y
        + (np.eye(X.shape[1]) - np.linalg.pinv(X) @ X) @ np.ones(X.shape[1]),
    ),
)  # fmt: skip


# --- 3. ridge -----------------------------------------------------------------------------------


def ridge_fit(X, y, delta):
    n, d = X.shape
    if n < d:  # the same solution through the smaller matrix
        return X.T @ np.linalg.solve(X @ X.T + delta * np.eye(n), y)
    return np.linalg.solve(X.T @ X + delta * np.eye(d), X.T @ y)


def _ridge_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, n, d, delta):
        return Case(label, (rng.normal(size=(n, d)), rng.normal(size=n), delta))

    return [
        case("more examples than parameters", 9, 3, 0.7),
        case("more parameters than examples", 3, 9, 0.7),
        case("a strong penalty", 6, 5, 300.0),
        case("a weak penalty at the peak", 6, 6, 1e-3),
    ]


def _ridge(delta_of):
    return lambda X, y, delta: ridge_fit(X, y, delta_of(delta, *X.shape))


_RIDGE_MISTAKES = (
    Mistake(
        "has a penalty n times too strong",
        "The task minimizes the *sum* of squared errors plus delta |w|^2. With the mean of the "
        "squared errors, delta would have to be multiplied by n.",
        _ridge(lambda delta, n, d: n * delta),
    ),
    Mistake(
        "has a penalty n times too weak",
        "The sum of squares belongs to delta |w|^2 here, not n times its mean's half.",
        _ridge(lambda delta, n, d: delta / n),
    ),
    Mistake("has half the penalty", "The gradient of delta |w|^2 is 2 delta w, and that of the "
            "squared errors has the same 2: they cancel.", _ridge(lambda delta, n, d: delta / 2)),
    Mistake("has twice the penalty", "The 2 of 2 delta w cancels against the 2 of the squared "
            "errors.", _ridge(lambda delta, n, d: 2 * delta)),
    Mistake("uses delta squared", "The penalty is delta |w|^2; only w is squared.",
            _ridge(lambda delta, n, d: delta**2)),
    Mistake(
        "adds delta to all entries, not to the diagonal",
        "`A + delta` adds a number to every entry of a matrix. `A + delta * np.eye(d)` is meant.",
        lambda X, y, delta: np.linalg.solve(X.T @ X + delta, X.T @ y),
    ),
    Mistake("ignores delta", "This is the fit without a penalty.",
            lambda X, y, delta: np.linalg.pinv(X) @ y),
)  # fmt: skip


# --- 4. bias and variance -----------------------------------------------------------------------


def bias_variance(predictions, truth):
    average = predictions.mean(axis=0)  # (points,)
    bias = np.mean((average - truth) ** 2)
    variance = np.mean((predictions - average) ** 2)
    return bias, variance


def _split_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, draws, points, spread):
        truth = rng.normal(size=points)
        predictions = truth + rng.normal(size=points) + spread * rng.normal(size=(draws, points))
        return Case(label, (predictions, truth))

    return [
        case("seven draws of five points", 7, 5, 1.0),
        case("as many draws as points", 6, 6, 1.0),
        case("all draws equal", 4, 5, 0.0),
        case("one draw", 1, 5, 1.0),
    ]


_SPLIT_MISTAKES = (
    Mistake("is not squared", "Bias enters the error as a square.",
            lambda p, t: np.mean(p.mean(axis=0) - t), "bias"),
    Mistake(
        "is the whole mean squared error",
        "The errors were squared before the mean over the draws. The bias is the error of the "
        "*average* prediction: average first, then square.",
        lambda p, t: np.mean((p - t) ** 2), "bias",
    ),
    Mistake("is averaged over the points before it is squared", "Each point has a bias of its own; "
            "biases of different sign must not cancel.",
            lambda p, t: np.mean(p.mean(axis=0) - t) ** 2, "bias"),
    Mistake(
        "is taken over the points, not over the draws",
        "What varies is the training set: axis 0. For each point take the spread of its "
        "predictions, then average over the points.",
        lambda p, t: np.mean(np.var(p, axis=1)), "variance",
    ),
    Mistake(
        "divides by draws - 1",
        "That is the unbiased estimate for new draws. Here bias and variance must add up to the "
        "mean squared error of *these* draws, which needs the division by their number.",
        lambda p, t: np.mean(np.var(p, axis=0, ddof=1)), "variance",
    ),
    Mistake("is the spread around the truth", "The variance is measured around the average "
            "prediction.", lambda p, t: np.mean((p - t) ** 2), "variance"),
    Mistake("is the spread of all numbers together", "`predictions.var()` mixes the differences "
            "between points with those between draws.", lambda p, t: np.var(p), "variance"),
)  # fmt: skip


# --- 5. label noise that can be compared --------------------------------------------------------


def corrupt(y, fraction, classes, seed):
    rng = np.random.default_rng(seed)
    # Everything is drawn for all n examples, whatever the fraction: that nests the sets.
    order = rng.permutation(len(y))
    wrong = (y + rng.integers(1, classes, len(y))) % classes  # never the right class
    chosen = order[: round(fraction * len(y))]
    noisy = y.copy()
    noisy[chosen] = wrong[chosen]
    return noisy


def _judge_corrupt(answer: Answer, generator: np.random.Generator) -> list[str]:
    n, classes = 2000, int(generator.integers(5, 12))
    y = generator.integers(0, classes, n)
    seed = int(generator.integers(1_000_000))
    outcome = answer.call(y, 0.2, classes, seed)
    if outcome.error is not None:
        raise outcome.error
    if outcome.changed:
        raise changed_inputs(outcome.changed)
    first = as_array(outcome.value, "labels")
    if first.shape != y.shape:
        fail(f"the labels have shape {first.shape}, where {y.shape} is expected.")
    if not np.isin(first, np.arange(classes)).all():
        fail(
            f"there are labels outside 0 ... {classes - 1}.",
            "Adding to a class number needs `% classes` afterwards.",
        )
    flipped = int(np.sum(first != y))
    redrawn = round(0.2 * n * (classes - 1) / classes)
    if flipped != round(0.2 * n):
        if abs(flipped - redrawn) < 25 and flipped < round(0.2 * n):
            fail(
                f"{flipped} labels are wrong, where exactly {round(0.2 * n)} should be.",
                f"Drawn from all {classes} classes, one label in {classes} comes out right again. "
                "Draw from the others only: add 1 ... classes - 1 and take the remainder.",
            )
        fail(
            f"{flipped} labels are wrong, where exactly {round(0.2 * n)} should be.",
            "If every example is corrupted with probability `fraction`, the number varies. Choose "
            "round(fraction * n) examples, for instance the first ones of a permutation.",
        )
    offsets = np.bincount((first - y)[first != y] % classes, minlength=classes)[1:]
    if offsets.min() < 0.4 * offsets.mean():
        fail(
            "the wrong classes are not equally frequent.",
            "Every wrong class should have the same chance; y + 1 for all is a rule that a network "
            "can learn.",
        )
    again = as_array(answer(y, 0.2, classes, seed), "labels")
    if not np.array_equal(first, again):
        fail(
            "the same seed gives other labels the second time.",
            "Make the generator inside the function, from `seed`.",
        )
    if np.array_equal(first != y, as_array(answer(y, 0.2, classes, seed + 1), "labels") != y):
        fail("another seed corrupts the same examples.", "Use `seed` for the choice as well.")
    half = as_array(answer(y, 0.1, classes, seed), "labels")
    if np.any((half != y) & (half != first)):
        fail(
            "the 10 % are not contained in the 20 %.",
            "For one seed, what is wrong at 10 % should be wrong in the same way at 20 %: then two "
            "noise levels differ only by the added noise. Draw the order and the new labels for "
            "all examples, and only then take the first fraction * n of the order.",
        )
    everything = as_array(answer(y, 1.0, classes, seed), "labels")
    nothing = as_array(answer(y, 0.0, classes, seed), "labels")
    if np.any(nothing != y) or np.any(everything == y):
        fail("with fraction 0 nothing may change, with fraction 1 every label must be wrong.")
    return ["exactly the fraction", "always another class", "reproducible", "nested"]


# --- 6. where is the threshold? -----------------------------------------------------------------


def threshold(sizes, train_error):
    fitted = np.asarray(train_error) == 0
    stays = np.logical_and.accumulate(fitted[::-1])[::-1]  # zero here and at all larger sizes
    return int(sizes[np.argmax(stays)]) if stays.any() else -1


def _threshold_cases(rng: np.random.Generator) -> list[Case]:
    sizes = np.cumsum(rng.integers(2, 9, size=9))

    def case(label, errors):
        return Case(label, (sizes, np.array(errors)))

    return [
        case("zero from some size on", [0.6, 0.4, 0.2, 0.01, 0.005, 0.0, 0.0, 0.0, 0.0]),
        case("a lucky zero before", [0.6, 0.4, 0.0, 0.05, 0.01, 0.0, 0.0, 0.0, 0.0]),
        case("small but never zero", [0.6, 0.4, 0.2, 0.05, 0.01, 0.01, 0.005, 0.002, 0.001]),
        case("zero everywhere", [0.0] * 9),
    ]


_THRESHOLD_MISTAKES = (
    Mistake(
        "is the first size with error zero, though a larger one fails",
        "One lucky run does not make a threshold: from it on, *all* larger sizes must fit.",
        lambda s, e: int(s[np.argmax(e == 0)]) if np.any(e == 0) else -1,
    ),
    Mistake(
        "is the first size of the sweep where nothing fits",
        "argmax of nothing but False is 0. If no size reaches zero the threshold was not seen: "
        "return -1. (It is larger than the sweep: censored.)",
        lambda s, e: int(s[np.argmax(np.logical_and.accumulate((e == 0)[::-1])[::-1])]),
    ),
    Mistake(
        "takes a small error for zero",
        "An error of 0.01 is not a fit. The peak stands where the *last* example is learned.",
        lambda s, e: threshold(s, np.where(e <= 0.01, 0, e)),
    ),
    Mistake("is the last size that does not fit", "One further.",
            lambda s, e: int(s[max(np.argmax(e == 0) - 1, 0)])),
)  # fmt: skip


# --- 7. do the neighbours know better? ----------------------------------------------------------


def knn_probe(features, given, truth, k):
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    noisy = given != truth
    similarity = unit[noisy] @ unit[~noisy].T  # (noisy, clean): noisy examples never vote
    nearest = np.argsort(-similarity, axis=1)[:, :k]
    votes = truth[~noisy][nearest]  # (noisy, k)
    counts = np.array([np.bincount(row, minlength=truth.max() + 1) for row in votes])
    return float(np.mean(counts.argmax(axis=1) == truth[noisy]))


def _probe_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, spread, share, scale=False):
        centres = 3 * rng.normal(size=(4, 6))
        truth = rng.permutation(np.arange(400) % 4)
        features = centres[truth] + spread * rng.normal(size=(400, 6))
        # Lengths that say nothing about the class.
        features *= np.exp((2 if scale else 0.7) * rng.normal(size=(400, 1)))
        noisy = rng.random(400) < share
        given = np.where(noisy, (truth + rng.integers(1, 4, 400)) % 4, truth)
        return Case(label, (features, given, truth, 5))

    return [
        *(case("overlapping classes", 3.5, 0.25) for _ in range(3)),
        case("much noise", 3.0, 0.6),
        case("features of very different length", 2.5, 0.4, scale=True),
    ]


def _probe(vote="truth", clean=True, cosine=True, against="truth", drop=0):
    def mistaken(features, given, truth, k):
        noisy = given != truth
        voters = np.flatnonzero(~noisy) if clean else np.arange(len(truth))
        f = features / np.linalg.norm(features, axis=1, keepdims=True) if cosine else features
        distance = np.sum((f[noisy][:, None] - f[voters]) ** 2, axis=2)
        nearest = voters[np.argsort(distance, axis=1)[:, drop : drop + k]]
        votes = (truth if vote == "truth" else given)[nearest]
        counts = np.array([np.bincount(row, minlength=truth.max() + 1) for row in votes])
        goal = (truth if against == "truth" else given)[noisy]
        return float(np.mean(counts.argmax(axis=1) == goal))

    return mistaken


_PROBE_MISTAKES = (
    Mistake(
        "lets the mislabelled examples vote, each also for itself",
        "Only correctly labelled training examples vote. An example is its own nearest neighbour, "
        "so with noisy voters it votes for itself as well.",
        _probe(clean=False),
    ),
    Mistake(
        "lets the mislabelled examples vote, with their wrong labels",
        "Only correctly labelled training examples vote.", _probe(vote="given", clean=False),
    ),
    Mistake(
        "lets the mislabelled examples vote",
        "Leaving the example itself out is not enough: other mislabelled examples vote, too.",
        _probe(clean=False, drop=1),
    ),
    Mistake(
        "uses the Euclidean distance",
        "The probe compares directions (cosine): divide every feature vector by its length first.",
        _probe(cosine=False),
    ),
    Mistake(
        "asks how often the neighbours agree with the wrong label",
        "The question is whether the neighbourhood gives the *true* label of the mislabelled "
        "example.", _probe(against="given"),
    ),
)  # fmt: skip


# --- 8. early stopping, without cheating --------------------------------------------------------


def envelope(validation, test):
    best = np.argmin(validation, axis=1)  # (sizes,): the first best epoch of each size
    return test[np.arange(len(test)), best]


def _envelope_cases(rng: np.random.Generator) -> list[Case]:
    def case(label, sizes, epochs, digits=9):
        true = rng.random((sizes, epochs))
        noise = 0.3 * rng.normal(size=(2, sizes, epochs))
        return Case(label, tuple(np.round(np.abs(true + part), digits) for part in noise))

    return [
        case("six sizes, nine epochs", 6, 9),
        case("as many sizes as epochs", 5, 5),
        case("ties on the validation set", 6, 30, digits=1),
    ]


_ENVELOPE_MISTAKES = (
    Mistake(
        "is the smallest test error of each size",
        "That chooses the epoch by the test error: the result is too good, and the more epochs "
        "there are the better it looks. Choose by `validation`, report `test`.",
        lambda v, t: t.min(axis=1),
    ),
    Mistake("is the validation error itself", "The validation error of the chosen epoch is too "
            "good as well: it was minimized. Report the test error of that epoch.",
            lambda v, t: v.min(axis=1)),
    Mistake("is the test error at the last epoch", "Training to the end is the other curve, the "
            "one with the peak.", lambda v, t: t[:, -1]),
    Mistake("stops all sizes at one epoch", "Each size has its own best epoch: `argmin(axis=1)`.",
            lambda v, t: t[:, v.mean(axis=0).argmin()]),
    Mistake(
        "takes the last of several best epochs",
        "Where epochs tie, the first is the one that early stopping would have met.",
        lambda v, t: t[np.arange(len(t)), v.shape[1] - 1 - v[:, ::-1].argmin(axis=1)],
    ),
    Mistake("takes the minimum over the sizes", "Axis 0 are the sizes, axis 1 the epochs.",
            lambda v, t: t[v.argmin(axis=0), np.arange(t.shape[1])]),
)  # fmt: skip


TASKS = [
    Task(
        name="double_descent.mean_risk",
        title="Predict the peak on paper",
        reference=mean_risk,
        outputs=("bias", "variance"),
        cases=_risk_cases,
        mistakes=_RISK_MISTAKES,
        hints=(
            "Below the threshold the fit lies in a random span of n among d dimensions. Which "
            "share of |beta|^2 = 1 is outside?",
            "The noise is divided by each singular value: noise times the sum of 1 / s^2. There "
            "are min(n, d) of them.",
            "The mean of that sum is min(n, d) / (|n - d| - 1).",
        ),
        explanation="Bias: a random span of n among d dimensions misses the share 1 - n/d, until "
        "the examples span everything. Variance: the noise is divided by every singular value, so "
        "it is noise times the mean trace of an inverse Wishart matrix, min(n, d) / (|n - d| - 1).",
        look="the section 'A problem that can be solved on paper' of the chapter The peak",
        success="The whole peak is variance: the bias has none.",
    ),
    Task(
        name="double_descent.shortest_fit",
        title="The fit that gradient descent finds",
        reference=shortest_fit,
        outputs=("weights",),
        cases=_fit_cases,
        mistakes=_FIT_MISTAKES,
        hints=(
            "If n < d: w = X.T @ a for some a. Which a gives X w = y?",
            "X X^T is singular if two examples are equal. Which function of np.linalg copes with "
            "that, and with n > d as well?",
            "It is called the pseudoinverse.",
        ),
        explanation="The pseudoinverse divides by the singular values that are not zero, and "
        "leaves the other directions at zero: least squares, and the shortest of all solutions.",
        look="the section 'From scratch: which of all perfect fits?' of the chapter The peak",
        success="Nobody asked for the shortest: it is a gift of where we start and how we move.",
    ),
    Task(
        name="double_descent.ridge_fit",
        title="Ridge",
        reference=ridge_fit,
        outputs=("weights",),
        cases=_ridge_cases,
        mistakes=_RIDGE_MISTAKES,
        hints=(
            "Set the gradient of |Xw - y|^2 + delta |w|^2 to zero.",
            "Collect what multiplies w on one side: a matrix times w. Solve, do not invert.",
        ),
        explanation="The gradient is 2 X^T (X w - y) + 2 delta w. Set to zero it reads "
        "(X^T X + delta I) w = X^T y. With more parameters than examples the same w is "
        "X^T (X X^T + delta I)^-1 y, through a smaller matrix: multiply both out to see it.",
        look="the section 'What ridge does' of the chapter The peak",
        success="1 / s became s / (s^2 + delta): nothing is divided by a small number any more.",
    ),
    Task(
        name="double_descent.bias_variance",
        title="Split an error",
        reference=bias_variance,
        outputs=("bias", "variance"),
        cases=_split_cases,
        mistakes=_SPLIT_MISTAKES,
        hints=(
            "Two averages: over the draws, which gives one prediction per point, and over the "
            "points. Which comes first for the bias?",
            "Bias: mean over points of (average - truth)^2. Variance: mean over draws and points "
            "of (prediction - average)^2.",
        ),
        explanation="Write prediction - truth as (prediction - average) + (average - truth). The "
        "mean of the first bracket over the draws is zero, so the product of the two vanishes and "
        "the squares add up to the mean squared error of these draws, exactly.",
        look="'Bias' and 'Variance' in the chapter The peak",
        success="Check for yourself: the two add up to the mean squared error.",
    ),
    Task(
        name="double_descent.corrupt",
        title="Label noise that can be compared",
        reference=corrupt,
        judge=_judge_corrupt,
        hints=(
            "A generator from `seed`; a permutation of all n; the first round(fraction * n) of it.",
            "For a wrong class that is never the right one: (y + k) % classes with k in 1 ... "
            "classes - 1.",
            "Draw k for all n examples, before you know how many you need: then 10 % lies inside "
            "20 %.",
        ),
        explanation="Exact numbers, wrong classes only, nested sets: two noise levels then differ "
        "by nothing but the added noise. The order and the new labels are drawn for all examples, "
        "whatever the fraction, which is what nests the sets.",
        look="the section on label noise in the chapter Double descent in a real network",
        success="Papers that redraw from all ten classes call 18 % wrong labels '20 % noise'.",
    ),
    Task(
        name="double_descent.threshold",
        title="Where is the threshold?",
        reference=threshold,
        outputs=("size",),
        cases=_threshold_cases,
        mistakes=_THRESHOLD_MISTAKES,
        hints=(
            "Not the first zero: the first zero after which only zeros come.",
            "Go through the sizes from the largest down, as long as the error is zero.",
        ),
        explanation="The threshold belongs to the training error, not to a count of parameters. "
        "From the largest size down, it is the last one before the first failure; a lucky zero "
        "further down does not count, and no zero at all means that the sweep was too short.",
        look="where the chapter Double descent in a real network marks the threshold",
        success="610 parameters can fit 1437 digits: counting parameters finds no threshold.",
    ),
    Task(
        name="double_descent.knn_probe",
        title="Do the neighbours know better?",
        reference=knn_probe,
        outputs=("share",),
        cases=_probe_cases,
        mistakes=_PROBE_MISTAKES,
        hints=(
            "Mislabelled: given != truth. They ask; only the others vote.",
            "Cosine: divide each row of the features by its length, then take inner products.",
            "The k most similar voters, np.bincount of their labels, argmax, against the truth.",
        ),
        explanation="A network may answer a mislabelled example with its wrong label and still "
        "place it among the examples of its true class. Whoever lets mislabelled examples vote "
        "measures how often noise agrees with noise.",
        look="the probe in the chapter Double descent in a real network",
        success="A high share means: the wrong label was learned as an exception, on the spot.",
    ),
    Task(
        name="double_descent.envelope",
        title="Early stopping, without cheating",
        reference=envelope,
        outputs=("test error",),
        cases=_envelope_cases,
        mistakes=_ENVELOPE_MISTAKES,
        hints=(
            "Which of the two tables may be used to choose, and which to report?",
            "One epoch for each size. Then one entry of each row of the other table: index with "
            "`np.arange` for the rows.",
        ),
        explanation="Chosen on the validation set, reported on the test set. The smallest of many "
        "noisy numbers is too small, whichever set it comes from; a number from another set, at "
        "the place that was chosen, is fair.",
        look="the envelope of early stopping in the chapter Double descent in a real network",
        success="Chosen by its own test error, any curve looks good.",
    ),
]
