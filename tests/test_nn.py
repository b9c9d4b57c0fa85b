"""Modules: what they compute, what they own, and that weights come and go under PyTorch's names."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


def draw(*shape, dtype=np.float64):
    return np.random.default_rng([7, *shape]).normal(size=shape).astype(dtype)


def small_model():
    mg.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.LayerNorm(6), nn.Linear(6, 3))


# --- what a module owns ---------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self):
        self.scale = nn.init.ones_(nn.parameter((3,)))
        self.layers = [nn.Linear(3, 3), nn.Linear(3, 3)]
        self.heads = {"a": nn.Linear(3, 2, bias=False)}
        self.tied = self.layers[0]
        self.register_buffer("count", np.zeros((), np.int64))
        self._cache = mg.tensor([1.0], requires_grad=True)

    def forward(self, x):
        self.last = self.layers[0](x) * self.scale
        return self.last


def test_attributes_decide_what_is_a_parameter():
    """Leaves are, computed tensors and private names are not; shared ones count once."""
    block = Block()
    block(draw(2, 3))
    assert [name for name, _ in block.named_parameters()] == [
        "scale",
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.weight",
        "layers.1.bias",
        "heads.a.weight",
    ]
    assert block.num_parameters() == 3 + 12 + 12 + 6
    assert [name for name, _ in block.named_buffers()] == ["count"]
    assert "tied.weight" in block.state_dict() and "count" in block.state_dict()
    assert sum(1 for m in block.modules() if type(m) is nn.Linear) == 3


def test_state_dict_has_the_names_shapes_and_order_of_pytorch():
    """Fixed listing of torch.nn.Sequential(Linear, ReLU, BatchNorm1d, Conv2d, Embedding, ...)."""
    model = nn.Sequential(
        nn.Linear(4, 6),
        nn.ReLU(),
        nn.BatchNorm1d(6),
        nn.LayerNorm(6),
        nn.Embedding(11, 5),
        nn.Conv2d(4, 8, (3, 2), groups=2),
        nn.MultiheadAttention(6, 2),
    )
    expected = {
        "0.weight": (6, 4),
        "0.bias": (6,),
        "2.weight": (6,),
        "2.bias": (6,),
        "2.running_mean": (6,),
        "2.running_var": (6,),
        "2.num_batches_tracked": (),
        "3.weight": (6,),
        "3.bias": (6,),
        "4.weight": (11, 5),
        "5.weight": (8, 2, 3, 2),
        "5.bias": (8,),
        "6.in_proj_weight": (18, 6),
        "6.in_proj_bias": (18,),
        "6.out_proj.weight": (6, 6),
        "6.out_proj.bias": (6,),
    }
    state = model.state_dict()
    assert {name: array.shape for name, array in state.items()} == expected
    assert list(state) == list(expected)
    assert all(type(array) is np.ndarray for array in state.values())


def test_state_dict_goes_to_pytorch_and_back():
    torch = pytest.importorskip("torch")
    model = small_model()
    theirs = torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.LayerNorm(6), torch.nn.Linear(6, 3)
    )
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in model.state_dict().items()})
    x = draw(5, 4, dtype=np.float32)
    out = theirs(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(model(x).data, out, rtol=1e-5, atol=1e-6)
    model.load_state_dict(theirs.state_dict())


def test_safetensors_round_trip(tmp_path):
    model, other = small_model(), small_model()
    nn.init.normal_(other[0].weight)
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    model.save(path)
    assert other.load(path) is other
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    model = nn.Linear(2, 2)
    model.register_buffer("odd", np.zeros(2, np.complex128))  # safetensors has no such type
    with pytest.raises(Exception, match=r"(?i)complex128"):
        model.save(path)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_load_state_dict_writes_in_place():
    """An optimizer that holds the arrays sees the new values; state_dict() itself is a copy."""
    model, other = small_model(), small_model()
    array = model[0].weight.data
    state = other.state_dict()
    state["0.weight"] += 1.0
    assert not np.array_equal(other[0].weight.data, state["0.weight"])
    model.load_state_dict(state)
    assert model[0].weight.data is array
    np.testing.assert_array_equal(array, state["0.weight"])


def test_load_between_forward_and_backward_is_noticed():
    model = small_model()
    loss = np.sum(model(draw(2, 4, dtype=np.float32)) ** 2)
    model.load_state_dict(model.state_dict())
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_load_state_dict_errors_name_the_keys():
    model = small_model()
    state = model.state_dict()
    state["9.weight"] = state.pop("0.bias")
    with pytest.raises(KeyError, match=r"missing \['0.bias'\], unexpected \['9.weight'\]"):
        model.load_state_dict(state)
    model.load_state_dict(state, strict=False)
    state = model.state_dict()
    before = state["0.bias"].copy()
    state["0.bias"] += 1.0
    state["3.weight"] = state["3.weight"].T
    with pytest.raises(ValueError, match=r"3.weight: found \(6, 3\), expected \(3, 6\)"):
        model.load_state_dict(state)
    np.testing.assert_array_equal(model[0].bias.data, before)  # nothing was written


def test_repr_reads_like_the_program():
    assert repr(nn.Sequential(nn.Linear(4, 6), nn.Sequential(nn.ReLU()))) == (
        "Sequential(\n  (0): Linear(4, 6, bias=True)\n  (1): Sequential(\n    (0): ReLU()\n  )\n)"
    )


def test_modes_reach_every_module():
    model = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5)))
    assert all(m.training for m in model.modules())
    assert model.eval() is model and not any(m.training for m in model.modules())


def test_freezing_and_zero_grad():
    model = small_model()
    model[0].requires_grad_(False)
    np.sum(model(draw(2, 4, dtype=np.float32)) ** 2).backward()
    assert model[0].weight.grad is None and model[3].weight.grad is not None
    assert model.num_parameters() == 12 + 21
    model.zero_grad()
    assert model[3].weight.grad is None


def test_dtype_conversion_makes_new_leaves():
    model = small_model().to(dtype=np.float64)
    out = model(draw(2, 4))
    assert out.dtype == np.float64
    np.sum(out).backward()
    assert model[0].weight.grad.dtype == np.float64


def test_module_without_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty has no forward"):
        Empty()(1.0)
    with pytest.raises(TypeError, match="expected a Module, found <class"):
        nn.Sequential(nn.ReLU)


# --- what layers compute --------------------------------------------------------------------------


def test_sequential_fuses_linear_and_relu_without_changing_anything():
    model = small_model()
    x = draw(5, 4, dtype=np.float32)
    step_by_step = x
    for layer in model:
        step_by_step = layer(step_by_step)
    np.testing.assert_array_equal(model(x).data, step_by_step.data)
    assert len(model[:2]) == 2 and type(model[:2]) is nn.Sequential


ACTIVATIONS = {
    nn.Identity: lambda x: x,
    nn.ReLU: lambda x: max(x, 0.0),
    nn.LeakyReLU: lambda x: x if x > 0 else 0.01 * x,
    nn.Tanh: math.tanh,
    nn.Sigmoid: lambda x: 1 / (1 + math.exp(-x)),
    nn.Softplus: lambda x: math.log(1 + math.exp(x)),
    nn.SiLU: lambda x: x / (1 + math.exp(-x)),
    nn.GELU: lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_their_formulas(activation):
    x = mg.nn.members(mg.tensor(draw(2, 9), requires_grad=True), 2)
    out = activation()(x)
    np.testing.assert_allclose(
        out.data, np.vectorize(ACTIVATIONS[activation])(x.data), rtol=1e-12, atol=1e-15
    )
    assert out.members == 2  # elementwise functions keep the mark
    far = activation()(mg.tensor(np.array([-1e4, 0.0, 1e4], np.float32), requires_grad=True))
    assert out.dtype == np.float64 and far.dtype == np.float32 and np.isfinite(far.data).all()


def test_embedding_picks_rows_and_adds_gradients_of_repeats():
    table = nn.Embedding(5, 3)
    index = np.array([[0, 4], [4, 4]])
    out = table(index)
    np.testing.assert_array_equal(out.data, table.weight.data[index])
    out.sum().backward()
    np.testing.assert_array_equal(table.weight.grad[:, 0], [1, 0, 0, 0, 3])
    with pytest.raises(IndexError, match=r"\[0, 5\)"):
        table(np.array([5]))


def test_layer_norm_gives_mean_zero_and_variance_one():
    x = 3.0 + 2.0 * draw(4, 2, 5)
    for shape, axes in ((5, (-1,)), ((2, 5), (-2, -1))):
        out = nn.LayerNorm(shape, eps=0.0, dtype=np.float64)(x)
        np.testing.assert_allclose(out.data.mean(axis=axes), 0.0, atol=1e-14)
        np.testing.assert_allclose(out.data.var(axis=axes), 1.0, rtol=1e-12)
    with pytest.raises(ValueError, match=r"last axes must be \(4,\), found \(4, 2, 5\)"):
        nn.LayerNorm(4)(x)


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5)])
def test_batch_norm_normalizes_by_batch_then_by_running_average(shape):
    layer = nn.BatchNorm1d(3, eps=0.0, momentum=0.25, dtype=np.float64)
    x, axes = 2.0 + draw(*shape), (0,) if len(shape) == 2 else (0, 2)
    out = layer(mg.tensor(x, requires_grad=True))
    np.testing.assert_allclose(out.data.mean(axis=axes), 0.0, atol=1e-14)
    np.testing.assert_allclose(out.data.var(axis=axes), 1.0, rtol=1e-12)
    np.testing.assert_allclose(layer.running_mean, 0.25 * x.mean(axis=axes))
    np.testing.assert_allclose(layer.running_var, 0.75 + 0.25 * x.var(axis=axes, ddof=1))
    assert layer.num_batches_tracked == 1
    layer.eval()
    mean, var = (
        a.reshape(1, 3, *(1,) * (len(shape) - 2)) for a in (layer.running_mean, layer.running_var)
    )
    np.testing.assert_allclose(layer(x).data, (x - mean) / np.sqrt(var))
    assert layer.num_batches_tracked == 1


def test_batch_norm_errors():
    layer = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match=r"batch of 1 value per feature has no variance.*\(1, 3\)"):
        layer(draw(1, 3))
    with pytest.raises(ValueError, match=r"expected \(n, 3\) or \(n, 3, length\), found \(2, 4\)"):
        layer(draw(2, 4))


def test_dropout_keeps_the_mean_and_only_acts_in_training():
    layer, x = nn.Dropout(0.25, np.random.default_rng(0)), np.ones((400, 50), np.float32)
    out = layer(mg.tensor(x))
    assert set(np.unique(out.data)) == {np.float32(0.0), np.float32(1.0 / 0.75)}
    assert abs(out.data.mean() - 1.0) < 5 * math.sqrt(0.25 / 0.75 / x.size)
    assert layer.eval()(x) is x
    np.testing.assert_array_equal(nn.Dropout(1.0)(mg.tensor(x)).data, 0.0)
    with pytest.raises(ValueError, match=r"p must lie in \[0, 1\], found 1.5"):
        nn.Dropout(1.5)


def test_flatten_joins_axes():
    assert nn.Flatten()(mg.tensor(draw(2, 3, 4, 5))).shape == (2, 60)
    assert nn.Flatten(0, 1)(mg.tensor(draw(2, 3, 4, 5))).shape == (6, 4, 5)
    assert nn.Flatten()(nn.members(draw(2, 3, 4, 5), 2)).shape == (2, 3, 20)


def slow_attention(x, w, b, w_out, b_out, heads, causal):
    """One position, one head, one product at a time."""
    n, time, e = x.shape
    d, out = e // heads, np.zeros_like(x)
    for i in range(n):
        q, k, v = np.split(x[i] @ w.T + b, 3, axis=1)
        for h in range(heads):
            part = slice(h * d, (h + 1) * d)
            for t in range(time):
                last = t + 1 if causal else time
                scores = np.array([q[t, part] @ k[s, part] for s in range(last)]) / math.sqrt(d)
                p = np.exp(scores - scores.max())
                out[i, t, part] = (p / p.sum()) @ v[:last, part]
    return out @ w_out.T + b_out


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_its_definition(causal):
    layer = nn.MultiheadAttention(6, 2, causal=causal, dtype=np.float64)
    x = draw(2, 4, 6)
    weights = (layer.in_proj_weight, layer.in_proj_bias, layer.out_proj.weight, layer.out_proj.bias)
    expected = slow_attention(x, *(w.data for w in weights), 2, causal)
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-12, atol=1e-13)


def test_causal_attention_never_looks_ahead():
    layer = nn.MultiheadAttention(6, 3, causal=True, dtype=np.float64)
    x = mg.tensor(draw(1, 5, 6), requires_grad=True)
    g = mg.grad(np.sum(layer(x)[:, 2]), x)
    assert np.abs(g[:, :3]).max() > 0.0
    np.testing.assert_array_equal(g[:, 3:], 0.0)


# --- initialization -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fill, std",
    [
        (nn.init.xavier_uniform_, math.sqrt(2 / 500)),
        (nn.init.xavier_normal_, math.sqrt(2 / 500)),
        (nn.init.kaiming_uniform_, math.sqrt(2 / 300)),
        (nn.init.kaiming_normal_, math.sqrt(2 / 300)),
        (lambda t: nn.init.kaiming_normal_(t, mode="fan_out"), math.sqrt(2 / 200)),
        (
            lambda t: nn.init.xavier_uniform_(t, gain=nn.init.calculate_gain("tanh")),
            5 / 3 / 50**0.5 / 5**0.5,
        ),
        (lambda t: nn.init.normal_(t, std=0.3), 0.3),
        (lambda t: nn.init.uniform_(t, -1.0, 1.0), 1 / math.sqrt(3)),
    ],
)
def test_initializers_have_the_promised_spread(fill, std):
    """fan_in 300, fan_out 200; 60,000 draws leave the spread uncertain by 0.3 %."""
    mg.manual_seed(0)
    t = fill(nn.parameter((200, 300)))
    np.testing.assert_allclose(t.data.std(), std, rtol=0.02)
    assert abs(t.data.mean()) < 5 * std / math.sqrt(60_000)


def test_convolution_fans_count_the_kernel():
    assert nn.init.fans(nn.parameter((8, 4, 3, 5))) == (60, 120)


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (3, 2, 2)])
def test_orthogonal_is_orthogonal(shape):
    q = nn.init.orthogonal_(nn.parameter(shape, np.float64), gain=2.0).data.reshape(shape[0], -1)
    gram = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(gram, 4.0 * np.eye(len(gram)), atol=1e-13)


def test_truncated_normal_stays_inside():
    t = nn.init.trunc_normal_(nn.parameter((1000,)), std=1.0, a=-0.5, b=1.5)
    assert t.data.min() >= -0.5 and t.data.max() <= 1.5
    with pytest.raises(ValueError, match=r"\[5.0, 6.0\] must overlap"):
        nn.init.trunc_normal_(nn.parameter((3,)), a=5.0, b=6.0)


def test_default_start_is_uniform_within_one_over_root_fan_in():
    mg.manual_seed(0)
    layer = nn.Linear(100, 300)
    for values in (layer.weight.data, layer.bias.data):
        assert 0.095 < np.abs(values).max() <= 0.1
    assert abs(nn.Embedding(100, 100).weight.data.std() - 1.0) < 0.03


def test_a_seed_fixes_the_start_and_a_generator_replaces_it():
    one, two = small_model(), small_model()
    np.testing.assert_array_equal(one[3].weight.data, two[3].weight.data)
    rng = np.random.default_rng(3)
    a, b = nn.Linear(3, 3, generator=rng), nn.Linear(3, 3, generator=np.random.default_rng(3))
    np.testing.assert_array_equal(a.bias.data, b.bias.data)


def test_init_errors():
    with pytest.raises(ValueError, match=r"need a weight of at least 2 axes.*found \(3,\)"):
        nn.init.kaiming_normal_(nn.parameter((3,)))
    with pytest.raises(ValueError, match="mode must be 'fan_in' or 'fan_out', found 'fan'"):
        nn.init.kaiming_normal_(nn.parameter((3, 3)), mode="fan")
    with pytest.raises(ValueError, match=r"expected one of .*found 'swish'"):
        nn.init.calculate_gain("swish")


# --- images ---------------------------------------------------------------------------------------


def slow_convolution(x, w, b, stride, padding, dilation, groups):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    n, _, height, width = x.shape
    out_channels, per_group, kh, kw = w.shape
    rows = (height - dilation * (kh - 1) - 1) // stride + 1
    columns = (width - dilation * (kw - 1) - 1) // stride + 1
    out = np.zeros((n, out_channels, rows, columns))
    for o in range(out_channels):
        first = o // (out_channels // groups) * per_group
        for i in range(rows):
            for j in range(columns):
                top, left = i * stride, j * stride
                patch = x[
                    :,
                    first : first + per_group,
                    top : top + dilation * kh : dilation,
                    left : left + dilation * kw : dilation,
                ][:, :, :kh, :kw]
                out[:, o, i, j] = np.sum(patch * w[o], axis=(1, 2, 3)) + b[o]
    return out


@pytest.mark.parametrize(
    "stride, padding, dilation, groups", [(1, 0, 1, 1), (2, 1, 1, 2), (1, 2, 2, 1)]
)
def test_convolution_is_its_definition(stride, padding, dilation, groups):
    layer = nn.Conv2d(4, 6, 3, stride, padding, dilation, groups, dtype=np.float64)
    x = draw(2, 4, 7, 6)
    expected = slow_convolution(
        x, layer.weight.data, layer.bias.data, stride, padding, dilation, groups
    )
    np.testing.assert_allclose(layer(mg.tensor(x)).data, expected, rtol=1e-12, atol=1e-12)


def test_pooling_takes_maximum_and_mean_of_windows():
    x = draw(2, 3, 4, 6)
    windows = x.reshape(2, 3, 2, 2, 3, 2)
    np.testing.assert_allclose(nn.MaxPool2d(2)(mg.tensor(x)).data, windows.max(axis=(3, 5)))
    np.testing.assert_allclose(nn.AvgPool2d(2)(mg.tensor(x)).data, windows.mean(axis=(3, 5)))


def test_image_layers_refuse_other_shapes():
    with pytest.raises(ValueError, match=r"expected \(n, 3, height, width\), found \(2, 4, 5, 5\)"):
        nn.Conv2d(3, 2, 3)(mg.tensor(draw(2, 4, 5, 5)))
    with pytest.raises(ValueError, match="groups must divide in_channels and out_channels"):
        nn.Conv2d(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match=r"MaxPool2d: expected \(n, channels.*found \(4, 5\)"):
        nn.MaxPool2d(2)(mg.tensor(draw(4, 5)))
