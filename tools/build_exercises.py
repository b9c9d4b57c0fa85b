"""Write the student notebooks: exercises/<set>.ipynb from exercises/source/<set>.ipynb.

    python tools/build_exercises.py            # write them
    python tools/build_exercises.py --check    # only say whether they are up to date

Solutions and hidden tests are taken out by nbgrader's own preprocessors; nothing is executed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nbformat
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

FOLDER = Path(__file__).resolve().parents[1] / "exercises"


def student_notebook(source: Path) -> str:
    """The text of the student notebook that belongs to the notebook `source`."""
    notebook = nbformat.read(source, as_version=4)
    for preprocessor in (
        ClearSolutions(enforce_metadata=False),
        ClearHiddenTests(enforce_metadata=False),
    ):
        notebook, _ = preprocessor.preprocess(notebook, {})
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if out of date")
    check = parser.parse_args(arguments).check
    stale = 0
    for source in sorted((FOLDER / "source").glob("*.ipynb")):
        target, text = FOLDER / source.name, student_notebook(source)
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if check:
            print(f"{target.name} is not what {source} gives; run tools/build_exercises.py")
        else:
            target.write_text(text, encoding="utf-8", newline="\n")
            print(f"wrote {target}")
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
