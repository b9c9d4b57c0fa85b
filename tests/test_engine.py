"""The engine: gradients arrive whole, in the right dtype, and nobody's array is overwritten."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.engine import changed_in_place
from minigrad.primitive import RULES
from minigrad.testing import gradcheck


def leaf(*values: Any, dtype: Any = np.float64) -> mg.Tensor:
    return mg.tensor(np.array(values, dtype), requires_grad=True)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


# --- dtypes ---------------------------------------------------------------------------------------


def test_python_data_becomes_float32_and_arrays_keep_their_dtype() -> None:
    assert mg.tensor([1, 2]).dtype == np.float32
    assert mg.tensor(3).dtype == np.float32
    assert mg.tensor(True).dtype == np.float32
    assert mg.tensor([1j]).dtype == np.complex64
    for dtype in (np.float16, np.float64, np.int64, np.bool_, np.complex128):
        assert mg.tensor(np.zeros(2, dtype)).dtype == dtype
    assert mg.tensor(np.zeros(2), dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize(
    "scalar",
    [2, 2.0, True, np.float64(2), np.float32(2), np.int64(2), np.bool_(True), np.sqrt(2.0)],
)
def test_scalars_never_promote_float32(scalar: Any) -> None:
    x = leaf(1.0, 2.0, dtype=np.float32)
    for y in (x * scalar, scalar * x, x - scalar, scalar / x, x**scalar, np.maximum(x, scalar)):
        assert y.dtype == np.float32
    assert mg.grad((x * scalar).sum(), x).dtype == np.float32


def test_lists_as_operands_are_python_data() -> None:
    x = leaf(1.0, 2.0, dtype=np.float32)
    y = [3.0, 4.0] * x + [1.0, 1.0]
    assert y.dtype == np.float32
    assert mg.grad(y.sum(), x).tolist() == [3.0, 4.0]
    assert mg.grad(([[1.0, 2.0]] @ x).sum(), x).tolist() == [1.0, 2.0]


def test_gradient_has_its_inputs_dtype_whatever_it_meets_on_the_way() -> None:
    x = leaf(1.0, 2.0, 3.0, dtype=np.float32)
    mask = np.array([1, 0, 1])  # int64: promotes float32 to float64
    for y in (x * mask, np.eye(3) @ x, x.astype(np.float64) * 2.0, x.astype(np.float16)):
        assert mg.grad(y.sum(), x).dtype == np.float32


def test_float64_cotangent_on_a_float32_graph() -> None:
    x = leaf(1.0, 2.0, dtype=np.float32)
    for cotangent in (np.ones(2), [1.0, 1.0], mg.tensor(np.ones(2)), np.ones(2, int)):
        found = mg.grad(x * 2.0, x, cotangent=cotangent)
        assert found.dtype == np.float32 and found.tolist() == [2.0, 2.0]
    assert mg.grad(x, x, cotangent=np.ones(2)).dtype == np.float32


def test_float16_survives_forward_and_backward() -> None:
    x = leaf(1.0, 2.0, dtype=np.float16)
    y = np.exp(x * 2.0).mean()
    assert y.dtype == np.float16 and mg.grad(y, x).dtype == np.float16


def test_rounding_to_integers_ends_the_graph() -> None:
    x = leaf(1.5, 2.5)
    assert not x.astype(np.int64).requires_grad


def test_complex_gradient_is_dx_minus_i_dy() -> None:
    z = leaf(1.0 + 2.0j, dtype=np.complex128)
    assert mg.grad(np.abs(z).sum() ** 2, z) == pytest.approx(2.0 * (1.0 - 2.0j))
    real = leaf(1.0, 2.0)
    assert mg.grad(np.real(real * (1.0 + 1.0j)).sum(), real).dtype == np.float64


# --- ownership: nobody's array is overwritten -----------------------------------------------------


def test_the_same_gradient_may_flow_to_two_inputs() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (a + b).sum().backward()
    assert a.grad is not b.grad and not np.shares_memory(a.grad, b.grad)
    a.grad += 1.0
    assert b.grad.tolist() == [1.0, 1.0]


def test_residual_branches_do_not_disturb_each_other() -> None:
    x = leaf(1.0, 2.0)
    h = x + np.tanh(x)  # g goes to both branches
    h = h + h * h  # and is added up where they meet
    h = h + np.exp(h)
    found = mg.grad(h.sum(), x)
    assert gradcheck(
        lambda x: (lambda h: h + np.exp(h))((x + np.tanh(x)) * (1 + x + np.tanh(x))), x
    )
    again = mg.grad(_residual(x).sum(), x)
    assert np.allclose(found, again, rtol=1e-14)


def _residual(x: Any) -> Any:
    h = x + np.tanh(x)
    h = h + h * h
    return h + np.exp(h)


def test_retained_graph_gives_the_same_gradient_twice() -> None:
    x, w = leaf(1.0, -2.0), leaf(0.5, 3.0)
    y = (np.maximum(x * w, 0.0) + x).sum() + (x + w).sum()
    first = [g.copy() for g in mg.grad(y, [x, w], retain_graph=True)]
    second = mg.grad(y, [x, w], retain_graph=True)
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a, b)


def doubling() -> mg.primitive:
    """2 x, whose rule overwrites g."""

    def joint(need: Any, g: Any, _out: Any, _x: Any) -> Any:
        g *= 2.0
        return [g]

    return mg.primitive(
        lambda x: 2.0 * x, joint=joint, twin=lambda x: x + x, overwrites=True, name="doubling"
    )


def test_a_rule_that_overwrites_g_gets_its_own() -> None:
    double, x, y = doubling(), leaf(1.0), leaf(1.0)
    (double(x) + double(x) + y).sum().backward()  # one g for all three branches
    assert x.grad.tolist() == [4.0] and y.grad.tolist() == [1.0]


def test_overwriting_rule_does_not_touch_the_callers_cotangent() -> None:
    double, x, cotangent = doubling(), leaf(1.0), np.array([1.0])
    out = double(x)
    assert mg.grad(out, x, cotangent=cotangent, retain_graph=True).tolist() == [2.0]
    assert cotangent.tolist() == [1.0]
    out.backward(cotangent)
    assert cotangent.tolist() == [1.0] and x.grad.tolist() == [2.0]


def test_overwriting_rule_and_a_wanted_interior_node() -> None:
    double, x = doubling(), leaf(1.0)
    h = double(x)
    out = double(h)
    towards_h, towards_x = mg.grad(out.sum(), [h, x])
    assert towards_h.tolist() == [2.0] and towards_x.tolist() == [4.0]


def test_leaf_gradient_is_not_the_callers_cotangent() -> None:
    x, cotangent = leaf(1.0, 2.0), np.ones(2)
    x.backward(cotangent)
    x.grad += 1.0
    assert cotangent.tolist() == [1.0, 1.0]


def test_results_of_grad_share_no_memory() -> None:
    a, b = leaf(1.0, 2.0), leaf(1.0, 2.0)
    h = a + b
    found = mg.grad(h.sum(), [a, b, h])
    for i, g in enumerate(found):
        for other in found[i + 1 :]:
            assert not np.shares_memory(g, other)


def test_split_outputs_returned_as_they_come_are_not_adopted() -> None:
    """A rule with several outputs hands on one of its gradients while another branch holds it."""
    both = mg.primitive(
        lambda x: (x * 1.0, x * 2.0), lambda g, _out, _x: g[0], name="first of both"
    )
    x, y = leaf(1.0), leaf(1.0)
    first, _ = both(x)
    loss = (first + y).sum() + (3.0 * x).sum()
    loss.backward()
    assert x.grad.tolist() == [4.0] and y.grad.tolist() == [1.0]


def test_grad_of_a_broadcast_is_a_full_array() -> None:
    x = leaf(1.0, 2.0)
    x.sum().backward()
    x.grad += 1.0  # a read-only view would raise
    assert x.grad.tolist() == [2.0, 2.0]


def test_backward_twice_accumulates() -> None:
    x = leaf(1.0, 2.0)
    for _ in range(2):
        (x * x).sum().backward()
    assert x.grad.tolist() == [4.0, 8.0]
    held = x.grad
    (x * x).sum().backward()
    assert held.tolist() == [4.0, 8.0]  # who holds the old array keeps the old value


# --- graph ----------------------------------------------------------------------------------------


def test_grad_of_interior_nodes_and_of_ancestors_of_one_another() -> None:
    x = leaf(2.0)
    y = x * x
    z = y * x
    found = mg.grad(z.sum(), [x, y, z])
    assert [g.item() for g in found] == [12.0, 2.0, 1.0]
    assert mg.grad(x.sum(), [x])[0].item() == 1.0


def test_grad_frees_only_what_it_walked() -> None:
    x = leaf(2.0)
    y = x * x
    z = np.exp(y)
    mg.grad(z.sum(), y)
    assert mg.grad(y.sum(), x).item() == 4.0  # below y nothing was used


def test_unused_input_gets_zeros_and_an_empty_list_gets_nothing() -> None:
    x, unused = leaf(2.0), leaf(1.0, 1.0)
    assert mg.grad((x * x).sum(), [x, unused])[1].tolist() == [0.0, 0.0]
    assert mg.grad((x * x).sum(), []) == ()


def test_backward_touches_leaves_and_grad_touches_none() -> None:
    x = leaf(2.0)
    y = x * x
    mg.grad(y.sum(), x)
    assert x.grad is None
    (y.detach() * x).sum().backward()
    assert x.grad.item() == 4.0 and y.grad is None


def test_frozen_leaf_gets_no_gradient_and_costs_none() -> None:
    calls: list[str] = []

    def vjp(g: Any, _out: Any, _a: Any, _b: Any) -> Any:
        calls.append("b")
        return g

    pick = mg.primitive(lambda a, b: a + b, lambda g, _o, _a, _b: g, vjp, name="pick")
    a, b = leaf(1.0), leaf(1.0)
    b.requires_grad_(False)
    pick(a, b).sum().backward()
    assert b.grad is None and calls == []
    b.grad = None  # clearing is allowed
    b.requires_grad = True
    pick(a, b).sum().backward()
    assert b.grad.item() == 1.0


def test_several_outputs_some_unused() -> None:
    x = mg.tensor(normal(4, 3), requires_grad=True)
    rows = list(x)
    (rows[0] * rows[2] * rows[2]).sum().backward()
    expected = np.zeros((4, 3))
    expected[0], expected[2] = x.data[2] ** 2, 2 * x.data[0] * x.data[2]
    assert np.allclose(x.grad, expected)
    assert gradcheck(lambda x: (lambda r: r[0] * r[1] * r[1])(list(x)), normal(3, 2), order=2)


def test_zero_dimensional_rows_of_a_vector() -> None:
    x = leaf(1.0, 2.0, 3.0)
    total = sum(row * row * row for row in x)
    assert mg.grad(total, x).tolist() == [3.0, 12.0, 27.0]
    a, b, _ = leaf(1.0, 2.0, 3.0)
    assert a.shape == b.shape == ()


def test_one_output_used_twice_adds_up() -> None:
    x = leaf(1.0, 2.0)
    first, second = x
    y = first * first + first * second
    assert mg.grad(y, x).tolist() == [4.0, 1.0]


def test_the_same_tensor_twice_in_a_list() -> None:
    x = leaf(1.0, 2.0)
    assert mg.grad((np.concatenate([x, x]) ** 2).sum(), x).tolist() == [4.0, 8.0]


def test_no_grad_is_per_thread() -> None:
    seen: list[bool] = []
    x = leaf(1.0)

    def other() -> None:
        seen.append((x * 2.0).requires_grad)

    with mg.no_grad():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert not (x * 2.0).requires_grad
        with mg.enable_grad():
            assert (x * 2.0).requires_grad
    assert seen == [True] and (x * 2.0).requires_grad


def test_no_grad_as_a_decorator_and_after_an_error() -> None:
    x = leaf(1.0)

    @mg.no_grad()
    def evaluate() -> Any:
        return x * 2.0

    assert not evaluate().requires_grad and not evaluate().requires_grad
    with pytest.raises(ZeroDivisionError), mg.no_grad():
        1 / 0
    assert (x * 2.0).requires_grad


def test_backward_inside_no_grad() -> None:
    x = leaf(3.0)
    y = (x * x * x).sum()
    with mg.no_grad():
        first = mg.grad(y, x, create_graph=True)
        assert mg.grad(first, x, cotangent=[1.0]).item() == 18.0


def test_backward_with_create_graph_leaves_tensors_in_grad() -> None:
    x = leaf(3.0)
    (x * x * x).sum().backward(create_graph=True)
    first, x.grad = x.grad, None
    first.sum().backward()
    assert first.item() == 27.0 and x.grad.item() == 18.0


def test_third_derivative() -> None:
    x = leaf(0.7)
    y = np.sin(x)
    for expected in (np.cos(0.7), -np.sin(0.7), -np.cos(0.7), np.sin(0.7)):
        y = mg.grad(y.sum(), x, create_graph=True)
        assert y.item() == pytest.approx(expected)


def test_higher_derivatives_go_through_the_twin_even_of_dropped_arguments() -> None:
    """The rule reads only its output, but the twin needs x: it is kept."""
    softplus = mg.primitive(
        lambda x: (np.logaddexp(x, 0.0), 1.0 / (1.0 + np.exp(-x))),
        lambda g, slope, _x: g * slope,
        twin=lambda x: np.logaddexp(x, 0.0),
        residual=True,
        name="softplus",
    )
    assert gradcheck(lambda x: softplus(x) * x, normal(3), order=2)
    x = leaf(0.3)
    third = mg.grad(softplus(x).sum(), x, create_graph=True)
    for _ in range(2):
        third = mg.grad(third.sum(), x, create_graph=True)
    s = 1 / (1 + np.exp(-0.3))
    assert third.item() == pytest.approx(s * (1 - s) * (1 - 2 * s))


def test_mixed_second_derivatives_match_differences() -> None:
    assert gradcheck(
        lambda x, w: np.tanh(x @ w) ** 2 / (1.0 + x.sum()),
        normal(2, 3),
        normal(3, 2, seed=1),
        order=2,
    )


# --- shapes ---------------------------------------------------------------------------------------


def test_zero_dimensional_arrays_stay_arrays() -> None:
    x = mg.tensor(np.array(2.0), requires_grad=True)
    y = np.exp(x) * x
    assert type(y.data) is np.ndarray and y.shape == ()
    y.backward()
    assert type(x.grad) is np.ndarray and x.grad == pytest.approx(3 * np.exp(2.0))


def test_empty_arrays() -> None:
    x = mg.tensor(np.zeros((0, 3)), requires_grad=True)
    y = (np.exp(x) * 2.0).sum() + (x @ np.ones((3, 2))).sum()
    y.backward()
    assert y.item() == 0.0 and x.grad.shape == (0, 3)
    row = leaf(1.0, 2.0, 3.0)
    assert mg.grad((x.detach() + row).sum(), row).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "shapes", [((3,), ()), ((2, 3), (1, 3)), ((2, 1), (1, 3)), ((1,), (4, 2, 3))]
)
def test_gradients_are_summed_back_to_broadcast_arguments(shapes: Any) -> None:
    a, b = (normal(*s, seed=i) for i, s in enumerate(shapes))
    assert gradcheck(lambda a, b: a * b + b, a, b, order=2)


# --- behaving as an array -------------------------------------------------------------------------


def test_comparisons_are_plain_booleans_and_identity_hashes() -> None:
    x, y = leaf(1.0, 2.0), leaf(1.0, 3.0)
    assert type(x == y) is np.ndarray and (x == y).tolist() == [True, False]
    assert (x < y).tolist() == [False, True] and (np.array([0.0, 5.0]) > y).tolist() == [
        False,
        True,
    ]
    assert (x != "text") is not NotImplemented and not np.any(x == "text")
    assert not np.any(x == None)  # noqa: E711
    assert len({x, y, x}) == 2 and {x: 1}[x] == 1


def test_length_iteration_truth_and_membership() -> None:
    x = leaf(1.0, 2.0)
    assert len(x) == 2 and [float(r.item()) for r in x] == [1.0, 2.0]
    assert bool(mg.tensor(1.0)) and not mg.tensor(0.0)
    assert 2.0 in x and 3.0 not in x
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x)
    with pytest.raises(TypeError):
        len(mg.tensor(1.0))
    with pytest.raises(TypeError):
        list(mg.tensor(1.0))


def test_repr_and_format() -> None:
    x = leaf(1.0, 2.0)
    assert repr(x) == "tensor([1., 2.], float64, requires_grad=True)"
    assert repr(x.detach()) == "tensor([1., 2.], float64)"
    assert repr(np.exp(x)).endswith("made by np.exp)")
    assert f"{x.sum():.2f}" == "3.00" and f"{x}" == repr(x)
    assert len(repr(mg.tensor(np.zeros(10_000)))) < 300


def test_numbers_leave_untracked_tensors_only() -> None:
    x = mg.tensor(2.5)
    assert float(x) == 2.5 and int(x) == 2 and complex(x) == 2.5 and x.item() == 2.5
    assert mg.tensor([1.0, 2.0]).tolist() == [1.0, 2.0]
    assert [10, 20, 30][mg.tensor(np.array(1))] == 20
    assert np.asarray(mg.tensor([1.0])).tolist() == [1.0]


def test_integer_and_boolean_tensors_index_and_mask() -> None:
    x = leaf(1.0, 2.0, 3.0)
    index, mask = mg.tensor(np.array([2, 0])), mg.tensor(np.array([True, False, True]))
    assert x[index].tolist() == [3.0, 1.0] and x[mask].tolist() == [1.0, 3.0]
    assert (~mask).tolist() == [False, True, False]
    assert (mask & ~mask).tolist() == [False] * 3 and (mask | mask).tolist() == [True, False, True]
    assert np.where(mask, x, 0.0).tolist() == [1.0, 0.0, 3.0]


def test_arrays_and_numpy_scalars_on_the_left() -> None:
    x = leaf(1.0, 2.0)
    array = np.array([3.0, 4.0])
    for y in (array * x, np.float64(3.0) * x, np.float32(3.0) - x, array @ x, 2 // x, 7 % x):
        assert isinstance(y, (mg.Tensor, np.ndarray))
    assert mg.grad((array * x).sum(), x).tolist() == [3.0, 4.0]
    assert mg.grad((np.float64(3.0) / x).sum(), x) == pytest.approx([-3.0, -0.75])


def test_methods_operators_and_functions_agree() -> None:
    x = mg.tensor(normal(2, 3), requires_grad=True)
    pairs = [
        (x.sum(axis=0), np.sum(x, axis=0)),
        (x.mean(1, keepdims=True), np.mean(x, 1, keepdims=True)),
        (x.T, np.transpose(x)),
        (x.reshape(3, 2), np.reshape(x, (3, 2))),
        (x.transpose(1, 0), np.transpose(x, (1, 0))),
        (abs(x), np.abs(x)),
        (-x, np.negative(x)),
        (x @ x.T, np.matmul(x, x.T)),
        (x.std(ddof=1), np.std(x, ddof=1)),
    ]
    for a, b in pairs:
        assert np.array_equal(a.data, b.data) and a.requires_grad and b.requires_grad


def test_array_arguments_may_come_by_keyword() -> None:
    x = mg.tensor(normal(2, 3), requires_grad=True)
    assert np.array_equal(np.sum(a=x, axis=0, keepdims=True).data, x.data.sum(0, keepdims=True))
    assert np.cumsum(axis=0, a=x).shape == (2, 3)
    softplus = mg.primitive(
        lambda x, beta=1.0: np.logaddexp(beta * x, 0.0) / beta,
        lambda g, _out, x, beta=1.0: g / (1.0 + np.exp(-beta * x)),
        name="softplus",
    )
    assert softplus(x, beta=2.0).shape == softplus(x).shape == (2, 3)
    mg.grad(softplus(x, beta=2.0).sum(), x)


def test_passing_functions_and_makers_return_plain_arrays() -> None:
    x = leaf(1.0, 2.0)
    assert np.shape(x) == (2,) and np.allclose(x, [1.0, 2.0]) and np.argmax(x) == 1
    for made in (np.zeros_like(x), np.zeros(3, like=x), np.arange(3, like=x)):
        assert type(made) is np.ndarray


def test_aliases_of_numpy_functions_have_the_same_rule() -> None:
    for a, b in (
        (np.amax, np.max),
        (np.amin, np.min),
        (np.around, np.round),
        (np.absolute, np.abs),
    ):
        assert a in RULES and b in RULES
    x = leaf(1.0, 3.0)
    assert mg.grad(np.amax(x), x).tolist() == [0.0, 1.0]


# --- copies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_copies_of_a_parameter_are_independent_leaves(copy_of: Any) -> None:
    w = leaf(1.0, 2.0)
    (w * w).sum().backward()
    other = copy_of(w)
    assert other.requires_grad and other.is_leaf and other.dtype == w.dtype
    assert other.grad.tolist() == [2.0, 4.0] and other.grad is not w.grad
    other.data += 1.0
    (other * other).sum().backward()
    assert w.data.tolist() == [1.0, 2.0] and w.grad.tolist() == [2.0, 4.0]
    assert not copy_of(w.detach()).requires_grad


def test_tied_parameters_stay_tied_in_a_deepcopy() -> None:
    w = leaf(1.0)
    first, second = copy.deepcopy([w, w])
    assert first is second and first is not w


# --- long chains ----------------------------------------------------------------------------------


def chain(n: int) -> tuple[mg.Tensor, mg.Tensor]:
    x = leaf(1.0)
    y = x
    for _ in range(n):
        y = y + 1.0
    return x, y


def test_a_long_chain_needs_no_recursion() -> None:
    x, y = chain(30_000)
    y.sum().backward()
    assert x.grad.item() == 1.0
    x, y = chain(30_000)
    del y  # deleted without backward: no recursion there either
    x, y = chain(5_000)
    g = mg.grad(y.sum(), x, create_graph=True)
    assert g.item() == 1.0


_CHAIN = """
import pathlib, re, resource, sys, numpy as np, minigrad as mg
mg.tensor([1.0]) + 1.0
def peak():  # in MiB; on Linux ru_maxrss would begin with the peak of the process that started us
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
x = mg.tensor(np.ones(1), requires_grad=True)
y = x
for _ in range(int(sys.argv[1])):
    y = y + 1.0
