"""The built book, for the tests that look at its pages: built once, and again only when stale."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
BUILD = BOOK / "_build"
HTML = BUILD / "html"
GENERATED = {"_build", "_generated", "notebooks", "exercises", "api", "zoo"}


def sources() -> list[Path]:
    """All files that the book is made from."""
    own = [p for p in BOOK.rglob("*") if p.relative_to(BOOK).parts[0] not in GENERATED]
    found = [*own, ROOT / "CONTRIBUTING.md", ROOT / "pyproject.toml"]
    for folder, pattern in (
        ("notebooks", "*.ipynb"),
        ("exercises", "*.ipynb"),
        ("minigrad", "*.py"),
    ):
        found += (ROOT / folder).rglob(pattern)
    return [p for p in found if p.is_file() and not p.name.startswith(".")]


def is_fresh() -> bool:
    index = HTML / "searchindex.js"  # the last file that Sphinx writes
    return index.exists() and index.stat().st_mtime > max(p.stat().st_mtime for p in sources())


def built() -> Path:
    """The folder with the HTML; several test processes may ask at once, one of them builds."""
    BUILD.mkdir(exist_ok=True)
    lock = BUILD / "building"
    deadline = time.monotonic() + 1500
    while not is_fresh():
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"another process holds {lock}; remove it if none does"
                ) from None
            time.sleep(0.5)
            continue
        try:
            build(HTML)
        finally:
            lock.unlink()
    return HTML


def build(target: Path) -> None:
    """Build with warnings as errors, as `make book` does."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html",
               "-d", str(BUILD / ".doctrees"), str(BOOK), str(target)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        (target / "searchindex.js").unlink(missing_ok=True)  # or the next asker takes it for good
        raise AssertionError(f"the book does not build:\n{done.stderr}")
    os.utime(target / "searchindex.js")
