"""The normal form of a stored notebook: the same bytes whoever executed it, wherever."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from .finding import read

#
# Two people who run the same chapter should store the same file, apart from figures. So a stored
# notebook has no times, machine names, progress bars or counts that depend on what was run before.

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
KEPT_IN_CELLS = ("tags", "nbgrader", "minigrad", "mystnb", "slideshow")
WIDGET = "application/vnd.jupyter.widget-view+json"


def normalize(nb: dict[str, Any]) -> dict[str, Any]:
    """A copy in normal form: the same text and results, nothing of the machine or the moment."""
    about = {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}}
    if "minigrad" in nb["metadata"]:
        about["minigrad"] = nb["metadata"]["minigrad"]
    executed = any(cell.get("execution_count") or cell.get("outputs") for cell in nb["cells"])
    cells, count, ids = [], 0, set()
    for position, cell in enumerate(nb["cells"]):
        kept = {k: v for k, v in cell["metadata"].items() if k in KEPT_IN_CELLS and v}
        name = cell.get("id") or f"cell-{position + 1}"
        while name in ids:  # a pasted cell
            name += "-again"
        ids.add(name)
        entry = {"cell_type": cell["cell_type"], "id": name, "metadata": kept}
        if "attachments" in cell:
            entry["attachments"] = cell["attachments"]
        entry["source"] = cell["source"].rstrip()
        if cell["cell_type"] == "code":
            count += executed and bool(entry["source"])
            number = count if executed and entry["source"] else None
            entry["execution_count"] = number
            entry["outputs"] = [_normal_output(o, number) for o in _lasting(cell["outputs"])]
        cells.append(entry)
    return {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}


def _lasting(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without progress bars and messages; output that arrived in pieces is put together."""
    kept: list[dict[str, Any]] = []
    for output in found:
        if output.get("name") == "stderr" or WIDGET in output.get("data", {}):
            continue
        if kept and output["output_type"] == "stream" == kept[-1]["output_type"]:
            kept[-1] = {**kept[-1], "text": kept[-1]["text"] + output["text"]}
        else:
            kept.append(output)
    return kept


def _normal_output(output: dict[str, Any], number: int | None) -> dict[str, Any]:
    result = {k: v for k, v in output.items() if k != "execution_count"}
    if "metadata" in result:
        result["metadata"] = {}
    if output["output_type"] == "execute_result":
        result["execution_count"] = number
    if "data" in result:
        result["data"] = {
            mime: value.rstrip() if mime == "image/png" else value
            for mime, value in result["data"].items()
        }
    return result


def to_text(nb: dict[str, Any]) -> str:
    """The JSON that is stored: one line of text per line, so that a change shows as a change."""

    def lines(text: Any) -> Any:
        return text.splitlines(keepends=True) if isinstance(text, str) else text

    stored = json.loads(json.dumps(nb))
    for cell in stored["cells"]:
        cell["source"] = lines(cell["source"])
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = lines(output["text"])
            for mime, value in output.get("data", {}).items():
                if mime != "image/png":
                    output["data"][mime] = lines(value)
    return json.dumps(stored, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def is_normal(path: Path) -> bool:
    """True if the file holds exactly what `normalize_file` would write."""
    return Path(path).read_text(encoding="utf-8") == to_text(normalize(read(path)))


def normalize_file(path: Path) -> bool:
    """Rewrite the notebook in normal form; True if that changed it."""
    if is_normal(path):
        return False
    write(Path(path), to_text(normalize(read(path))))
    return True


def problems(nb: dict[str, Any]) -> list[str]:
    """What only the author can mend, one sentence each: the reasons not to store a chapter."""
    found = []
    code = [cell for cell in nb["cells"] if cell["cell_type"] == "code" and cell["source"].strip()]
    for number, cell in enumerate(code, 1):
        where = f"code cell {number}"
        text = json.dumps([_without_pictures(o) for o in cell["outputs"]], ensure_ascii=False)
        if cell["execution_count"] is None:
            found.append(f"{where} was not executed: run `python -m minigrad execute`")
        if "raises-exception" not in cell["metadata"].get("tags", []) and any(
            output["output_type"] == "error" for output in cell["outputs"]
        ):
            found.append(f"{where} ended in an error; mend it, or tag it raises-exception")
        if re.search(r"\bat 0x[0-9a-fA-F]+", text):
            found.append(f"{where} shows an object's address: end its last line with a semicolon")
        if re.search(r"(/home/|/Users/|/root/|/tmp/|[A-Z]:\\\\Users)", text):
            found.append(f"{where} shows a path of the machine it ran on")
    if code and "parameters" not in code[0]["metadata"].get("tags", []):
        found.append("the first code cell is not tagged `parameters`")
    return found


def _without_pictures(output: dict[str, Any]) -> dict[str, Any]:
    data = output.get("data", {})
    return {**output, "data": {m: v for m, v in data.items() if not m.startswith("image/")}}


def write(path: Path, text: str) -> None:
    """Write all or nothing: a killed process leaves the old file."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    os.replace(partial, path)
