"""Right and wrong answers to the set "dropout", written the way students write them.

`RIGHT[task]` are answers that must pass, other than the worked solution.
`WRONG[task]` are pairs (answer, phrase): the answer must fail, with the phrase in the message.
"""

import numpy as np

# --- dropout ------------------------------------------------------------------------------------


def dropout_by_multiplication(x, p, training, generator):
    if not training or p == 0:
        return x.copy(), lambda g: 1.0 * g
    if p == 1:
        return 0 * x, lambda g: 0 * g
    mask = ((generator.random(x.shape) < 1 - p) / (1 - p)).astype(x.dtype)
    return mask * x, lambda g: mask * g


def make_dropout(
    forward=lambda p: 1 / (1 - p),
    backward=lambda p: 1 / (1 - p),
    keep=lambda rng, shape, p: rng.random(shape) >= p,
    evaluation=lambda x, p: (x, lambda g: g),
    back=None,
):
    """Dropout with one piece exchanged; safe at p = 1."""

    def dropout(x, p, training, generator):
        if not training:
            return evaluation(x, p)
        kept = keep(generator, x.shape, p)
        up, down = (f(p) if p < 1 else 0.0 for f in (forward, backward))
        out = np.where(kept, up * x, 0)
        if back is not None:
            return out, lambda g: back(g, x, out, kept, p, generator)
        return out, lambda g: np.where(kept, down * g, 0)

    return dropout


def dropout_nan_at_one(x, p, training, generator):
    if not training:
        return x, lambda g: g
    mask = (generator.random(x.shape) >= p) / (1 - p)
    return mask * x, lambda g: mask * g


def dropout_float64(x, p, training, generator):
    if not training:
        return x, lambda g: g
    mask = (generator.random(x.shape) >= p) / max(1 - p, 1e-9)
    return mask * x, lambda g: mask * g


def dropout_output_only(x, p, training, generator):
    return np.where(generator.random(x.shape) >= p, x / (1 - p), 0) if training else x


def dropout_gradient_array(x, p, training, generator):
    mask = (generator.random(x.shape) >= p) / (1 - p)
    return mask * x, mask


def dropout_in_place(x, p, training, generator):
    if not training:
        return x, lambda g: g
    keep = generator.random(x.shape) >= p
    x[~keep] = 0
    return x / (1 - p), lambda g: np.where(keep, g / (1 - p), 0)


def exact_share(rng, shape, p):
    kept = np.ones(np.prod(shape), bool)
    kept[: round(p * kept.size)] = False
    return rng.permutation(kept).reshape(shape)


def dropout_gaussian(x, p, training, generator):
    if not training or p == 0:
        return x, lambda g: g
    mask = 1 + np.sqrt(p / (1 - p)) * generator.normal(size=x.shape)
    return mask * x, lambda g: mask * g


def redrawn(g, x, out, kept, p, generator):
    return np.where(generator.random(x.shape) >= p, g / (1 - p), 0)


def from_the_output(g, x, out, kept, p, generator):
    return np.where(out != 0, g / (1 - p), 0)


def by_division(g, x, out, kept, p, generator):
    return g * np.divide(out, x, out=np.full(x.shape, 0.5), where=x != 0)


# --- committee ----------------------------------------------------------------------------------


def committee_from_coins(h, k, p):
    coin = np.array([0, 1 / (1 - p)])
    chance = np.array([p, 1 - p])
    alone = chance @ (h * coin - h) ** 2
    return h * (chance @ coin), alone, k * (chance @ (h / k * coin - h / k) ** 2)


def committee_unscaled(h, k, p):
    return (1 - p) * h, h**2 * p * (1 - p), h**2 * p * (1 - p) / k


def committee_coin_of_one(h, k, p):
    return h, h**2 * p * (1 - p), h**2 * p * (1 - p) / k


def committee_second_moment(h, k, p):
    return h, h**2 / (1 - p), h**2 * p / (1 - p) / k


def committee_one_coin(h, k, p):
    return h, h**2 * p / (1 - p), h**2 * p / (1 - p)


def committee_one_member(h, k, p):
    return h, h**2 * p / (1 - p), (h / k) ** 2 * p / (1 - p)


def committee_keep_probability(h, k, p):
    return h, h**2 * (1 - p) / (p + 1e-300), h**2 * (1 - p) / (p + 1e-300) / k


