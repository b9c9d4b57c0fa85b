"""Right and wrong answers to the set "training", written the way students write them.

`RIGHT[task]` are answers that must pass, other than the worked solution.
`WRONG[task]` are pairs (answer, phrase): the answer must fail, with the phrase in the message.
"""

import numpy as np

# --- predictions --------------------------------------------------------------------------------


def predictions_from_softmax(classes):
    p = np.exp(np.zeros(classes))
    p = p / p.sum()
    return {"loss": -np.log(p[0]), "accuracy": p[0], "rate_times_100": "fails"}


def predictions_in_bits(classes):
    return {"loss": np.log2(classes), "accuracy": 1 / classes, "rate_times_100": "fails"}


def predictions_for_ten(classes):
    return {"loss": 2.3026, "accuracy": 0.1, "rate_times_100": "fails"}


def predictions_error_rate(classes):
    return {"loss": 1 - 1 / classes, "accuracy": 1 / classes, "rate_times_100": "fails"}


def predictions_probability(classes):
    return {"loss": 1 / classes, "accuracy": 1 / classes, "rate_times_100": "fails"}


def predictions_zero(classes):
    return {"loss": 0, "accuracy": 1 / classes, "rate_times_100": "fails"}


def predictions_half(classes):
    return {"loss": np.log(classes), "accuracy": 0.5, "rate_times_100": "fails"}


def predictions_percent(classes):
    return {"loss": np.log(classes), "accuracy": 100 / classes, "rate_times_100": "fails"}


def predictions_faster(classes):
    return {"loss": np.log(classes), "accuracy": 1 / classes, "rate_times_100": "faster"}


def predictions_own_word(classes):
    return {"loss": np.log(classes), "accuracy": 1 / classes, "rate_times_100": "explodes"}


def predictions_key_missing(classes):
    return {"loss": np.log(classes), "acuracy": 1 / classes, "rate_times_100": "fails"}


def predictions_tuple(classes):
    return np.log(classes), 1 / classes, "fails"


# --- he_init ------------------------------------------------------------------------------------


def he_uniform(generator, out_features, in_features):
    bound = np.sqrt(6 / in_features)
    return generator.uniform(-bound, bound, (out_features, in_features))


def init_fan_out(generator, out_features, in_features):
    return generator.normal(0, np.sqrt(2 / out_features), (out_features, in_features))


def init_lecun(generator, out_features, in_features):
    return generator.standard_normal((out_features, in_features)) / np.sqrt(in_features)


def init_variance_as_deviation(generator, out_features, in_features):
    return generator.normal(0, 2 / in_features, (out_features, in_features))


def init_glorot(generator, out_features, in_features):
    scale = np.sqrt(2 / (in_features + out_features))
    return scale * generator.normal(size=(out_features, in_features))


def init_unscaled(generator, out_features, in_features):
    return generator.normal(size=(out_features, in_features))


def init_transposed(generator, out_features, in_features):
    return generator.normal(0, np.sqrt(2 / in_features), (in_features, out_features))


def init_positive(generator, out_features, in_features):
    return generator.random((out_features, in_features)) * np.sqrt(2 / in_features)


def init_uniform_bound(generator, out_features, in_features):
    bound = np.sqrt(2 / in_features)
    return generator.uniform(-bound, bound, (out_features, in_features))


def init_zeros(generator, out_features, in_features):
    return np.zeros((out_features, in_features))


def init_global(generator, out_features, in_features):
    return np.sqrt(2 / in_features) * np.random.randn(out_features, in_features)  # noqa: NPY002


def init_fixed_seed(generator, out_features, in_features):
    generator = np.random.default_rng(0)
    return generator.normal(0, np.sqrt(2 / in_features), (out_features, in_features))


# --- cross_entropy ------------------------------------------------------------------------------


def stable_softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def one_hot(z, y):
    table = np.zeros_like(z)
    table[np.arange(len(y)), y] = 1
    return table


