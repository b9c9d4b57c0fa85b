"""Every fused rule equals its composed twin: values, first and second derivatives, in float64."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import fused
from minigrad.fused.affine import _linear
from minigrad.fused.masking import dropout_mask
from minigrad.fused.scaled_dot_product import FEW_KEYS, composed_self_attention
from minigrad.rules.reductions import logsumexp


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def second_order(function, arrays, direction_seed=1):
    """Value, gradient and Hessian-vector product of a scalar made of ``function``'s output."""
    leaves = [mg.tensor(a, requires_grad=True) for a in arrays]
    out = function(*leaves)
    weights = draw(*out.shape, seed=2)  # a random projection sees every element
    gradients = mg.grad(np.sum(out * weights + out * out), leaves, create_graph=True)
    along = sum(
        np.sum(g * draw(*g.shape, seed=direction_seed + i)) for i, g in enumerate(gradients)
    )
    second = mg.grad(along, leaves) if along.requires_grad else [np.zeros_like(a) for a in arrays]
    return [out.data, *(g.data for g in gradients), *second]


def first_order(function, arrays):
    """The same gradient from the fused rule itself, which does not run when a graph is made."""
    leaves = [mg.tensor(a, requires_grad=True) for a in arrays]
    out = function(*leaves)
    return mg.grad(np.sum(out * draw(*out.shape, seed=2) + out * out), leaves)


def every_step(hidden, state):
    """All that an LSTM returns, in one array: so every output takes part in the gradient."""
    return np.concatenate([hidden, np.stack([state[1]])], axis=0) + 0.0 * state[0]


def fused_states(x, weight_ih, weight_hh, bias_ih, bias_hh, h, c):
    return every_step(*fused.lstm(x, weight_ih, weight_hh, bias_ih, bias_hh, (h, c)))


def composed_states(*arrays):
    return fused.composed_lstm(*arrays)


