"""Every chapter also runs small, and with more seeds than its stored results have."""

from __future__ import annotations

from pathlib import Path

import pytest

from minigrad import chapters


@pytest.mark.slow
@pytest.mark.parametrize("name", [chapter.name for chapter in chapters.chapters()])
def test_a_smoke_run_with_seven_seeds_ends_with_all_claims(name: str, tmp_path: Path):
    done = chapters.run(name, {"scale": "quick", "seeds": 7}, output=tmp_path, progress=False)
    stored = chapters.claims_of(chapters.read(chapters.chapter(name).path))
    assert len(chapters.claims_of(chapters.read(done.notebook))) == len(stored)
