"""The chapter From lazy to rich: stored results, the data of its figures, the code on its page."""

import ast
import hashlib
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import chapters

FOLDER = Path(__file__).resolve().parent.parent / "notebooks" / "grokking"
STORE = FOLDER / "results" / "lazy_to_rich.jsonl"
PLAIN = {"P": 400, "eps": 0.25, "align": 1.0, "decay": 0.0}


@pytest.fixture(scope="module")
def notebook():
    return chapters.read(FOLDER / "lazy_to_rich.ipynb")


@pytest.fixture(scope="module")
def page(notebook):
    """The functions that the chapter defines, by name."""
    names = {"np": np, "mg": mg, "device": "cpu"}
    wanted = ("def problem", "def output", "TICKS =", "def kernel(", "def finished",
              "def test_loss", "def twin(")  # fmt: skip
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and cell["source"].startswith(wanted):
            exec(cell["source"], names)
    return names


@pytest.fixture(scope="module")
def stored():
    return mg.sweep.load(STORE)


def rows(stored, alpha, count, **where):
    where = {**PLAIN, **where, "alpha": alpha}
    found = [r for r in stored if all(r[k] == v for k, v in where.items())]
    assert sorted(r["seed"] for r in found) == list(range(count)), where
    return sorted(found, key=lambda r: r["seed"])


def ratios(rows, level=0.1):
    late = [np.inf if r[f"test_{level}"] is None else r[f"test_{level}"] for r in rows]
    return np.array(late) / [r[f"train_{level}"] for r in rows]


def test_the_ratio_rises_with_the_output_scale_at_every_level(stored):
    for level in (0.2, 0.1, 0.05):
        middle = [np.median(ratios(rows(stored, a, 10), level)) for a in (0.5, 2.0, 8.0)]
        assert middle[0] < middle[1] < middle[2]


def test_a_censored_run_lasted_twenty_times_its_training_time(stored):
    for row in stored:
        if row["test_0.1"] is None and not row["decay"]:
            assert row["last_train"] < 1e-4
            assert row["last_step"] >= 20 * row["train_0.1"]


def test_the_figure_of_levels_draws_nothing_beyond_what_was_run(stored):
    for alpha in (0.5, 2.0, 8.0):
        for row in rows(stored, alpha, 10):
            for level in (0.3, 0.2, 0.1, 0.05, 0.02):
                if row[f"test_{level}"] is None:
                    assert row["last_step"] >= 8 * row[f"train_{level}"]


def test_suitable_features_and_more_data_remove_the_delay(stored):
    for alpha in (0.5, 2.0, 8.0, 32.0):
        assert ratios(rows(stored, alpha, 5, align=4.0)).max() < 4
    assert np.median(ratios(rows(stored, 8.0, 5, P=1000))) < 2


def test_the_gradient_on_the_page_is_right(page):
    X, y, _, W, _ = page["problem"](5, 20, 6, 4)

    def loss(W):
        return np.mean((page["output"](W, X, 2.0, 0.5) - y) ** 2)

    slope = page["gradient"](W, X, page["output"](W, X, 2.0, 0.5) - y, 2.0, 0.5)
    direction = np.random.default_rng(0).normal(size=W.shape)
    change = (loss(W + 1e-5 * direction) - loss(W - 1e-5 * direction)) / 2e-5
    assert np.sum(slope * direction) == pytest.approx(change, rel=1e-6)


def test_a_very_lazy_network_follows_its_twin(page):
    run = page["train"](alpha=1e6, seed=7, P=60, D=12, N=20, steps=100)
    train, test, _ = page["twin_curves"](7, [0, 10, 100], 60, 12, 20)
    for t, a, b in zip((0, 10, 100), train, test, strict=True):
        tick = np.searchsorted(run["step"], t)
        if run["step"][tick] == t:
            assert run["train"][tick] == pytest.approx(a, rel=1e-3)
            assert run["test"][tick] == pytest.approx(b, rel=1e-3)


def test_a_stored_run_is_reproduced_on_this_machine(page, stored):
    row = rows(stored, 0.5, 10)[3]
    run = page["train"](alpha=0.5, seed=3, steps=100)
    for part in ("train", "test"):
        when = run["step"][np.flatnonzero(run[part] < 0.1)[0]]
        assert when == pytest.approx(row[f"{part}_0.1"], rel=0.03)


def test_the_alignment_of_a_perfect_kernel_is_one(page):
    y = np.random.default_rng(0).normal(size=30)
    centred = y - y.mean()
    assert page["alignment"](np.outer(centred, centred), y) == pytest.approx(1)
    assert page["alignment"](7 + np.outer(y, y), y) == pytest.approx(1)  # constants do not matter


def test_the_stored_runs_were_made_by_the_function_on_the_page(notebook):
    cell = next(c for c in notebook["cells"] if "def milestones" in c["source"])
    tree = ast.parse(cell["source"])
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    expected = hashlib.sha256(ast.unparse(function).encode()).hexdigest()[:12]
    assert f'"source":"{expected}"' in STORE.read_text(encoding="utf-8")


def test_every_claim_has_at_least_five_seeds(notebook):
    claims = chapters.claims_of(notebook)
    assert len(claims) == 14
    assert all(c["spread"].endswith(("5 seeds", "10 seeds")) for c in claims)
    assert claims[0]["verdict"] == "holds"


def test_the_notebook_stays_small(notebook):
    assert (FOLDER / "lazy_to_rich.ipynb").stat().st_size < 1_000_000
    assert len(chapters.figures_of(notebook)) == 8