LSTM_ARRAYS = [draw(4, 2, 5), draw(12, 5), draw(12, 3), draw(12), draw(12, seed=1)]
ZERO = np.zeros((2, 3))
VISIBLE = np.random.default_rng(1).random((5, 6)) < 0.7
SHARES = np.random.default_rng(1).random((6, 5))
ROWS = np.array([[0, 3, 3], [1, 3, 0]])
LABELS = np.random.default_rng(0).integers(0, 4, 6)
CASES = {
    "linear": (fused.linear, fused.composed_linear, [draw(6, 5), draw(4, 5), draw(4)]),
    "linear without bias": (
        lambda x, w: fused.linear(x, w),
        lambda x, w: fused.composed_linear(x, w, None),
        [draw(6, 5), draw(4, 5)],
    ),
    "linear with relu": (
        lambda x, w, b: fused.linear(x, w, b, "relu"),
        fused.composed_linear_relu,
        [draw(6, 5), draw(4, 5), draw(4)],
    ),
    "softmax cross-entropy": (
        lambda z: fused.softmax_cross_entropy(z, LABELS),
        lambda z: fused.composed_softmax_cross_entropy(z, LABELS, (0,)),
        [draw(6, 4)],
    ),
    "softmax cross-entropy per row": (
        lambda z: fused.softmax_cross_entropy(z, LABELS, "none"),
        lambda z: logsumexp(z, axis=-1) - z[np.arange(6), LABELS],
        [draw(6, 4)],
    ),
    "softmax cross-entropy of members": (
        lambda z: fused.softmax_cross_entropy(mg.nn.members(z, 2), LABELS.reshape(2, 3)),
        lambda z: fused.composed_softmax_cross_entropy(z, LABELS.reshape(2, 3), (1,)),
        [draw(2, 3, 4)],
    ),
    "layer norm": (
        fused.layer_norm,
        lambda x, w, b: fused.composed_layer_norm(x, w, b, (-1,), 1e-5),
        [draw(6, 5), draw(5), draw(5)],
    ),
    "layer norm over two axes": (
        lambda x, w, b: fused.layer_norm(x, w, b, (-2, -1)),
        lambda x, w, b: fused.composed_layer_norm(x, w, b, (-2, -1), 1e-5),
        [draw(3, 4, 5), draw(4, 5), draw(4, 5)],
    ),
    "layer norm without affine": (
        fused.layer_norm,
        lambda x: fused.composed_layer_norm(x, None, None, (-1,), 1e-5),
        [draw(6, 5)],
    ),
    "batch norm": (
        lambda x, w, b: fused.batch_norm(x, w, b)[0],
        lambda x, w, b: fused.composed_layer_norm(x, w, b, (0,), 1e-5),
        [draw(6, 5), draw(5), draw(5)],
    ),
    "batch norm of images": (
        lambda x, w, b: fused.batch_norm(x, w, b, (0, 2, 3))[0],
        lambda x, w, b: fused.composed_layer_norm(x, w, b, (0, 2, 3), 1e-5),
        [draw(3, 2, 4, 5), draw(2, 1, 1), draw(2, 1, 1)],
    ),
    "attention": (
        fused.attention,
        lambda q, k, v: fused.composed_attention(q, k, v, None, 0.5, False),
        [draw(2, 3, 5, 4), draw(2, 3, 6, 4, seed=1), draw(2, 3, 6, 7)],
    ),
    "causal attention": (
        lambda q, k, v: fused.attention(q, k, v, causal=True, scale=0.3),
        lambda q, k, v: fused.composed_attention(q, k, v, None, 0.3, True),
        [draw(2, 5, 4), draw(2, 5, 4, seed=1), draw(2, 5, 4, seed=2)],
    ),
    "attention with a mask": (
        lambda q, k, v: fused.attention(q, k, v, mask=VISIBLE),
        lambda q, k, v: fused.composed_attention(q, k, v, VISIBLE, 0.5, False),
        [draw(2, 5, 4), draw(2, 6, 4), draw(2, 6, 4)],
    ),
    "attention with a trained bias": (
        lambda q, k, v, bias: fused.attention(q, k, v, mask=bias),
        lambda q, k, v, bias: fused.composed_attention(q, k, v, bias, 0.5, False),
        [draw(2, 5, 4), draw(2, 6, 4), draw(2, 6, 4), draw(5, 6)],
    ),
    "attention to many keys": (  # the other layout of the scores
        lambda q, k, v: fused.attention(q, k, v, causal=True),
        lambda q, k, v: fused.composed_attention(q, k, v, None, 0.5, True),
        [draw(3, 4), draw(FEW_KEYS + 3, 4), draw(FEW_KEYS + 3, 4, seed=1)],
    ),
    "self-attention": (
        lambda x: fused.self_attention(x, 2, causal=True),
        lambda x: composed_self_attention(x, None, 2, 0.5, True),
        [draw(3, 5, 24)],
    ),
    "lstm": (fused_states, composed_states, [*LSTM_ARRAYS, draw(2, 3), draw(2, 3, seed=1)]),
    "lstm without biases": (
        lambda x, u, v: every_step(*fused.lstm(x, u, v)),
        lambda x, u, v: fused.composed_lstm(x, u, v, None, None, ZERO, ZERO),
        LSTM_ARRAYS[:3],
    ),
    "binary cross-entropy": (
        lambda z: fused.binary_cross_entropy_with_logits(z, SHARES),
        lambda z: fused.composed_binary_cross_entropy_with_logits(z, SHARES, (0, 1)),
        [draw(6, 5)],
    ),
    "binary cross-entropy towards the target": (
        fused.binary_cross_entropy_with_logits,
        lambda z, t: fused.composed_binary_cross_entropy_with_logits(z, t, (0, 1)),
        [draw(6, 5), draw(6, 5, seed=1) ** 2],
    ),
    "binary cross-entropy of members": (
        lambda z: fused.binary_cross_entropy_with_logits(mg.nn.members(z, 2), SHARES),
        lambda z: fused.composed_binary_cross_entropy_with_logits(z, SHARES, (1, 2)),
        [draw(2, 6, 5)],
    ),
    "mse": (fused.mse, lambda x, t: fused.composed_mse(x, t, (0, 1)), [draw(6, 5), draw(6, 5)]),
    "mse of members": (
        lambda x: fused.mse(mg.nn.members(x, 2), SHARES),
        lambda x: fused.composed_mse(x, SHARES, (1, 2)),
        [draw(2, 6, 5)],
    ),
    "dropout": (
        lambda x: fused.dropout(x, 0.4, np.random.default_rng(3)),
        lambda x: x * dropout_mask(x.data, x.shape, 0.4, np.random.default_rng(3)),
        [draw(6, 5)],
    ),
    "embedding": (
        lambda table: fused.embedding(table, ROWS),
        lambda table: np.matmul(np.eye(4)[ROWS], table),
        [draw(4, 5)],
    ),
    "gelu": (fused.gelu, fused.composed_gelu, [draw(6, 5)]),
    "gelu (tanh)": (lambda x: fused.gelu(x, "tanh"), fused.composed_gelu_tanh, [draw(6, 5)]),
}