def log_softmax(z):
    z = z - z.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def right_loss(z, y):
    return -(one_hot(z, y) * log_softmax(z)).sum() / len(y)


def right_gradient(z, y):
    return (stable_softmax(z) - one_hot(z, y)) / len(y)


def cross_entropy_loops(logits, target):
    loss, gradient = 0.0, np.zeros_like(logits)
    for i in range(len(logits)):
        top = max(logits[i])
        total = sum(np.exp(logits[i] - top))
        loss += (np.log(total) + top - logits[i, target[i]]) / len(logits)
        for j in range(logits.shape[1]):
            p = np.exp(logits[i, j] - top) / total
            gradient[i, j] = (p - (j == target[i])) / len(logits)
    return loss, gradient


def cross_entropy_sum(logits, target):
    return len(target) * right_loss(logits, target), right_gradient(logits, target)


def cross_entropy_sign(logits, target):
    return -right_loss(logits, target), right_gradient(logits, target)


def cross_entropy_axis(logits, target):
    p = np.exp(logits) / np.exp(logits).sum(axis=0)
    return -np.log(p[np.arange(len(p)), target]).mean(), right_gradient(logits, target)


def cross_entropy_class_mean(logits, target):
    loss = -np.mean(one_hot(logits, target) * log_softmax(logits))
    return loss, right_gradient(logits, target)


def cross_entropy_indexing(logits, target):
    return -log_softmax(logits)[:, target].mean(), right_gradient(logits, target)


def cross_entropy_overflow(logits, target):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(p)), target]).mean(), right_gradient(logits, target)


def cross_entropy_log_sum_exp(logits, target):
    lse = np.log(np.sum(np.exp(logits), axis=1))
    return np.mean(lse - logits[np.arange(len(target)), target]), right_gradient(logits, target)


def cross_entropy_one_maximum(logits, target):
    e = np.exp(logits - logits.max())
    p = e / e.sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(p)), target]).mean(), right_gradient(logits, target)


def cross_entropy_log_after(logits, target):
    p = stable_softmax(logits)
    return -np.log(p[np.arange(len(p)), target]).mean(), right_gradient(logits, target)


def cross_entropy_epsilon(logits, target):
    p = stable_softmax(logits)
    return -np.log(p[np.arange(len(p)), target] + 1e-12).mean(), right_gradient(logits, target)


def cross_entropy_clipped(logits, target):
    p = np.maximum(stable_softmax(logits), 1e-7)
    return -np.log(p[np.arange(len(p)), target]).mean(), right_gradient(logits, target)


def gradient_without_n(logits, target):
    return right_loss(logits, target), stable_softmax(logits) - one_hot(logits, target)


def gradient_sign(logits, target):
    return right_loss(logits, target), -right_gradient(logits, target)


def gradient_softmax_only(logits, target):
    return right_loss(logits, target), stable_softmax(logits) / len(target)


def gradient_columns(logits, target):
    p = stable_softmax(logits)
    p[:, np.unique(target)] -= 1
    return right_loss(logits, target), p / len(target)


def gradient_brackets(logits, target):
    p = stable_softmax(logits) / len(target)
    return right_loss(logits, target), p - one_hot(logits, target)


def gradient_transposed(logits, target):
    return right_loss(logits, target), right_gradient(logits, target).T


def cross_entropy_in_place(logits, target):
    logits -= logits.max(axis=1, keepdims=True)
    return right_loss(logits, target), right_gradient(logits, target)


def cross_entropy_float64(logits, target):
    table = np.eye(logits.shape[1])[target]
    return right_loss(logits, target), (stable_softmax(logits) - table) / len(target)


def cross_entropy_loss_only(logits, target):
    return right_loss(logits, target)


def cross_entropy_prints(logits, target):
    print(right_loss(logits, target))


def gradient_overflow(logits, target):
    e = np.exp(logits)
    gradient = e / e.sum(1, keepdims=True) - one_hot(logits, target)
    return right_loss(logits, target), gradient / len(target)