# --- penalty_gradient ---------------------------------------------------------------------------


def penalty_with_loops(h, A, p):
    d_A, d_h = np.zeros_like(A), np.zeros_like(h)
    for i in range(len(h)):
        for r in range(h.shape[1]):
            d_A[:, r] += p / (1 - p) / len(h) * A[:, r] * h[i, r] ** 2
            d_h[i, r] = p / (1 - p) / len(h) * (A[:, r] @ A[:, r]) * h[i, r]
    return d_A, d_h


def _penalty(h, A, p):
    return p / (1 - p) * A * np.mean(h**2, axis=0), p / (1 - p) / len(h) * np.sum(A**2, axis=0) * h


def penalty_half(h, A, p):
    d_A, d_h = _penalty(h, A, p)
    return d_A / 2, d_h / 2


def penalty_without_n(h, A, p):
    return p / (1 - p) * A * np.sum(h**2, axis=0), p / (1 - p) * np.sum(A**2, axis=0) * h


def penalty_n_in_h(h, A, p):
    return _penalty(h, A, p)[0], p / (1 - p) * np.sum(A**2, axis=0) * h


def penalty_square_of_mean(h, A, p):
    return p / (1 - p) * A * np.mean(h, axis=0) ** 2, _penalty(h, A, p)[1]


def penalty_weight_decay(h, A, p):
    return p / (1 - p) * A, _penalty(h, A, p)[1]


def penalty_rows(h, A, p):
    return _penalty(h, A, p)[0], p / (1 - p) / len(h) * np.sum(A**2, axis=1) * h


def penalty_head_only(h, A, p):
    return _penalty(h, A, p)[0], np.zeros_like(h)


def penalty_coin_of_one(h, A, p):
    d_A, d_h = _penalty(h, A, p)
    return d_A * (1 - p) ** 2, d_h * (1 - p) ** 2


def penalty_float64(h, A, p):
    d_A, d_h = _penalty(h, A, p)
    return d_A * np.ones(A.shape), d_h


# --- ask_masks ----------------------------------------------------------------------------------


def _softmax(z):
    q = np.exp(z - z.max(axis=-1, keepdims=True))
    return q / q.sum(axis=-1, keepdims=True)


def _entropy(q):
    return -np.sum(q * np.log(np.where(q > 0, q, 1)), axis=-1)


def masks_by_divergence(logits):
    q = _softmax(logits)
    mean = q.mean(axis=0)
    ratio = np.where(q > 0, q, 1) / np.where(q > 0, mean, 1)
    return mean, _entropy(mean), np.sum(q * np.log(ratio), axis=-1).mean(axis=0)


def masks_with_epsilon(logits):
    q = _softmax(logits)
    entropy = -np.sum(q.mean(axis=0) * np.log(q.mean(axis=0) + 1e-12), axis=-1)
    return q.mean(axis=0), entropy, entropy + np.sum(q * np.log(q + 1e-12), axis=-1).mean(axis=0)


def masks_mean_logits(logits):
    q = _softmax(logits.mean(axis=0))
    return q, _entropy(q), _entropy(q) - _entropy(_softmax(logits)).mean(axis=0)


def masks_mean_entropy(logits):
    q = _softmax(logits)
    return q.mean(axis=0), _entropy(q).mean(axis=0), _entropy(q.mean(axis=0))


def masks_information_sign(logits):
    q = _softmax(logits)
    mean = _entropy(q.mean(axis=0))
    return q.mean(axis=0), mean, _entropy(q).mean(axis=0) - mean


def masks_no_difference(logits):
    q = _softmax(logits).mean(axis=0)
    return q, _entropy(q), _entropy(q)


def masks_overflow(logits):
    q = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return q.mean(axis=0), _entropy(q.mean(axis=0)), _entropy(q.mean(0)) - _entropy(q).mean(0)


def masks_zero_log_zero(logits):
    q = _softmax(logits)
    mean = q.mean(axis=0)
    entropy = -np.sum(mean * np.log(mean), axis=-1)
    return mean, entropy, entropy + np.sum(q * np.log(q), axis=-1).mean(axis=0)


def masks_bits(logits):
    q, entropy, information = masks_by_divergence(logits)
    return q, entropy / np.log(2), information / np.log(2)


