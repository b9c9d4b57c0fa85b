"""The grokking chapter: its stored results, its figures' data, and the code on its page."""

import ast
import hashlib
import inspect
import itertools
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import chapters
from minigrad.models import PairNet

FOLDER = Path(__file__).resolve().parent.parent / "notebooks" / "grokking"
RESULTS = FOLDER / "results"
STORES = {  # which function of the page made which store
    "p31": "milestones",
    "p97": "milestones",
    "p47": "milestones",
    "operations": "milestones",
    "phase": "milestones",
    "optimizers": "arrival",
}


@pytest.fixture(scope="module")
def notebook():
    return chapters.read(FOLDER / "grokking.ipynb")


@pytest.fixture(scope="module")
def page(notebook):
    """The functions and classes that the chapter defines, by name."""
    names = {"np": np, "mg": mg, "device": "cpu", "PairNet": PairNet}
    wanted = ("def adamw_step", "def spectrum", "TICKS =", "def train(", "def arrival(")
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and any(word in cell["source"] for word in wanted):
            exec(cell["source"], names)
    return names


@pytest.fixture(scope="module")
def small():
    return mg.sweep.load(RESULTS / "p31.jsonl")


@pytest.fixture(scope="module")
def large():
    return mg.sweep.load(RESULTS / "p97.jsonl")


def times(rows, key="test_95", **where):
    rows = [r for r in rows if all(r[name] == value for name, value in where.items())]
    assert sorted(r["seed"] for r in rows) == [0, 1, 2, 3, 4], where
    return [np.inf if r[key] is None else r[key] for r in rows]


SUMS = {"lr": 0.01, "unordered": False}


def test_scarce_data_slows_generalization_and_not_memorization(small, large):
    for rows, shares in ((small, (0.8, 0.7, 0.6, 0.5, 0.4)), (large, (0.7, 0.5, 0.4, 0.3))):
        test = [np.median(times(rows, train_fraction=s, weight_decay=1.0, **SUMS)) for s in shares]
        assert all(early < late for early, late in itertools.pairwise(test))
        known = [
            np.median(times(rows, "train_95", train_fraction=s, weight_decay=1.0, **SUMS))
            for s in shares
        ]
        assert max(known) < 2 * min(known)


def test_no_run_without_decay_generalized_within_the_budget(small):
    for share in (0.8, 0.6):
        assert np.isinf(times(small, train_fraction=share, weight_decay=0.0, **SUMS)).all()


def test_a_run_that_never_arrived_used_its_whole_budget(small, large):
    for row in small + large:
        assert (row["test_99"] is None) == (
            row["last_step"] == row["steps"] and row["last_test"] < 0.99
        )


@pytest.mark.parametrize("store", STORES)
def test_the_stored_runs_were_made_by_the_function_on_the_page(notebook, store):
    # The store keeps a hash of the function's code without comments and layout.
    name = STORES[store]
    cell = next(c for c in notebook["cells"] if c["source"].startswith(f"def {name}("))
    code = ast.unparse(ast.parse(cell["source"]))
    expected = hashlib.sha256(code.encode()).hexdigest()[:12]
    runs = [line for line in lines(store) if '"key"' in line]
    assert runs and all(f'"source":"{expected}"' in line for line in runs)


def lines(store):
    return (RESULTS / f"{store}.jsonl").read_text(encoding="utf-8").splitlines()


def test_the_network_printed_on_the_page_is_the_one_in_the_package(notebook):
    printed = [
        output["text"]
        for cell in notebook["cells"]
        if "getsource(PairNet.forward)" in cell["source"]
        for output in cell["outputs"]
    ]
    assert "".join(printed).rstrip() == inspect.getsource(PairNet.forward).rstrip()


def test_a_stored_run_is_reproduced_on_this_machine(page, small):
    run = page["train"](p=31, train_fraction=0.8, weight_decay=1.0, seed=2, steps=300, stop_at=0.99)
    stored = next(r for r in small if (r["seed"], r["train_fraction"], r["weight_decay"],
                                       r["unordered"]) == (2, 0.8, 1.0, False))  # fmt: skip
    for part in ("train", "test"):
        when = run["step"][np.flatnonzero(run[f"{part}_accuracy"] >= 0.95)[0]]
        assert when == pytest.approx(stored[f"{part}_95"], rel=0.09)  # two ticks of the clock