@pytest.mark.parametrize("name", CASES)
def test_fused_equals_twin_to_second_order(name):
    function, twin, arrays = CASES[name]
    expected = second_order(twin, arrays)
    for found, wanted in zip(second_order(function, arrays), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-11)
    for found, wanted in zip(first_order(function, arrays), expected[1:], strict=False):
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_float32(name):
    function, _, arrays = CASES[name]
    leaves = [mg.tensor(a.astype(np.float32), requires_grad=True) for a in arrays]
    out = function(*leaves)
    assert out.dtype == np.float32
    assert all(g.dtype == np.float32 for g in mg.grad(out.sum(), leaves))


@pytest.mark.parametrize("name", CASES)
def test_rules_leave_arguments_and_shared_gradients_alone(name):
    """In-place work happens on owned arrays only: x feeds two branches, and the graph is kept."""
    function, twin, arrays = CASES[name]
    results = []
    for f in (function, twin):
        leaves = [mg.tensor(a.copy(), requires_grad=True) for a in arrays]
        hidden = leaves[0] * 1.0
        out = f(hidden, *leaves[1:])
        residual = np.sum(out + 0.0) + np.sum(out * out) + np.sum(hidden)
        first = mg.grad(residual, leaves, retain_graph=True)
        again = mg.grad(residual, leaves)
        for a, b in zip(first, again, strict=True):
            np.testing.assert_array_equal(a, b)
        for leaf, array in zip(leaves, arrays, strict=True):
            np.testing.assert_array_equal(leaf.data, array)
        results.append(first)
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (2, 3, 4)])
def test_linear_acts_on_the_last_axis(activation, lead):
    x, weight, bias = draw(*lead, 5), draw(4, 5), draw(4)
    expected = np.einsum("...i,oi->...o", x, weight) + bias
    if activation:
        expected = np.maximum(expected, 0.0)
    found = fused.linear(mg.tensor(x), mg.tensor(weight), mg.tensor(bias), activation)
    np.testing.assert_allclose(found.data, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 5), (8, 6, 5), (8, 2, 3, 5)])
