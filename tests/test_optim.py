"""Optimizers against loops written out from the formulas, one parameter at a time."""

import copy
import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.optim import flat as flat_module
from minigrad.optim import schedules

SHAPES = [(3, 4), (4,), (), (2, 1, 3)]


def parameters(seed=0, shapes=SHAPES, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [mg.tensor(rng.standard_normal(s).astype(dtype), requires_grad=True) for s in shapes]


def gradients(step, params):
    rng = np.random.default_rng(100 + step)
    return [rng.standard_normal(p.shape).astype(p.dtype) for p in params]


def run(optimizer, params, steps=10, missing=lambda step, i: False, first=0):
    for step in range(first, first + steps):
        optimizer.zero_grad()
        for i, (p, g) in enumerate(zip(params, gradients(step, params), strict=True)):
            if not missing(step, i):
                p.grad = g
        optimizer.step()


# --- PyTorch's documented algorithms, one array at a time ---------------------------------------


def reference_sgd(p, grads, lr, momentum=0, dampening=0, weight_decay=0, nesterov=False):
    p, b = p.copy(), None
    for g in grads:
        if g is None:
            continue
        g = g + weight_decay * p
        if momentum != 0:
            b = g if b is None else momentum * b + (1 - dampening) * g
            g = g + momentum * b if nesterov else b
        p = p - lr * g
    return p


def reference_adam(p, grads, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    p, m, v, t = p.copy(), 0.0, 0.0, 0
    for g in grads:
        if g is None:
            continue
        t += 1
        if decoupled:
            p = p * (1 - lr * weight_decay)
        else:
            g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        p = p - lr * m_hat / (np.sqrt(v_hat) + eps)
    return p


def reference_adamw(p, grads, lr, weight_decay=1e-2, **options):
    return reference_adam(p, grads, lr, weight_decay=weight_decay, decoupled=True, **options)


CASES = [
    (optim.SGD, reference_sgd, {"lr": 0.1}),
    (optim.SGD, reference_sgd, {"lr": 0.1, "weight_decay": 0.3}),
    (optim.SGD, reference_sgd, {"lr": 0.1, "momentum": 0.9}),
    (optim.SGD, reference_sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
    (optim.SGD, reference_sgd, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.3, "nesterov": True}),
    (optim.Adam, reference_adam, {"lr": 0.01}),
    (optim.Adam, reference_adam, {"lr": 0.01, "betas": (0.5, 0.8), "eps": 0.1}),
    (optim.Adam, reference_adam, {"lr": 0.01, "betas": (0.0, 0.0)}),
    (optim.Adam, reference_adam, {"lr": 0.01, "weight_decay": 0.3}),
    (optim.AdamW, reference_adamw, {"lr": 0.01}),
    (optim.AdamW, reference_adamw, {"lr": 0.01, "weight_decay": 0.3}),
]
each_case = pytest.mark.parametrize(("make", "reference", "options"), CASES)


def check(params, start, reference, options, steps=10, missing=lambda step, i: False):
    for i, (p, before) in enumerate(zip(params, start, strict=True)):
        grads = [None if missing(step, i) else gradients(step, params)[i] for step in range(steps)]
        expected = reference(before, grads, **options)
        np.testing.assert_allclose(p.data, expected, rtol=1e-12, atol=1e-12)


@each_case
def test_ten_steps_equal_the_formula(make, reference, options):
    params = parameters()
    start = [p.data.copy() for p in params]
    run(make(params, **options), params)
    check(params, start, reference, options)


@each_case
def test_blocks_do_not_change_the_bits(make, reference, options, monkeypatch):
    whole, blocked = parameters(), parameters()
    run(make(whole, **options), whole)
    monkeypatch.setattr(flat_module, "BLOCK", 4)
    run(make(blocked, **options), blocked)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(whole, blocked, strict=True))


@each_case
def test_a_parameter_without_gradient_stands_still(make, reference, options):
    # Neither decay nor momentum, and its bias correction counts its own updates only.
    def missing(step, i):
        return (i == 1 and step in (0, 3, 4)) or (i == 2 and step == 5) or i == 3

    params = parameters()
    start = [p.data.copy() for p in params]
    run(make(params, **options), params, missing=missing)
    check(params, start, reference, options, missing=missing)
    assert np.array_equal(params[3].data, start[3])


@each_case
def test_data_bound_to_another_array_is_adopted_again(make, reference, options):
    params = parameters()
    optimizer = make(params, **options)
    run(optimizer, params, 5)
    other = params[0].data.copy()
    params[0].data = other
    run(optimizer, params, 5, first=5)
    check(params, [p.data for p in parameters()], reference, options)
    assert params[0].data is not other


def test_two_optimizers_over_the_same_parameters_take_turns():
    params = parameters()
    one, two = optim.SGD(params, lr=0.1), optim.SGD(params, lr=0.2)
    expected = [p.data.copy() for p in params]
    for step, (optimizer, lr) in enumerate([(one, 0.1), (two, 0.2), (two, 0.2), (one, 0.1)]):
        run(optimizer, params, 1, first=step)
        expected = [e - lr * g for e, g in zip(expected, gradients(step, params), strict=True)]
    for p, e in zip(params, expected, strict=True):
        np.testing.assert_allclose(p.data, e, rtol=1e-12)


def test_a_tied_parameter_is_updated_once():
    (w,) = parameters(shapes=[(3,)])
    before = w.data.copy()
    optimizer = optim.SGD([w, w], lr=0.1)
    (w * w).sum().backward()
    optimizer.step()
    np.testing.assert_allclose(w.data, before - 0.1 * 2 * before, rtol=1e-12)


def test_frozen_parameters_stay_and_go_on_after_thawing():
    a, b = parameters(shapes=[(3,), (2,)])
    start_a, start_b = a.data.copy(), b.data.copy()
    optimizer = optim.AdamW([a, b], lr=0.1, weight_decay=0.5)
    b.requires_grad_(False)

    def loss():
        return (a * a).sum() + (b * b).sum()

    for frozen in (True, True, False):
        b.requires_grad_(not frozen)
        optimizer.zero_grad()
        loss().backward()
        if frozen:
            assert b.grad is None
        optimizer.step()
        if frozen:
            assert np.array_equal(b.data, start_b)
    expected = reference_adamw(start_b, [2 * start_b], 0.1, weight_decay=0.5)
    np.testing.assert_allclose(b.data, expected, rtol=1e-12)
    assert not np.array_equal(a.data, start_a)


def test_a_parameter_frozen_from_the_start_is_accepted():
    a, b = parameters(shapes=[(3,), (2,)])
    b.requires_grad_(False)
    optimizer = optim.SGD([a, b], lr=1.0)
    (a.sum() * b.sum()).backward()
    optimizer.step()
    optimizer.zero_grad()
    assert a.grad is None and b.grad is None


def test_a_copied_model_is_independent():
    (w,) = parameters(shapes=[(3,)])
    optimizer = optim.SGD([w], lr=1.0)
    twin = copy.deepcopy(w.data)
    w.grad = np.ones(3)
    optimizer.step()
    np.testing.assert_allclose(twin - 1.0, w.data)


def test_mixed_dtypes_keep_their_dtype():
    params = parameters(shapes=[(3,)]) + parameters(shapes=[(2,)], dtype=np.float32)
    run(optim.Adam(params, lr=np.float64(0.1), eps=np.float64(1e-8)), params, 3)
    assert [p.dtype for p in params] == [np.float64, np.float32]


def test_gradients_in_any_memory_order():
    (w,) = parameters(shapes=[(3, 4)])
    start = w.data.copy()
    optimizer = optim.SGD([w], lr=1.0)
    g = np.arange(12.0).reshape(4, 3).T
    w.grad = g
    optimizer.step()
    np.testing.assert_allclose(w.data, start - g)


@each_case
def test_a_step_leaves_gradients_as_they_are(make, reference, options, monkeypatch):
    monkeypatch.setattr(flat_module, "BLOCK", 4)  # large gradients are read in place
    params = parameters()
    optimizer = make(params, **options)
    for step in range(2):
        for p, g in zip(params, gradients(step, params), strict=True):
            p.grad = g
        optimizer.step()
        for p, g in zip(params, gradients(step, params), strict=True):
            assert np.array_equal(p.grad, g)


def test_empty_parameters_are_allowed():
    (w,) = parameters(shapes=[(0, 3)])
    run(optim.Adam([w]), [w], 2)
    assert w.shape == (0, 3)


def test_backward_after_a_step_is_refused():
    (w,) = parameters(shapes=[(3,)])
    optimizer = optim.SGD([w], lr=0.1)
    loss = (w * w).sum()
    w.grad = np.ones(3)
    optimizer.step()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_groups_have_their_own_options():
    params = parameters()
    start = [p.data.copy() for p in params]
    groups = [{"params": params[:2], "weight_decay": 0.5}, {"params": params[2:], "lr": 0.3}]
    run(optim.SGD(groups, lr=0.1), params)
    check(params[:2], start[:2], reference_sgd, {"lr": 0.1, "weight_decay": 0.5})
    for i in (2, 3):
        grads = [gradients(step, params)[i] for step in range(10)]
        np.testing.assert_allclose(params[i].data, reference_sgd(start[i], grads, 0.3), rtol=1e-12)


def test_lr_is_writable():
    (w,) = parameters(shapes=[(2,)])
    optimizer = optim.SGD([w], lr=0.1)
    optimizer.lr = 0.0
    before = w.data.copy()
    run(optimizer, [w], 2)
    assert optimizer.lr == 0.0 and np.array_equal(w.data, before)


def test_betas_changed_between_steps_keep_the_moments():
    (w,) = parameters(shapes=[(2,)])
    start, m, v = w.data.copy(), 0.0, 0.0
    optimizer = optim.Adam([w], lr=0.1)
    for t, betas in enumerate([(0.9, 0.99), (0.8, 0.9), (0.8, 0.9)], 1):
        optimizer.param_groups[0]["betas"] = betas
        run(optimizer, [w], 1, first=t)
        g = gradients(t, [w])[0]
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        v_hat = v / (1 - betas[1] ** t)
        start = start - 0.1 * m / (1 - betas[0] ** t) / (np.sqrt(v_hat) + 1e-8)
    np.testing.assert_allclose(w.data, start, rtol=1e-12)


# --- saving ---------------------------------------------------------------------------------------


@each_case
def test_a_restored_optimizer_goes_on_with_the_same_bits(make, reference, options):
    def missing(step, i):
        return i == 1 and step < 3

    through, stopped = parameters(dtype=np.float32), parameters(dtype=np.float32)
    run(make(through, **options), through, 8, missing)
    first = make(stopped, **options)
    run(first, stopped, 4, missing)
    state = copy.deepcopy(first.state_dict())
    again = [mg.tensor(p.data.copy(), requires_grad=True) for p in stopped]
    other = {} if make is optim.SGD else {"betas": (0.3, 0.4)}
    second = make(again, **{**options, "lr": 0.0, **other})
    run(second, again, 1)  # has seen other gradients under other options; all that is replaced
    second.load_state_dict(state)
    run(second, again, 4, missing, first=4)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(through, again, strict=True))


