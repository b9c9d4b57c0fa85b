"""The LSTM layer: PyTorch's names and equations, state carried on, members kept apart."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def by_the_book(x, layer, h, c):
    """One step after the other, gate by gate: an independent slow computation."""
    outputs = []
    u, v = layer.weight_ih_l0.data, layer.weight_hh_l0.data
    bias = layer.bias_ih_l0.data + layer.bias_hh_l0.data
    for x_t in x:
        i, f, g, o = np.split(x_t @ u.T + h @ v.T + bias, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs), h, c


def test_parameters_are_pytorchs():
    layer = nn.LSTM(5, 3)
    assert {name: p.shape for name, p in layer.named_parameters()} == {
        "weight_ih_l0": (12, 5),
        "weight_hh_l0": (12, 3),
        "bias_ih_l0": (12,),
        "bias_hh_l0": (12,),
    }
    values = np.concatenate([p.data.ravel() for p in layer.parameters()])
    assert np.abs(values).max() <= 1 / np.sqrt(3) < 1.3 * np.abs(values).max()
    assert len(list(nn.LSTM(5, 3, bias=False).parameters())) == 2


def test_equations():
    layer = nn.LSTM(5, 3, dtype=np.float64)
    x, h, c = draw(4, 2, 5), draw(2, 3), draw(2, 3, seed=1)
    out, (h_n, c_n) = layer(mg.tensor(x), (mg.tensor(h[None]), mg.tensor(c[None])))
    expected, h_expected, c_expected = by_the_book(x, layer, h, c)
    np.testing.assert_allclose(out.data, expected, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(h_n.data, h_expected[None], rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(c_n.data, c_expected[None], rtol=1e-13, atol=1e-14)


def test_state_carries_a_sequence_on():
    """Two halves, the second started from the first one's state, are the whole."""
    layer, x = nn.LSTM(5, 3, dtype=np.float64), mg.tensor(draw(6, 2, 5))
    whole, (h, c) = layer(x)
    first, state = layer(x[:3])
    second, (h2, c2) = layer(x[3:], state)
    np.testing.assert_allclose(whole.data, np.concatenate([first.data, second.data]), rtol=1e-13)
    np.testing.assert_allclose([h2.data, c2.data], [h.data, c.data], rtol=1e-13)


def test_batch_first_only_swaps_axes():
    layer = nn.LSTM(5, 3)
    other = nn.LSTM(5, 3, batch_first=True)
    other.load_state_dict(layer.state_dict())
    x = draw(4, 2, 5).astype(np.float32)
    out, (h, _) = layer(mg.tensor(x))
    swapped, (h_swapped, _) = other(mg.tensor(x.swapaxes(0, 1)))
    np.testing.assert_array_equal(swapped.data, out.data.swapaxes(0, 1))
    np.testing.assert_array_equal(h_swapped.data, h.data)
    with pytest.raises(ValueError, match=r"expected \(n, T, 5\), found \(4, 5\)"):
        other(mg.tensor(x[:, 0]))


def test_ensemble_equals_separate_models():
    with nn.ensemble(3, seeds=[1, 2, 3]):
        layer = nn.LSTM(5, 4, batch_first=True, dtype=np.float64)
    x = mg.tensor(draw(2, 6, 5))
    out, (h, c) = layer(x)
    assert out.shape == (3, 2, 6, 4) and h.shape == c.shape == (3, 1, 2, 4) and out.members == 3
    for i in range(3):
        single, (h_i, _) = nn.member(layer, i)(x)
        np.testing.assert_allclose(out.data[i], single.data, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(h.data[i], h_i.data, rtol=1e-12, atol=1e-14)


def test_learns_to_remember_the_first_input():
    """After 6 steps of noise, the sign of the first input is still known."""
    mg.manual_seed(0)
    rng = np.random.default_rng(0)
    layer, head = nn.LSTM(1, 8), nn.Linear(8, 1)
    optimizer = mg.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.03)
    for _ in range(120):
        x = rng.normal(size=(6, 32, 1)).astype(np.float32)
        target = np.sign(x[0])
        _, (h, _) = layer(mg.tensor(x))
        loss = mg.losses.mse_loss(head(h[0]), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5  # 1 for a guess that knows nothing


def test_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    layer = nn.LSTM(5, 3, dtype=np.float64)
    theirs = torch.nn.LSTM(5, 3, dtype=torch.float64)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in layer.state_dict().items()})
    x = draw(4, 2, 5)
    out, (h, c) = layer(mg.tensor(x))
    (np.sum(out * out) + np.sum(h * c)).backward()
    t_out, (t_h, t_c) = theirs(torch.tensor(x))
    ((t_out * t_out).sum() + (t_h * t_c).sum()).backward()
    np.testing.assert_allclose(out.data, t_out.detach().numpy(), rtol=1e-12)
    for name, p in theirs.named_parameters():
        ours = dict(layer.named_parameters())[name].grad
        np.testing.assert_allclose(ours, p.grad.numpy(), rtol=1e-11, atol=1e-13)
