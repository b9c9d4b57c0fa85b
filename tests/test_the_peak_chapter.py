"""The chapter on the peak: its formulas against brute force and known limits, and its verdicts."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from minigrad import chapters

PATH = Path(__file__).resolve().parent.parent / "notebooks" / "double-descent" / "the_peak.ipynb"
WANTED = ("shortest_fit", "predicted", "ridge_fit", "eigenframework", "frozen_layers", "seen_part")


@pytest.fixture(scope="module")
def page():
    """The functions that the chapter defines, by name."""
    names = {"np": np, "itertools": itertools, "draws": 50}
    for cell in chapters.read(PATH)["cells"]:
        if any(f"def {name}(" in cell["source"] for name in WANTED):
            exec(cell["source"], names)
    return names


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (2, 4, 7)])
def test_the_shortest_fit_is_the_pseudoinverse(page, shape):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=shape), rng.normal(size=shape[:-1])
    wanted = (np.linalg.pinv(X) @ y[..., None])[..., 0]
    np.testing.assert_allclose(page["shortest_fit"](X, y), wanted, atol=1e-12)


def test_ridge_goes_to_the_shortest_fit_and_to_zero(page):
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(4, 8)), rng.normal(size=4)
    near = page["ridge_fit"](X, y, 1e-9)
    np.testing.assert_allclose(near, page["shortest_fit"](X, y), atol=1e-7)
    assert np.linalg.norm(page["ridge_fit"](X, y, 1e9)) < 1e-7


def test_the_exact_formula_at_a_small_size(page):
    """d = 100 in the chapter; here the same two lines for d = 6, by 40,000 draws."""
    rng = np.random.default_rng(2)
    for n in (2, 12):
        X, beta = rng.normal(size=(40_000, n, 6)), np.full(6, 6**-0.5)
        y = X @ beta + 0.5 * rng.normal(size=(40_000, n))
        found = np.mean(np.sum((page["shortest_fit"](X, y) - beta) ** 2, axis=-1))
        by_formula = (1 - n / 6) + 0.25 * n / (6 - n - 1) if n < 6 else 0.25 * 6 / (n - 6 - 1)
        np.testing.assert_allclose(found, by_formula, rtol=0.03)
    assert page["predicted"](60) == (0.4, 0.25 * 60 / 39)
    assert page["predicted"](200) == (0.0, 0.25 * 100 / 99)
    assert np.isinf(page["predicted"](101)[1])


def test_many_features_and_no_ridge_is_ordinary_least_squares(page):
    """Equal directions, k to infinity, n > d: sigma^2 / (1 - d / n) on noisy test labels."""
    ones = np.ones(50)
    test, train = page["eigenframework"](200, 10**9, 1e-9, ones, ones / 50, 0.3)
    np.testing.assert_allclose(test, 0.3 / (1 - 50 / 200), rtol=1e-5)
    np.testing.assert_allclose(train, 0.3 * (1 - 50 / 200), rtol=1e-5)


def test_an_enormous_ridge_learns_nothing(page):
    ones = np.ones(50)
    test, train = page["eigenframework"](200, 400, 1e8, ones, ones / 50, 0.3)
    np.testing.assert_allclose([test, train], 1.3, rtol=1e-3)


def test_seeing_all_inputs_is_the_exact_formula(page):
    n, D, noise = 40, 100, 0.01
    wanted = 1 - n / D + noise * n / (D - n - 1)
    np.testing.assert_allclose(page["seen_part"](D), wanted, rtol=1e-12)
    assert np.isnan(page["seen_part"](41)) and page["seen_part"](0) == 1


def test_the_layer_covariance_is_that_of_the_features(page):
    rng = np.random.default_rng(3)
    Ws, root = page["frozen_layers"](rng, widths=(100, 120, 80))
    h = rng.normal(size=(20_000, 100))
    for W in Ws:
        h = np.tanh(h @ W.T)
    found, wanted = np.cov(h.T), root @ root.T
    assert np.linalg.norm(found - wanted) < 0.12 * np.linalg.norm(wanted)


def test_the_verdicts():
    records = chapters.claims_of(chapters.read(PATH))
    assert len(records) == 12
    assert all(r["verdict"] == "holds" for r in records), [r["verdict"] for r in records]
