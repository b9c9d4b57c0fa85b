"""The fine-tuning chapter: its stored results, its figures' data, and the code on its page."""

import ast
import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import chapters

FOLDER = Path(__file__).resolve().parent.parent / "notebooks" / "dropout"
STORE = FOLDER / "results" / "fine_tuning.jsonl"
SEEDS = [0, 1, 2, 3, 4]


@pytest.fixture(scope="module")
def notebook():
    return chapters.read(FOLDER / "fine_tuning.ipynb")


@pytest.fixture(scope="module")
def page(notebook):
    """The small functions that the chapter defines, by name."""
    names = {"np": np, "mg": mg}
    wanted = ("def mixout", "def stretch", "def bert_adam_step", "def painted")
    for cell in notebook["cells"]:
        for word in wanted:
            if cell["cell_type"] == "code" and word in cell["source"]:
                tree = ast.parse(cell["source"])
                only = [d for d in tree.body if isinstance(d, ast.FunctionDef)]
                exec(compile(ast.Module(only, []), word, "exec"), names)
    return names


@pytest.fixture(scope="module")
def rows():
    return mg.sweep.load(STORE, "restarts")


@pytest.fixture(scope="module")
def cues():
    return mg.sweep.load(STORE, "with_cues")


def one(rows, **where):
    (row,) = [r for r in rows if all(r[k] == value for k, value in where.items())]
    return row


def restarts(rows, method, strength, lr, epochs, corrected=True):
    row = one(rows, method=method, strength=strength, lr=lr, epochs=epochs, corrected=corrected,
              seeds=SEEDS)  # fmt: skip
    test = 100 * np.array(row["test"])
    assert test.shape == (5, 20)
    return test


def test_pilot_seeds_are_never_final_seeds(rows, cues):
    assert {tuple(r["seeds"]) for r in rows + cues} == {(100, 101), tuple(SEEDS)}


def test_leaving_out_the_correction_shifts_the_best_learning_rate_down(rows):
    rates = [0.001, 0.003, 0.01, 0.03]
    for method, strength in (("none", 0.0), ("mixout", 0.7)):
        best = [
            rates[np.argmax([restarts(rows, method, strength, lr, 6, c).mean() for lr in rates])]
            for c in (True, False)
        ]
        assert best == [0.01, 0.003]


def test_mixout_is_worse_when_short_and_better_when_long(rows):
    gains = [
        restarts(rows, "mixout", 0.7, 0.01, epochs).mean(axis=1)
        - restarts(rows, "none", 0.0, 0.01, epochs).mean(axis=1)
        for epochs in (6, 100)
    ]
    assert (gains[0] < -5).all()
    assert (gains[1] > 1).all()


def test_mixout_does_not_reduce_the_spread(rows):
    for epochs in (6, 30, 100):
        plain, mixed = (
            restarts(rows, m, s, 0.01, epochs).std(axis=1, ddof=1).mean()
            for m, s in (("none", 0.0), ("mixout", 0.7))
        )
        assert mixed > plain


def test_a_small_spread_around_failure(rows):
    plain = restarts(rows, "none", 0.0, 0.01, 6, corrected=False)
    mixed = restarts(rows, "mixout", 0.7, 0.01, 6, corrected=False)
    assert mixed.std(axis=1, ddof=1).mean() < plain.std(axis=1, ddof=1).mean()
    assert mixed.mean() < plain.mean() - 10


def test_dropout_moves_the_reliance_from_the_colour_to_the_picture(cues):
    def seen(p, lr, test):
        row = one(cues, p=p, start="pretrained", lr=lr, seeds=SEEDS)
        return 100 * np.array(row[f"single, {test}"]).mean()

    for test, sign in (("no colour", 1), ("wrong colour", 1), ("no picture", -1)):
        assert sign * (seen(0.9, 0.03, test) - seen(0.0, 0.003, test)) > 1
    # at one learning rate it costs nothing without the picture
    assert seen(0.9, 0.003, "no colour") > seen(0.0, 0.003, "no colour") + 1
    assert seen(0.9, 0.003, "no picture") > seen(0.0, 0.003, "no picture") - 1


def test_the_copies_are_too_alike_for_an_ensemble_to_help(cues):
    row = one(cues, p=0.0, start="pretrained", lr=0.003, seeds=SEEDS)
    single = np.array(row["single, no colour"]).mean(axis=1)
    for kind in ("ensemble", "soup"):
        assert np.abs(np.array(row[f"{kind}, no colour"]) - single).max() < 0.015


def test_the_stored_runs_were_made_by_the_functions_on_the_page(notebook):
    sources = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and "def " in cell["source"]:
            for node in ast.parse(cell["source"]).body:
                if isinstance(node, ast.FunctionDef):
                    text = ast.unparse(node).encode()
                    sources[node.name] = hashlib.sha256(text).hexdigest()[:12]
    found = set()
    for line in STORE.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry.get("source"):  # the pilots were run from a script without readable source
            assert entry["source"] == sources[entry["function"]]
            found.add(entry["function"])
    assert found == {"restarts", "with_cues"}


def test_mixout_keeps_the_mean_and_its_limits(page):
    rng = np.random.default_rng(0)
    w, u = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    for p in (0.2, 0.9):
        mean = 0.0
        for keep in itertools.product([False, True], repeat=3):
            chance = np.prod([1 - p if k else p for k in keep])
            mean = mean + chance * page["mixout"](w, u, p, np.array(keep))
        np.testing.assert_allclose(mean, w)
    np.testing.assert_allclose(page["mixout"](w, w, 0.9, np.zeros(3, bool)), w)


def test_the_stretch_starts_at_three_peaks_below_seven_and_dies_out(page):
    t = np.arange(1, 20001)
    r = page["stretch"](t)
    assert r[0] == pytest.approx(np.sqrt(10))
    assert 6.5 < r.max() < 6.7
    assert 8 < t[r.argmax()] < 15
    assert r[-1] == pytest.approx(1)
    assert 250 < t[r > 2].max() < 300


def test_verdicts_figures_and_size(notebook):
    claims = chapters.claims_of(notebook)
    assert len(claims) == 21
    assert all("5 seeds" in c["spread"] for c in claims)
    stable = [c["verdict"] for c in claims if "more stable" in c["statement"]]
    assert stable == ["does not hold at this scale"] * 3
    assert len(chapters.figures_of(notebook)) == 9
    assert (FOLDER / "fine_tuning.ipynb").stat().st_size < 1_000_000
