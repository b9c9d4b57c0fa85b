"""The chapter that takes a network apart: its instruments on cases whose answer is known."""

from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import chapters

PATH = Path(__file__).resolve().parent.parent / "notebooks" / "grokking" / "inside.ipynb"
ALL = (
    *("right", "sum_share", "clock_scores", "power", "plane", "inputs", "purity", "without"),
    *("generator_of", "key_frequencies", "loss_of"),
)
P = 11
NUMBERS = np.arange(P)


@pytest.fixture(scope="module")
def page():
    """The functions that the chapter defines, for p = 11."""
    names = {"np": np, "mg": mg, "p": P, "half": P // 2, "numbers": NUMBERS, "device": "cpu"}
    for cell in chapters.read(PATH)["cells"]:
        source = cell["source"]
        if cell["cell_type"] == "code" and any(f"def {name}(" in source for name in ALL):
            kept = source.split("\nrng =")[0].split("\nrule =")[0].split("\nby_logarithm")[0]
            kept = kept.split("\nmeasures =")[0]
            exec(kept, names)
    return names


def pairs():
    return np.stack(np.divmod(np.arange(P * P), P), axis=1)


def test_one_frequency_is_enough_to_be_right(page):
    scores = page["clock_scores"]([3])
    assert page["right"](scores, pairs(), pairs().sum(axis=1) % P) == 1


def test_all_frequencies_make_every_wrong_answer_equal(page):
    scores = page["clock_scores"](range(1, P // 2 + 1))[2, 5]  # a + b = 7
    np.testing.assert_allclose(scores[7], (P - 1) / 2)
    np.testing.assert_allclose(np.delete(scores, 7), -0.5)


def test_the_share_of_the_sum(page):
    rng = np.random.default_rng(0)
    np.testing.assert_allclose(page["sum_share"](page["clock_scores"]([1, 4])), 1)
    noise = [page["sum_share"](rng.normal(size=(P, P, P))) for _ in range(50)]
    np.testing.assert_allclose(np.mean(noise), (P - 1) / (P * P - 1), rtol=0.1)
    difference = np.cos(2 * np.pi * np.subtract.outer(NUMBERS, NUMBERS) / P)[..., None]
    assert page["sum_share"](difference * rng.normal(size=P)) < 1e-20


def test_any_embedding_with_enough_features_has_a_circle(page):
    rng = np.random.default_rng(1)
    points = page["plane"](rng.normal(size=(P, 20)), 2)
    np.testing.assert_allclose(np.sum(points**2, axis=1), 1)


def test_with_few_features_it_has_none(page):
    points = page["plane"](np.random.default_rng(1).normal(size=(P, 3)), 2)
    assert np.ptp(np.sum(points**2, axis=1)) > 0.2


def test_a_wave_is_pure_and_noise_is_not(page):
    E = np.cos(2 * np.pi * 3 * NUMBERS / P)[:, None] * np.ones((1, 2))
    net = {
        "embedding.weight": E,
        "hidden.weight": np.ones((4, 4)),
        "hidden.bias": np.zeros(4),
    }
    np.testing.assert_allclose(page["purity"](net), 1)
    net["embedding.weight"] = np.random.default_rng(2).normal(size=(P, 2))
    assert np.max(page["purity"](net)) < 0.9


def test_powers_of_the_generator_run_through_all_numbers(page):
    assert page["generator_of"](31) == 3
    assert sorted(pow(page["generator_of"](P), i, P) for i in range(P - 1)) == [*range(1, P)]


def test_cutting_a_frequency_leaves_the_others(page):
    both = page["clock_scores"]([1, 4])
    np.testing.assert_allclose(page["without"](both, [4]), page["clock_scores"]([1]), atol=1e-12)
    np.testing.assert_allclose(page["without"](both, [2]), both, atol=1e-12)


def test_the_key_frequencies_hold_95_percent_and_come_first(page):
    strong, weak = page["clock_scores"]([1, 4]), page["clock_scores"]([2])
    count, ranked = page["key_frequencies"](strong + 0.1 * weak)
    assert count == 2 and set(ranked[:2]) == {1, 4} and ranked[2] == 2
    assert page["key_frequencies"](strong + weak)[0] == 3


def test_the_restricted_loss_of_a_lookup_table_is_small(page):
    """The leak again: the waves are taken from all pairs, most of which are known by heart."""
    rng = np.random.default_rng(4)
    shown = rng.random((P, P)) < 0.7
    answer = np.add.outer(NUMBERS, NUMBERS) % P
    scores = 20 * np.eye(P)[np.where(shown, answer, (answer + 1) % P)]
    everything, test = np.argwhere(shown | ~shown), np.argwhere(~shown)
    waves = scores - page["without"](scores, range(P))
    assert page["loss_of"](scores, test) == pytest.approx(20, rel=1e-3)
    assert page["loss_of"](waves, everything) < 2
    uniform = page["loss_of"](np.zeros((P, P, P)), everything)
    assert uniform == pytest.approx(np.log(P))


def test_averaging_over_all_cells_finds_a_rule_in_a_lookup_table(page):
    """The chapter's null: 70 % of the answers known by heart, all others wrong."""
    rng = np.random.default_rng(3)
    shown = rng.random((P, P)) < 0.7
    answer = np.add.outer(NUMBERS, NUMBERS) % P
    said = np.where(shown, answer, (answer + rng.integers(1, P, (P, P))) % P)
    scores = np.eye(P)[said]
    test = np.argwhere(~shown)
    assert np.mean(page["diagonal_mean"](scores).argmax(axis=1) == NUMBERS) == 1
    assert np.mean(page["diagonal_mean"](scores, test).argmax(axis=1) == NUMBERS) == 0


def test_the_verdicts():
    verdicts = [record["verdict"] for record in chapters.claims_of(chapters.read(PATH))]
    assert verdicts == ["holds"] * 7 + ["does not hold at this scale"] + ["holds"] * 2
