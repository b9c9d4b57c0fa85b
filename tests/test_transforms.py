"""Transforms of functions equal what their definitions say, on functions with known answers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


A = normal(3, 3)
H = A + A.T  # the Hessian of x^T A x


def quadratic(x: Any) -> Any:
    return x @ A @ x


# --- value_and_grad -------------------------------------------------------------------------------


def test_value_and_grad_of_one_parameter() -> None:
    x = normal(3)
    value, gradient = mg.value_and_grad(quadratic)(x)
    assert type(value) is np.ndarray and value == pytest.approx(x @ A @ x)
    assert type(gradient) is np.ndarray and np.allclose(gradient, H @ x)


def test_value_and_grad_of_several_parameters() -> None:
    a, b = normal(3), normal(3, seed=1)
    _, (ga, gb) = mg.value_and_grad(lambda a, b: (a * b).sum())(a, mg.tensor(b))
    assert np.array_equal(ga, b) and np.array_equal(gb, a)


class Pair(NamedTuple):
    w: Any
    b: Any


def test_gradients_have_the_parameters_nesting() -> None:
    params = {"layers": [Pair(normal(2, 3), normal(2)), (normal(1, 2), None)], "scale": 2.0}

    def f(p: Any, x: Any = None) -> Any:
        first, (w, _) = p["layers"]
        return ((x @ first.w.T + first.b) @ w.T).sum() * p["scale"]

    x = normal(4, 3)
    _, g = mg.value_and_grad(f)(params, x=x)  # constants go in by keyword
    assert type(g["layers"][0]) is Pair and g["layers"][0].w.shape == (2, 3)
    assert g["layers"][1][1] is None and g["scale"].shape == ()
    assert np.allclose(g["layers"][0].b, 2.0 * 4 * params["layers"][1][0][0])


def test_value_and_grad_without_any_parameter() -> None:
    value, gradients = mg.value_and_grad(lambda: mg.tensor(3.0))()
    assert value == 3.0 and gradients == ()
    value, gradients = mg.value_and_grad(lambda p: np.float64(1.0))({})
    assert value == 1.0 and gradients == {}
    assert mg.value_and_grad(lambda p, x: (x * x).sum())([], np.ones(2))[1][0] == []


def test_value_and_grad_leaves_the_parameters_alone() -> None:
    w = mg.tensor(normal(3), requires_grad=True)
    mg.value_and_grad(quadratic)(w)
    assert w.grad is None


def test_an_unused_parameter_gets_zeros() -> None:
    _, (_, unused) = mg.value_and_grad(lambda a, b: (a * a).sum())(normal(2), normal(3))
    assert unused.tolist() == [0.0, 0.0, 0.0]


# --- products with Jacobians and Hessians ---------------------------------------------------------


def vector_function(x: Any) -> Any:
    return np.tanh(A @ x) * x.sum()


def test_jacobian_is_made_of_derivatives() -> None:
    x, eps = normal(3), 1e-6
    columns = [
        (vector_function(x + eps * e) - vector_function(x - eps * e)) / (2 * eps) for e in np.eye(3)
    ]
    assert np.allclose(mg.jacobian(vector_function, x), np.stack(columns, axis=1), atol=1e-8)


def test_jacobian_shapes_and_constants() -> None:
    assert mg.jacobian(lambda x: np.outer(x, x), normal(3)).shape == (3, 3, 3)
    assert np.array_equal(
        mg.jacobian(lambda x: x * 2.0, normal(2, 2)).reshape(4, 4), 2.0 * np.eye(4)
    )
    assert not mg.jacobian(lambda x: mg.tensor(np.ones(2)), normal(3)).any()


def test_vjp_and_jvp_are_adjoint() -> None:
    x, u, v = normal(3), normal(3, seed=1), normal(3, seed=2)
    value, pull = mg.vjp(vector_function, x)
    same, push = mg.jvp(vector_function, x, v)
    assert np.allclose(value, vector_function(x)) and np.allclose(same, value)
    assert u @ push == pytest.approx(pull(u) @ v)
    assert np.allclose(push, mg.jacobian(vector_function, x) @ v)
    assert np.array_equal(pull(u), pull(u))  # may be called again


def test_vjp_and_jvp_of_several_inputs() -> None:
    a, b = normal(3), normal(3, seed=1)
    _, pull = mg.vjp(lambda a, b: a * b, a, b)
    ga, gb = pull(np.ones(3))
    assert np.array_equal(ga, b) and np.array_equal(gb, a)
    _, push = mg.jvp(lambda a, b: a * b, (a, b), (b, a))
    assert np.allclose(push, a * a + b * b)


def test_jvp_of_a_linear_and_of_a_constant_function() -> None:
    x, v = normal(3), normal(3, seed=1)
    assert np.allclose(mg.jvp(lambda x: A @ x, x, v)[1], A @ v)
    assert not mg.jvp(lambda x: x * 0.0 + 1.0, x, v)[1].any()


def test_hessian_of_a_quadratic_form() -> None:
    x, v = normal(3), normal(3, seed=1)
    assert np.allclose(mg.hessian(quadratic, x), H)
    assert np.allclose(mg.hvp(quadratic, x, v), H @ v)


def test_hessian_of_a_linear_function_is_zero() -> None:
    x = normal(3)
    assert not mg.hessian(lambda x: x.sum(), x).any()
    assert not mg.hvp(lambda x: x.sum(), x, x).any()


def test_hvp_of_several_parameters() -> None:
    a, b = normal(2), normal(2, seed=1)
    ha, hb = mg.hvp(lambda a, b: (a * a * b).sum(), [a, b], [np.ones(2), np.ones(2)])
    assert np.allclose(ha, 2 * b + 2 * a) and np.allclose(hb, 2 * a)


def test_hessian_is_symmetric_and_matches_hvp() -> None:
    def f(x: Any) -> Any:
        return np.log(np.exp(A @ x).sum()) + (np.tanh(x) ** 2).sum()

    x = normal(3)
    found = mg.hessian(f, x)
    assert np.allclose(found, found.T, atol=1e-12)
    assert np.allclose(found @ x, mg.hvp(f, x, x))


def test_float32_stays_float32() -> None:
    x = normal(3).astype(np.float32)
    for found in (
        mg.hvp(lambda x: (x * x * x).sum(), x, x),
        mg.hessian(lambda x: (x * x * x).sum(), x),
        mg.jvp(lambda x: x * x, x, x)[1],
        mg.value_and_grad(lambda x: (x * x).sum())(x)[1],
    ):
        assert found.dtype == np.float32


# --- gradients on purpose -------------------------------------------------------------------------


def test_stop_gradient_is_a_constant() -> None:
    x = mg.tensor(normal(3), requires_grad=True)
    assert np.array_equal(mg.grad((x * mg.stop_gradient(x)).sum(), x), x.data)
    assert mg.stop_gradient(np.ones(2)).shape == (2,) and mg.stop_gradient(1.0).shape == ()


def test_straight_through_is_value_forward_identity_backward() -> None:
    x = mg.tensor(np.array([0.2, 1.7]), requires_grad=True)
    y = mg.straight_through(np.round(x), x)
    assert y.tolist() == [0.0, 2.0]
    assert mg.grad((y * y).sum(), x).tolist() == [0.0, 4.0]
    with pytest.raises(ValueError, match=r"straight_through.*\(3,\).*\(2,\)"):
        mg.straight_through(np.zeros(3), x)