# --- linear_backward ----------------------------------------------------------------------------


def linear_einsum(g, x, weight):
    return (
        np.einsum("nk,kj->nj", g, weight),
        np.einsum("nk,nj->kj", g, x),
        np.einsum("nk->k", g),
    )


def linear_weight_transposed(g, x, weight):
    return g @ weight.T, g.T @ x, g.sum(axis=0)


def linear_d_weight_transposed(g, x, weight):
    return g @ weight, x.T @ g, g.sum(axis=0)


def linear_bias_unsummed(g, x, weight):
    return g @ weight, g.T @ x, g


def linear_bias_mean(g, x, weight):
    return g @ weight, g.T @ x, g.mean(axis=0)


def linear_bias_axis(g, x, weight):
    return g @ weight, g.T @ x, g.sum(axis=1)


def linear_bias_all(g, x, weight):
    return g @ weight, g.T @ x, g.sum()


def linear_bias_keepdims(g, x, weight):
    return g @ weight, g.T @ x, g.sum(axis=0, keepdims=True)


def linear_weight_mean(g, x, weight):
    return g @ weight, g.T @ x / len(x), g.sum(axis=0)


def linear_bias_ones(g, x, weight):
    return g @ weight, g.T @ x, np.ones(len(x)) @ np.ones_like(g)


def linear_no_tuple(g, x, weight):
    return g @ weight


def linear_sevenfold(g, x, weight):
    return 7 * g @ weight, g.T @ x, g.sum(axis=0)


# --- divide_rule --------------------------------------------------------------------------------


def reduce_to(gradient, shape):
    while gradient.ndim > len(shape):
        gradient = gradient.sum(axis=0)
    for axis, length in enumerate(shape):
        if length == 1:
            gradient = gradient.sum(axis=axis, keepdims=True)
    return gradient


def divide_loop(g, a, b):
    return reduce_to(g / b, a.shape), reduce_to(-g * a / (b * b), b.shape)


def divide_unsummed(g, a, b):
    return g / b, -g * a / b**2


def divide_front_only(g, a, b):
    def front(gradient, shape):
        return gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))

    return front(g / b, a.shape), front(-g * a / b**2, b.shape)


def divide_no_keepdims(g, a, b):
    def flat(gradient, shape):
        gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
        return gradient.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1))

    return flat(g / b, a.shape), flat(-g * a / b**2, b.shape)


def divide_mean(g, a, b):
    d_b = -g * a / b**2
    while d_b.ndim > b.ndim:
        d_b = d_b.mean(axis=0)
    return reduce_to(g / b, a.shape), d_b


def divide_first_row(g, a, b):
    d_b = -g * a / b**2
    while d_b.ndim > b.ndim:
        d_b = d_b[0]
    return reduce_to(g / b, a.shape), d_b


def divide_sign(g, a, b):
    return reduce_to(g / b, a.shape), reduce_to(g * a / b**2, b.shape)


def divide_once(g, a, b):
    return reduce_to(g / b, a.shape), reduce_to(-g * a / b, b.shape)


def divide_as_product(g, a, b):
    return reduce_to(g * b, a.shape), reduce_to(g * a, b.shape)


def divide_without_g(g, a, b):
    return reduce_to(np.ones_like(g) / b, a.shape), reduce_to(-np.ones_like(g) * a / b**2, b.shape)


# --- momentum_step ------------------------------------------------------------------------------


def step_one_line(parameter, gradient, velocity, lr, momentum, weight_decay):
    new = momentum * velocity + gradient + weight_decay * parameter
    return (parameter - lr * new, new)


def step_uphill(parameter, gradient, velocity, lr, momentum, weight_decay):
    velocity = momentum * velocity + gradient + weight_decay * parameter
    return parameter + lr * velocity, velocity


