"""The house stands: imports point down only, and importing the package is quick."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "minigrad"

# From the bottom to the top. A module may import those of its own row (without a circle) and below.
LAYERS = [
    {"backend", "pieces", "registry", "diagnostics", "modes", "graph", "primitive", "arraylike"},
    {"engine"},
    {"rules"},
    {"transforms", "testing"},
    {"fused", "nn", "losses", "optim", "regularizers", "metrics"},
    {"data", "models"},
    {"claims", "plots", "sweep", "checkpoint", "train", "zoo"},
    {"exercises"},
    {"chapters"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
TOP_OF_PACKAGE = LEVEL["fused"]  # what `import minigrad` stands for: all that computes


@functools.cache
def modules() -> dict[str, set[str]]:
    """For each top-level module or subpackage, those that it imports, anywhere in its files."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts == ("__init__",):
            continue
        here = found.setdefault(parts[0], set())
        tree = ast.parse(path.read_text(encoding="utf-8"))
        here |= {name for node in ast.walk(tree) for name in imported(node, parts)}
        here.discard(parts[0])
    return found


def imported(node: ast.AST, parts: tuple[str, ...]) -> set[str]:
    """The modules of ours that an import statement names; "" is the package itself."""
    if isinstance(node, ast.Import):
        names = [alias.name.split(".") for alias in node.names]
        return {[*name, ""][1] for name in names if name[0] == "minigrad"}
    if not isinstance(node, ast.ImportFrom):
        return set()
    base = list(parts[: len(parts) - node.level]) if node.level else None
    module = node.module.split(".") if node.module else []
    if base is None:
        if module[:1] != ["minigrad"]:
            return set()
        target = module[1:]
    else:
        target = base + module
    if target:
        return {target[0]}
    return {alias.name if alias.name in LEVEL else "" for alias in node.names}


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_point_down(name):
    assert name in LEVEL, f"minigrad/{name} has no layer: add it to LAYERS in {__file__}"
    for other in modules()[name]:
        level = TOP_OF_PACKAGE if other == "" else LEVEL[other]
        assert level <= LEVEL[name], (
            f"minigrad.{name} imports minigrad.{other}, which lies above it"
        )


def test_no_two_modules_import_each_other():
    graph = {name: {o for o in others if o} for name, others in modules().items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_data_needs_nothing_of_ours_but_the_backend():
    assert modules().get("data", set()) <= {"backend"}


def test_an_upward_import_would_be_noticed():
    statement = ast.parse("from ..claims import claim").body[0]
    assert imported(statement, ("rules", "arithmetic")) == {"claims"}
    assert LEVEL["claims"] > LEVEL["rules"]
    lazily = ast.parse("from minigrad import plots").body[0]
    assert imported(lazily, ("engine",)) == {"plots"}


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return done.stdout


def test_import_loads_no_heavy_library():
    loaded = run("import minigrad, sys; print(*{name.split('.')[0] for name in sys.modules})")
    heavy = {"scipy", "sklearn", "matplotlib", "joblib", "pooch", "tqdm", "jax", "papermill"}
    assert not heavy & set(loaded.split())


def test_import_is_quick():
    """The aim is 0.25 s on an idle machine. Processor time, as others may be busy here."""
    code = "import time; t = time.process_time(); import minigrad; print(time.process_time() - t)"
    fastest = min(float(run(code)) for _ in range(5))
    assert fastest < 0.5
