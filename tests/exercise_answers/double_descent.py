"""Right and wrong answers to the set "double_descent", written the way students write them.

`RIGHT[task]` are answers that must pass, other than the worked solution.
`WRONG[task]` are pairs (answer, phrase): the answer must fail, with the phrase in the message.
"""

import numpy as np

# --- mean_risk ----------------------------------------------------------------------------------


def risk_in_one_line(n, d, noise):
    return max(1 - n / d, 0), noise * min(n, d) / (abs(n - d) - 1)


def risk_without_the_one(n, d, noise):
    return max(1 - n / d, 0), noise * min(n, d) / abs(n - d)


def risk_one_sided(n, d, noise):
    return max(1 - n / d, 0), noise * d / (abs(n - d) - 1)


def risk_with_the_seen_part(n, d, noise):
    return min(n / d, 1), noise * min(n, d) / (abs(n - d) - 1)


def risk_standard_deviation(n, d, noise):
    return max(1 - n / d, 0), noise**2 * min(n, d) / (abs(n - d) - 1)


# --- shortest_fit -------------------------------------------------------------------------------


def fit_by_lstsq(X, y):
    return np.linalg.lstsq(X, y, rcond=None)[0]


def fit_by_singular_values(X, y):
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    keep = s > 1e-10 * s[0]
    return Vt[keep].T @ ((U[:, keep].T @ y) / s[keep])


def fit_by_normal_equations(X, y):
    return np.linalg.solve(X.T @ X, X.T @ y)


def fit_with_a_little_ridge(X, y):
    return np.linalg.solve(X.T @ X + 1e-3 * np.eye(X.shape[1]), X.T @ y)


def fit_with_the_first_columns(X, y):
    n, d = X.shape
    w = np.zeros(d)
    k = min(n, d)
    w[:k] = np.linalg.lstsq(X[:, :k], y, rcond=None)[0]
    return w


def fit_by_the_transpose(X, y):
    return X.T @ y


# --- ridge_fit ----------------------------------------------------------------------------------


def ridge_by_augmenting(X, y, delta):
    d = X.shape[1]
    tall = np.concatenate([X, np.sqrt(delta) * np.eye(d)])
    return np.linalg.lstsq(tall, np.concatenate([y, np.zeros(d)]), rcond=None)[0]


def ridge_of_the_mean(X, y, delta):
    n, d = X.shape
    return np.linalg.solve(X.T @ X / n + delta * np.eye(d), X.T @ y / n)


def ridge_everywhere(X, y, delta):
    return np.linalg.solve(X.T @ X + delta, X.T @ y)


def ridge_half(X, y, delta):
    return np.linalg.solve(2 * X.T @ X + delta * np.eye(X.shape[1]), 2 * X.T @ y)


def ridge_ignored(X, y, delta):
    return np.linalg.lstsq(X, y, rcond=None)[0]


# --- bias_variance ------------------------------------------------------------------------------


def split_with_numpy(predictions, truth):
    return ((predictions.mean(0) - truth) ** 2).mean(), predictions.var(axis=0).mean()


def split_with_ddof(predictions, truth):
    bias = ((predictions.mean(0) - truth) ** 2).mean()
    return bias, predictions.var(axis=0, ddof=1).mean()


def split_all_error_is_bias(predictions, truth):
    return ((predictions - truth) ** 2).mean(), predictions.var(axis=0).mean()


def split_over_points(predictions, truth):
    return ((predictions.mean(0) - truth) ** 2).mean(), predictions.var(axis=1).mean()


def split_not_squared(predictions, truth):
    return (predictions.mean(0) - truth).mean(), predictions.var(axis=0).mean()


# --- corrupt ------------------------------------------------------------------------------------


def corrupt_with_loop(y, fraction, classes, seed):
    rng = np.random.default_rng(seed)
    order, shift = rng.permutation(len(y)), rng.integers(1, classes, size=len(y))
    y = np.array(y)
    for i in order[: round(fraction * len(y))]:
        y[i] = (y[i] + shift[i]) % classes
    return y


def corrupt_from_all_classes(y, fraction, classes, seed):
    rng = np.random.default_rng(seed)
    order, new = rng.permutation(len(y)), rng.integers(0, classes, len(y))
    y = y.copy()
    chosen = order[: round(fraction * len(y))]
    y[chosen] = new[chosen]
    return y


def corrupt_by_coin(y, fraction, classes, seed):
    rng = np.random.default_rng(seed)
    wrong = (y + rng.integers(1, classes, len(y))) % classes
    return np.where(rng.random(len(y)) < fraction, wrong, y)


def corrupt_not_nested(y, fraction, classes, seed):
    rng = np.random.default_rng(seed)
    y = y.copy()
    chosen = rng.choice(len(y), round(fraction * len(y)), replace=False)
    y[chosen] = (y[chosen] + rng.integers(1, classes, len(chosen))) % classes
    return y


def corrupt_to_the_next(y, fraction, classes, seed):
    order = np.random.default_rng(seed).permutation(len(y))
    y = y.copy()
    chosen = order[: round(fraction * len(y))]
    y[chosen] = (y[chosen] + 1) % classes
    return y


def corrupt_in_place(y, fraction, classes, seed):
    rng = np.random.default_rng(seed)
    order, shift = rng.permutation(len(y)), rng.integers(1, classes, size=len(y))
    chosen = order[: round(fraction * len(y))]
    y[chosen] = (y[chosen] + shift[chosen]) % classes
    return y


def corrupt_global_seed(y, fraction, classes, seed):
    rng = np.random.default_rng()
    order, shift = rng.permutation(len(y)), rng.integers(1, classes, size=len(y))
    y = y.copy()
    chosen = order[: round(fraction * len(y))]
    y[chosen] = (y[chosen] + shift[chosen]) % classes
    return y


