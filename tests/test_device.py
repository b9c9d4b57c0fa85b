"""Rules, layers, losses and optimizers give the same on the device as on the host.

The stand-in (`device_array`) takes the device's place on machines without a GPU; with one, the same
tests run on CuPy (``pytest -m gpu``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import backend

device_array = pytest.importorskip("device_array")
test_rules = pytest.importorskip("test_rules")


@pytest.fixture(params=["stand-in", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The device's name; inside, new arrays are placed there."""
    if request.param == "stand-in":
        module, device_of = backend._module, backend.device_of

        def known_module(name: str) -> Any:
            return device_array.module if name == "stand-in" else module(name)

        def known_device(array: Any) -> str:
            return "stand-in" if isinstance(array, device_array.DeviceArray) else device_of(array)

        monkeypatch.setattr(backend, "_module", known_module)
        monkeypatch.setattr(backend, "device_of", known_device)
    for name, value in list(vars(test_rules).items()):  # masks and indices that the cases share
        if isinstance(value, np.ndarray):
            monkeypatch.setattr(test_rules, name, backend._module(request.param).asarray(value))
    with mg.device(request.param):
        yield request.param


def place(array: Any, name: str) -> Any:
    return backend.to_device(array, name)


def assert_same(found: Any, expected: Any, tolerance: float = 1e-9) -> None:
    assert not isinstance(found, np.ndarray), "the result has left the device"
    assert np.allclose(backend.to_host(found), expected, rtol=tolerance, atol=tolerance)


# --- rules ----------------------------------------------------------------------------------------


def derivatives(f: Any, arrays: list[Any], cotangent: Any, directions: list[Any]) -> list[Any]:
    """Value, gradients and Hessian-vector products of <cotangent, f>."""
    leaves = [mg.tensor(a, requires_grad=True) for a in arrays]
    out = f(*leaves)
    first = mg.grad(out, leaves, cotangent=cotangent, retain_graph=True)
    recorded = mg.grad(out, leaves, cotangent=cotangent, create_graph=True)
    along: Any = sum(np.sum(np.real(g * v)) for g, v in zip(recorded, directions, strict=True))
    second = mg.grad(along, leaves) if along.requires_grad else first
    return [out.data, *first, *second]


@pytest.mark.parametrize("name", test_rules.OURS)
def test_rule(name: str, device: str) -> None:
    f, makers = test_rules.OURS[name]
    arrays = test_rules.arguments(makers)
    rng = np.random.default_rng(2)
    with mg.device("cpu"), mg.no_grad(), pytest.MonkeyPatch.context() as patch:
        for key, value in list(vars(test_rules).items()):  # back to the host
            if backend.device_of(value) != "cpu":
                patch.setattr(test_rules, key, backend.to_host(value))
        shape = np.shape(f(*arrays))
        cotangent, directions = rng.normal(size=shape), [rng.normal(size=a.shape) for a in arrays]
        with mg.enable_grad():
            expected = derivatives(f, arrays, cotangent, directions)
    there = [place(a, device) for a in arrays]
    found = derivatives(f, there, place(cotangent, device), [place(v, device) for v in directions])
    for a, b in zip(found, expected, strict=True):
        assert_same(a, b)


# --- the engine -----------------------------------------------------------------------------------


def test_new_tensors_are_on_the_device(device: str) -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    assert backend.device_of(x.data) == device and x.dtype == np.float32
    (np.exp(x) * x).sum().backward()
    assert backend.device_of(x.grad) == device
    assert isinstance(x.numpy(), np.ndarray) and x.sum().item() == 3.0
    assert "tensor([1., 2.]" in repr(x)


def test_moving_a_tensor_moves_its_gradient_back(device: str) -> None:
    with mg.device("cpu"):
        x = mg.tensor(np.array([1.0, 2.0]), requires_grad=True)
    there = x.to(device)
    assert backend.device_of(there.data) == device
    (there * there).sum().backward()
    assert isinstance(x.grad, np.ndarray) and x.grad.tolist() == [2.0, 4.0]
    assert mg.grad(x.to("cpu").sum(), x).tolist() == [1.0, 1.0]  # already there
    back = (there * 3.0).to("cpu")
    assert isinstance(back.data, np.ndarray)


def test_several_outputs_some_unused(device: str) -> None:
    x = mg.tensor(place(np.arange(6.0).reshape(3, 2), device), requires_grad=True)
    rows = list(x)
    assert_same(mg.grad((rows[0] * rows[2]).sum(), x), [[4.0, 5.0], [0.0, 0.0], [0.0, 1.0]])


def test_random_numbers_are_made_on_the_device(device: str) -> None:
    like = mg.tensor([1.0, 2.0]).data
    mg.manual_seed(0)
    for draw in (backend.uniform, backend.normal):
        numbers = draw(like, (3, 2))
        assert backend.device_of(numbers) == device and numbers.dtype == np.float32


