"""The book shows what is stored, every chapter, claim and exercise, and needs no network."""

from __future__ import annotations

import html
import importlib.util
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import book_site
import pytest

from minigrad import chapters, zoo
from minigrad.registry import Entry

ROOT = book_site.ROOT


@pytest.fixture(scope="module")
def collect():
    spec = importlib.util.spec_from_file_location("collect", ROOT / "book" / "collect.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- Gathering --------------------------------------------------------------------------------


def markdown(text, name="m"):
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text}


def code(text, name, outputs=()):
    return {"cell_type": "code", "id": name, "metadata": {}, "source": text,
            "outputs": list(outputs), "execution_count": 1}  # fmt: skip


def notebook(*cells):
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def test_the_solution_stands_closed_below_the_cell_that_asks(collect):
    asked = "def f(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    solved = (
        "def f(x):\n    ### BEGIN SOLUTION\n    y = 2 * x\n    return y\n    ### END SOLUTION"
        "\n### BEGIN HIDDEN TESTS\nassert f(3) == 6\n### END HIDDEN TESTS"
    )
    student = notebook(markdown("# E"), code(asked, "a"), code("f(1)", "b"))
    source = notebook(markdown("# E"), code(solved, "a"), code("f(1)", "b"))
    page = collect.with_solutions(student, source)["cells"]
    assert [c["cell_type"] for c in page] == ["markdown", "code", "markdown", "code"]
    assert "```python\ny = 2 * x\nreturn y\n```" in page[2]["source"]
    assert ":class: dropdown" in page[2]["source"]
    assert "assert" not in str(page)


def test_the_ledger_has_a_row_for_each_claim(collect, tmp_path):
    record = {"statement": "a < b\nalways", "paper": "power2022grokking", "published": "10",
              "measured": "9", "spread": "5 seeds", "verdict": "holds", "setting": "analogue",
              "note": ""}  # fmt: skip
    other = record | {"statement": "c", "paper": "somebody, 1999", "verdict": "partly"}
    shown = {
        "output_type": "display_data",
        "metadata": {},
        "data": {chapters.MIME: [record, other]},
    }
    once_more = {"output_type": "display_data", "metadata": {}, "data": {chapters.MIME: [record]}}
    nb = notebook(code("claims", "a", [shown, once_more]))
    entry = chapters.Chapter("n", "p", tmp_path, "Title")
    text = collect.ledger([entry], {"n": nb}, {"power2022grokking"})
    assert "2 claims. Holds: 1, partly: 1." in text
    assert text.count("[Title](notebooks/p/n.ipynb)") == 2
    assert "a &lt; b always" in text
    assert "{cite:t}`power2022grokking`" in text and "somebody, 1999: 10" in text


def test_a_card_takes_the_first_prose_and_no_citation(collect):
    nb = notebook(
        markdown("# T\n\nIt waits. {cite:t}`p` saw it. Then **it** [goes](x.md).\n\nMore.")
    )
    assert collect.blurb(nb) == "It waits. Then it goes."


# ---- The zoo ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def zoo_pages(collect):
    return collect.zoo_pages


def test_a_section_has_formula_picture_code_papers_and_users(zoo_pages):
    entry = zoo.find("cross_entropy")
    shown = {"file": "cross_entropy.svg", "caption": "A curve."}
    users = {"notebooks/p/n.ipynb": ("A chapter", "loss = mg.losses.cross_entropy(z, y)"),
             "notebooks/p/m.ipynb": ("Another", "cross_entropy = 3  # a variable")}  # fmt: skip
    text = zoo_pages.section(entry, "##", shown, {entry.papers[0]}, users)
    assert text.startswith("(term-cross_entropy)=\n## `cross_entropy`")
    assert "also called `softmax_cross_entropy`, `label_smoothing`" in text
    assert ".. py:function:: cross_entropy(logits, target, weight=None" in text
    assert ":no-index:" in text and ".. math::" in text
    assert "../_generated/zoo/cross_entropy.svg" in text and "\nA curve.\n" in text
    code = text[text.index("````python") :]
    assert "@term(" in code and "def cross_entropy(" in code and "Args:" not in code
    assert f"{{cite:t}}`{entry.papers[0]}`" in text and f", {entry.papers[1]}." in text
    assert "**Used in:** [A chapter](../notebooks/p/n.ipynb)." in text


@pytest.mark.parametrize(
    ("code", "used"),
    [
        ("nn.mixup(x)", True), ("from minigrad.nn import a, mixup", True),
        ("from minigrad.nn import (\n    a,\n    mixup,\n)", True), ("def mixup(x):", True),
        ("mixup = 3", False), ("f(x, mixup=2)", False), ("nn.mixup_more(x)", False),
    ],
)  # fmt: skip
def test_who_uses_a_term(zoo_pages, code, used):
    assert bool(zoo_pages.users_of("mixup", {"a.ipynb": ("A", code)})) is used


def test_the_table_has_a_row_for_each_term_and_what_is_left_out(zoo_pages):
    def half(x):
        """Half of :math:`|x|`, ``x`` being < 1."""

    entries = (Entry("half", "activation", "new-family", half, ("a1999b",), ("a_half",)),)
    text = zoo_pages.overview(entries, {"riddle": "no formula"}, ["new-family"], {"a1999b"})
    row = "| {ref}`half <term-half>` `a_half` | activation | New family |"
    assert f"{row} Half of $\\|x\\|$, `x` being &lt; 1. | {{cite:t}}`a1999b` |" in text
    assert "`riddle`\n: no formula" in text
    assert "zoo/new-family" in text