def masks_wrong_axis(logits):
    q = np.exp(logits - logits.max(axis=0))
    q = q / q.sum(axis=0)
    return q.mean(axis=0), _entropy(q.mean(axis=0)), _entropy(q).mean(axis=0)


# --- mixout_step --------------------------------------------------------------------------------


def mixout_as_in_the_paper(w, u, x, y, p, lr, keep):
    mask = np.tile(keep, (len(w), 1))
    mixed = ((1 - mask) * u + mask * w - p * u) / (1 - p)
    gradient = np.mean([np.outer(mixed @ a - b, a) for a, b in zip(x, y, strict=True)], axis=0)
    return w - lr * mask / (1 - p) * gradient


def mixout_broken(w, u, x, y, p, lr, keep):
    mixed = np.where(keep, w, u)
    error = x @ mixed.T - y
    gradient = error.T @ x / len(x)
    return mixed - lr * gradient


def mixout_mean_mended(w, u, x, y, p, lr, keep):
    mixed = u + keep / (1 - p) * (w - u)
    return mixed - lr * (x @ mixed.T - y).T @ x / len(x)


def mixout_chain_missing(w, u, x, y, p, lr, keep):
    mixed = u + keep / (1 - p) * (w - u)
    return w - lr * (x @ mixed.T - y).T @ x / len(x)


def mixout_mask_only(w, u, x, y, p, lr, keep):
    mixed = u + keep / (1 - p) * (w - u)
    return w - lr * keep * ((x @ mixed.T - y).T @ x / len(x))


def mixout_not_centred(w, u, x, y, p, lr, keep):
    mixed = np.where(keep, w, u)
    return w - lr * keep / (1 - p) * ((x @ mixed.T - y).T @ x / len(x))


def mixout_from_mixed(w, u, x, y, p, lr, keep):
    mixed = u + keep / (1 - p) * (w - u)
    return mixed - lr * keep / (1 - p) * ((x @ mixed.T - y).T @ x / len(x))


def mixout_sum(w, u, x, y, p, lr, keep):
    mixed = u + keep / (1 - p) * (w - u)
    return w - lr * keep / (1 - p) * ((x @ mixed.T - y).T @ x)


# --- three_pulls --------------------------------------------------------------------------------


def pulls_by_solving(best, c, u, strength, p):
    H = np.diag(c)
    decay = np.linalg.solve(H + strength * np.eye(len(c)), H @ best)
    start = u + np.linalg.solve(H + strength * np.eye(len(c)), H @ (best - u))
    odds = p / (1 - p)
    return decay, start, np.linalg.solve((1 + odds) * H, H @ (best + odds * u))


def pulls_ignored(best, c, u, strength, p):
    return c * best / (c + strength), (c * best + strength * u) / (c + strength), best


def pulls_by_the_bound(best, c, u, strength, p):
    odds = p / (1 - p)
    mixout = (c * best + odds * u) / (c + odds)
    return c * best / (c + strength), (c * best + strength * u) / (c + strength), mixout


def pulls_exchanged(best, c, u, strength, p):
    start = (c * best + strength * u) / (c + strength)
    return c * best / (c + strength), start, p * best + (1 - p) * u


def pulls_twice(best, c, u, strength, p):
    return c * best / (c + 2 * strength), c * best / (c + strength), (1 - p) * best + p * u


def pulls_all_to_zero(best, c, u, strength, p):
    decay = c * best / (c + strength)
    return decay, decay, (1 - p) * best


def pulls_without_curvature(best, c, u, strength, p):
    return best / (1 + strength), (best + strength * u) / (1 + strength), (1 - p) * best + p * u


# --- value_at_loss ------------------------------------------------------------------------------


def value_with_loops(losses, values, level):
    found = []
    for loss, value in zip(losses, values, strict=True):
        answer = float("nan")
        for k in range(1, len(loss)):
            if loss[0] > level >= loss[k]:
                answer = np.interp(level, loss[[k, k - 1]], value[[k, k - 1]])
                break
        found.append(answer)
    return found


def value_by_sorting(losses, values, level):
    found = []
    for loss, value in zip(losses, values, strict=True):
        order = np.argsort(loss)
        found.append(np.interp(level, loss[order], value[order]))
    return np.array(found)