def test_state_is_a_copy_of_plain_arrays():
    params = parameters()
    optimizer = optim.Adam(params)
    assert optimizer.state_dict()["state"] == [{}] * 4
    run(optimizer, params, 1)
    state = optimizer.state_dict()
    saved = state["state"][0]["grad_sum"].copy()
    run(optimizer, params, 1)
    assert type(saved) is np.ndarray and np.array_equal(state["state"][0]["grad_sum"], saved)
    assert state["param_groups"][0]["params"] == [0, 1, 2, 3]


def test_state_of_another_model_is_refused():
    params = parameters()
    optimizer = optim.Adam(params)
    run(optimizer, params, 1)
    with pytest.raises(ValueError, match=r"\[4\] parameters, this Adam has \[2\].*Mend"):
        optim.Adam(parameters()[:2]).load_state_dict(optimizer.state_dict())
    other = optim.Adam(parameters(shapes=[(3, 4), (5,), (), (2, 1, 3)]))
    with pytest.raises(ValueError, match=r"grad_sum of parameter 1 has shape \(4,\).*\(5,\)"):
        other.load_state_dict(optimizer.state_dict())


# --- ensembles ------------------------------------------------------------------------------------


def ensemble(members, shapes=((3,), ())):
    params = parameters(shapes=[(members, *s) for s in shapes])
    for p in params:
        p.members = members
    return params