def test_no_two_terms_share_an_anchor():
    names = [re.sub("[^a-z0-9]+", "-", e.name.lower()).strip("-") for e in zoo.entries()]
    twice = {(e.family, n) for e, n in zip(zoo.entries(), names, strict=True)}
    assert len(twice) == len(names)  # a page's anchors; labels ignore only upper and lower case
    assert len({e.name.lower() for e in zoo.entries()}) == len(names)


def test_pictures_are_drawn_again_only_when_the_code_changes(zoo_pages, tmp_path, monkeypatch):
    entries = (zoo.find("ReLU"), zoo.find("anyloss_confusion"))
    folder = tmp_path / "_generated" / "zoo"

    def put(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    first = zoo_pages.drawn(entries, folder, put)
    assert (folder / first["ReLU"]["file"]).stat().st_size > 1000
    assert "whole batch" in first["anyloss_confusion"]["reason"]

    def must_not(entry):
        raise AssertionError(f"{entry.name} is drawn again")

    monkeypatch.setattr(zoo_pages.pictures, "picture", must_not)
    assert zoo_pages.drawn(entries, folder, put) == first
    (folder / first["ReLU"]["file"]).unlink()
    with pytest.raises(AssertionError, match="ReLU is drawn again"):
        zoo_pages.drawn(entries, folder, put)


def test_every_family_and_kind_has_a_title(zoo_pages):
    assert {e.family for e in zoo.entries()} <= set(zoo_pages.FAMILIES)
    assert {e.kind for e in zoo.entries()} <= set(zoo_pages.KINDS)


# ---- The built pages --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site():
    return book_site.built()


def pages(site):
    return [p for p in sorted(site.rglob("*.html")) if "_static" not in p.parts]


class Links(HTMLParser):
    """What a page loads by itself, what it links to, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a":
            self.linked.append(given.get("href", ""))
        else:
            wanted = ("src", "href", "data", "poster")
            self.loaded += [given[name] for name in wanted if name in given]


def is_external(address: str) -> bool:
    return bool(re.match(r"(?:[a-z]+:)?//", address)) and not address.startswith("file:")


@pytest.mark.slow
def test_every_chapter_and_exercise_has_a_page(site):
    for entry in chapters.chapters(ROOT):
        page = site / "notebooks" / entry.part / f"{entry.name}.html"
        assert html.escape(entry.title, quote=False)[:20] in page.read_text(encoding="utf-8")
    for path in (ROOT / "exercises").glob("*.ipynb"):
        text = (site / "exercises" / f"{path.stem}.html").read_text(encoding="utf-8")
        assert "dropdown" in text and "BEGIN SOLUTION" not in text and "HIDDEN TESTS" not in text


@pytest.mark.slow
def test_the_ledger_page_shows_every_claim(site):
    text = (site / "ledger.html").read_text(encoding="utf-8")
    stored = [chapters.claims_of(chapters.read(c.path)) for c in chapters.chapters(ROOT)]
    rows = len(re.findall(r"<tr", text)) - 1
    assert rows == sum(len(found) for found in stored) or not any(stored)
    for record in (r for found in stored for r in found):
        assert record["verdict"] in text


@pytest.mark.slow
def test_every_term_has_its_section_and_its_row(site):
    table = (site / "zoo.html").read_text(encoding="utf-8")
    anchors = {}
    for entry in zoo.entries():
        page = site / "zoo" / f"{entry.family}.html"
        if page not in anchors:
            anchors[page] = Links(page.read_text(encoding="utf-8")).anchors
        anchor = "term-" + re.sub("[^a-z0-9]+", "-", entry.name.lower()).strip("-")
        assert anchor in anchors[page], entry.name
        assert f"zoo/{entry.family}.html#{anchor}" in table
    for name in zoo.unimplemented():
        assert name in table


@pytest.mark.slow
def test_every_paper_that_a_claim_names_is_in_the_bibliography(collect):
    keys = collect.bibliography_keys(ROOT / "book" / "references")
    for entry in chapters.chapters(ROOT):
        named = {record["paper"] for record in chapters.claims_of(chapters.read(entry.path))}
        assert named <= keys, f"{entry.name} names papers that book/references lacks"


@pytest.mark.slow
def test_no_page_loads_anything_from_another_server(site):
    for page in pages(site):
        found = Links(page.read_text(encoding="utf-8")).loaded
        assert not [address for address in found if is_external(address)], page
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(@import\s+[\"']|url\([\"']?)(https?:)?//", text), sheet


def test_an_external_script_would_be_noticed():
    page = Links(
        '<script src="https://cdn.example.org/a.js"></script><img src="a.png"><a href="//b">'
    )
    assert [is_external(address) for address in page.loaded] == [True, False]


@pytest.mark.slow
def test_links_between_pages_arrive(site):
    parsed = {page.resolve(): Links(page.read_text(encoding="utf-8")) for page in pages(site)}
    for page, links in parsed.items():
        for address in links.linked + links.loaded:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc or not (parts.path or parts.fragment):
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert target.exists(), f"{page.name} points to {address}, which is not there"
            if parts.fragment and target in parsed:
                anchors = parsed[target].anchors
                assert unquote(parts.fragment) in anchors, f"{page.name}: no {address}"


@pytest.mark.slow
def test_the_pages_name_no_machine(site):
    for page in pages(site):
        assert f"{ROOT}/" not in page.read_text(encoding="utf-8"), page