def value_at_the_tick(losses, values, level):
    below = losses <= level
    found = values[np.arange(len(values)), below.argmax(axis=1)]
    return np.where(below.any(axis=1) & ~below[:, 0], found, np.nan)


def value_wraps(losses, values, level):
    each, k = np.arange(len(values)), (losses <= level).argmax(axis=1)
    before, after = losses[each, k - 1], losses[each, k]
    share = (before - level) / (before - after)
    return values[each, k - 1] + share * (values[each, k] - values[each, k - 1])


def value_zero(losses, values, level):
    return np.nan_to_num(value_with_loops(losses, values, level))


def value_last(losses, values, level):
    flipped = value_with_loops(-losses[:, ::-1], values[:, ::-1], -level)
    return np.array(flipped)


def value_falling_interp(losses, values, level):
    return [np.interp(level, a, b) for a, b in zip(losses, values, strict=True)]


def value_mean(losses, values, level):
    return np.nanmean(value_with_loops(losses, values, level))


# --- best_masks ---------------------------------------------------------------------------------


def masks_by_trying(by_batch, by_masks, body, head):
    m = np.arange(1, 1000)
    return m[np.argmin((by_batch + by_masks / m) * (body + m * head))]


def masks_rounded(by_batch, by_masks, body, head):
    return max(1, round(np.sqrt(by_masks / by_batch * body / head)))


def masks_not_at_least_one(by_batch, by_masks, body, head):
    return round(np.sqrt(by_masks / by_batch * body / head))


def masks_real(by_batch, by_masks, body, head):
    return np.sqrt(by_masks / by_batch * body / head)


def masks_without_root(by_batch, by_masks, body, head):
    return max(1, round(by_masks / by_batch * body / head))


def masks_upside_down(by_batch, by_masks, body, head):
    return max(1, round(np.sqrt(by_batch / by_masks * body / head)))


def masks_free(by_batch, by_masks, body, head):
    return max(1, round(by_masks / by_batch))


def masks_eight(by_batch, by_masks, body, head):
    return 8


RIGHT = {
    "dropout.dropout": [dropout_by_multiplication, make_dropout()],
    "dropout.committee": [committee_from_coins],
    "dropout.penalty_gradient": [penalty_with_loops],
    "dropout.ask_masks": [masks_by_divergence, masks_with_epsilon],
    "dropout.mixout_step": [mixout_as_in_the_paper],
    "dropout.three_pulls": [pulls_by_solving],
    "dropout.value_at_loss": [value_with_loops],
    "dropout.best_masks": [masks_by_trying],
}

