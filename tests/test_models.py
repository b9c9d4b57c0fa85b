"""The networks that chapters share."""

import numpy as np
import pytest

import minigrad as mg


def test_a_pair_net_is_the_network_of_its_formula():
    mg.manual_seed(0)
    net = mg.models.PairNet(5, features=3, width=4)
    pairs = np.array([[0, 4], [2, 2], [4, 0]])
    E, W, c = (t.data for t in (net.embedding.weight, net.hidden.weight, net.hidden.bias))
    V, d = net.readout.weight.data, net.readout.bias.data
    slow = [V @ np.maximum(W @ np.concatenate([E[a], E[b]]) + c, 0) + d for a, b in pairs]
    np.testing.assert_allclose(net(pairs).data, slow, rtol=1e-13)


def test_an_mlp_has_an_activation_between_layers_and_none_at_the_end():
    mg.manual_seed(0)
    net = mg.models.mlp(3, 4, 2, activation=mg.nn.Tanh, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(6, 3))
    (W1, b1, W2, b2) = (t.data for t in net.parameters())
    np.testing.assert_allclose(net(x).data, np.tanh(x @ W1.T + b1) @ W2.T + b2, rtol=1e-13)


def test_an_mlp_without_bias_maps_zero_to_zero():
    assert not mg.models.mlp(3, 4, 4, 2, bias=False)(np.zeros((1, 3), np.float32)).data.any()


def test_one_size_is_an_error():
    with pytest.raises(ValueError, match="at least input and output"):
        mg.models.mlp(3)