@each_case
def test_an_lr_and_weight_decay_per_member_equal_separate_runs(make, reference, options):
    lrs, decays = np.array([0.1, 0.02, 0.0]), np.array([0.0, 0.5, 2.0])
    params = ensemble(3)
    start = [p.data.copy() for p in params]
    run(make(params, **{**options, "lr": lrs, "weight_decay": decays}), params)
    for i in range(3):
        own = {**options, "lr": lrs[i], "weight_decay": decays[i]}
        for j, p in enumerate(params):
            grads = [gradients(step, params)[j][i] for step in range(10)]
            expected = reference(start[j][i], grads, **own)
            np.testing.assert_allclose(p.data[i], expected, rtol=1e-12, atol=1e-12)


def test_an_lr_per_member_can_be_scheduled():
    params = ensemble(2)
    optimizer = optim.SGD(params, lr=np.array([1.0, 2.0]))
    schedule = optim.Schedule(optimizer, schedules.step_decay(1, 0.5))
    schedule.step()
    np.testing.assert_allclose(optimizer.lr, [0.5, 1.0])
    start = params[0].data.copy()
    run(optimizer, params, 1)
    g = gradients(0, params)[0]
    np.testing.assert_allclose(params[0].data, start - np.array([[0.5], [1.0]]) * g, rtol=1e-12)


