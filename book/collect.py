"""Gather what the book shows: chapters, exercises with solutions, the ledger, the zoo, the API.

Called by `conf.py` before Sphinx reads the sources. Everything is copied from stored files into
folders that git ignores; nothing is executed but the zoo's terms, for their pictures. Chapters and
exercises keep their places relative to each other, so that a link from one to the other works in
JupyterLab and in the book.
"""

from __future__ import annotations

import ast
import json
import re
import struct
import sys
from pathlib import Path
from typing import Any

BOOK = Path(__file__).resolve().parent
ROOT = BOOK.parent
sys.path[:0] = [str(ROOT), str(BOOK)]

import speed_tables  # noqa: E402
import zoo_pages  # noqa: E402

from minigrad import chapters  # noqa: E402
from minigrad.claims.verdicts import FAILS, HOLDS, PARTLY, UNSURE  # noqa: E402

Notebook = dict[str, Any]


def collect(root: Path = ROOT, book: Path = BOOK) -> None:
    """Write all generated sources below `book`; a file whose text is unchanged is not touched."""
    written: set[Path] = set()

    def put(name: str, content: str | bytes) -> None:
        path = book / name
        written.add(path)
        data = content.encode() if isinstance(content, str) else content
        if not path.exists() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    found = chapters.chapters(root)
    stored = {entry.name: chapters.read(entry.path) for entry in found}
    for entry in found:
        name = f"notebooks/{entry.part}/{entry.name}.ipynb"
        put(name, json.dumps(chapter_page(stored[entry.name]), ensure_ascii=False))
    exercises = [path.stem for path in sorted((root / "exercises").glob("*.ipynb"), key=place)]
    code = {f"notebooks/{c.part}/{c.name}.ipynb": (c.title, code_of(stored[c.name])) for c in found}
    for name in exercises:
        student = chapters.read(root / "exercises" / f"{name}.ipynb")
        source = root / "exercises" / "source" / f"{name}.ipynb"
        solved = chapters.read(source) if source.exists() else student
        page = with_solutions(student, solved)
        put(f"exercises/{name}.ipynb", json.dumps(page, ensure_ascii=False))
        title = chapters.title_of(student, name)
        code[f"exercises/{name}.ipynb"] = (title, code_of(solved))

    modules = public_modules(root / "minigrad")
    for module in modules:
        put(f"api/{module}.md", api_page(module, modules))
    keys = bibliography_keys(book / "references")
    zoo_pages.write(put, book / "_generated" / "zoo", keys, code)
    put("_generated/ledger.md", ledger(found, stored, keys))
    put("_generated/contents.md", contents(found, exercises))
    put("_generated/api.md", api_index(modules))
    put("_generated/chapters.md", cards(found, stored, put))
    put("_generated/exercises.md", exercise_list(exercises, root))
    put("_generated/hero.md", hero(found, stored, put))
    for name, text in speed_tables.tables(root / "tests" / "benchmarks" / "stored").items():
        put(f"_generated/{name}", text)
    for folder in ("notebooks", "exercises", "api", "zoo", "_generated"):
        for path in (book / folder).rglob("*"):
            if path.is_file() and path not in written:
                path.unlink()  # left over from a chapter or module that is gone


# ---- Chapters and exercises -------------------------------------------------------------------


def place(path: Path) -> tuple[int, str]:
    """Sorts exercise sets by `metadata.minigrad.order`, as chapters are; then by name."""
    return chapters.read(path)["metadata"].get("minigrad", {}).get("order", 99), path.stem


def chapter_page(nb: Notebook) -> Notebook:
    """A chapter as the book prints it. The cell with the parameters is named as such."""
    return chapters.normalize(nb)


def code_of(nb: Notebook) -> str:
    """All code of a notebook, in one text."""
    return "\n".join(cell["source"] for cell in nb["cells"] if cell["cell_type"] == "code")


SOLUTION = re.compile(r"^ *### BEGIN SOLUTION *\n(.*?)^ *### END SOLUTION", re.S | re.M)


