"""Right and wrong answers to the set "grokking", written the way students write them.

`RIGHT[task]` are answers that must pass, other than the worked solution.
`WRONG[task]` are pairs (answer, phrase): the answer must fail, with the phrase in the message.
"""

import math

import numpy as np

# --- predictions --------------------------------------------------------------------------------


def predicted(half_life, limit, leak="half", penalty="same"):
    return {
        "half_life": half_life,
        "limit": limit,
        "leak_doubled": leak,
        "penalty_doubled": penalty,
    }


def predictions_exact(lr, decay):
    return predicted(math.log(0.5) / math.log1p(-lr * decay), (1 - lr * decay) / decay)


def predictions_whole_steps(lr, decay):
    return predicted(round(np.log(2) / (lr * decay)), 1 / decay)


def predictions_to_one_e(lr, decay):
    return predicted(1 / (lr * decay), 1 / decay)


def predictions_straight_line(lr, decay):
    return predicted(0.5 / (lr * decay), 1 / decay)


def predictions_without_lr(lr, decay):
    return predicted(np.log(2) / decay, 1 / decay)


def predictions_walk(lr, decay):
    return predicted(0.5 / lr, 1 / decay)


def predictions_no_limit(lr, decay):
    return predicted(np.log(2) / (lr * decay), np.inf)


def predictions_limit_with_lr(lr, decay):
    return predicted(np.log(2) / (lr * decay), lr / decay)


def predictions_limit_of_units(lr, decay):
    return predicted(np.log(2) / (lr * decay), 1 / (lr * decay))


def predictions_leak_double(lr, decay):
    return predicted(np.log(2) / (lr * decay), 1 / decay, leak="double")


def predictions_penalty_half(lr, decay):
    return predicted(np.log(2) / (lr * decay), 1 / decay, penalty="half")


def predictions_own_word(lr, decay):
    return predicted(np.log(2) / (lr * decay), 1 / decay, leak="faster")


def predictions_numbers(lr, decay):
    return predicted(np.log(2) / (lr * decay), 1 / decay, leak=0.5)


def predictions_tuple(lr, decay):
    return np.log(2) / (lr * decay), 1 / decay, "half", "same"


def predictions_key_missing(lr, decay):
    return {"half_life": np.log(2) / (lr * decay), "limits": 1 / decay}


# --- adam_step ----------------------------------------------------------------------------------


def adam_incremental(theta, g, m, v, t, lr, leak, penalty):
    g = g + penalty * theta
    m = m + 0.1 * (g - m)
    v = v + 0.02 * (g * g - v)
    rate = lr / (1 - 0.9**t)
    moved = theta - rate * m / (np.sqrt(v) / math.sqrt(1 - 0.98**t) + 1e-8)
    return moved - lr * leak * theta, m, v


def averages(g, m, v):
    return 0.9 * m + 0.1 * g, 0.98 * v + 0.02 * g**2


def adam_uncorrected(theta, g, m, v, t, lr, leak, penalty):
    m, v = averages(g + penalty * theta, m, v)
    return (1 - lr * leak) * theta - lr * m / (np.sqrt(v) + 1e-8), m, v


def quotient(m, v, t):
    return (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.98**t)) + 1e-8)


def adam_leak_in_gradient(theta, g, m, v, t, lr, leak, penalty):
    m, v = averages(g + (penalty + leak) * theta, m, v)
    return theta - lr * quotient(m, v, t), m, v


def adam_leak_over_root(theta, g, m, v, t, lr, leak, penalty):
    m, v = averages(g + penalty * theta, m, v)
    m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.98**t)
    return theta - lr * (m_hat + leak * theta) / (np.sqrt(v_hat) + 1e-8), m, v


def adam_two_leaks(theta, g, m, v, t, lr, leak, penalty):
    m, v = averages(g, m, v)
    return (1 - lr * (leak + penalty)) * theta - lr * quotient(m, v, t), m, v


def adam_leak_without_lr(theta, g, m, v, t, lr, leak, penalty):
    m, v = averages(g + penalty * theta, m, v)
    return (1 - leak) * theta - lr * quotient(m, v, t), m, v


def adam_epsilon_inside(theta, g, m, v, t, lr, leak, penalty):
    m, v = averages(g + penalty * theta, m, v)
    root = np.sqrt(v / (1 - 0.98**t) + 1e-8)
    return (1 - lr * leak) * theta - lr * m / (1 - 0.9**t) / root, m, v


