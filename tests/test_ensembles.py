"""Eight models in one equal eight models: starts, outputs, losses, gradients, training, masks."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import losses, nn

SEEDS = [3, 1, 4, 1, 5, 9, 2, 6]
M = len(SEEDS)


def draw(*shape):
    return np.random.default_rng([11, *shape]).normal(size=shape)


def mlp():
    return nn.Sequential(
        nn.Linear(5, 7, dtype=np.float64),
        nn.ReLU(),
        nn.LayerNorm(7, dtype=np.float64),
        nn.Dropout(0.3),
        nn.Linear(7, 6, dtype=np.float64),
        nn.GELU(),
        nn.BatchNorm1d(6, dtype=np.float64),
        nn.Linear(6, 3, dtype=np.float64),
    )


def tokens():
    class Model(nn.Module):
        def __init__(self):
            self.embed = nn.Embedding(5, 4, dtype=np.float64)
            self.attention = nn.MultiheadAttention(4, 2, 0.2, causal=True, dtype=np.float64)
            self.head = nn.Linear(4, 3, dtype=np.float64)

        def forward(self, x):
            return self.head(self.attention(self.embed(x)))

    return Model()


def images():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, dtype=np.float64),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 2, 2, groups=2, dtype=np.float64),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(2, 3, dtype=np.float64),
    )


RNG = np.random.default_rng(0)
CASES = {
    "mlp": (mlp, RNG.normal(size=(M, 6, 5)), RNG.integers(0, 3, (M, 6))),
    "tokens": (tokens, RNG.integers(0, 5, (M, 3, 4)), RNG.integers(0, 3, (M, 3, 4))),
    "images": (images, RNG.normal(size=(M, 3, 2, 6, 6)), RNG.integers(0, 3, (M, 3))),
}


def sgd_step(model, loss, lr=0.1):
    """Plain gradient descent, by hand."""
    loss.backward()
    for p in model.parameters():
        p.data -= lr * p.grad
    model.zero_grad()


@pytest.mark.parametrize("own_data", [True, False], ids=["own data", "shared data"])
@pytest.mark.parametrize("name", CASES)
def test_ensemble_equals_separate_models_through_training(name, own_data):
    """Outputs, losses, gradients, dropout masks and running statistics, over five SGD steps."""
    build, x, y = CASES[name]
    with nn.ensemble(M, SEEDS):
        ensemble = build()
    inputs, target = (nn.members(x, M), y) if own_data else (x[0], y[0])
    outputs, values, gradients = [], [], []
    for step in range(5):
        logits = ensemble(inputs)
        loss = losses.cross_entropy(logits, target)
        assert logits.members == M and loss.shape == (M,)
        outputs.append(logits.data)
        values.append(loss.data)
        if step == 0:
            gradients = mg.grad(loss, list(ensemble.parameters()), retain_graph=True)
        sgd_step(ensemble, loss)

    for i, seed in enumerate(SEEDS):
        mg.manual_seed(seed)
        single = build()
        xi, yi = (x[i], y[i]) if own_data else (x[0], y[0])
        for step in range(5):
            logits = single(xi)
            loss = losses.cross_entropy(logits, yi)
            np.testing.assert_allclose(outputs[step][i], logits.data, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(values[step][i], loss.item(), rtol=1e-11)
            if step == 0:
                found = mg.grad(loss, list(single.parameters()), retain_graph=True)
                for ours, theirs in zip(gradients, found, strict=True):
                    np.testing.assert_allclose(ours[i], theirs, rtol=1e-11, atol=1e-12)
            sgd_step(single, loss)
        extracted = nn.member(ensemble, i).state_dict()
        for key, array in single.state_dict().items():
            np.testing.assert_allclose(extracted[key], array, rtol=1e-10, atol=1e-12, err_msg=key)


def test_members_start_as_single_models_after_manual_seed():
    with nn.ensemble(M, SEEDS) as seeds:
        ensemble = mlp()
    assert seeds == SEEDS and ensemble.members == M
    for i, seed in enumerate(seeds):
        mg.manual_seed(seed)
        single = mlp().state_dict()
        for key, array in nn.member(ensemble, i).state_dict().items():
            np.testing.assert_array_equal(array, single[key])


def test_default_seeds_come_from_the_global_generator():
    drawn = []
    for _ in range(2):
        mg.manual_seed(5)
        with nn.ensemble(4) as seeds:
            drawn.append(seeds)
    assert drawn[0] == drawn[1] and len(set(drawn[0])) == 4


def test_initializers_use_the_fans_of_one_member():
    with nn.ensemble(3, [0, 1, 2]):
        weight = nn.init.kaiming_normal_(nn.parameter((40, 50)))
    assert weight.shape == (3, 40, 50) and weight.members == 3
    np.testing.assert_allclose(weight.data.std(axis=(1, 2)), np.sqrt(2 / 50), rtol=0.05)
    assert not np.array_equal(weight.data[0], weight.data[1])


def test_number_of_parameters_is_that_of_one_member():
    with nn.ensemble(3):
        layer = nn.Linear(4, 2)
    assert layer.num_parameters() == 10


def test_extracted_member_is_a_plain_independent_model():
    with nn.ensemble(M, SEEDS):
        ensemble = mlp()
    single = nn.member(ensemble, 2).eval()
    ensemble.eval()
    x = draw(6, 5)
    np.testing.assert_allclose(single(x).data, ensemble(x).data[2], rtol=1e-12, atol=1e-13)
    assert single.members is None and single(x).members is None
    single[0].weight.data[...] = 0.0
    assert np.abs(ensemble[0].weight.data[2]).max() > 0.0


def test_stack_undoes_member():
    with nn.ensemble(M, SEEDS):
        ensemble = mlp()
    again = nn.stack([nn.member(ensemble, i) for i in range(M)])
    for key, array in ensemble.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[key], array)
    x = draw(6, 5)
    np.testing.assert_array_equal(again(x).data, ensemble(x).data)  # the same dropout masks, too
    assert again.members == M


def test_tied_parameters_stay_tied():
    with nn.ensemble(2):
        model = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
        model[1].weight = model[0].weight
    single = nn.member(model, 0)
    assert single[0].weight is single[1].weight
    stacked = nn.stack([single, nn.member(model, 1)])
    assert stacked[0].weight is stacked[1].weight and stacked[0].weight.members == 2


def test_ensembles_save_and_load(tmp_path):
    with nn.ensemble(3, [0, 1, 2]):
        one = mlp()
    with nn.ensemble(3, [4, 5, 6]):
        two = mlp()
    one.save(tmp_path / "ensemble.safetensors")
    two.load(tmp_path / "ensemble.safetensors")
    np.testing.assert_array_equal(one[0].weight.data, two[0].weight.data)


def test_an_axis_of_length_eight_is_no_mark():
    """(8, n, d) without the mark is shared data with a time axis: output (8 members, 8, n, out)."""
    with nn.ensemble(M, SEEDS):
        layer = nn.Linear(5, 3)
    x = draw(M, 6, 5).astype(np.float32)
    assert layer(x).shape == (M, M, 6, 3)
    assert layer(nn.members(x, M)).shape == (M, 6, 3)


def test_ensemble_errors():
    with pytest.raises(ValueError, match=r"expected 3 seeds, .*found 2"), nn.ensemble(3, [0, 1]):
        pass
    with pytest.raises(ValueError, match="members must be at least 1, found 0"), nn.ensemble(0):
        pass
    with pytest.raises(RuntimeError, match="already inside"), nn.ensemble(2), nn.ensemble(2):
        pass
    assert nn.Linear(2, 2).members is None  # the failed ones left nothing behind
    with pytest.raises(ValueError, match=r"axis 0 must have length 8.*found shape \(4, 3\)"):
        nn.members(draw(4, 3), 8)
    with pytest.raises(ValueError, match="this model is no ensemble"):
        nn.member(nn.Linear(2, 2), 0)
    with nn.ensemble(2):
        layer = nn.Linear(2, 2)
    with pytest.raises(IndexError, match=r"i must lie in \[0, 2\), found 2"):
        nn.member(layer, 2)
    with pytest.raises(ValueError, match="model 1 has parameters"):
        nn.stack([nn.Linear(2, 2), nn.Linear(2, 3)])
    with pytest.raises(ValueError, match="expected single models"):
        nn.stack([])
    with pytest.raises(ValueError, match=r"built outside nn\.ensemble"):
        nn.BatchNorm1d(3)(nn.members(draw(2, 4, 3), 2))