# --- threshold ----------------------------------------------------------------------------------


def threshold_from_the_last_failure(sizes, train_error):
    failures = np.flatnonzero(train_error)
    if len(failures) == 0:
        return sizes[0]
    return sizes[failures[-1] + 1] if failures[-1] + 1 < len(sizes) else -1


def threshold_first_zero(sizes, train_error):
    return sizes[np.argmax(train_error == 0)] if (train_error == 0).any() else -1


def threshold_small_error(sizes, train_error):
    return sizes[np.argmax(train_error <= 0.01)] if (train_error <= 0.01).any() else -1


def threshold_always_there(sizes, train_error):
    stays = np.logical_and.accumulate((train_error == 0)[::-1])[::-1]
    return sizes[np.argmax(stays)]


# --- knn_probe ----------------------------------------------------------------------------------


def probe_with_loops(features, given, truth, k):
    unit = features / np.linalg.norm(features, axis=1)[:, None]
    clean = np.flatnonzero(given == truth)
    right = []
    for i in np.flatnonzero(given != truth):
        nearest = clean[np.argsort(-(unit[clean] @ unit[i]))[:k]]
        right.append(np.bincount(truth[nearest]).argmax() == truth[i])
    return np.mean(right)


def _probe(features, given, truth, k, voters, labels, goal, unit=True, drop=0):
    f = features / np.linalg.norm(features, axis=1)[:, None] if unit else features
    right = []
    for i in np.flatnonzero(given != truth):
        distance = np.sum((f[voters] - f[i]) ** 2, axis=1)
        nearest = voters[np.argsort(distance)[drop : drop + k]]
        right.append(np.bincount(labels[nearest]).argmax() == goal[i])
    return np.mean(right)


def probe_all_vote(features, given, truth, k):
    return _probe(features, given, truth, k, np.arange(len(truth)), given, truth)


def probe_euclidean(features, given, truth, k):
    clean = np.flatnonzero(given == truth)
    return _probe(features, given, truth, k, clean, truth, truth, unit=False)


def probe_against_given(features, given, truth, k):
    return _probe(features, given, truth, k, np.flatnonzero(given == truth), truth, given)


def probe_without_itself(features, given, truth, k):
    return _probe(features, given, truth, k, np.arange(len(truth)), truth, truth, drop=1)


# --- envelope -----------------------------------------------------------------------------------


def envelope_with_loop(validation, test):
    return np.array([row_t[row_v.argmin()] for row_v, row_t in zip(validation, test, strict=True)])


def envelope_on_test(validation, test):
    return test.min(axis=1)


def envelope_validation(validation, test):
    return validation.min(axis=1)


def envelope_last(validation, test):
    return test[:, -1]


def envelope_one_epoch(validation, test):
    return test[:, validation.mean(axis=0).argmin()]


RIGHT = {
    "double_descent.mean_risk": [risk_in_one_line],
    "double_descent.shortest_fit": [fit_by_lstsq, fit_by_singular_values],
    "double_descent.ridge_fit": [ridge_by_augmenting],
    "double_descent.bias_variance": [split_with_numpy],
    "double_descent.corrupt": [corrupt_with_loop],
    "double_descent.threshold": [threshold_from_the_last_failure],
    "double_descent.knn_probe": [probe_with_loops],
    "double_descent.envelope": [envelope_with_loop],
}

WRONG = {
    "double_descent.mean_risk": [
        (risk_without_the_one, "inverse Wishart matrix has n - d - 1"),
        (risk_one_sided, "mirror images of each other"),
        (risk_with_the_seen_part, "The bias is what is outside"),
        (risk_standard_deviation, "`noise` is the variance already"),
    ],
    "double_descent.shortest_fit": [
        (fit_with_a_little_ridge, "makes the system solvable and changes the answer"),
        (fit_with_the_first_columns, "gradient descent from zero finds another, the shortest"),
        (fit_by_the_transpose, "one step of gradient descent"),
        (fit_by_normal_equations, ""),
    ],
    "double_descent.ridge_fit": [
        (ridge_of_the_mean, "n times too strong"),
        (ridge_everywhere, "adds delta to all entries"),
        (ridge_half, "half the penalty"),
        (ridge_ignored, "the fit without a penalty"),
    ],
    "double_descent.bias_variance": [
        (split_with_ddof, "divides by draws - 1"),
        (split_all_error_is_bias, "average first, then square"),
        (split_over_points, "What varies is the training set"),
        (split_not_squared, "is not squared"),
    ],
    "double_descent.corrupt": [
        (corrupt_from_all_classes, "comes out right again"),
        (corrupt_by_coin, "the number varies"),
        (corrupt_not_nested, "not contained in the 20 %"),
        (corrupt_to_the_next, "a rule that a network can learn"),
        (corrupt_in_place, "changes"),
        (corrupt_global_seed, "other labels the second time"),
    ],
    "double_descent.threshold": [
        (threshold_first_zero, "One lucky run does not make a threshold"),
        (threshold_small_error, "An error of 0.01 is not a fit"),
        (threshold_always_there, "argmax of nothing but False is 0"),
    ],
    "double_descent.knn_probe": [
        (probe_all_vote, "with their wrong labels"),
        (probe_euclidean, "divide every feature vector by its length"),
        (probe_against_given, "agree with the wrong label"),
        (probe_without_itself, "Leaving the example itself out is not enough"),
    ],
    "double_descent.envelope": [
        (envelope_on_test, "Choose by `validation`, report `test`"),
        (envelope_validation, "Report the test error of that epoch"),
        (envelope_last, "the one with the peak"),
        (envelope_one_epoch, "Each size has its own best epoch"),
    ],
}