def test_values_per_member_need_marked_parameters():
    params = parameters(shapes=[(3, 2)])
    optimizer = optim.SGD(params, lr=np.ones(3))
    params[0].grad = np.ones((3, 2))
    with pytest.raises(ValueError, match=r"lr has 3 values.*members=None.*Mend"):
        optimizer.step()


# --- clipping -------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, math.inf])
def test_clipping_bounds_the_joint_norm(norm_type):
    params = parameters()
    for p, g in zip(params, gradients(0, params), strict=True):
        p.grad = g.copy()
    flat = np.concatenate([g.ravel() for g in gradients(0, params)])
    norm = optim.clip_grad_norm_(params, 0.5, norm_type)
    np.testing.assert_allclose(norm, np.linalg.norm(flat, norm_type), rtol=1e-12)
    clipped = np.concatenate([p.grad.ravel() for p in params])
    np.testing.assert_allclose(clipped, flat * 0.5 / (norm + 1e-6), rtol=1e-12)


def test_small_gradients_are_not_touched():
    (w,) = parameters(shapes=[(3,)])
    w.grad = g = np.array([0.1, 0.2, 0.3])
    assert optim.clip_grad_norm_([w, w], 1.0) == pytest.approx(math.sqrt(0.14))
    assert np.array_equal(w.grad, g)
    w.grad = None
    assert optim.clip_grad_norm_([w], 1.0) == 0.0


@pytest.mark.parametrize("members", [None, 3])
def test_members_are_clipped_one_by_one(members):
    params = ensemble(3)
    for p, g in zip(params, gradients(0, params), strict=True):
        p.grad = g * np.array([0.01, 1.0, 100.0]).reshape(-1, *[1] * (g.ndim - 1))
    before = [p.grad.copy() for p in params]
    norms = optim.clip_grad_norm_(params, 0.5, members=members)
    assert norms.shape == (3,)
    for i in range(3):
        own = math.sqrt(sum(float((g[i] ** 2).sum()) for g in before))
        factor = min(1.0, 0.5 / (own + 1e-6))
        np.testing.assert_allclose(norms[i], own, rtol=1e-12)
        for p, g in zip(params, before, strict=True):
            np.testing.assert_allclose(p.grad[i], g[i] * factor, rtol=1e-12)


def test_clipping_refuses_shared_beside_per_member_parameters():
    params = ensemble(3) + parameters(shapes=[(4,)])
    for p in params:
        p.grad = np.ones(p.shape)
    with pytest.raises(ValueError, match=r"parameter 2 of shape \(4,\).*members=None; expected 3"):
        optim.clip_grad_norm_(params, 1.0)


def test_non_finite_norms_are_reported_on_request():
    (w,) = parameters(shapes=[(2,)])
    w.grad = np.array([1.0, np.nan])
    with pytest.raises(RuntimeError, match=r"gradient norm is .*nan.*Mend"):
        optim.clip_grad_norm_([w], 1.0, error_if_nonfinite=True)
    assert np.isnan(optim.clip_grad_norm_([w], 1.0)) and np.isnan(w.grad).all()


