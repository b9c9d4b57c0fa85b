"""The chapter on when to drop: its stored runs, its figures' data, and the code on its page."""

import ast
import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import chapters

FOLDER = Path(__file__).resolve().parent.parent / "notebooks" / "dropout"
RESULTS = FOLDER / "results"
RATES = (0.0, 0.1, 0.3, 0.5)


@pytest.fixture(scope="module")
def notebook():
    return chapters.read(FOLDER / "when_to_drop.ipynb")


@pytest.fixture(scope="module")
def page(notebook):
    """The functions that the chapter defines, by name, and the constants they use."""
    names = {"np": np, "mg": mg, "itertools": itertools, "live": 2, "data": mg.data.digits()}
    constants = ("layer", "TICKS", "REGIMES", "SIZES", "RATES", "LEVELS", "ARMS")
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        for node in ast.parse(cell["source"]).body:
            wanted = isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Import)) or (
                isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in constants
            )
            if wanted:
                exec(compile(ast.Module([node], []), "<page>", "exec"), names)
    return names


@pytest.fixture(scope="module")
def watched():
    rows = mg.sweep.load(RESULTS / "when_to_drop.jsonl")
    first = [r for r in rows if "first_seed" not in r]
    return {(r["kind"], r["p"]): {k: np.array(v) for k, v in r.items()} for r in first}


def test_every_arm_is_stored_with_ten_seeds(watched):
    assert set(watched) == set(itertools.product(("plain", "residual"), RATES))
    assert all(row["on"].shape == (10, 9) for row in watched.values())
    schedules = mg.sweep.load(RESULTS / "when_to_drop_schedules.jsonl")
    assert all(len(row["train_loss"]) == 10 for row in schedules)
    masks = mg.sweep.load(RESULTS / "when_to_drop_masks.jsonl")
    assert all(np.shape(row["curve"]) == (10, 41) for row in masks)


def test_arms_start_from_the_same_network_and_are_measured_on_the_same_batches(watched):
    for kind in ("plain", "residual"):
        for p in RATES:
            np.testing.assert_allclose(
                watched[kind, p]["off"][:, 0], watched[kind, 0.0]["off"][:, 0]
            )


def test_masks_at_measurement_always_add(watched):
    for row in watched.values():
        assert np.all(row["on"].mean(axis=0) > row["off"].mean(axis=0))
        assert np.all(row["gde_on"].mean(axis=0) > row["gde_off"].mean(axis=0))


def test_the_mask_part_grows_with_the_rate_and_is_below_the_whole(watched):
    for kind in ("plain", "residual"):
        parts = [watched[kind, p]["mask"][:, 2].mean() for p in RATES[1:]]
        assert parts == sorted(parts)
        assert all(np.all(watched[kind, p]["mask"].mean(0) < watched[kind, p]["on"].mean(0))
                   for p in RATES[1:])  # fmt: skip


def test_gradient_directions_on_the_page_are_the_librarys(page):
    g = np.random.default_rng(0).normal(size=(6, 11)) + 0.5
    assert page["gdv"](g) == pytest.approx(mg.metrics.gradient_direction_variance(g))
    error = mg.metrics.gradient_direction_error(g, np.ones(11))
    assert page["gde"](g, np.ones(11)) == pytest.approx(error)


def test_each_member_sees_its_own_data(page):
    """An array without the members mark would be shared by all members."""
    x, y = page["own_digits"](range(3), n=8)
    with mg.nn.ensemble(3, seeds=range(3)):
        model = page["network"]("plain", 64, 5)
    together = page["arrows"](model, x, y)
    for s in range(3):
        one = mg.nn.member(model, s)
        loss = mg.losses.cross_entropy(one(x[s]), y[s])
        parts = [g.ravel() for g in mg.grad(loss, list(one.parameters()))]
        np.testing.assert_allclose(together[s], np.concatenate(parts), atol=1e-12)


def test_the_stored_runs_were_made_by_the_functions_on_the_page(notebook):
    # The store keeps a hash of the function's code without comments and layout.
    files = {"watch": "", "scheduled": "_schedules", "many_masks": "_masks"}
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        for node in ast.parse(cell["source"]).body:
            if isinstance(node, ast.FunctionDef) and node.name in files:
                expected = hashlib.sha256(ast.unparse(node).encode()).hexdigest()[:12]
                path = RESULTS / f"when_to_drop{files.pop(node.name)}.jsonl"
                lines = [line for line in path.read_text().splitlines() if '"source"' in line]
                assert lines and all(f'"source":"{expected}"' in line for line in lines)
    assert not files


def test_the_price_counts_the_multiplications_of_a_step(page):
    assert page["price"]((64, 256, 10), samples=1, batch=1) == 2 * 64 * 256 + 3 * 256 * 10
    eight = page["price"]((64, 256, 10), samples=8) / page["price"]((64, 256, 10))
    assert eight == pytest.approx(2.33, abs=0.01)


def test_the_best_number_of_masks_minimizes_variance_times_cost():
    by_batch, by_masks, backbone, head = 1.0, 2.0, 40.0, 3.0
    samples = np.linspace(0.1, 30, 3000)
    product = (by_batch + by_masks / samples) * (backbone + samples * head)
    best = np.sqrt(by_masks / by_batch * backbone / head)
    assert samples[np.argmin(product)] == pytest.approx(best, abs=0.02)


def test_schedules_drop_only_when_they_should(page):
    steps = 600
    rates = {arm: page["plans"](arm, 0.4, steps) for arm in ("never", "early", "late", "always")}
    curves = {arm: [plan[0](t) for t in range(steps)] for arm, plan in rates.items()}
    assert not any(curves["never"]) and set(curves["always"]) == {0.4}
    assert curves["early"][0] == 0.4 and not any(curves["early"][99:])
    assert not any(curves["late"][:100]) and set(curves["late"][100:]) == {0.4}
    drop, wrong, _ = page["plans"]("wrong labels", 0.4, steps)
    assert drop(0) == 0 and wrong(0) == 0.4 and wrong(100) == 0


def test_every_claim_rests_on_at_least_ten_seeds(notebook):
    claims = chapters.claims_of(notebook)
    assert len(claims) == 18
    assert all(any(f"{n} seeds" in c["spread"] for n in (10, 20)) for c in claims)


def test_the_notebook_stays_small(notebook):
    assert (FOLDER / "when_to_drop.ipynb").stat().st_size < 1_000_000
    assert len(chapters.figures_of(notebook)) == 5