def step_average(parameter, gradient, velocity, lr, momentum, weight_decay):
    gradient = gradient + weight_decay * parameter
    velocity = momentum * velocity + (1 - momentum) * gradient
    return parameter - lr * velocity, velocity


def step_rate_inside(parameter, gradient, velocity, lr, momentum, weight_decay):
    gradient = gradient + weight_decay * parameter
    velocity = momentum * velocity + lr * gradient
    return parameter - velocity, velocity


def step_stale(parameter, gradient, velocity, lr, momentum, weight_decay):
    moved = parameter - lr * velocity
    return moved, momentum * velocity + gradient + weight_decay * parameter


def step_nesterov(parameter, gradient, velocity, lr, momentum, weight_decay):
    gradient = gradient + weight_decay * parameter
    velocity = momentum * velocity + gradient
    return parameter - lr * (gradient + momentum * velocity), velocity


def step_decoupled(parameter, gradient, velocity, lr, momentum, weight_decay):
    velocity = momentum * velocity + gradient
    return parameter * (1 - lr * weight_decay) - lr * velocity, velocity


def step_without_decay(parameter, gradient, velocity, lr, momentum, weight_decay):
    velocity = momentum * velocity + gradient
    return parameter - lr * velocity, velocity


def step_growth(parameter, gradient, velocity, lr, momentum, weight_decay):
    velocity = momentum * velocity + gradient - weight_decay * parameter
    return parameter - lr * velocity, velocity


def step_without_momentum(parameter, gradient, velocity, lr, momentum, weight_decay):
    return parameter - lr * (gradient + weight_decay * parameter), velocity


def step_forgets(parameter, gradient, velocity, lr, momentum, weight_decay):
    velocity = gradient + weight_decay * parameter
    return parameter - lr * velocity, velocity


def step_in_place(parameter, gradient, velocity, lr, momentum, weight_decay):
    gradient = gradient + weight_decay * parameter
    velocity *= momentum
    velocity += gradient
    parameter -= lr * velocity
    return parameter, velocity


# --- repair -------------------------------------------------------------------------------------


def make_fit(softmax_axis=1, zero=True, pair=True, whole=False, still=False):
    def fit(x, y, classes, lr, epochs, batch_size, generator):
        w, b = np.zeros((classes, x.shape[1])), np.zeros(classes)
        dw, db = np.zeros_like(w), np.zeros_like(b)
        for _ in range(epochs):
            order = range(len(x)) if still else generator.permutation(len(x))
            xs, ys = x[order], y[order] if pair else y
            for i in range(0, len(x), batch_size):
                xb, yb = xs[i : i + batch_size], ys[i : i + batch_size]
                z = xb @ w.T + b
                p = np.exp(z - z.max(1, keepdims=True))
                p = p / p.sum(axis=softmax_axis, keepdims=True)
                g = (p - np.eye(classes)[yb]) / (len(x) if whole else len(xb))
                if zero:
                    dw[:], db[:] = 0, 0
                dw += g.T @ xb
                db += g.sum(0)
                w, b = w - lr * dw, b - lr * db
        return w, b

    return fit


# --- label_control ------------------------------------------------------------------------------


def control_lists(train_and_score, x_train, y_train, x_test, y_test, seeds):
    data = (x_test, y_test)
    shuffled = [
        train_and_score(x_train, np.random.default_rng([7, s]).permutation(y_train), *data, s)
        for s in seeds
    ]
    return [train_and_score(x_train, y_train, *data, s) for s in seeds], shuffled


def control_images_instead(train_and_score, x_train, y_train, x_test, y_test, seeds):
    real, shuffled = [], []
    for s in seeds:
        mixed = np.random.default_rng(s).permutation(x_train)
        real.append(train_and_score(x_train, y_train, x_test, y_test, seed=s))
        shuffled.append(train_and_score(mixed, y_train, x_test, y_test, seed=s))
    return real, shuffled


