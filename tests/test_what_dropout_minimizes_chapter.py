"""The dropout chapter: its stored results, its figures' data, and the code on its page."""

import ast
import functools
import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

import minigrad as mg
from minigrad import chapters

FOLDER = Path(__file__).resolve().parent.parent / "notebooks" / "dropout"
STORE = FOLDER / "results" / "what_dropout_minimizes.jsonl"
STORED = ("errors", "twins", "weak", "alignment")


@pytest.fixture(scope="module")
def notebook():
    return chapters.read(FOLDER / "what_dropout_minimizes.ipynb")


@pytest.fixture(scope="module")
def functions(notebook):
    """The source of every function of the chapter, by name."""
    code = "\n".join(c["source"] for c in notebook["cells"] if c["cell_type"] == "code")
    nodes = [node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.unparse(node) for node in nodes}


@pytest.fixture(scope="module")
def page(notebook, functions):
    """The functions of the chapter, callable, and the constants of the tiny network."""
    names = {"np": np, "mg": mg, "functools": functools, "itertools": itertools}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and cell["source"].startswith(("UNITS", "SCHEMES", "ARMS")):
            exec(cell["source"], names)
    for source in functions.values():
        exec(source, names)
    return names


@functools.cache
def rows(function):
    return mg.sweep.load(STORE, function=function)


def test_the_stored_runs_were_made_by_the_functions_on_the_page(functions):
    text = STORE.read_text(encoding="utf-8")
    for name in STORED:
        digest = hashlib.sha256(functions[name].encode()).hexdigest()[:12]
        assert f'"source":"{digest}"' in text, name


def test_every_stored_setting_has_five_seeds():
    assert len(rows("errors")) == 44 and len(rows("twins")) == 3
    for row in rows("errors") + rows("twins"):
        assert row["seeds"] == [0, 1, 2, 3, 4]
    assert sorted((r["seed"], r["eta"]) for r in rows("weak")) == sorted(
        itertools.product(range(5), (1 / 32, 1 / 16, 1 / 8, 1 / 4))
    )
    assert sorted(r["seed"] for r in rows("alignment")) == [0, 1, 2, 3, 4]


def tuned(n, knob, other):
    arm = [r for r in rows("errors") if r["n"] == n and r[other] == 0]
    arm.sort(key=lambda r: r[knob])
    best = np.argmin([r["validation"] for r in arm], axis=0)
    plain = next(r for r in arm if r[knob] == 0)
    return np.array(plain["test"]) - np.array([r["test"] for r in arm])[best, range(5)]


def test_the_gain_of_dropout_has_a_hump():
    gain = {n: tuned(n, "p", "decay") for n in (100, 300, 1000, 4000)}
    assert (gain[1000] > gain[100]).all() and (gain[1000] > gain[4000]).all()
    assert gain[300].mean() > 0.02 and abs(gain[100].mean()) < 0.01
    assert tuned(1000, "decay", "p").mean() < gain[1000].mean()


def test_the_regularizer_is_nearer_to_dropout_than_other_masks_are():
    for row in rows("twins"):
        far = {name: np.array(d) for name, d in row["distance"].items()}
        assert (far["regularizer"] < far["other masks"]).all()
        assert (far["other masks"] < far["plain"]).all()
        assert (np.array(far["dropout"]) == 0).all()


def test_the_mean_needs_both_repairs_and_the_variance_needs_the_shape():
    def error(row, name):
        return abs(row[name][0] - row["dropout"][0])

    fine = [r for r in rows("weak") if r["eta"] == 1 / 32]
    assert all(error(r, "order 2") < error(r, "gradient flow") / 2 for r in fine)
    assert all(error(r, "order 1") > error(r, "gradient flow") for r in fine)
    for row in fine:
        variance = {name: row[name][2] / row["dropout"][2] for name in ("order 2", "round noise")}
        assert abs(variance["order 2"] - 1) < 0.2 and variance["round noise"] < 0.6


def test_masks_and_minibatches_follow_the_curvature_and_nulls_do_not():
    for row in rows("alignment"):
        rank = {k: spearmanr(row["eigenvalues"], row[k])[0] for k in row if "m" in k and "," in k}
        assert max(map(abs, rank.values())) < 0.5
        for kind in ("one mask for all", "mini-batches"):
            assert spearmanr(row["eigenvalues"], row[kind])[0] > 0.3


