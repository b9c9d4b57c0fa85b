"""Stored notebooks are in normal form, and the normal form drops what belongs to one machine."""

from __future__ import annotations

import ast
import base64
import copy
import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from minigrad import chapters

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "notebooks").glob("*/*.ipynb"))
EXERCISES = sorted((ROOT / "exercises").rglob("*.ipynb"))
PIXEL = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
).decode()


def cell(source, outputs=(), count=None, **metadata):
    return {"cell_type": "code", "id": f"id-{zlib.crc32(source.encode())}", "metadata": metadata,
            "source": source, "outputs": list(outputs), "execution_count": count}  # fmt: skip


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def shown(**data):
    return {"output_type": "display_data", "metadata": {"width": 3}, "data": data}


def notebook(*cells, **metadata):
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def messy():
    bar = {"output_type": "display_data", "metadata": {},
           "data": {chapters.WIDGET: {"model_id": "4f"}, "text/plain": "  0%|"}}  # fmt: skip
    claims = {chapters.MIME: [{"paper": "p", "statement": "s", "verdict": "holds"}]}
    return notebook(
        {"cell_type": "markdown", "id": "a", "metadata": {"x": 1}, "source": "# Title \n"},
        cell("scale = 'book'", count=7, tags=["parameters"], execution={"iopub": "2026-01-01"}),
        cell("f()", [stream("one\n"), stream("noise", "stderr"), bar, stream("two\n")], count=12),
        cell("g()", [shown(**{"image/png": PIXEL + "\n"}), shown(**claims)], count=13),
        kernelspec={"name": "anna-laptop", "display_name": "Anna"},
        language_info={"name": "python", "version": "3.99"},
        widgets={"state": {}},
    )


def test_normal_form_drops_the_machine_and_the_moment():
    nb = chapters.normalize(messy())
    assert nb["metadata"] == {
        "kernelspec": chapters.KERNEL,
        "language_info": {"name": "python"},
    }
    text = chapters.to_text(nb)
    for trace in ("anna", "3.99", "2026", "widgets", "model_id", "0%|", "noise"):
        assert trace not in text
    code = [c for c in nb["cells"] if c["cell_type"] == "code"]
    assert [c["execution_count"] for c in code] == [1, 2, 3]
    assert [c["metadata"] for c in code] == [{"tags": ["parameters"]}, {}, {}]


def test_normal_form_keeps_results():
    nb = chapters.normalize(messy())
    assert nb["cells"][2]["outputs"] == [stream("one\ntwo\n")]  # pieces of one stream, put together
    assert chapters.figures_of(nb) == [base64.b64decode(PIXEL)]
    assert chapters.claims_of(nb) == [{"paper": "p", "statement": "s", "verdict": "holds"}]


def test_normalizing_twice_changes_nothing_more():
    once = chapters.normalize(messy())
    assert chapters.normalize(copy.deepcopy(once)) == once


def test_writing_and_reading_gives_the_notebook_back(tmp_path):
    once = chapters.normalize(messy())
    path = tmp_path / "n.ipynb"
    path.write_text(chapters.to_text(once), encoding="utf-8")
    assert chapters.read(path) == once
    assert chapters.is_normal(path)
    assert not chapters.normalize_file(path)


def test_cell_ids_survive_and_are_unique():
    nb = messy()
    nb["cells"][3]["id"] = nb["cells"][1]["id"]  # a pasted cell
    ids = [c["id"] for c in chapters.normalize(nb)["cells"]]
    assert len(set(ids)) == len(ids)
    assert ids[:3] == [c["id"] for c in nb["cells"][:3]]


def test_a_notebook_that_was_never_run_gets_no_counts():
    nb = chapters.normalize(notebook(cell("x = 1"), cell("y = 2")))
    assert [c["execution_count"] for c in nb["cells"]] == [None, None]


@pytest.mark.parametrize(
    "change",
    [
        lambda nb: nb["metadata"].update(widgets={}),
        lambda nb: nb["metadata"]["kernelspec"].update(name="anna"),
        lambda nb: nb["cells"][1].update(execution_count=5),
        lambda nb: nb["cells"][1]["metadata"].update(execution={"iopub": "now"}),
        lambda nb: nb["cells"][2]["outputs"].append(stream("50%", "stderr")),
    ],
)
def test_a_notebook_that_is_not_normal_is_refused(tmp_path, change):
    nb = chapters.normalize(messy())
    change(nb)
    path = tmp_path / "n.ipynb"
    path.write_text(chapters.to_text(nb), encoding="utf-8")
    assert not chapters.is_normal(path)
    assert chapters.normalize_file(path)
    assert chapters.is_normal(path)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (stream("<Legend at 0x7f31>"), "address"),
        (stream("saved /home/anna/x.png"), "path"),
        ({"output_type": "error", "ename": "E", "evalue": "", "traceback": []}, "error"),
    ],
)
def test_what_only_the_author_can_mend_is_named(output, words):
    first = cell("scale = 'book'", count=1, tags=["parameters"])
    nb = notebook(first, cell("f()", [output], count=2))
    (problem,) = chapters.problems(nb)
    assert words in problem and "code cell 2" in problem


def test_a_chapter_must_be_executed_and_have_parameters():
    first, second = chapters.problems(notebook(cell("f()")))
    assert "not executed" in first and "parameters" in second
    assert not chapters.problems(chapters.normalize(messy()))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_chapters_are_stored_in_normal_form(path):
    assert chapters.is_normal(path), f"run: python -m minigrad normalize {path.relative_to(ROOT)}"
    assert not chapters.problems(chapters.read(path))


