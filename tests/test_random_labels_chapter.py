"""The chapter on random labels: the network that remembers, its stored capacities, its verdicts."""

import ast
import hashlib
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import chapters

FOLDER = Path(__file__).resolve().parent.parent / "notebooks" / "double-descent"
NOTEBOOK = chapters.read(FOLDER / "random_labels.ipynb")


@pytest.fixture(scope="module")
def page():
    """The functions that the chapter defines, by name."""
    names = {"np": np, "mg": mg, "digits": mg.data.digits(), "CLASSES": 10, "PIXELS": 64}
    for cell in NOTEBOOK["cells"]:
        source = cell["source"].split("\nerrors = {}")[0]
        if any(f"def {name}(" in source for name in ("version", "remember", "curves", "fits")):
            exec(source, names)
    return names


@pytest.fixture(scope="module")
def stored():
    return mg.sweep.load(FOLDER / "results" / "random_labels.jsonl")


def test_the_network_that_remembers_fits_any_targets(page):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 7)), 100 * rng.normal(size=50)
    network = page["remember"](x, y, rng)
    np.testing.assert_allclose(page["answer"](x, network), y, atol=1e-7)
    assert [len(part) for part in network] == [7, 50, 50]  # d + 2 n numbers


def test_versions_differ_only_in_what_their_name_says(page):
    true, labels, pixels = (
        page["version"](name, 3, 40) for name in ("true", "random labels", "shuffled pixels")
    )
    np.testing.assert_array_equal(true[0], labels[0])
    np.testing.assert_array_equal(true[1], pixels[1])
    np.testing.assert_array_equal(np.sort(true[0], axis=1), np.sort(pixels[0], axis=1))
    assert np.any(true[1] != labels[1]) and np.any(true[0] != pixels[0])


def test_wrong_labels_are_wrong_and_nested(page):
    truth = page["version"]("true", 1, 100)[1]
    few, many = (page["version"](share, 1, 100)[1] != truth for share in ("0.2", "0.4"))
    assert (few.sum(), many.sum()) == (20, 40) and np.all(many[few])


def test_the_groups_of_examples(page):
    truth, y = np.array([[0, 1, 2, 3]]), np.array([[0, 1, 2, 9]])
    said = np.array([[[0, 1, 5, 3]], [[0, 1, 2, 9]]])  # (epochs, seeds, n)
    found = page["curves"](said, y, truth)
    np.testing.assert_allclose(found["fit"][:, 0], [0.5, 1])
    np.testing.assert_allclose(found["clean"][:, 0], [2 / 3, 1])
    np.testing.assert_allclose(found["wrong"][:, 0], [0, 1])
    np.testing.assert_allclose(found["rescued"][:, 0], [1, 0])


def test_two_examples_are_fitted_at_once(page):
    assert page["fits"](2, 16, "random labels", seeds=range(2)).all()
    assert not page["fits"](64, 1, "random labels", steps=3, seeds=range(2)).any()


def test_a_capacity_is_the_largest_size_that_was_fitted(stored, page):
    assert len(stored) == 12
    for row in stored:
        for seed, largest in enumerate(row["emc"]):
            fitted = page["SIZES"][: len(row["record"])][row["record"][:, seed]]
            assert largest == (fitted[-1] if len(fitted) else 0)
        assert len(row["record"]) == len(page["SIZES"]) or not row["record"][-1].any()


def test_the_stored_runs_were_made_by_the_function_on_the_page():
    cell = next(c for c in NOTEBOOK["cells"] if c["source"].startswith("def capacity"))
    function = ast.parse(cell["source"]).body[0]
    expected = hashlib.sha256(ast.unparse(ast.Module([function], [])).encode()).hexdigest()[:12]
    lines = (FOLDER / "results" / "random_labels.jsonl").read_text().splitlines()
    sources = {line.split('"source":"')[1][:12] for line in lines if '"source":"' in line}
    assert sources == {expected}


def test_the_verdicts():
    verdicts = [record["verdict"] for record in chapters.claims_of(NOTEBOOK)]
    assert (verdicts.count("holds"), verdicts.count("partly"), len(verdicts)) == (8, 2, 11)