def test_the_mean_over_all_masks_is_the_regularized_loss(page):
    x, y, theta = page["problem"](7)
    h = np.tanh(x[:, 0] * theta[: page["UNITS"], 0])
    a = theta[page["UNITS"] :, 0]
    loss = [0.5 * np.mean((h @ (a * s) - y[:, 0, 0]) ** 2) for s in page["MASKS"]]
    plain = 0.5 * np.mean((h @ a - y[:, 0, 0]) ** 2)
    penalty = page["explicit"](h, a[None], 1 - page["KEEP"])
    assert page["CHANCE"] @ loss == pytest.approx(plain + penalty, rel=1e-12)


def test_the_correction_makes_the_flow_follow_gradient_descent_to_second_order(page):
    x, y, theta = page["problem"](3)
    misses = []
    for eta in (0.02, 0.01):
        step, flows = theta + eta * page["drift"](theta, x, y, 0), []
        for correction in (0.0, eta):
            t, h = theta, eta / 20
            for _ in range(20):  # Heun, far finer than the step
                k = page["drift"](t, x, y, correction)
                t = t + h / 2 * (k + page["drift"](t + h * k, x, y, correction))
            flows.append(np.abs(t - step).max())
        misses.append(flows)
    (plain, corrected), (half_plain, half_corrected) = misses
    assert plain / half_plain == pytest.approx(4, rel=0.1)  # eta squared
    assert corrected / half_corrected == pytest.approx(8, rel=0.15)  # eta cubed


def test_the_noise_has_the_covariance_of_the_masked_gradient(page):
    x, y, theta = page["problem"](1)
    g = np.stack([page["gradient"](theta, s[:, None], x, y)[:, 0] for s in page["MASKS"]])
    g = g - page["CHANCE"] @ g
    covariance = (g * page["CHANCE"][:, None]).T @ g
    many = np.repeat(theta, 40_000, axis=1)
    kicks = page["noise"](many, x, y, np.random.default_rng(0))
    assert np.abs(np.cov(kicks) - covariance).max() < 0.05 * np.abs(covariance).max()
    around = page["noise"](many, x, y, np.random.default_rng(0), "isotropic")
    assert np.trace(np.cov(around)) == pytest.approx(np.trace(covariance), rel=0.03)


def test_the_curvature_of_each_loss_is_its_second_derivative(page):
    rng = np.random.default_rng(0)
    h, A, c = rng.normal(size=(3, 4)) * 0.5, rng.normal(size=(2, 4)), rng.normal(size=2)
    V, d, B = rng.normal(size=(5, 4)), rng.normal(size=5), rng.normal(size=(2, 5))
    y = np.eye(2)[[0, 1, 1]]

    def half_square(z):
        return 0.5 * np.sum((z - y) ** 2, axis=1)

    losses = {
        "squared error": (lambda h: half_square(h @ A.T + c), A, []),
        "cross-entropy": (
            lambda h: np.log(np.exp(h @ A.T + c).sum(1)) - ((h @ A.T + c) * y).sum(1), A, []),
        "layers after": (lambda h: half_square(np.tanh(h @ V.T + d) @ B.T + c), B, [V, d]),
    }  # fmt: skip
    for kind, (loss, last, rest) in losses.items():
        found = page["curvature"](kind, h, last, c, rest, y)
        for r in range(4):
            step = np.eye(4)[r] * 1e-4
            second = (loss(h + step) - 2 * loss(h) + loss(h - step)) / 1e-8
            np.testing.assert_allclose(found[:, r], second, atol=1e-5)


def test_every_claim_has_five_seeds_and_the_controls_fail(notebook):
    claims = chapters.claims_of(notebook)
    assert all("5 seeds" in c["spread"] for c in claims)
    verdicts = {c["statement"]: c["verdict"] for c in claims}
    for words in ("beats scaled weights with one temperature", "relation is dropout's own"):
        (verdict,) = (v for s, v in verdicts.items() if words in s)
        assert verdict == "does not hold at this scale"


def test_the_notebook_stays_small(notebook):
    assert (FOLDER / "what_dropout_minimizes.ipynb").stat().st_size < 1_000_000
    assert len(chapters.figures_of(notebook)) == 6