def test_linear_ensemble_equals_members_one_by_one(activation, shape):
    """Inputs with the mark are per member, inputs without it are shared, also if axis 0 is 8."""
    weight, bias, x = draw(8, 4, 5), draw(8, 4), draw(*shape)
    for marked in {False, shape[0] == 8}:
        w, b = (mg.nn.members(mg.tensor(a, requires_grad=True), 8) for a in (weight, bias))
        inputs = mg.tensor(x, requires_grad=True)
        out = fused.linear(mg.nn.members(inputs, 8) if marked else inputs, w, b, activation)
        assert out.members == 8
        found = mg.grad(np.sum(out * out), [inputs, w, b])
        total = np.zeros_like(x)
        for i in range(8):
            leaves = [
                mg.tensor(a, requires_grad=True)
                for a in (x[i] if marked else x, weight[i], bias[i])
            ]
            single = fused.linear(*leaves, activation)
            np.testing.assert_allclose(out.data[i], single.data, rtol=1e-12, atol=1e-12)
            gx, gw, gb = mg.grad(np.sum(single * single), leaves)
            np.testing.assert_allclose(found[1][i], gw, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(found[2][i], gb, rtol=1e-12, atol=1e-12)
            if marked:
                total[i] = gx
            else:
                total += gx
        np.testing.assert_allclose(found[0], total, rtol=1e-11, atol=1e-11)


def test_no_gradient_towards_data():
    """The rule is told what is wanted and skips the product towards x."""
    need = (False, True, True)
    x, weight, bias = draw(6, 5), draw(4, 5), draw(4)
    towards_x, towards_weight, towards_bias = _linear.gradients(
        need, np.ones((6, 4)), None, (x, weight, bias), {}
    )
    assert towards_x is None and towards_weight.shape == (4, 5) and towards_bias.shape == (4,)


def test_relu_slope_at_zero_is_zero():
    x = mg.tensor(np.zeros((1, 2)), requires_grad=True)
    weight = mg.tensor(np.eye(2), requires_grad=True)
    np.testing.assert_array_equal(mg.grad(fused.linear(x, weight, None, "relu").sum(), x), 0.0)


def test_gelu_known_values():
    """GELU(0) = 0, the slope at 0 is 1/2, x Phi(x) -> x and -> 0 far out; tanh is within 5e-4."""
    x = mg.tensor(np.array([0.0, 1.0, 40.0, -40.0]), requires_grad=True)
    np.testing.assert_allclose(fused.gelu(x).data, [0.0, 0.8413447460685429, 40.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(mg.grad(fused.gelu(x).sum(), x)[[0, 2, 3]], [0.5, 1.0, 0.0])
    grid = np.linspace(-6.0, 6.0, 1001)
    assert np.abs(fused.gelu(grid) - fused.gelu(grid, "tanh")).max() < 5e-4


def test_layer_norm_of_a_constant_example_is_finite():
    x = mg.tensor(np.full((2, 5), 3.0, np.float32), requires_grad=True)
    out = fused.layer_norm(x)
    np.testing.assert_array_equal(out.data, 0.0)
    assert np.isfinite(mg.grad((out * draw(2, 5)).sum(), x)).all()


def test_errors_name_argument_and_mend():
    x, weight = mg.tensor(draw(6, 5)), mg.tensor(draw(4, 3), requires_grad=True)
    with pytest.raises(ValueError, match=r"last axis of x must have the 3 features .*\(6, 5\)"):
        fused.linear(x, weight)
    with pytest.raises(ValueError, match="activation must be None or 'relu', found 'tanh'"):
        fused.linear(x, x, activation="tanh")
    with pytest.raises(ValueError, match="approximate must be 'none' or 'tanh', found 'erf'"):
        fused.gelu(x, "erf")


def test_integers_are_refused_rather_than_promoted():
    weight = mg.tensor(np.ones((2, 3), np.float32))
    with pytest.raises(TypeError, match=r"x must be real numbers, found int64.*astype"):
        fused.linear(np.ones((4, 3), np.int64), weight)


@pytest.mark.parametrize("name", [name for name in CASES if name != "dropout"])
def test_float32_equals_the_twin_in_float64_to_its_rounding(name):
    """Some rules take other paths in float32. (Dropout draws other numbers there.)"""
    function, twin, arrays = CASES[name]
    single = [mg.tensor(a.astype(np.float32), requires_grad=True) for a in arrays]
    double = [mg.tensor(a.data.astype(np.float64), requires_grad=True) for a in single]
    found, expected = function(*single), twin(*double)
    np.testing.assert_allclose(found.data, expected.data, rtol=2e-4, atol=2e-5)
    pairs = zip(mg.grad(found.sum(), single), mg.grad(expected.sum(), double), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=5e-4, atol=1e-4)


def test_float32_gelu_is_exact_to_rounding():
    """Its tail is a polynomial: compared with SciPy in float64, values and slopes, also far out."""
    x = np.linspace(-12.0, 12.0, 100_001).astype(np.float32)  # more than one block
    leaf, exact = (mg.tensor(a, requires_grad=True) for a in (x, x.astype(np.float64)))
    y, wanted = fused.gelu(leaf), fused.gelu(exact)
    error = np.abs(y.data - wanted.data)
    assert (error <= 2e-7 * np.maximum(np.abs(x), 1.0)).all()
    near = x > -5.0
    assert (error[near] <= 2e-6 * np.abs(wanted.data[near])).all()
    slope, slope_wanted = mg.grad(y.sum(), leaf), mg.grad(wanted.sum(), exact)
    assert np.abs(slope - slope_wanted).max() < 3e-7


def test_gelu_of_infinite_and_nan_inputs():
    x = np.array([np.inf, -np.inf, np.nan, 1e30, -1e30], np.float32)
    with np.errstate(all="ignore"):
        found = fused.gelu(mg.tensor(x)).data
    np.testing.assert_array_equal(found[[0, 2, 3, 4]], [np.inf, np.nan, x[3], 0.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_is_accurate_in_both_tails(dtype):
    """log(1 + e^-|z|) keeps its relative accuracy where it is tiny; the slope is sigmoid - t."""
    z = np.array([-80.0, -30.0, -3.0, 0.0, 3.0, 30.0, 80.0], dtype)
    target = (z > 0).astype(dtype)
    exact = np.log1p(np.exp(-np.abs(z.astype(np.float64))))
    for i in range(z.size):  # one at a time: a mean would hide the small ones
        leaf = mg.tensor(z[i : i + 1], requires_grad=True)
        loss = fused.binary_cross_entropy_with_logits(leaf, target[i : i + 1])
        np.testing.assert_allclose(loss.item(), exact[i], rtol=1e-6)
        slope = mg.grad(loss, leaf)[0]
        wanted = np.exp(-exact[i]) * np.exp(-np.abs(float(z[i])))  # sigmoid(-|z|)
        if target[i] == 0.0:
            np.testing.assert_allclose(slope, wanted, rtol=1e-6)
        else:
            np.testing.assert_allclose(slope, -wanted, rtol=1e-6, atol=1e-7)


def test_blocks_cover_large_arrays():
    """More than one block, the last one not full: the same as in one piece."""
    z, t = draw(300, 333).astype(np.float32), np.float32(draw(300, 333, seed=1) > 0)
    loss = fused.binary_cross_entropy_with_logits(z, t)
    small = [fused.binary_cross_entropy_with_logits(z[i], t[i]) for i in range(300)]
    np.testing.assert_allclose(loss, np.mean(small), rtol=1e-6)
    np.testing.assert_allclose(
        fused.gelu(z.T), np.stack([fused.gelu(np.ascontiguousarray(r)) for r in z.T]), rtol=1e-6
    )


def test_rows_of_a_large_table_add_up_at_repeated_indices():
    """The sparse product equals a loop; the table is large enough to take that path."""
    rng = np.random.default_rng(0)
    index, g = rng.integers(0, 50, 700), draw(700, 40).astype(np.float32)
    table = mg.tensor(np.zeros((50, 40), np.float32), requires_grad=True)
    found = mg.grad(np.sum(fused.embedding(table, index) * g), table)
    expected = np.zeros((50, 40))
    for i, row in zip(index, g, strict=True):
        expected[i] += row
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert found.dtype == np.float32


def test_causal_attention_does_not_see_the_future():
    q, k, v = (draw(2, 5, 4, seed=i) for i in range(3))
    before = fused.attention(mg.tensor(q), k, v, causal=True).data
    k[:, 3:], v[:, 3:] = 0.0, 100.0
    after = fused.attention(mg.tensor(q), k, v, causal=True).data
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert np.abs(before[:, 3:] - after[:, 3:]).min() > 1e-3


def test_dropout_keeps_the_expectation_and_zeroes_a_share_p():
    x = mg.tensor(np.ones((200, 200), np.float32), requires_grad=True)
    out = fused.dropout(x, 0.3, np.random.default_rng(0))
    assert abs((out.data == 0).mean() - 0.3) < 0.01 and abs(out.data.mean() - 1.0) < 0.02
    np.testing.assert_array_equal(mg.grad(out.sum(), x), out.data)


def test_no_product_for_gradients_that_nobody_wants():
    """Inputs without requires_grad get none: the LSTM's data, the keys of frozen attention."""
    x, *weights = (mg.tensor(a) for a in LSTM_ARRAYS)
    for w in weights:
        w.requires_grad_()
    rule = fused.lstm(x, *weights)[0].node.parents[0]
    need = [p is not None for p in rule.parents]
    found = rule.rule.gradients(need, np.ones(rule.shape), rule.out, rule.args, {})
    assert [f is not None for f in found] == [False, True, True, True, True, False, False]


def test_lstm_ensemble_equals_members_one_by_one():
    """Shared and own inputs, states returned with the mark."""
    x, weights = (
        draw(3, 4, 2, 5),
        [draw(3, *a.shape, seed=i) for i, a in enumerate(LSTM_ARRAYS[1:])],
    )
    for marked in (True, False):
        inputs = mg.tensor(x if marked else x[0], requires_grad=True)
        w = [mg.nn.members(mg.tensor(a, requires_grad=True), 3) for a in weights]
        out, (h, c) = fused.lstm(mg.nn.members(inputs, 3) if marked else inputs, *w)
        assert out.members == h.members == c.members == 3
        found = mg.grad(np.sum(out * out) + np.sum(h * c), [inputs, *w])
        total = np.zeros_like(inputs.data)
        for i in range(3):
            leaves = [
                mg.tensor(a, requires_grad=True)
                for a in (x[i if marked else 0], *(a[i] for a in weights))
            ]
            single, (hi, ci) = fused.lstm(*leaves)
            np.testing.assert_allclose(out.data[i], single.data, rtol=1e-12, atol=1e-12)
            gx, *gw = mg.grad(np.sum(single * single) + np.sum(hi * ci), leaves)
            for a, b in zip(found[1:], gw, strict=True):
                np.testing.assert_allclose(a[i], b, rtol=1e-11, atol=1e-11)
            if marked:
                total[i] = gx
            else:
                total += gx
        np.testing.assert_allclose(found[0], total, rtol=1e-11, atol=1e-11)


def test_errors_of_attention_and_lstm_name_what_was_found():
    q = mg.tensor(draw(2, 5, 4))
    with pytest.raises(ValueError, match=r"must agree .*\(2, 5, 4\), \(2, 6, 3\)"):
        fused.attention(q, draw(2, 6, 3), draw(2, 6, 4))
    with pytest.raises(ValueError, match="3 x 3 heads"):
        fused.self_attention(q, 3)
    x, u, v, b, _ = (mg.tensor(a) for a in LSTM_ARRAYS)
    with pytest.raises(ValueError, match=r"with T > 0, found \(2, 5\)"):
        fused.lstm(x[0], u, v)
    with pytest.raises(ValueError, match="do not fit"):
        fused.lstm(x, v, v)
    with pytest.raises(TypeError, match="both bias_ih and bias_hh"):
        fused.lstm(x, u, v, b)
    with pytest.raises(TypeError, match=r"found int64.*astype"):
        fused.lstm(np.ones((4, 2, 5), np.int64), u, v)
