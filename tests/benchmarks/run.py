"""Interleaved timing: all libraries wait in processes of their own, and take turns.

Each turn runs one library for a few steps while the others sleep, so that a slow minute of the
machine hits all alike. Reported is the median over the turns, with quartiles.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import workloads as w

LIBRARIES = ("minigrad", "torch", "jax", "autograd", "mygrad", "floor")
ROOT = Path(__file__).parents[2]


@dataclass
class Contestant:
    """A worker process and the seconds per step that it has reported so far."""

    library: str
    workload: str
    threads: int
    seconds: list[float] = field(default_factory=list)
    failed: str = ""

    def __post_init__(self) -> None:
        n = str(self.threads)
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        limits = dict.fromkeys(names, n) if self.threads else {}
        if self.library == "jax" and self.threads == 1:
            limits["XLA_FLAGS"] = (
                "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
            )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.worker", self.library, self.workload, n],
            env=os.environ | limits, cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        if not self._answer():
            self.failed = (self.process.stderr.read() or "died").strip().splitlines()[-1]  # type: ignore[union-attr]

    def _answer(self) -> str:
        return self.process.stdout.readline().strip()  # type: ignore[union-attr]

    def turn(self, steps: int) -> float:
        self.process.stdin.write(f"{steps}\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        return float(self._answer())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    def summary(self) -> dict[str, float]:
        low, mid, high = np.percentile(self.seconds, [25, 50, 75]) * 1e6
        return {"threads": self.threads, "us": mid, "low_us": low, "high_us": high}


def installed(library: str) -> bool:
    return library in ("minigrad", "floor") or importlib.util.find_spec(library) is not None


def skips(library: str, workload: str) -> bool:
    """What a library has no means for, by its own file."""
    path = Path(__file__).with_name(f"{library}_peer.py")
    return "SKIPPED" in path.read_text() and workload in _skipped(library)


def _skipped(library: str) -> set[str]:
    return importlib.import_module(f"{__package__}.{library}_peer").SKIPPED


def compare(
    workload: str, libraries: tuple[str, ...] = LIBRARIES, turns: int = 15, slice_s: float = 0.15
) -> dict:
    """library -> {us, low_us, high_us, threads}: the better of one thread and the default."""
    present = [x for x in libraries if installed(x) and not skips(x, workload)]
    contestants = [Contestant(x, workload, threads) for x in present for threads in (1, 0)]
    try:
        running = [c for c in contestants if not c.failed]
        steps = {id(c): max(1, int(slice_s / c.turn(1))) for c in running}
        for _ in range(turns):
            for c in running:
                c.seconds.append(c.turn(steps[id(c)]))
    finally:
        for c in contestants:
            c.close()
    table: dict[str, dict] = {}
    for c in contestants:
        if c.failed:
            table.setdefault(c.library, {"failed": c.failed})
            continue
        result = c.summary()
        other = table.get(c.library)
        if other is None or "failed" in other:
            table[c.library] = result | {"settings": {c.threads: result["us"]}}
        else:
            settings = other["settings"] | {c.threads: result["us"]}
            best = result if result["us"] < other["us"] else other
            table[c.library] = {**best, "settings": settings}
    return table


def all_workloads() -> tuple[str, ...]:
    return w.ALL