def with_solutions(student: Notebook, solved: Notebook) -> Notebook:
    """The student's notebook with each solution, closed, below the cell that asks for it."""
    sources = {cell.get("id"): cell["source"] for cell in solved["cells"]}
    page = chapters.normalize(student)
    cells = []
    for cell in page["cells"]:
        cells.append(cell)
        answers = SOLUTION.findall(sources.get(cell["id"], ""))
        if answers:
            text = "\n\n".join(dedent(answer) for answer in answers)
            body = f"```python\n{text}\n```" if cell["cell_type"] == "code" else text
            cells.append({
                "cell_type": "markdown",
                "id": f"{cell['id'][:50]}-solution",
                "metadata": {},
                "source": f"::::{{admonition}} Solution\n:class: dropdown tip\n{body}\n::::",
            })  # fmt: skip
    return {**page, "cells": cells}


def dedent(text: str) -> str:
    lines = text.rstrip().splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:] for line in lines)


def exercise_list(names: list[str], root: Path) -> str:
    lines = []
    for name in names:
        nb = chapters.read(root / "exercises" / f"{name}.ipynb")
        title = chapters.title_of(nb, name)
        lines.append(f"- [{title}](exercises/{name}.ipynb): {blurb(nb)}")
    return "\n".join(lines) or "There are no exercises in this checkout."


# ---- The landing page -------------------------------------------------------------------------


def contents(found: list[chapters.Chapter], exercises: list[str]) -> str:
    """The table of contents, from what exists: one caption for each part."""
    blocks = []
    for part in dict.fromkeys(entry.part for entry in found):
        caption = chapters.PARTS.get(part, part.replace("-", " ").capitalize())
        names = [f"notebooks/{part}/{entry.name}" for entry in found if entry.part == part]
        blocks.append(toctree(caption, names))
    if exercises:
        blocks.append(toctree("Exercises", [f"exercises/{name}" for name in exercises]))
    return "\n\n".join(blocks) + "\n"


def toctree(caption: str, names: list[str]) -> str:
    return "\n".join(["```{toctree}", f":caption: {caption}", ":hidden:", "", *names, "```"])


def cards(found: list[chapters.Chapter], stored: dict[str, Notebook], put: Any) -> str:
    """One card a chapter: a figure, the title, the first sentence."""
    if not found:
        return "There are no chapters in this checkout.\n"
    lines = ["::::{grid} 1 2 2 2", ":gutter: 3", ""]
    for entry in found:
        figure = chosen_figure(stored[entry.name], "thumbnail")
        lines += [":::{grid-item-card}" + f" {entry.title}"]
        lines += [f":link: notebooks/{entry.part}/{entry.name}", ":link-type: doc"]
        lines += [":class-card: chapter-card"]
        if figure:
            name = f"_generated/{entry.name}.png"
            put(name, figure)
            lines += [f":img-bottom: {name}", f":img-alt: A figure of the chapter {entry.title}"]
        lines += [blurb(stored[entry.name]), ":::", ""]
    return "\n".join([*lines, "::::"]) + "\n"


def blurb(nb: Notebook) -> str:
    """The first sentence of the prose, and the next while 200 characters suffice, as plain text."""
    for cell in nb["cells"]:
        if cell["cell_type"] != "markdown":
            continue
        for paragraph in re.split(r"\n\s*\n", cell["source"]):
            text = " ".join(paragraph.split())
            if not re.match(r"[A-Za-z0-9*_\[\"'“$(`]", text):
                continue  # a heading, a directive, a list, a table
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("**", "")
            sentences = [s for s in re.split(r"(?<=[.!?]) +", text) if "{cite" not in s]
            if not sentences:
                continue
            short = sentences[0]
            for sentence in sentences[1:]:
                if len(short) + len(sentence) > 200:
                    break
                short += " " + sentence
            return short
    return ""


def chosen_figure(nb: Notebook, tag: str) -> bytes | None:
    """The figure of the cell with that tag, else the largest of the notebook."""
    tagged = [c for c in nb["cells"] if tag in c["metadata"].get("tags", [])]
    found = chapters.figures_of({**nb, "cells": tagged}) or chapters.figures_of(nb)
    return max(found, key=area, default=None)


def area(png: bytes) -> int:
    width, height = struct.unpack(">II", png[16:24])  # the header of every PNG file
    return width * height