def adam_no_root(theta, g, m, v, t, lr, leak, penalty):
    m, v = averages(g + penalty * theta, m, v)
    step = m / (1 - 0.9**t) / (v / (1 - 0.98**t) + 1e-8)
    return (1 - lr * leak) * theta - lr * step, m, v


def adam_counts_from_zero(theta, g, m, v, t, lr, leak, penalty):
    m, v = averages(g + penalty * theta, m, v)
    return (1 - lr * leak) * theta - lr * quotient(m, v, t - 1), m, v


def adam_keeps_corrected(theta, g, m, v, t, lr, leak, penalty):
    m, v = averages(g + penalty * theta, m, v)
    moved = (1 - lr * leak) * theta - lr * quotient(m, v, t)
    return moved, m / (1 - 0.9**t), v / (1 - 0.98**t)


def adam_in_place(theta, g, m, v, t, lr, leak, penalty):
    g = g + penalty * theta
    m += 0.1 * (g - m)
    v += 0.02 * (g**2 - v)
    theta *= 1 - lr * leak
    theta -= lr * quotient(m, v, t)
    return theta, m, v


def adam_float64(theta, g, m, v, t, lr, leak, penalty):
    m, v = averages(g + penalty * theta, m, v)
    u = (m / (1 - np.power(0.9, t))) / (np.sqrt(v / (1 - np.power(0.98, t))) + 1e-8)
    return (1 - lr * leak) * theta - lr * u, m, v


def adam_theta_only(theta, g, m, v, t, lr, leak, penalty):
    return adam_incremental(theta, g, m, v, t, lr, leak, penalty)[0]


# --- split --------------------------------------------------------------------------------------


def split_with_loops(p, share, seed):
    facts = [(a, b) for a in range(p) for b in range(a, p)]
    order = np.random.default_rng(seed).permutation(len(facts))
    parts = ([], [])
    for place, i in enumerate(order):
        a, b = facts[i]
        part = parts[place >= share * len(facts)]
        part += [(a, b)] if a == b else [(a, b), (b, a)]
    return tuple(np.array(part) for part in parts)


def split_by_symmetric_noise(p, share, seed):
    noise = np.random.default_rng(seed).random((p, p))
    noise = np.triu(noise) + np.triu(noise, 1).T
    known = noise <= np.quantile(noise, share)
    return np.argwhere(known), np.argwhere(~known)


def every_cell(p):
    return np.stack(np.divmod(np.arange(p * p), p), axis=1)


def cut(cells, share, seed):
    order = np.random.default_rng(seed).permutation(len(cells))
    count = round(share * len(cells))
    return cells[order[:count]], cells[order[count:]]


def split_broken(p, share, seed):
    rng = np.random.default_rng(seed)
    a, b = np.divmod(np.arange(p * p), p)
    table = np.stack([a, b], axis=1)[a != b]
    count = round(share * len(table))
    train = table[rng.permutation(len(table))[:count]]
    test = table[rng.permutation(len(table))[count:]]
    return train, test


def split_tears(p, share, seed):
    return cut(every_cell(p), share, seed)


def mirrored(part):
    return np.concatenate([part, part[:, ::-1]])


def split_without_diagonal(p, share, seed):
    cells = every_cell(p)
    return tuple(mirrored(part) for part in cut(cells[cells[:, 0] < cells[:, 1]], share, seed))


def split_diagonal_twice(p, share, seed):
    cells = every_cell(p)
    return tuple(mirrored(part) for part in cut(cells[cells[:, 0] <= cells[:, 1]], share, seed))


def split_half_table(p, share, seed):
    cells = every_cell(p)
    return cut(cells[cells[:, 0] <= cells[:, 1]], share, seed)


def split_train_only_mirrored(p, share, seed):
    train, test = cut(every_cell(p), share, seed)
    return np.unique(mirrored(train), axis=0), test


def split_drops_torn(p, share, seed):
    train, test = cut(every_cell(p), share, seed)
    known = np.isin(test[:, 1] * p + test[:, 0], train[:, 0] * p + train[:, 1])
    return train, test[~known]


def split_moves_torn(p, share, seed):
    train, test = cut(every_cell(p), share, seed)
    known = np.isin(test[:, 1] * p + test[:, 0], train[:, 0] * p + train[:, 1])
    return np.concatenate([train, test[known]]), test[~known]


