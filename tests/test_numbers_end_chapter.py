"""The chapter on softmax collapse: its stored runs, the code on its page, and its verdicts."""

import ast
import hashlib
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import chapters

FOLDER = Path(__file__).resolve().parent.parent / "notebooks" / "grokking"
STORE = FOLDER / "results" / "numbers_end.jsonl"
BITS = {"float16": 11, "float32": 24, "float64": 53}


@pytest.fixture(scope="module")
def notebook():
    return chapters.read(FOLDER / "numbers_end.ipynb")


def code(notebook, word):
    return next(c["source"] for c in notebook["cells"]
                if c["cell_type"] == "code" and word in c["source"])  # fmt: skip


@pytest.fixture(scope="module")
def page(notebook):
    """The functions that the chapter defines, by name; cells that train or draw are left out."""
    names = {"np": np, "mg": mg, "BITS": BITS}
    for word in ("def softmax_loss", "def one_hot", "def move", "LOSSES = {", "def train(",
                 "def perpendicular", "def full_target", "def stablemax_loss", "def named",
                 "def threshold"):  # fmt: skip
        tree = ast.parse(code(notebook, word))
        kinds = (ast.FunctionDef, ast.Assign)
        wanted = [n for n in tree.body if isinstance(n, kinds) and _is_pure(n)]
        exec(compile(ast.Module(wanted, []), word, "exec"), names)
    return names


def _is_pure(node):
    """Functions, and the constants that they need."""
    if isinstance(node, ast.FunctionDef):
        return True
    target = ast.unparse(node.targets[0])
    return target in ("TICKS", "LOSSES", "arms") or target.startswith("LOSSES[")


@pytest.fixture(scope="module")
def stored():
    rows = sorted(mg.sweep.load(STORE), key=lambda row: row["seed"])
    return {arm: [r for r in rows if r["arm"] == arm] for arm in {r["arm"] for r in rows}}


def first(run, level=0.9):
    return mg.claims.first_time(run["step"], run["test_accuracy"], level)


def test_every_arm_has_five_seeds_and_its_whole_budget(stored, page):
    assert stored.keys() == page["arms"].keys()
    for arm, runs in stored.items():
        assert [run["seed"] for run in runs] == [0, 1, 2, 3, 4]
        assert {run["step"][-1] for run in runs} == {page["arms"][arm].get("steps", 3000)}


def test_no_remedy_no_generalization_with_or_without_collapse(stored):
    for arm in ("float16", "float32", "float64", "full target", "epsilon"):
        for run in stored[arm]:
            assert run["train_accuracy"][-1] == 1
            assert run["test_accuracy"].max() < 0.1


def test_only_low_precision_collapses(stored):
    for run in stored["float64"] + stored["epsilon"]:
        assert run["zero"][run["step"] <= 2500].max() == 0
    for run in stored["float64"]:
        assert run["zero"][-1] > 0.3 and 36 < run["gap"][-1] < 39  # float64 ends at 36.7
    for run in stored["float32"]:
        assert run["zero"][run["step"] == 1250] > 0.3
        assert run["zero"][run["step"] <= 500].max() == 0  # the gap is still below 16.6
    assert all(run["zero"][-1] == 1 for run in stored["full target"])  # and yet it goes on learning


def test_the_full_target_in_float32_is_the_twin_of_float64(stored):
    for narrow, wide in zip(stored["full target"], stored["float64"], strict=True):
        same = np.isin(wide["step"], narrow["step"])
        np.testing.assert_allclose(narrow["gap"], wide["gap"][same], rtol=0.05)


def test_networks_generalize_while_they_collapse(stored):
    for arm in ("decay, float16", "fixed length, float16"):
        for run in stored[arm]:
            assert isinstance(first(run), int)
            inside = (run["step"] >= 400) & (run["test_accuracy"] < 0.9)
            assert np.median(run["zero"][inside]) > 0.2


def test_a_fixed_length_is_enough_without_decay_or_projection(stored):
    assert all(first(run) <= 2000 for run in stored["fixed length"])


