"""gradcheck accepts right derivatives and catches wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.testing import GradcheckError, gradcheck


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def cube(vjp: Any) -> mg.primitive:
    return mg.primitive(lambda x: x * x * x, vjp, name="cube")


@pytest.mark.parametrize("order", [1, 2])
def test_right_derivatives_pass(order: int) -> None:
    right = cube(lambda g, _out, x: 3.0 * g * x * x)
    assert gradcheck(right, normal(2, 3), order=order)
    assert gradcheck(lambda a, b: np.exp(a) @ b, normal(2, 3), normal(3), order=order)


WRONG = {
    "one percent": lambda g, _out, x: 3.03 * g * x * x,
    "a wrong sign": lambda g, _out, x: -3.0 * g * x * x,
    "a missing term": lambda g, _out, x: 3.0 * g * x * x - 1e-3 * g,
    "a constant": lambda g, _out, x: g * 0.0,
    "g is ignored": lambda g, _out, x: 3.0 * x * x,
    "nan": lambda g, _out, x: g * np.nan,
    "only the first": lambda g, _out, x: 3.0 * g * x * x * (np.arange(x.size) == 0),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_derivatives_are_caught(name: str) -> None:
    with pytest.raises(GradcheckError, match="input 0, index") as caught:
        gradcheck(cube(WRONG[name]), np.array([0.5, -1.5, 2.0]))
    assert isinstance(caught.value, AssertionError)


def test_wrong_broadcasting_is_caught() -> None:
    """The derivative towards a row that is added to a matrix forgets to sum."""
    mean = mg.primitive(
        lambda a, row: a + row,
        lambda g, _out, _a, _row: g,
        lambda g, _out, _a, _row: g[0],
        name="add a row",
    )
    with pytest.raises(GradcheckError, match="input 1"):
        gradcheck(mean, normal(2, 3), normal(3))


def test_wrong_second_derivative_is_caught_at_order_two_only() -> None:
    """The rule hides its dependence on x from the graph."""
    detached = cube(lambda g, _out, x: 3.0 * g * getattr(x, "data", x) ** 2 if _is_tensor(x)
                    else 3.0 * g * x * x)  # fmt: skip
    assert gradcheck(detached, normal(3))
    with pytest.raises(GradcheckError, match="second derivative"):
        gradcheck(detached, normal(3), order=2)


def _is_tensor(x: Any) -> bool:
    return isinstance(x, mg.Tensor)


def test_twin_that_is_another_function_is_caught_at_order_two() -> None:
    square = mg.primitive(
        lambda x: x * x, lambda g, _out, x: 2.0 * g * x, twin=lambda x: x * x * 1.01, name="square"
    )
    assert gradcheck(square, normal(3))
    with pytest.raises(GradcheckError, match="recorded gradient"):
        gradcheck(square, normal(3), order=2)


def test_the_message_names_input_index_and_both_values() -> None:
    wrong = cube(lambda g, _out, x: 3.0 * g * x * x + (np.arange(3) == 1) * g)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda a, b: a.sum() + wrong(b).sum(), normal(2), np.ones(3))
    text = str(caught.value)
    for part in ("input 1", "index (1,)", "1 of 3 elements", "Mend:"):
        assert part in text


def test_several_outputs_each_count() -> None:
    right, wrong = (
        cube(lambda g, _out, x: 3.0 * g * x * x),
        cube(lambda g, _out, x: 3.1 * g * x * x),
    )
    assert gradcheck(lambda x: {"a": right(x), "b": (x * x, [x.sum()])}, normal(3), order=2)
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: (right(x), wrong(x)), normal(3))


def test_containers_of_parameters_are_named() -> None:
    params = {"layers": [(normal(3, 2), normal(3))], "scale": normal()}

    def loss(p: Any, x: Any) -> Any:
        ((w, b),) = p["layers"]
        return np.tanh(x @ w.T + b).sum() * p["scale"]

    assert gradcheck(loss, params, normal(4, 2), order=2)
    wrong = mg.primitive(lambda s: s, lambda g, _out, _s: 2.0 * g, name="wrong")
    with pytest.raises(GradcheckError, match=r"input 0\['scale'\]"):
        gradcheck(lambda p, x: loss({**p, "scale": wrong(p["scale"])}, x), params, normal(4, 2))


def test_constants_are_left_alone() -> None:
    index = np.array([0, 2])
    assert gradcheck(lambda x, i, k, none: x[i] * k, normal(3), index, 2.0, None)


def test_complex_inputs() -> None:
    z = normal(3) + 1j * normal(3, seed=1)
    assert gradcheck(lambda z: np.exp(z) * np.conj(z), z, order=2)
    conjugated = mg.primitive(
        lambda z: z * z, lambda g, _out, z: 2.0 * g * np.conj(z), name="conjugated"
    )
    with pytest.raises(GradcheckError):
        gradcheck(conjugated, z)


def test_float32_is_refused_with_a_hint() -> None:
    with pytest.raises(TypeError, match=r"input 1.*float64.*float32.*astype\(np\.float64\)"):
        gradcheck(lambda a, b: a * b, normal(2), normal(2).astype(np.float32))


def test_nothing_to_check_is_an_error() -> None:
    with pytest.raises(ValueError, match="no float64"):
        gradcheck(lambda x: x, np.arange(3))
    with pytest.raises(ValueError, match="order"):
        gradcheck(np.exp, normal(2), order=3)
    with pytest.raises(GradcheckError, match="no Tensor"):
        gradcheck(lambda x: x.data, normal(2))
    with pytest.raises(GradcheckError, match="does not depend"):
        gradcheck(lambda x: x.detach(), normal(2))


def test_inputs_are_not_changed() -> None:
    x = normal(3)
    before = x.copy()
    gradcheck(lambda x: np.exp(x).sum(), x, order=2)
    assert np.array_equal(x, before)


def test_empty_and_zero_dimensional_inputs() -> None:
    assert gradcheck(lambda a, b: a.sum() + b * b, np.zeros((0, 2)), np.array(1.5), order=2)