y.sum().backward()
assert x.grad.item() == 1.0
del y
y = x
for _ in range(int(sys.argv[1])):
    y = y + 1.0
del y
print(peak() - before)
"""


def peak_of_chain(n: int) -> float:
    """MiB above the start that a chain of ``n`` operations takes, forward, backward and deleted."""
    done = subprocess.run(
        [sys.executable, "-c", _CHAIN, str(n)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    return float(done.stdout)


@pytest.mark.slow
def test_a_million_operations_in_linear_memory() -> None:
    quarter, half, full = (peak_of_chain(n) for n in (250_000, 500_000, 1_000_000))
    assert half < 2.3 * quarter and full < 2.3 * half
    assert full < 2000  # MiB: about a kilobyte per operation


# --- changes in place -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda w, x: x @ w,
        lambda w, x: x @ w.T,
        lambda w, x: x @ w[:, :2].reshape(2, 2),
        lambda w, x: x * w.reshape(-1)[:2],
        lambda w, x: x * next(iter(w)),
    ],
)
def test_change_of_a_parameter_after_the_forward_pass_is_detected(use: Any) -> None:
    w = mg.tensor(normal(2, 2), requires_grad=True)
    x = mg.tensor(normal(2), requires_grad=True)
    loss = use(w, x).sum()
    w.data -= 0.1
    changed_in_place([w])
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_a_change_that_no_rule_saw_is_harmless() -> None:
    w, x = leaf(1.0, 2.0), leaf(3.0, 4.0)
    loss = (w + x).sum() + np.exp(w).sum() + (x * w[np.array([0, 1])]).sum()
    w.data -= 0.1
    changed_in_place([w])
    loss.backward()  # sums keep no values, exp keeps its result, picked rows are a copy
    assert w.grad is not None
    (w * w).sum().backward()  # a forward pass after the change is as good as ever


# --- speed of the start ---------------------------------------------------------------------------


def test_import_brings_in_no_heavy_library() -> None:
    heavy = {"scipy", "matplotlib", "sklearn", "joblib", "jax", "pooch", "pandas", "tqdm"}
    code = "import sys, minigrad; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    assert not heavy & set(done.stdout.split())