def test_the_gradient_follows_the_weights_until_the_collapse(stored):
    for precise, collapsed in zip(stored["float64"], stored["float32"], strict=True):
        at = precise["step"] == 1250
        assert precise["gradient"][at].min() > 0.5
        at = collapsed["step"] == 1250
        assert collapsed["gradient"][at].mean() < 0.4


def test_the_stored_runs_were_made_by_the_functions_on_the_page(notebook, page, stored):
    cell = ast.parse(code(notebook, "def named"))
    named = next(n for n in cell.body if isinstance(n, ast.FunctionDef))
    expected = hashlib.sha256(ast.unparse(named).encode()).hexdigest()[:12]
    assert f'"source":"{expected}"' in STORE.read_text(encoding="utf-8")
    for arm in ("decay, float16", "StableMax"):
        run = page["named"](arm, seed=3, steps=22)
        for name in ("loss", "gap"):
            old = stored[arm][3][name][: len(run["step"])]
            np.testing.assert_allclose(run[name], old, rtol=0.02)


@pytest.mark.parametrize("classes", [2, 23, 31, 113])
def test_the_threshold_is_what_the_chapter_derives(page, classes):
    for precision, b in BITS.items():
        found, least = page["threshold"](precision, classes), b * np.log(2)
        assert least - 0.02 < found < least + np.log(classes - 1) + 0.02
    if classes == 2:
        assert found == pytest.approx(53 * np.log(2), abs=1e-3)


def test_only_the_right_classs_gradient_vanishes(page):
    z, y = np.array([[20.0, 0.0, -1.0]]), np.array([0])
    loss, gradient = page["softmax_loss"](z, y, "float32")
    assert loss[0] == 0 and gradient[0, 0] == 0 and (gradient[0, 1:] > 0).all()
    _, mended = page["full_target"](z, y, "float32")
    _, exact = page["softmax_loss"](z, y, "float64")
    np.testing.assert_allclose(mended, exact, rtol=1e-5)


def test_the_page_says_what_the_librarys_loss_does():
    """`cross_entropy` collapses like the naive code. If this changes, the chapter must say so."""
    z = mg.tensor(np.array([[20.0, 0.0]], dtype=np.float32), requires_grad=True)
    loss = mg.losses.cross_entropy(z, np.array([0]))
    assert loss.item() == 0 and mg.grad(loss, z)[0, 0] == 0


def test_the_perpendicular_gradient(page):
    rng = np.random.default_rng(0)
    w, g = rng.normal(size=(2, 8, 5))
    turned = page["perpendicular"](w, g)
    assert abs(np.vdot(turned, w)) < 1e-12
    assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(g))
    assert np.vdot(turned, g) > 0


def test_stablemax_is_a_loss_with_its_gradient(page):
    z, y, h = np.array([[0.5, -2.0, 1.5]]), np.array([2]), 1e-6
    s = np.array([1.5, 1 / 3, 2.5])
    loss, gradient = page["stablemax_loss"](z, y, "float64")
    assert loss[0] == pytest.approx(-np.log(2.5 / s.sum()))
    for k, e in enumerate(h * np.eye(3)):
        up, down = (page["stablemax_loss"](z + sign * e, y, "float64")[0] for sign in (1, -1))
        assert gradient[0, k] == pytest.approx((up - down)[0] / (2 * h), abs=1e-8)


def test_every_claim_has_five_seeds_and_the_dispute_is_decided(notebook):
    claims = chapters.claims_of(notebook)
    assert len(claims) == 11
    assert all("5 seeds" in c["spread"] for c in claims)
    verdicts = {c["statement"].split(":")[0]: c["verdict"] for c in claims}
    assert "does not hold" in verdicts["Collapse removed by precision"]
    assert "does not hold" in verdicts["Collapse removed by StableMax"]


def test_the_notebook_stays_small():
    assert (FOLDER / "numbers_end.ipynb").stat().st_size < 1_000_000
    assert STORE.stat().st_size < 600_000