def test_a_stored_run_of_another_optimizer_is_reproduced(page):
    settings = {"optimizer": "Adam", "lr": 0.01, "weight_decay": 0.003, "seed": 13}
    run = page["arrival"](**settings, steps=200)
    stored = next(r for r in mg.sweep.load(RESULTS / "optimizers.jsonl")
                  if {**r, **settings} == r)  # fmt: skip
    for part in ("train_95", "test_95"):
        assert run[part] == pytest.approx(stored[part], rel=0.09)


def median_of(rows, key="test_95", **where):
    found = [r[key] for r in rows if {**r, **where} == r]
    return np.median([np.inf if t is None else t for t in found]), len(found)


def test_the_map_is_complete_and_has_a_wedge():
    rows = mg.sweep.load(RESULTS / "phase.jsonl")
    shares, decays = ({r[name] for r in rows} for name in ("train_fraction", "weight_decay"))
    assert len(rows) == 300 and len(shares) * len(decays) == 100
    for share in shares:
        wait, seeds = median_of(rows, train_fraction=share, weight_decay=0.0)
        assert seeds == 3 and np.isinf(wait)  # no decay: only memorized
        assert np.isinf(median_of(rows, "train_95", train_fraction=share, weight_decay=8.0)[0])
    width = [
        sum(np.isfinite(median_of(rows, train_fraction=s, weight_decay=d)[0]) for d in decays)
        for s in sorted(shares)
    ]
    assert width[0] == 0 and width[-1] >= 7
    assert all(few <= more for few, more in itertools.pairwise(width))


def test_mirror_images_are_not_copied_where_there_is_no_rule():
    rows = mg.sweep.load(RESULTS / "operations.jsonl")
    for table in ("random", "random symmetric"):
        scores = [r["last_test"] for r in rows if r["operation"] == table]
        assert len(scores) == 5 and max(scores) < 0.1


def test_the_honest_split_is_slower_at_another_modulus():
    rows = mg.sweep.load(RESULTS / "p47.jsonl")
    random, honest = (median_of(rows, "last_test", unordered=u)[0] for u in (False, True))
    assert random - honest > 0.1


def test_a_penalty_in_adam_hardly_feels_its_strength_and_a_leak_does():
    rows = [r for r in mg.sweep.load(RESULTS / "optimizers.jsonl") if r["seed"] >= 100]

    def factor(optimizer, weak, strong):
        waits = [median_of(rows, optimizer=optimizer, weight_decay=w)[0] for w in (weak, strong)]
        return waits[0] / waits[1]

    assert factor("Adam", 1e-5, 3e-3) < 6  # strength times 300
    assert factor("AdamW", 0.25, 2.0) > 3  # strength times 8


def test_the_tables_of_the_network_equal_the_plain_formula(page):
    p, pairs = 7, np.array([[0, 3], [6, 6], [2, 1]])
    net = PairNet(p)
    joined = net.embedding(pairs).reshape(3, -1)
    plain = net.readout(np.maximum(net.hidden(joined), 0))
    np.testing.assert_allclose(net(pairs).data, plain.data, atol=1e-12)


def test_the_step_on_the_page_is_the_librarys_adamw(page):
    rng = np.random.default_rng(0)
    theta, gradients = rng.normal(size=6), rng.normal(size=(30, 6))
    w = mg.Tensor(theta.copy(), requires_grad=True)
    optimizer = mg.optim.AdamW([w], lr=0.01, betas=(0.9, 0.98), weight_decay=1.0)
    m, v = np.zeros(6), np.zeros(6)
    for t, g in enumerate(gradients, 1):
        page["adamw_step"](theta, g, m, v, t)
        w.grad = g
        optimizer.step()
    np.testing.assert_allclose(theta, w.data, rtol=1e-10)


def test_waves_counts_frequencies(page):
    a = np.arange(31)[:, None]
    assert page["waves"](np.cos(2 * np.pi * 3 * a / 31)) == pytest.approx(1)
    two = np.hstack([np.cos(2 * np.pi * 3 * a / 31), np.sin(2 * np.pi * 5 * a / 31)])
    assert page["waves"](two) == pytest.approx(2)
    assert page["waves"](np.eye(31)) == pytest.approx(15)  # all frequencies alike


def test_the_first_claims_hold_and_every_claim_has_five_seeds(notebook):
    claims = chapters.claims_of(notebook)
    assert len(claims) == 13
    assert all("5 seeds" in c["spread"] for c in claims)
    assert [c["verdict"] for c in claims[:2]] == ["holds", "holds"]


def test_the_notebook_stays_small(notebook):
    assert (FOLDER / "grokking.ipynb").stat().st_size < 1_000_000
    assert len(chapters.figures_of(notebook)) == 12
