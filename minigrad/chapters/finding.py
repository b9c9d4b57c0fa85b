"""Finding the chapters, and reading what is stored in them: title, claims, figures."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..claims.verdicts import MIME

# The parts of the book in reading order; a folder that is not named here comes after them.
PARTS = {
    "foundations": "Foundations",
    "grokking": "Grokking",
    "double-descent": "Double descent",
    "dropout": "Dropout",
}


@dataclass(frozen=True)
class Chapter:
    """One notebook: `name` is what `python -m minigrad run` takes, `part` its folder."""

    name: str
    part: str
    path: Path
    title: str


def home() -> Path:
    """The folder that holds `notebooks/`: the working directory, else the package's checkout."""
    places = [Path.cwd(), Path(__file__).resolve().parents[2]]
    for place in places:
        if (place / "notebooks").is_dir():
            return place
    looked = " and ".join(str(place) for place in places)
    raise FileNotFoundError(
        f"no folder notebooks/ in {looked}: the chapters come with the repository, not with the "
        "installed package; run this in a clone"
    )


def chapters(root: Path | None = None) -> list[Chapter]:
    """All chapters in reading order: by part, then `metadata.minigrad.order`, then name."""
    folder = (home() if root is None else Path(root)) / "notebooks"
    order = {part: position for position, part in enumerate(PARTS)}
    found = []
    for path in folder.glob("*/*.ipynb"):
        if not path.name.startswith("."):
            nb = read(path)
            part = path.parent.name
            place = nb["metadata"].get("minigrad", {}).get("order", 99)
            key = (order.get(part, len(order)), part, place, path.stem)
            found.append((key, Chapter(path.stem, part, path, title_of(nb, path.stem))))
    return [entry for _, entry in sorted(found, key=lambda pair: pair[0])]


def chapter(name: str, root: Path | None = None) -> Chapter:
    """The chapter called `name`. Raises LookupError with the list of those that exist."""
    known = chapters(root)
    for entry in known:
        if entry.name == name:
            return entry
    names = ", ".join(entry.name for entry in known) or "none in this checkout"
    raise LookupError(f"no chapter is called {name!r}; there are: {names}")


def mentioning(name: str) -> list[Chapter]:
    """The chapters whose code uses the word ``name``; none outside a checkout."""
    try:
        known = chapters()
    except FileNotFoundError:
        return []
    word = re.compile(rf"\b{re.escape(name)}\b")
    return [
        entry
        for entry in known
        if any(
            c["cell_type"] == "code" and word.search(c["source"]) for c in read(entry.path)["cells"]
        )
    ]


# --- reading a notebook ---------------------------------------------------------------------------


def read(path: Path) -> dict[str, Any]:
    """The notebook as the dictionary that its JSON is, with every text in one piece."""
    nb = json.loads(Path(path).read_text(encoding="utf-8"))
    for cell in nb["cells"]:
        cell["source"] = _joined(cell["source"])
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = _joined(output["text"])
            data = output.get("data", {})
            for mime, value in data.items():
                if isinstance(value, list) and not mime.endswith("json"):
                    data[mime] = _joined(value)
    return nb


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def title_of(nb: dict[str, Any], default: str) -> str:
    """The first heading of level one."""
    for cell in nb["cells"]:
        if cell["cell_type"] == "markdown":
            match = re.search(r"^# +(.+?)\s*$", cell["source"], re.MULTILINE)
            if match:
                return match.group(1)
    return default


def outputs(nb: dict[str, Any], mime: str) -> Iterator[Any]:
    """Every output of that type, in order."""
    for cell in nb["cells"]:
        for output in cell.get("outputs", []):
            if mime in output.get("data", {}):
                yield output["data"][mime]


def claims_of(nb: dict[str, Any]) -> list[dict[str, str]]:
    """The records of all claims whose verdict the notebook shows, each once."""
    records: dict[tuple[str, str], dict[str, str]] = {}
    for shown in outputs(nb, MIME):
        for record in shown:
            records[record["paper"], record["statement"]] = record
    return list(records.values())


def figures_of(nb: dict[str, Any]) -> list[bytes]:
    """All figures, as PNG files."""
    return [base64.b64decode(png) for png in outputs(nb, "image/png")]