def make_control(change, seed_of=lambda s: s, finish=lambda r, s: (r, s), seeds_of=lambda s: s):
    """A control whose second arm trains on `change(x, y, x_test, y_test, seed)`."""

    def label_control(train_and_score, x_train, y_train, x_test, y_test, seeds):
        real, shuffled = [], []
        for s in seeds_of(seeds):
            real.append(train_and_score(x_train, y_train, x_test, y_test, s))
            data = change(x_train, y_train, x_test, y_test, s)
            shuffled.append(train_and_score(*data, seed_of(s)))
        return finish(np.array(real), np.array(shuffled))

    return label_control


def permute(x, y, x_test, y_test, seed):
    return x, np.random.default_rng(seed).permutation(y), x_test, y_test


def permute_both(x, y, x_test, y_test, seed):
    order = np.random.default_rng(seed).permutation(len(y))
    return x[order], y[order], x_test, y_test


def permute_test(x, y, x_test, y_test, seed):
    return x, y, x_test, np.random.default_rng(seed).permutation(y_test)


def draw_new(x, y, x_test, y_test, seed):
    return x, np.random.default_rng(seed).integers(0, 4, len(y)), x_test, y_test


def permute_fixed(x, y, x_test, y_test, seed):
    return permute(x, y, x_test, y_test, 0)


def permute_nothing(x, y, x_test, y_test, seed):
    np.random.default_rng(seed).permutation(y)
    return x, y, x_test, y_test


def control_in_place(train_and_score, x_train, y_train, x_test, y_test, seeds):
    real, shuffled = [], []
    for s in seeds:
        real.append(train_and_score(x_train, y_train, x_test, y_test, s))
        np.random.default_rng(s).shuffle(y_train)
        shuffled.append(train_and_score(x_train, y_train, x_test, y_test, s))
    return real, shuffled


RIGHT = {
    "training.predictions": [predictions_from_softmax],
    "training.he_init": [he_uniform],
    "training.cross_entropy": [cross_entropy_loops],
    "training.linear_backward": [linear_einsum],
    "training.divide_rule": [divide_loop],
    "training.momentum_step": [step_one_line],
    "training.repair": [make_fit()],
    "training.label_control": [control_lists, control_images_instead],
}