def test_clipping_values():
    (w,) = parameters(shapes=[(3,)])
    w.grad = np.array([-3.0, 0.2, 5.0])
    optim.clip_grad_value_([w], 1.0)
    np.testing.assert_array_equal(w.grad, [-1.0, 0.2, 1.0])


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.SGD(p, lr=-0.1), r"SGD: lr=-0.1; expected a number >= 0.*Mend"),
        (lambda p: optim.SGD(p, lr=math.nan), r"lr=nan"),
        (lambda p: optim.SGD(p, lr="0.1"), r"lr='0.1'"),
        (lambda p: optim.SGD(p, lr=np.array([0.1, -1])), r"one per ensemble member"),
        (lambda p: optim.SGD(p, lr=0.1, momentum=-1), r"momentum=-1"),
        (lambda p: optim.SGD(p, lr=0.1, nesterov=True), r"nesterov=True with momentum=0.*Mend"),
        (lambda p: optim.AdamW(p, betas=(0.9, 1.0)), r"AdamW: betas=\(0.9, 1.0\).*\[0, 1\).*Mend"),
        (lambda p: optim.Adam(p, betas=0.9), r"two numbers"),
        (lambda p: optim.Adam(p, eps=-1e-8), r"eps=-1e-08"),
        (lambda p: optim.Adam(p, weight_decay=-1), r"weight_decay=-1"),
        (lambda p: optim.Adam([]), r"params is empty.*list\(model.parameters\(\)\)"),
        (lambda p: optim.Adam([{"params": []}]), r"group is empty"),
        (lambda p: optim.Adam([{"params": p, "learning_rate": 1}]), r"learning_rate.*any of"),
        (lambda p: optim.Adam([{"params": p}, {"params": p[0]}]), r"in two groups"),
        (lambda p: optim.Adam([p[0] * 2.0]), r"was computed \(.*multiply\); expected a leaf"),
        (
            lambda p: optim.Adam([p[0], mg.tensor(p[0].data.T, requires_grad=True)]),
            r"share memory.*same Tensor twice",
        ),
    ],
)
def test_values_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        make(parameters())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.SGD(p[0], lr=0.1), r"params is a Tensor.*Mend: pass \[tensor"),
        (lambda p: optim.SGD([np.zeros(3)], lr=0.1), r"parameter 0 is a ndarray.*Mend"),
        (lambda p: optim.SGD([mg.tensor(np.arange(3))], lr=0.1), r"parameter 0 is int64.*Mend"),
        (lambda p: optim.SGD(nn.Linear(2, 2), lr=0.1), r"params is a Linear.*model.parameters"),
    ],
)
def test_things_that_are_no_parameters_are_refused(make, message):
    with pytest.raises(TypeError, match=message):
        make(parameters())


def test_an_exhausted_generator_is_named():
    generator = (p for p in parameters())
    optim.SGD(generator, lr=0.1)
    with pytest.raises(ValueError, match=r"a generator such as model\.parameters"):
        optim.SGD(generator, lr=0.1)


def test_gradients_and_data_of_another_shape_are_refused():
    (w,) = parameters(shapes=[(2, 3)])
    optimizer = optim.SGD([w], lr=0.1)
    w.grad = np.ones(3)
    with pytest.raises(ValueError, match=r"shape \(2, 3\), its gradient \(3,\).*Mend"):
        optimizer.step()
    w.data, w.grad = np.ones((3, 2)), np.ones((2, 3))
    with pytest.raises(ValueError, match=r"was \(2, 3\) float64.*is \(3, 2\).*new optimizer"):
        optimizer.step()


# --- schedules ------------------------------------------------------------------------------------


def test_schedules_at_their_landmarks():
    warm = schedules.linear_warmup(4, schedules.cosine(10, final=0.1))
    assert [warm(step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert warm(4) == 1.0 and warm(9) == pytest.approx(0.55)
    assert warm(14) == warm(100) == pytest.approx(0.1)
    decay = schedules.step_decay(3, 0.5)
    assert [decay(step) for step in range(7)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    line = schedules.linear_decay(4)
    assert [line(step) for step in range(6)] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert schedules.constant()(123) == 1.0


def test_one_cycle_rises_to_one_and_falls():
    factor = schedules.one_cycle(101, warmup=0.3)
    values = [factor(step) for step in range(101)]
    top = int(np.argmax(values))
    assert values[0] == pytest.approx(0.04) and values[-1] == pytest.approx(4e-6)
    assert top in (29, 30) and np.diff(values[:30]).min() > 0 > np.diff(values[30:]).max()


def test_a_schedule_multiplies_the_lr_of_every_group():
    a, b = parameters(shapes=[(2,), (3,)])
    optimizer = optim.SGD([{"params": a}, {"params": b, "lr": 1.0}], lr=0.1)
    schedule = optim.Schedule(optimizer, schedules.linear_warmup(2))
    seen = []
    for _ in range(3):
        seen.append([g["lr"] for g in optimizer.param_groups])
        schedule.step()
    np.testing.assert_allclose(seen, [[0.05, 0.5], [0.1, 1.0], [0.1, 1.0]])


def test_a_schedule_made_after_restoring_has_the_original_base():
    params = parameters()
    optimizer = optim.SGD(params, lr=1.0)
    optim.Schedule(optimizer, schedules.step_decay(1, 0.5)).set(3)
    restored = optim.SGD(parameters(), lr=1.0)
    restored.load_state_dict(optimizer.state_dict())
    assert restored.lr == 0.125
    optim.Schedule(restored, schedules.step_decay(1, 0.5)).set(4)
    assert restored.lr == 0.0625


def test_schedules_refuse_a_length_of_zero():
    with pytest.raises(ValueError, match="cosine: steps=0; expected a whole number >= 1"):
        schedules.cosine(0)
