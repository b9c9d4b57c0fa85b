"""Running a chapter: in place to store its outputs, or elsewhere at any scale, with a record."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ..claims import Claim, Table
from .finding import chapter, claims_of, figures_of, read
from .normal import normalize, to_text, write

# The kernel's own messages would stand in the middle of a progress bar.
QUIET_KERNEL = ["--IPKernelApp.log_level=ERROR"]
# No progress bars among the outputs. The bars of notebooks ignore the first variable; the second
# makes `tqdm.auto` choose the plain bar, which heeds it (tqdm 4.70). conftest.py sets both too.
NO_BARS = {"TQDM_DISABLE": "1", "SPYDER_PLAIN_BARS": "1"}
# Chapters run their seeds in parallel processes; more BLAS threads on small matrices only wait for
# each other, and sums in another order would be other numbers.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def execute(path: Path, timeout: float = 1800) -> None:
    """Run a notebook as it is, in place, and store it in normal form.

    Raises nbclient's CellExecutionError, with the cell and the traceback, and then stores nothing.
    """
    import nbformat
    from nbclient import NotebookClient

    path = Path(path)
    nb = nbformat.from_dict(read(path))
    with _environment(**ONE_THREAD, **NO_BARS):
        NotebookClient(
            nb,
            timeout=timeout,
            kernel_name="python3",
            extra_arguments=QUIET_KERNEL,
            resources={"metadata": {"path": str(path.parent)}},
        ).execute()
    write(path, to_text(normalize(json.loads(nbformat.writes(nb, split_lines=False)))))


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@dataclass(frozen=True)
class Run:
    """What a finished run left: its folder, the notebook, the figures, the record, the claims."""

    folder: Path
    notebook: Path
    figures: list[Path]
    record: dict[str, Any]
    claims: list[dict[str, str]]

    def table(self) -> str:
        """The claims with their verdicts, for a terminal."""
        keys = Claim.__dataclass_fields__
        found = [Claim(**{k: c.get(k, "") for k in keys}) for c in self.claims]
        return Table(tuple(found)).text() if found else "This chapter states no claims."


def run(
    name: str,
    parameters: dict[str, Any] | None = None,
    output: Path | None = None,
    root: Path | None = None,
    progress: bool = True,
) -> Run:
    """Run a chapter with other parameters and keep everything in a folder of its own.

    Args:
        name: the chapter, such as ``"grokking"``.
        parameters: replace those of the first code cell (``scale``, ``device``, ``seeds``).
        output: where the run's folder is made; default ``runs/``. The folder appears under its
            final name when everything is in it; a run that fails leaves ``...-failed``.
        root: the folder that holds ``notebooks/``.
        progress: show a progress bar.
    Raises:
        LookupError: no such chapter. RuntimeError: a cell failed; the message says which.
    """
    from papermill.exceptions import PapermillExecutionError

    entry = chapter(name, root)
    parameters = dict(parameters or {})
    started = datetime.datetime.now(datetime.UTC)
    parent = Path("runs") if output is None else Path(output)
    final = parent / f"{name}-{started:%Y%m%d-%H%M%S}"
    while final.exists():
        final = final.with_name(final.name + "-again")
    partial = final.with_name(f".{final.name}.partial")
    partial.mkdir(parents=True)
    notebook = partial / f"{name}.ipynb"
    try:
        watch = _execute_with(entry.path, notebook, parameters, progress)
    except PapermillExecutionError as error:
        os.replace(partial, failed := final.with_name(final.name + "-failed"))
        raise RuntimeError(
            f"chapter {name!r} stopped in code cell {error.exec_count}: {error.ename}: "
            f"{error.evalue}\nThe notebook up to there: {failed / notebook.name}"
        ) from None
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    nb = normalize(read(notebook))
    write(notebook, to_text(nb))
    for number, png in enumerate(figures_of(nb), 1):
        (partial / f"figure-{number}.png").write_bytes(png)
    record = {
        "chapter": name,
        "command": "python -m minigrad " + " ".join(sys.argv[1:]),
        "parameters": parameters,
        "device": parameters.get("device", "cpu"),
        "started": f"{started:%Y-%m-%d %H:%M:%S} UTC",
        "seconds": round(watch.seconds, 1),
        "peak_memory_mb": round(watch.peak / 2**20),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": _versions("minigrad", "numpy", "scipy", "joblib", "cupy-cuda13x"),
    }
    write(partial / "record.json", json.dumps(record, indent=2) + "\n")
    os.replace(partial, final)
    figures = sorted(final.glob("figure-*.png"), key=lambda p: int(p.stem.split("-")[1]))
    return Run(final, final / notebook.name, figures, record, claims_of(nb))


def _versions(*packages: str) -> dict[str, str]:
    found = {}
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _execute_with(source: Path, target: Path, parameters: dict[str, Any], progress: bool) -> _Watch:
    """Papermill does the work; its engine is told to report each cell to a `_Watch`."""
    import papermill
    from papermill.engines import NBClientEngine, papermill_engines
    from tqdm import tqdm

    nb = read(source)
    tagged = [c for c in nb["cells"] if "parameters" in c["metadata"].get("tags", [])]
    if parameters and not tagged:
        raise ValueError(f"{source.name} has no cell tagged `parameters`; cannot set {parameters}")
    # Bars of the cells would draw over ours; long cells still move it, as it shows the time.
    bar = tqdm(total=len(nb["cells"]), disable=not progress, leave=False, mininterval=0,
               bar_format="{desc:<44.44} {bar} {n_fmt}/{total_fmt} cells, {elapsed}")  # fmt: skip

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
            start, bar.total = nb_man.cell_start, len(nb_man.nb.cells)

            def cell_start(cell: Any, cell_index: int, **more: Any) -> None:
                bar.n = cell_index
                heading = re.search(r"^#+ +(.+)", cell.source, re.MULTILINE)
                if cell.cell_type == "markdown" and heading:
                    bar.set_description_str(heading.group(1), refresh=False)
                start(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)

    papermill_engines.register("minigrad", Engine)
    with bar, _Watch(bar) as watch, _environment(**ONE_THREAD, **NO_BARS):
        papermill.execute_notebook(
            source,
            target,
            parameters,
            engine_name="minigrad",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=source.parent,
            extra_arguments=QUIET_KERNEL,
        )
    return watch


class _Watch:
    """Measures time and memory while a notebook runs, and keeps the bar's clock moving.

    `peak` is the largest sum of the resident memory of the kernel and its worker processes, in
    bytes, sampled five times a second. Pages that processes share are counted for each of them.
    """

    def __init__(self, bar: Any) -> None:
        self.bar, self.peak, self.seconds = bar, 0, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> _Watch:
        self._start = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        import psutil

        me, ticks = psutil.Process(), 0
        while not self._stop.wait(0.2):
            total = 0
            for process in me.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
            self.peak, ticks = max(self.peak, total), ticks + 1
            if ticks % 5 == 0:
                self.bar.refresh()