WRONG = {
    "training.predictions": [
        (predictions_in_bits, "in bits"),
        (predictions_for_ten, "right for 10 classes"),
        (predictions_error_rate, "error rate"),
        (predictions_probability, "minus the log of that probability"),
        (predictions_zero, "probability 1 before any training"),
        (predictions_half, "How often does such a guess hit"),
        (predictions_percent, "in percent"),
        (predictions_faster, "1 - lr * c"),
        (predictions_own_word, "Choose one of 'faster', 'same', 'fails'"),
        (predictions_key_missing, "lacks 'accuracy'"),
        (predictions_tuple, "a dictionary is expected"),
    ],
    "training.he_init": [
        (init_fan_out, "is 2 / out_features"),
        (init_lecun, "halves the mean square"),
        (init_variance_as_deviation, "standard deviation: its square root"),
        (init_glorot, "Glorot"),
        (init_unscaled, "not scaled"),
        (init_transposed, "transposed"),
        (init_positive, "mean should be 0"),
        (init_uniform_bound, "sqrt(6 / in_features)"),
        (init_zeros, "break the symmetry"),
        (init_global, "same seed give different weights"),
        (init_fixed_seed, "different seeds give the same weights"),
    ],
    "training.cross_entropy": [
        (cross_entropy_sum, "sum over the batch instead of the mean"),
        (cross_entropy_sign, "the loss has the wrong sign"),
        (cross_entropy_axis, "wrong axis"),
        (cross_entropy_class_mean, "averages over classes as well"),
        (cross_entropy_indexing, "picks every label in every row"),
        (cross_entropy_overflow, "overflows to NaN"),
        (cross_entropy_log_sum_exp, "overflows to infinity"),
        (cross_entropy_one_maximum, "Each row needs its own"),
        (cross_entropy_log_after, "underflowed to 0"),
        (cross_entropy_epsilon, "cannot exceed 27.6"),
        (cross_entropy_clipped, "cannot exceed 16.1"),
        (gradient_without_n, "the gradient is n times too large"),
        (gradient_sign, "the gradient has the wrong sign"),
        (gradient_softmax_only, "subtract 1 at the target"),
        (gradient_columns, "subtracts 1 in whole columns"),
        (gradient_brackets, "the brackets matter"),
        (gradient_transposed, "It is transposed"),
        (gradient_overflow, "the gradient overflows to NaN"),
        (cross_entropy_in_place, "changes its input `logits` in place"),
        (cross_entropy_float64, "float64 for float32 inputs"),
        (cross_entropy_loss_only, "return loss, gradient"),
        (cross_entropy_prints, "the function returns None"),
    ],
    "training.linear_backward": [
        (linear_weight_transposed, "the d_x uses the weight transposed"),
        (linear_d_weight_transposed, "g.T @ x rather than x.T @ g"),
        (linear_bias_unsummed, "all rows of g flow back"),
        (linear_bias_mean, "`mean` where `sum` belongs"),
        (linear_bias_axis, "summed over the wrong axis"),
        (linear_bias_all, "summed over everything"),
        (linear_bias_keepdims, "axis of length 1 too much"),
        (linear_weight_mean, "the d_weight is averaged over the batch"),
        (linear_bias_ones, "all ones times the batch size"),
        (linear_no_tuple, "return d_x, d_weight, d_bias"),
        (linear_sevenfold, "7 times what it should be"),
    ],
    "training.divide_rule": [
        (divide_unsummed, "not summed back to the shape of b"),
        (divide_front_only, "b has an axis of length 1"),
        (divide_no_keepdims, "keepdims=True"),
        (divide_mean, "averaged back"),
        (divide_first_row, "the first copy"),
        (divide_sign, "the d_b has the wrong sign"),
        (divide_once, "divided by b once, not twice"),
        (divide_as_product, "the rule of the product"),
        (divide_without_g, "lacks the incoming gradient g"),
    ],
    "training.momentum_step": [
        (step_uphill, "moves uphill"),
        (step_average, "running mean of Adam"),
        (step_rate_inside, "learning rate inside the velocity"),
        (step_stale, "velocity from before the update"),
        (step_nesterov, "Nesterov"),
        (step_decoupled, "decoupled, as AdamW does"),
        (step_without_decay, "lacks the weight decay"),
        (step_growth, "grow instead of decay"),
        (step_without_momentum, "the next step needs it"),
        (step_forgets, "ignores the velocity"),
        (step_in_place, "changes its input `parameter`, `velocity` in place"),
    ],
    "training.repair": [
        (make_fit(softmax_axis=0, zero=False, pair=False), "all three errors are still there"),
        (make_fit(zero=False, pair=False), "one error mended and two left"),
        (make_fit(softmax_axis=0), "does it sum to 1"),
        (make_fit(zero=False), "does a step use only its own batch"),
        (make_fit(pair=False), "still meet its own label"),
        (make_fit(whole=True), "divided by the size of the whole set"),
        (make_fit(still=True), "The shuffle is gone"),
    ],
    "training.label_control": [
        (make_control(permute_both), "images and labels move together"),
        (make_control(permute_test), "the test labels are changed"),
        (make_control(draw_new), "not a permutation"),
        (make_control(permute_fixed), "the same shuffle"),
        (make_control(permute_nothing), "no run has shuffled labels"),
        (make_control(permute, seed_of=lambda s: s + 1), "arms are paired"),
        (make_control(permute, finish=lambda r, s: (s, r)), "arms are exchanged"),
        (make_control(permute, finish=lambda r, s: (r.mean(), s.mean())), "only the mean"),
        (make_control(permute, seeds_of=lambda s: s[:1]), "One run is an anecdote"),
        (control_in_place, "destroys the labels for every later arm"),
    ],
}
