"""The chapter on double descent in a network: its stored runs, its figures' data, its code."""

import ast
import hashlib
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import chapters

FOLDER = Path(__file__).resolve().parent.parent / "notebooks" / "double-descent"
WIDTHS = [4, 8, 12, 16, 20, 24, 32, 40, 56, 90, 150, 256]
NOISES = [0.0, 0.1, 0.2]


@pytest.fixture(scope="module")
def notebook():
    return chapters.read(FOLDER / "real_network.ipynb")


@pytest.fixture(scope="module")
def page(notebook):
    """The functions that the chapter defines, by name."""
    names = {"np": np, "mg": mg, "linear": mg.fused.linear}
    wanted = ("POOL, BATCH", "def nearest_vote", "def examples", "def test_scores", "def measure",
              "def train(")  # fmt: skip
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and cell["source"].startswith(wanted):
            exec(cell["source"], names)
    return names


@pytest.fixture(scope="module")
def runs():
    rows = mg.sweep.load(FOLDER / "results" / "widths.jsonl")
    return {(row["width"], row["noise"], row["seed"]): row for row in rows}


def last(runs, name, noise, at=-1):
    """(5 seeds, widths)"""
    return np.array([[runs[w, noise, s][name][at] for w in WIDTHS] for s in range(5)], float)


def test_every_cell_of_the_grid_is_stored(runs):
    assert set(runs) == {(w, z, s) for w in WIDTHS for z in NOISES for s in range(5)}
    assert all(len(row["test_error"]) == 15 for row in runs.values())


@pytest.mark.parametrize("noise", NOISES)
def test_wide_networks_fit_everything_and_narrow_ones_do_not(runs, noise):
    error = last(runs, "train_error", noise)
    assert (error[:, WIDTHS.index(56) :] <= 0.001).all()
    assert (error[:, : WIDTHS.index(24)] > 0.05).all()


def test_training_error_is_the_weighted_mean_of_its_two_parts(runs):
    for noise in (0.1, 0.2):
        whole, clean, wrong = (
            last(runs, f"{part}_error", noise) for part in ("train", "clean", "wrong")
        )
        np.testing.assert_allclose(whole, (1 - noise) * clean + noise * wrong, atol=2e-4)


@pytest.mark.parametrize("noise", NOISES)
def test_cross_entropy_peaks_at_the_threshold_even_without_noise(runs, noise):
    peak = np.median(last(runs, "test_entropy", noise), axis=0).argmax()
    assert WIDTHS[peak] in (32, 40)


@pytest.mark.parametrize("noise", NOISES)
def test_the_widest_network_has_a_lower_error_than_those_near_the_threshold(runs, noise):
    error = last(runs, "test_error", noise)
    near = [WIDTHS.index(w) for w in (24, 32, 40)]
    assert (error[:, near].mean(axis=1) > error[:, -1]).all()


def test_the_probe_rises_without_training_too(runs):
    for at in (0, -1):
        value = last(runs, "probe", 0.2, at)
        assert (value[:, -1] > value[:, WIDTHS.index(24)]).all()


def test_new_seeds_are_new_and_complete(runs):
    rows = mg.sweep.load(FOLDER / "results" / "widths_fresh.jsonl")
    assert {(r["width"], r["noise"], r["seed"]) for r in rows} == {
        (w, z, s) for w in (12, 16, 24, 32, 56) for z in (0.0, 0.2) for s in range(10, 15)
    }


def test_the_stored_runs_were_made_by_the_functions_on_the_page(notebook):
    # The stores keep a hash of the function's code without comments and layout.
    cell = next(c for c in notebook["cells"] if "def network_run" in c["source"])
    for body in ast.parse(cell["source"]).body:
        if isinstance(body, ast.FunctionDef):
            name = {"network_run": "widths", "fresh_run": "widths_fresh"}[body.name]
            expected = hashlib.sha256(ast.unparse(body).encode()).hexdigest()[:12]
            text = (FOLDER / "results" / f"{name}.jsonl").read_text(encoding="utf-8")
            assert text.count(f'"source":"{expected}"') == text.count('"key"')


def test_the_first_epochs_of_a_stored_run_are_reproduced(page, runs):
    run = page["train"](16, [(3, 0.2)], epochs=3)[0]
    for name in ("test_error", "test_entropy", "train_error", "recovered", "probe"):
        np.testing.assert_allclose(run[name], runs[16, 0.2, 3][name][:4], atol=2e-3)


def test_the_probe_knows_its_limits(page):
    rng = np.random.default_rng(0)
    true = rng.integers(0, 10, 500)
    given = mg.data.noisy_labels(true, 0.3, classes=10)
    assert page["probe"](np.eye(10)[true], true, given) == 1
    assert page["probe"](np.eye(10)[given], true, given) == 0
    assert page["probe"](rng.normal(size=(500, 9)), true, given) < 0.25
    assert page["probe"](np.eye(10)[true], true, true) is None


def test_every_claim_has_five_seeds_and_the_second_descent_holds(notebook):
    claims = chapters.claims_of(notebook)
    assert len(claims) == 17
    assert all("5 seeds" in claim["spread"] for claim in claims)
    assert claims[1]["verdict"] == "holds"


def test_the_notebook_stays_small(notebook):
    assert (FOLDER / "real_network.ipynb").stat().st_size < 1_000_000
    assert len(chapters.figures_of(notebook)) == 9