WRONG = {
    "dropout.dropout": [
        (make_dropout(forward=lambda p: 1.0), "the survivors are not rescaled"),
        (make_dropout(forward=lambda p: 1 / p), "are divided by p"),
        (make_dropout(forward=lambda p: 1 - p), "are multiplied by 1 - p"),
        (make_dropout(keep=lambda rng, s, p: rng.random(s) < p), "probability to *drop*"),
        (
            make_dropout(keep=lambda rng, s, p: np.broadcast_to(rng.random() >= p, s)),
            "One coin serves the whole array",
        ),
        (
            make_dropout(keep=lambda rng, s, p: np.broadcast_to(rng.random(s[1]) >= p, s)),
            "whole columns are dropped",
        ),
        (
            make_dropout(keep=lambda rng, s, p: np.random.random(s) >= p),  # noqa: NPY002
            "same seed give different masks",
        ),
        (
            make_dropout(keep=lambda rng, s, p: np.random.default_rng(0).random(s) >= p),
            "two different generators give the same mask",
        ),
        (make_dropout(keep=lambda rng, s, p: np.ones(s, bool)), "nothing is dropped in training"),
        (make_dropout(keep=exact_share), "drops exactly the same number"),
        (dropout_gaussian, "Gaussian noise of mean 1"),
        (make_dropout(backward=lambda p: 1.0), "the gradient is 1 - p times too small"),
        (make_dropout(backward=lambda p: 1 / (1 - p) ** 2), "1/(1-p) times too large"),
        (make_dropout(back=lambda g, *rest: g), "as if nothing had been dropped"),
        (
            make_dropout(back=lambda g, x, out, kept, p, rng: g / (1 - p)),
            "scaled, but not masked",
        ),
        (make_dropout(back=lambda g, x, out, *rest: g * out), "multiplied by the output"),
        (make_dropout(back=redrawn), "another gradient when it is called again"),
        (make_dropout(back=from_the_output), "`out != 0` is not the mask"),
        (make_dropout(back=by_division), "Never divide by x"),
        (
            make_dropout(evaluation=lambda x, p: ((1 - p) * x, lambda g: (1 - p) * g)),
            "You scale twice",
        ),
        (
            make_dropout(evaluation=lambda x, p: (x, lambda g: g / (1 - p))),
            "Did you scale at test time as well",
        ),
        (
            make_dropout(evaluation=lambda x, p: (x * (x > 0), lambda g: g)),
            "dropped at evaluation",
        ),
        (dropout_nan_at_one, "infinite numbers for p = 1"),
        (dropout_float64, "dtype float64 for a float32 input"),
        (dropout_output_only, "return out, backward"),
        (dropout_gradient_array, "where a function is expected"),
        (dropout_in_place, "changes its input `x` in place"),
    ],
    "dropout.committee": [
        (committee_unscaled, "survivors that are not rescaled"),
        (committee_coin_of_one, "This coin shows 0 or 1 / (1 - p)"),
        (committee_second_moment, "Subtract the square of the mean"),
        (committee_one_coin, "They have k independent coins"),
        (committee_one_member, "the variance of one member"),
        (committee_keep_probability, "p and 1 - p exchanged"),
    ],
    "dropout.penalty_gradient": [
        (penalty_half, "has a 2, which cancels the 1/2"),
        (penalty_without_n, "the d_A is n times too large"),
        (penalty_n_in_h, "the d_h is n times too large"),
        (penalty_square_of_mean, "square first"),
        (penalty_weight_decay, "a silent unit pays nothing"),
        (penalty_rows, "is *column* r of A"),
        (penalty_head_only, "all layers below"),
        (penalty_coin_of_one, "Its variance is p / (1 - p)"),
        (penalty_float64, "float64 for float32 inputs"),
    ],
    "dropout.ask_masks": [
        (masks_mean_logits, "Average probabilities, not logits"),
        (masks_mean_entropy, "it also knows how much they disagree"),
        (masks_information_sign, "the information has the wrong sign"),
        (masks_no_difference, "the information is the whole entropy"),
        (masks_overflow, "the probability overflows to NaN"),
        (masks_zero_log_zero, "The limit of q log q is 0"),
        (masks_bits, "measured in bits"),
        (masks_wrong_axis, "normalized over the masks"),
    ],
    "dropout.mixout_step": [
        (mixout_broken, "all three errors"),
        (mixout_mean_mended, "and 1 more of the errors are left"),
        (mixout_chain_missing, "the gradient ignores the mask"),
        (mixout_mask_only, "the gradient lacks 1 / (1 - p)"),
        (mixout_not_centred, "the mean of the mixed weights is not w"),
        (mixout_from_mixed, "the step starts at the mixed weights"),
        (mixout_sum, "mean over the examples"),
    ],
    "dropout.three_pulls": [
        (pulls_ignored, "the loss also feels their variance"),
        (pulls_by_the_bound, "That is the bound with m = 1"),
        (pulls_exchanged, "p and 1 - p exchanged"),
        (pulls_twice, "The 2 of the square cancels"),
        (pulls_all_to_zero, "L2-SP pulls to u"),
        (pulls_without_curvature, "ignores the curvature"),
    ],
    "dropout.value_at_loss": [
        (value_by_sorting, "mixes early and late ticks"),
        (value_at_the_tick, "Interpolate from the tick before"),
        (value_wraps, "tick 0 - 1 = -1 is the last one"),
        (value_zero, "0 looks like a measurement"),
        (value_last, "the last one depends on how long"),
        (value_falling_interp, "np.interp needs increasing x"),
        (value_mean, "arms are compared seed by seed"),
    ],
    "dropout.best_masks": [
        (masks_rounded, "need not be the better one"),
        (masks_not_at_least_one, "At least one mask is needed"),
        (masks_real, "Compare the two whole numbers"),
        (masks_without_root, "A square root is missing"),
        (masks_upside_down, "More noise from masks asks for more masks"),
        (masks_free, "ignores the price"),
        (masks_eight, "Eight is not always the best"),
    ],
}