def hero(found: list[chapters.Chapter], stored: dict[str, Notebook], put: Any) -> str:
    """The figure of the landing page: a cell tagged `hero`, else the grokking chapter's."""

    def rank(entry: chapters.Chapter) -> tuple[bool, bool]:
        tags = [tag for c in stored[entry.name]["cells"] for tag in c["metadata"].get("tags", [])]
        return "hero" not in tags, entry.name != "grokking"

    for entry in sorted(found, key=rank):
        figure = chosen_figure(stored[entry.name], "hero")
        if figure:
            put("_generated/hero.png", figure)
            return (
                "```{image} _generated/hero.png\n"
                f":alt: The main figure of the chapter {entry.title}\n"
                f":target: notebooks/{entry.part}/{entry.name}.html\n"
                ":class: hero-figure\n```\n\n"
                f"From the chapter [{entry.title}](notebooks/{entry.part}/{entry.name}.ipynb).\n"
            )
    return ""


# ---- The ledger -------------------------------------------------------------------------------


def ledger(found: list[chapters.Chapter], stored: dict[str, Notebook], keys: set[str]) -> str:
    """Every claim of every chapter as one table; `tables.js` adds the filter."""
    rows = []
    for entry in found:
        link = f"[{entry.title}](notebooks/{entry.part}/{entry.name}.ipynb)"
        for c in chapters.claims_of(stored[entry.name]):
            paper = f"{{cite:t}}`{c['paper']}`" if c["paper"] in keys else c["paper"]
            ours = c["measured"] + (f" ({c['spread']})" if c.get("spread") else "")
            note = f" *{c['note']}*" if c.get("note") else ""
            rows.append([
                cell_text(c["statement"] + note), f"{paper}: {cell_text(c['published'])}",
                cell_text(ours), f"{c['verdict']}", f"{link}, {c['setting']}",
            ])  # fmt: skip
    if not rows:
        return "No chapter of this checkout states a claim.\n"
    verdicts = [row[3] for row in rows]
    order = (HOLDS, PARTLY, FAILS, UNSURE)
    counts = ", ".join(f"{v}: {verdicts.count(v)}" for v in order if v in verdicts)
    lines = [f"{len(rows)} claims. {counts.capitalize()}.", "", "```{list-table}"]
    lines += [":header-rows: 1"]
    lines += [":class: ledger filter filter-verdict", ""]
    for row in [["Claim", "The paper", "Ours", "Verdict", "Chapter, setting"], *rows]:
        lines += [("* - " if i == 0 else "  - ") + value for i, value in enumerate(row)]
    return "\n".join([*lines, "```"]) + "\n"


def cell_text(text: str) -> str:
    """Text that stands for itself in a table: no line breaks; `<` and `>` are not HTML."""
    return " ".join(str(text).split()).replace("<", "&lt;").replace(">", "&gt;")


def bibliography_keys(folder: Path) -> set[str]:
    """The keys of all entries; a part of the book has a file of its own."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.bib"))]
    return set(re.findall(r"^@\w+\{([^,\s]+),", "\n".join(texts), re.M))


# ---- The API ----------------------------------------------------------------------------------


def public_modules(package: Path) -> list[str]:
    """Every module of the package whose name does not begin with an underscore, by name."""
    found = []
    for path in package.rglob("*.py"):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if len(parts) > 1 and not any(part.startswith("_") for part in parts):
            found.append(".".join(parts))
    return sorted(found)


def api_page(module: str, modules: list[str]) -> str:
    """All that a module offers; not the functions that are named as their module, below it.

    A package's modules stand below it in the sidebar's tree, which shows two levels: each page
    carries that tree, and all modules at once would be most of the book.
    """
    below = [m for m in modules if m.rpartition(".")[0] == module]
    named = ", ".join(m.rpartition(".")[2] for m in below)
    left_out = f"   :exclude-members: {named}\n" if below else ""
    tree = (
        "\n```{toctree}\n:hidden:\n:titlesonly:\n\n" + "\n".join(below) + "\n```\n" if below else ""
    )
    return (
        f"# `{module}`\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n"
        f"   :member-order: bysource\n{left_out}```\n{tree}"
    )


def api_index(modules: list[str]) -> str:
    lines = ["| module | what it is for |", "|---|---|"]
    for module in modules:
        path = ROOT.joinpath(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        first = re.split(r"(?<=\.)\s", " ".join(text.split()))[0].replace("|", "\\|")
        lines.append(f"| [`{module}`](api/{module}.md) | {cell_text(first)} |")
    names = [f"api/{module}" for module in modules if module.count(".") == 1]
    return (
        "\n".join(lines)
        + "\n\n```{toctree}\n:hidden:\n:titlesonly:\n\n"
        + "\n".join(names)
        + "\n```\n"
    )