def split_exchanged(p, share, seed):
    return split_with_loops(p, share, seed)[::-1]


def split_global(p, share, seed):
    return split_with_loops(p, share, np.random.randint(10**6))  # noqa: NPY002


def split_one_seed(p, share, seed):
    return split_with_loops(p, share, 0)


def split_diagonal_shown(p, share, seed):
    train, test = split_without_diagonal(p, share, seed)
    return np.concatenate([train, np.repeat(np.arange(p)[:, None], 2, axis=1)]), test


def split_masks(p, share, seed):
    known = np.random.default_rng(seed).random((p, p)) < share
    return known, ~known


# --- median_wait --------------------------------------------------------------------------------


def wait_with_loops(steps, accuracy, level):
    times = []
    for run in accuracy:
        hits = [step for step, value in zip(steps, run, strict=True) if value >= level]
        times.append(hits[0] if hits else float("inf"))
    middle = float(np.median(times))
    return (int(steps[-1]), False) if middle == float("inf") else (int(middle), True)


def first_steps(steps, accuracy, level):
    return [steps[np.argmax(run >= level)] for run in accuracy]


def wait_dropped(steps, accuracy, level):
    arrived = accuracy[(accuracy >= level).any(axis=1)]
    if len(arrived) == 0:
        return steps[-1], False
    times = np.sort(first_steps(steps, arrived, level))
    return times[len(times) // 2], True


def wait_argmax_of_nothing(steps, accuracy, level):
    return np.median(first_steps(steps, accuracy, level)), True


def budgeted(steps, accuracy, level):
    reached = (accuracy >= level).any(axis=1)
    return np.where(reached, first_steps(steps, accuracy, level), steps[-1])


def wait_budget_as_time(steps, accuracy, level):
    return np.median(budgeted(steps, accuracy, level)), True


def wait_mean(steps, accuracy, level):
    return np.mean(budgeted(steps, accuracy, level)), bool((accuracy >= level).any())


def wait_strictly(steps, accuracy, level):
    return wait_with_loops(steps, np.where(accuracy == level, 0, accuracy), level)


def wait_index(steps, accuracy, level):
    return wait_with_loops(np.arange(len(steps)), accuracy, level)


def wait_of_median_curve(steps, accuracy, level):
    return wait_with_loops(steps, np.median(accuracy, axis=0)[None], level)


def wait_all_arrived(steps, accuracy, level):
    step, _ = wait_with_loops(steps, accuracy, level)
    return step, bool((accuracy >= level).any(axis=1).all())


def wait_fastest(steps, accuracy, level):
    reached = (accuracy >= level).any(axis=0)
    return (steps[reached.argmax()], True) if reached.any() else (steps[-1], False)


# --- crossing -----------------------------------------------------------------------------------


def crossing_by_difference(s, lr, eps, q):
    factor = (1 - 2 * lr * s) ** 2
    level = eps / q / q
    test = 0.0 if level >= 1 else math.inf if factor >= 1 else math.log(level) / math.log(factor)
    if s <= level:
        return 0.0, test
    return (math.inf if factor >= 1 else math.log(level / s) / math.log(factor)), test


def waits(losses, level, rate):
    return tuple(0.0 if x <= level else np.inf if rate <= 0 else np.log(x / level) / rate
                 for x in losses)  # fmt: skip


def rate_of(s, lr):
    return -2 * np.log(abs(1 - 2 * lr * s))


def crossing_equal(s, lr, eps, q):
    return waits((1.0, 1.0), eps / q**2, rate_of(s, lr))


def crossing_exchanged(s, lr, eps, q):
    return waits((1.0, s), eps / q**2, rate_of(s, lr))


def crossing_not_squared(s, lr, eps, q):
    return waits((s, 1.0), eps / q**2, rate_of(s, lr) / 2)


def crossing_half_loss(s, lr, eps, q):
    return waits((s, 1.0), eps / q**2, rate_of(s, lr / 2))


def crossing_flow(s, lr, eps, q):
    return waits((s, 1.0), eps / q**2, 4 * lr * s)


def crossing_without_q(s, lr, eps, q):
    return waits((s, 1.0), eps, rate_of(s, lr))


def crossing_q_once(s, lr, eps, q):
    return waits((s, 1.0), eps / q, rate_of(s, lr))


def crossing_negative(s, lr, eps, q):
    level = eps / q**2
    return tuple(np.log(np.float64(x) / level) / rate_of(s, lr) for x in (s, 1.0))


def crossing_never_is_zero(s, lr, eps, q):
    return tuple(0.0 if np.isinf(x) else x for x in crossing_by_difference(s, lr, eps, q))


def crossing_math(s, lr, eps, q):
    level = eps / q**2
    return tuple(max(0, math.log(x / level) / rate_of(s, lr)) for x in (s, 1.0))


# --- never_zero ---------------------------------------------------------------------------------


def zero_by_parts(z, y):
    loss, gradient = np.empty(len(z), z.dtype), np.empty_like(z)
    for i, (row, target) in enumerate(zip(z, y, strict=True)):
        d = np.delete(row - row[target], target)
        top = max(d.max(), 0)
        wrong = np.exp(d - top).sum()
        loss[i] = np.log1p(np.exp(d).sum()) if top == 0 else top + np.log(np.exp(-top) + wrong)
        q = np.exp(d - loss[i])
        gradient[i] = np.insert(q, target, -q.sum())
    return loss, gradient


def naive(z, y):
    shifted = z - z.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    q, rows = e / e.sum(axis=1, keepdims=True), np.arange(len(y))
    return np.log(e.sum(axis=1)) - shifted[rows, y], q - np.eye(z.shape[1], dtype=z.dtype)[y]


def right(z, y):
    return zero_by_parts(z, y)


def zero_naive(z, y):
    return naive(z, y)


def zero_full_target(z, y):
    gradient, rows = naive(z, y)[1], np.arange(len(y))
    gradient[rows, y] = 0
    gradient[rows, y] = -gradient.sum(axis=1)
    return naive(z, y)[0], gradient


def zero_cancels(z, y):
    return right(z, y)[0], naive(z, y)[1]


def zero_no_shift(z, y):
    e = np.exp(z)
    q = e / e.sum(axis=1, keepdims=True)
    return -np.log(q[np.arange(len(y)), y]), right(z, y)[1]


def zero_epsilon(z, y):
    q = naive(z, y)[1][np.arange(len(y)), y] + 1
    return -np.log(q + 1e-12), right(z, y)[1]


def zero_log1p(z, y):
    d = np.exp(z - z[np.arange(len(y)), y][:, None])
    d[np.arange(len(y)), y] = 0
    return np.log1p(d.sum(axis=1)), right(z, y)[1]


def zero_mean(z, y):
    loss, gradient = right(z, y)
    return loss.mean(), gradient / len(y)


def zero_gradient_over_n(z, y):
    loss, gradient = right(z, y)
    return loss, gradient / len(y)


def zero_gradient_sign(z, y):
    loss, gradient = right(z, y)
    return loss, -gradient


def zero_in_place(z, y):
    loss, gradient = right(z, y)
    z -= z.max(axis=1, keepdims=True)
    return loss, gradient


# --- null_test ----------------------------------------------------------------------------------


def shuffled(change, value=None):
    """A null test whose nulls are `change(rng, embedding)`."""

    def null_test(instrument, embedding, draws, seed):
        rng = np.random.default_rng(seed)
        measured = instrument(embedding)
        null = np.array([instrument(change(rng, embedding)) for _ in range(draws)])
        p = (1 + np.sum(null >= measured)) / (1 + draws)
        return measured, p if value is None else value(measured, null)

    return null_test


def null_nulls_first(instrument, embedding, draws, seed):
    rng, count = np.random.default_rng(seed), 1
    orders = [rng.permutation(len(embedding)) for _ in range(draws)]
    readings = [instrument(embedding[order]) for order in orders]
    measured = instrument(embedding)
    for reading in readings:
        count += reading >= measured
    return measured, count / (draws + 1)


def rows(rng, e):
    return rng.permutation(e)


def null_same_order(instrument, embedding, draws, seed):
    measured, null = instrument(embedding), []
    for _ in range(draws):
        rng = np.random.default_rng(seed)
        null.append(instrument(rng.permutation(embedding)))
    return measured, (1 + np.sum(np.array(null) >= measured)) / (1 + draws)


def null_in_place(instrument, embedding, draws, seed):
    rng, measured, count = np.random.default_rng(seed), instrument(embedding), 1
    for _ in range(draws):
        rng.shuffle(embedding)
        count += instrument(embedding) >= measured
    return measured, count / (1 + draws)


def null_one_draw(instrument, embedding, draws, seed):
    measured = instrument(embedding)
    null = instrument(np.random.default_rng(seed).permutation(embedding))
    return measured, float(null >= measured)


def null_global(instrument, embedding, draws, seed):
    return shuffled(lambda rng, e: e[np.random.permutation(len(e))])(  # noqa: NPY002
        instrument, embedding, draws, seed
    )


def null_one_seed(instrument, embedding, draws, seed):
    return shuffled(rows)(instrument, embedding, draws, 0)


def null_p_only(instrument, embedding, draws, seed):
    return shuffled(rows)(instrument, embedding, draws, seed)[1]


# --- bend ---------------------------------------------------------------------------------------


def tangent(f, place, way, h=1e-4):
    return (f(place + h * way) - f(place - h * way)) / (2 * h)


def bend_smaller_h(f, w0, w):
    change = f(w) - f(w0)
    if not np.any(change):
        return 0
    gap = change - tangent(f, w0, w - w0, h=3e-5)
    return np.sqrt(np.sum(gap**2) / np.sum(change**2))


def bend_at_the_end(f, w0, w):
    change = f(w) - f(w0)
    size = np.linalg.norm(change)
    return np.linalg.norm(change - tangent(f, w, w - w0)) / size if size else 0.0


def bend_of_output(f, w0, w):
    gap = f(w) - f(w0) - tangent(f, w0, w - w0)
    return np.linalg.norm(gap) / np.linalg.norm(f(w))


def bend_unguarded(f, w0, w):
    change = f(w) - f(w0)
    return np.linalg.norm(change - tangent(f, w0, w - w0)) / np.linalg.norm(change)


def bend_unit_way(f, w0, w):
    way = (w - w0) / np.linalg.norm(w - w0)
    change = f(w) - f(w0)
    return np.linalg.norm(change - tangent(f, w0, way)) / np.linalg.norm(change)


def bend_moved(f, w0, w):
    return np.linalg.norm(w - w0) / np.linalg.norm(w0)


def bend_large_h(f, w0, w):
    change = f(w) - f(w0)
    size = np.linalg.norm(change)
    return np.linalg.norm(change - (f(w0 + (w - w0)) - f(w0))) / size if size else 0.0


def bend_squared(f, w0, w):
    return bend_smaller_h(f, w0, w) ** 2


def bend_share(f, w0, w):
    change = f(w) - f(w0)
    size = np.linalg.norm(change)
    return np.linalg.norm(tangent(f, w0, w - w0)) / size if size else 0.0


RIGHT = {
    "grokking.predictions": [predictions_exact, predictions_whole_steps],
    "grokking.adam_step": [adam_incremental],
    "grokking.split": [split_with_loops, split_by_symmetric_noise],
    "grokking.median_wait": [wait_with_loops],
    "grokking.crossing": [crossing_by_difference],
    "grokking.never_zero": [zero_by_parts],
    "grokking.null_test": [null_nulls_first],
    "grokking.bend": [bend_smaller_h],
}

WRONG = {
    "grokking.predictions": [
        (predictions_to_one_e, "falls to 1/e"),
        (predictions_straight_line, "a straight line"),
        (predictions_without_lr, "missing the learning rate"),
        (predictions_walk, "walks by lr a step"),
        (predictions_no_limit, "Where are they equal?"),
        (predictions_limit_with_lr, "The learning rate cancels"),
        (predictions_limit_of_units, "Adam's step has the size lr"),
        (predictions_leak_double, "Double one of its factors"),
        (predictions_penalty_half, "divided by its own typical size"),
        (predictions_own_word, "Choose one of 'half', 'same', 'double'"),
        (predictions_numbers, "Choose one of 'half', 'same', 'double'"),
        (predictions_tuple, "a dictionary is expected"),
        (predictions_key_missing, "lacks 'limit', 'leak_doubled'"),
    ],
    "grokking.adam_step": [
        (adam_uncorrected, "lacks the bias correction"),
        (adam_leak_in_gradient, "where Adam divides it away"),
        (adam_leak_over_root, "a leak that is divided by the denominator"),
        (adam_two_leaks, "beside Adam, as a second leak"),
        (adam_leak_without_lr, "leaks without the learning rate"),
        (adam_epsilon_inside, "epsilon inside the square root"),
        (adam_no_root, "without a root"),
        (adam_counts_from_zero, "one step too few"),
        (adam_keeps_corrected, "corrected again in the next"),
        (adam_in_place, "changes its input"),
        (adam_float64, "float32 is expected"),
        (adam_theta_only, "3 results are expected"),
    ],
    "grokking.split": [
        (split_broken, "two different orders"),
        (split_tears, "Draw it over the facts"),
        (split_without_diagonal, "A cell on the diagonal is its own mirror image"),
        (split_diagonal_twice, "which is the cell itself"),
        (split_half_table, "keep both"),
        (split_train_only_mirrored, "Take them out of the test set"),
        (split_drops_torn, "one cell of each mirrored pair is in neither set"),
        (split_moves_torn, "of the table, where"),
        (split_exchanged, "Return `train, test`"),
        (split_global, "another split the second time"),
        (split_one_seed, "Is `seed` used?"),
        (split_diagonal_shown, "all cells with a = b are on the same side"),
        (split_masks, "(n, 2) is expected"),
    ],
    "grokking.median_wait": [
        (wait_dropped, "the median of the others is too early"),
        (wait_argmax_of_nothing, "`argmax` of nothing but False is 0"),
        (wait_budget_as_time, "a lower bound"),
        (wait_mean, "The median can be known without them"),
        (wait_strictly, "0.95 reaches 0.95"),
        (wait_index, "`steps[index]`"),
        (wait_of_median_curve, "First the time of each run"),
        (wait_all_arrived, "whether the *median* run did"),
        (wait_fastest, "that of the fastest run"),
    ],
    "grokking.crossing": [
        (crossing_equal, "only with the weight s"),
        (crossing_exchanged, "are the two results exchanged?"),
        (crossing_not_squared, "the loss by the square of that"),
        (crossing_half_loss, "a factor 1/2"),
        (crossing_flow, "gradient flow"),
        (crossing_without_q, "68 % be right"),
        (crossing_q_once, "fall to eps / q"),
        (crossing_negative, "the wait is 0"),
        (crossing_never_is_zero, "never learned"),
        (crossing_math, "it stops with"),
    ],
    "grokking.never_zero": [
        (zero_naive, "Keep the 1 out of the sum"),
        (zero_full_target, "the loss becomes exactly zero"),
        (zero_cancels, "subtracts two numbers that are equal in the computer"),
        (zero_no_shift, "the loss overflows"),
        (zero_epsilon, "cannot fall below a small constant"),
        (zero_log1p, "overflows where the right logit is far below"),
        (zero_mean, "one loss per example"),
        (zero_gradient_over_n, "without a mean"),
        (zero_gradient_sign, "wrong logits are pushed down"),
        (zero_in_place, "changes its input `z`"),
    ],
    "grokking.null_test": [
        (shuffled(lambda rng, e: rng.permutation(e, axis=1)), "the null exchanges columns"),
        (shuffled(lambda rng, e: rng.permuted(e, axis=0)), "each column on its own"),
        (shuffled(lambda rng, e: rng.permuted(e)), "all entries"),
        (shuffled(lambda rng, e: rng.normal(size=e.shape)), "made of new numbers"),
        (shuffled(lambda rng, e: e), "0 permuted embeddings"),
        (shuffled(rows, lambda m, null: np.mean(null >= m)), "(1 + count) / (1 + draws)"),
        (shuffled(rows, lambda m, null: (1 + np.sum(null > m)) / (1 + len(null))), "`>=`"),
        (
            shuffled(rows, lambda m, null: (1 + np.sum(null <= m)) / (1 + len(null))),
            "at least as *large*",
        ),
        (null_same_order, "begins anew each time"),
        (null_in_place, "changes its input `embedding`"),
        (null_one_draw, "sees 1 permuted embeddings"),
        (null_global, "other orders the second time"),
        (null_one_seed, "Is `seed` used?"),
        (null_p_only, "2 results are expected"),
    ],
    "grokking.bend": [
        (bend_at_the_end, "the tangent at the *start*"),
        (bend_of_output, "Compare with the change"),
        (bend_unguarded, "Without a change nothing bends"),
        (bend_unit_way, "along the whole way"),
        (bend_moved, "Ask the function"),
        (bend_large_h, "needs a small h"),
        (bend_squared, "not squared lengths"),
        (bend_share, "the share that the tangent does explain"),
    ],
}
