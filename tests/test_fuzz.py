"""Random programs: values equal NumPy's, derivatives the differences', and everything JAX's.

The long run is ``python tests/fuzz.py --programs 500 --inputs 40 --jobs 2``.
"""

from __future__ import annotations

from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

pytest.importorskip("jax")

import fuzz

seeds = st.integers(min_value=0, max_value=2**32 - 1)


def moved(program: fuzz.Program, step: float) -> list[Any]:
    pairs = zip(program.leaves, program.directions, strict=True)
    return [x + step * v for x, v in pairs]


@pytest.mark.filterwarnings("ignore")
@hypothesis.settings(max_examples=120)
@hypothesis.given(seeds)
def test_random_programs_agree_with_numpy_and_with_differences(seed: int) -> None:
    program = fuzz.draw(seed)
    hypothesis.assume(program.steps)
    values, gradients, second = fuzz.with_minigrad(program)
    for found, expected in zip(values, program.run(np, program.leaves), strict=True):
        assert found.dtype == np.asarray(expected).dtype
        assert np.allclose(found, expected, rtol=1e-6, atol=1e-6)
    if any(x.dtype != np.float64 for x in program.leaves):
        return  # float32 differences say little

    eps = 1e-6
    ahead, behind = (program.loss(np, moved(program, s))[0] for s in (eps, -eps))
    slope = sum(float(np.sum(g * v)) for g, v in zip(gradients, program.directions, strict=True))
    scale = 1.0 + sum(float(np.abs(g).sum()) for g in (*gradients, *second))
    assert abs((ahead - behind) / (2 * eps) - slope) < 1e-4 * scale

    ends = [fuzz.with_minigrad(_at(program, s))[1] for s in (eps, -eps)]
    for a, b, h in zip(*ends, second, strict=True):
        assert np.allclose((a - b) / (2 * eps), h, rtol=0, atol=1e-4 * scale)


def _at(program: fuzz.Program, step: float) -> fuzz.Program:
    return fuzz.dataclasses.replace(program, leaves=moved(program, step))


def test_a_seed_always_draws_the_same_program() -> None:
    assert str(fuzz.draw(7)) == str(fuzz.draw(7)) != str(fuzz.draw(8))


def test_the_comparison_notices_a_small_error() -> None:
    with pytest.raises(AssertionError, match="gradient 0"):
        fuzz.compare("gradient", [np.ones(2)], [np.ones(2) + 1e-5], np.float64)
    with pytest.raises(AssertionError, match="shape"):
        fuzz.compare("value", [np.ones(2)], [np.ones((1, 2))], np.float64)
    with pytest.raises(AssertionError):
        fuzz.compare("value", [np.full(2, np.nan)], [np.ones(2)], np.float64)
    assert fuzz.compare("value", [np.ones(2)] * 3, [np.ones(2)] * 3, np.float64) == 3


def test_other_inputs_are_other_numbers_for_the_same_instructions() -> None:
    program = fuzz.draw(3)
    others = [p for p in (program.other_inputs() for _ in range(20)) if p is not None]
    assert others
    for p in others:
        assert p.steps is program.steps
        assert not np.array_equal(p.leaves[0], program.leaves[0])


@pytest.mark.slow
@hypothesis.settings(max_examples=60)
@hypothesis.given(seeds)
def test_random_programs_agree_with_jax(seed: int) -> None:
    counts, disagreements = fuzz.check(seed, inputs=8)
    assert not disagreements, disagreements
    hypothesis.event("compared" if counts["comparisons"] else "skipped")