@pytest.mark.parametrize("path", EXERCISES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_exercises_are_stored_in_normal_form(path):
    assert chapters.is_normal(path), f"run: python -m minigrad normalize {path.relative_to(ROOT)}"


def definitions(path):
    """Every function and class of a chapter: its name, and its code without name or docstring."""
    for cell in chapters.read(path)["cells"]:
        if cell["cell_type"] != "code":
            continue
        for node in ast.walk(ast.parse(cell["source"])):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                name, node.name = node.name, "_"
                if ast.get_docstring(node) is not None:
                    node.body = node.body[1:]
                yield name, ast.unparse(node)


def test_no_helper_is_defined_in_two_chapters():
    """What two chapters need belongs into the package."""
    seen = {}
    for path in CHAPTERS:
        for name, code in definitions(path):
            other = seen.setdefault(code, path)
            assert other == path, f"{name} stands in {other.name} and in {path.name}"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_every_cell_fits_on_a_screen(path):
    for cell in chapters.read(path)["cells"]:
        if cell["cell_type"] == "code":
            lines = [line for line in cell["source"].splitlines() if line.strip()]
            assert len(lines) <= 25, f"{len(lines)} lines: {lines[0]}"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_asks_first_judges_last_and_has_a_thumbnail(path):
    nb = chapters.read(path)
    code = "\n".join(c["source"] for c in nb["cells"] if c["cell_type"] == "code")
    asked, judged = code.find("claims.predict("), code.find("claims.table(")
    assert 0 <= asked < min(judged, code.find(".score(")), "predict, then judge, and score"
    assert len(chapters.claims_of(nb)) >= 3
    tags = [tag for c in nb["cells"] for tag in c["metadata"].get("tags", [])]
    assert tags.count("thumbnail") == 1 and tags.count("parameters") == 1


def test_every_claim_is_complete():
    keys = {"statement", "paper", "published", "measured", "spread", "verdict", "setting"}
    for path in CHAPTERS:
        for record in chapters.claims_of(chapters.read(path)):
            assert keys <= set(record) and all(record[key] for key in keys), (path, record)


# ---- Finding and running ----------------------------------------------------------------------


@pytest.fixture
def house(tmp_path):
    """A folder with two chapters, one of which counts its seeds and one of which fails."""
    good = notebook(
        {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "# Two\n"},
        cell("seeds = 5", tags=["parameters"]),
        cell("print('seeds', seeds)"),
    )
    bad = notebook(cell("seeds = 5", tags=["parameters"]), cell("1 / 0"))
    for part, name, nb in (("grokking", "two", good), ("foundations", "one", bad)):
        path = tmp_path / "notebooks" / part / f"{name}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(chapters.to_text(nb), encoding="utf-8")
    return tmp_path


def test_chapters_come_in_reading_order(house):
    found = [(c.name, c.title) for c in chapters.chapters(house)]
    assert found == [("one", "one"), ("two", "Two")]


def test_an_unknown_chapter_is_answered_with_the_list(house):
    with pytest.raises(LookupError, match=r"no chapter is called 'three'; there are: one, two"):
        chapters.chapter("three", house)


@pytest.mark.slow
def test_a_run_takes_parameters_and_leaves_notebook_and_record(house):
    done = chapters.run("two", {"seeds": 9}, output=house / "runs", root=house, progress=False)
    outputs = [o for c in chapters.read(done.notebook)["cells"] for o in c.get("outputs", [])]
    assert outputs == [stream("seeds 9\n")]
    record = json.loads((done.folder / "record.json").read_text())
    assert record["parameters"] == {"seeds": 9}
    assert record["seconds"] > 0 and record["peak_memory_mb"] > 10
    assert [p.name for p in (house / "runs").iterdir()] == [done.folder.name]  # nothing half made


@pytest.mark.slow
def test_a_run_has_one_blas_thread(house, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    path = chapters.chapter("two", house).path
    nb = chapters.read(path)
    nb["cells"][2]["source"] = "import os\nprint('seeds', os.environ['OMP_NUM_THREADS'])"
    path.write_text(chapters.to_text(nb), encoding="utf-8")
    done = chapters.run("two", output=house / "runs", root=house, progress=False)
    assert chapters.read(done.notebook)["cells"][-1]["outputs"] == [stream("seeds 1\n")]


@pytest.mark.slow
def test_a_run_that_fails_says_where_and_is_not_kept_under_the_final_name(house):
    with pytest.raises(RuntimeError, match=r"code cell 2: ZeroDivisionError"):
        chapters.run("one", output=house / "runs", root=house, progress=False)
    (folder,) = (house / "runs").iterdir()
    assert folder.name.endswith("-failed")


@pytest.mark.slow
def test_progress_bars_leave_no_output(house):
    """A bar among the fresh outputs and none among the stored would be a difference for nbval."""
    path = chapters.chapter("two", house).path
    nb = chapters.read(path)
    nb["cells"][2]["source"] = "from tqdm.auto import tqdm\nfor _ in tqdm(range(3)):\n    pass"
    path.write_text(chapters.to_text(nb), encoding="utf-8")
    chapters.execute(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(house)
        for name, value in chapters.NO_BARS.items():
            patch.setenv(name, value)
        command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", path]
        done = subprocess.run(command, capture_output=True, text=True)
    assert "2 passed" in done.stdout, done.stdout


@pytest.mark.slow
def test_execute_stores_the_normal_form(house):
    path = chapters.chapter("two", house).path
    chapters.execute(path)
    assert chapters.is_normal(path)
    assert chapters.read(path)["cells"][2]["outputs"] == [stream("seeds 5\n")]
    failing = chapters.chapter("one", house).path
    before = failing.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        chapters.execute(failing)
    assert failing.read_bytes() == before