def test_transforms(device: str) -> None:
    x = place(np.array([0.5, -1.0]), device)
    value, gradient = mg.value_and_grad(lambda x: (x * x * x).sum())(x)
    assert_same(value, -0.875)
    assert_same(gradient, [0.75, 3.0])
    assert_same(mg.hvp(lambda x: (x * x * x).sum(), x, x), [1.5, 6.0])
    assert_same(mg.hessian(lambda x: (x * x * x).sum(), x), [[3.0, 0.0], [0.0, -6.0]])
    assert_same(mg.jvp(lambda x: x * x, x, x)[1], [0.5, 2.0])


def test_detect_anomaly(device: str) -> None:
    x = mg.tensor([-1.0, 1.0])
    expected = pytest.raises(FloatingPointError, match=r"np\.sqrt")
    with mg.detect_anomaly(), np.errstate(all="ignore"), expected:
        np.sqrt(x)


# --- layers, losses, optimizers -------------------------------------------------------------------


def on_both(make: Any, run: Any, device: str) -> None:
    """``run(module, place)`` gives the same arrays on the host and on the device."""
    results = []
    for name in ("cpu", device):
        with mg.device("cpu"):
            mg.manual_seed(0)
            module = make()
        if name != "cpu":
            module.to(name)
        with mg.device(name):
            results.append([backend.to_host(a) for a in run(module, lambda a, n=name: place(a, n))])
    for a, b in zip(*results, strict=True):
        assert np.allclose(a, b, rtol=1e-5, atol=1e-6)


def train(loss_of: Any, optimizer: Any) -> Any:
    def run(module: Any, place: Any) -> list[Any]:
        step = optimizer(module.parameters())
        for _ in range(3):
            loss = loss_of(module, place)
            step.zero_grad()
            loss.backward()
            step.step()
        return [loss.data, *(p.data for p in module.parameters())]

    return run


X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
IMAGES = np.random.default_rng(1).normal(size=(2, 2, 6, 6)).astype(np.float32)
LABELS = np.array([0, 1, 2, 2, 1, 0])


def classify(module: Any, place: Any) -> Any:
    return mg.losses.cross_entropy(module(mg.Tensor(place(X))), place(LABELS))


OPTIMIZERS = {
    "SGD": lambda p: mg.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "Adam": lambda p: mg.optim.Adam(p, lr=0.01),
    "AdamW": lambda p: mg.optim.AdamW(p, lr=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_a_network(name: str, device: str) -> None:
    nn = mg.nn

    def make() -> Any:
        return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.LayerNorm(5), nn.Linear(5, 3))

    on_both(make, train(classify, OPTIMIZERS[name]), device)


@pytest.mark.parametrize("activation", ["GELU", "Tanh", "Sigmoid", "ReLU"])
def test_activations(activation: str, device: str) -> None:
    nn = mg.nn

    def make() -> Any:
        return nn.Sequential(nn.Linear(4, 5), getattr(nn, activation)(), nn.Linear(5, 3))

    on_both(make, train(classify, OPTIMIZERS["SGD"]), device)


def test_convolution_and_pooling(device: str) -> None:
    nn = mg.nn

    def make() -> Any:
        return nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2))

    def loss(module: Any, place: Any) -> Any:
        return mg.losses.mse_loss(
            module(mg.Tensor(place(IMAGES))), place(np.ones((2, 2), np.float32))
        )

    on_both(make, train(loss, OPTIMIZERS["Adam"]), device)


def test_embedding(device: str) -> None:
    nn = mg.nn

    def loss(module: Any, place: Any) -> Any:
        return mg.losses.cross_entropy(module(place(LABELS)), place(LABELS))

    on_both(lambda: nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 3)),
            train(loss, OPTIMIZERS["SGD"]), device)  # fmt: skip


def test_an_ensemble(device: str) -> None:
    nn = mg.nn

    def make() -> Any:
        with nn.ensemble(3):
            return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))

    on_both(make, train(classify, OPTIMIZERS["AdamW"]), device)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["cross_entropy", "mse_loss", "l1_loss", "huber_loss"])
def test_losses(name: str, reduction: str, device: str) -> None:
    loss = getattr(mg.losses, name)
    target = LABELS if name == "cross_entropy" else X[:, ::-1].copy()
    results = []
    for where in ("cpu", device):
        with mg.device(where):
            x = mg.tensor(place(X, where), requires_grad=True)
            value = loss(x, place(target, where), reduction=reduction)
            value.sum().backward()
            results.append((backend.to_host(value.data), backend.to_host(x.grad)))
    for a, b in zip(*results, strict=True):
        assert np.allclose(a, b, rtol=1e-5, atol=1e-6)


# --- the stand-in itself --------------------------------------------------------------------------


def test_the_stand_in_refuses_what_cupy_refuses() -> None:
    x = device_array.asarray([1.0, 2.0])
    for refused in (
        lambda: np.asarray(x),
        lambda: x + np.ones(2),
        lambda: np.concatenate([x, np.ones(2)]),
        lambda: np.sum(x, where=x > 0),
        lambda: np.add(x, 1.0, where=x > 0),
        lambda: np.unstack(x) if hasattr(np, "unstack") else np.spacing(x),
    ):
        with pytest.raises(TypeError):
            refused()
    assert type(np.sum(x)) is device_array.DeviceArray and np.sum(x).shape == ()
    assert x[:1].base is x and (x + 1.0).base is None
