"""``python -m tests.benchmarks [words] [--turns N]``: the workloads whose names hold a word."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import report, run
from .workloads import ALL

parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
parser.add_argument("words", nargs="*", help="only workloads whose names contain one of these")
parser.add_argument("--turns", type=int, default=15, help="interleaved repetitions (default 15)")
parser.add_argument("--libraries", nargs="*", default=run.LIBRARIES)
parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
arguments = parser.parse_args()

results = {}
print(report.header())
for workload in ALL:
    if arguments.words and not any(word.lower() in workload.lower() for word in arguments.words):
        continue
    results[workload] = run.compare(workload, tuple(arguments.libraries), arguments.turns)
    print(report.line(workload, results[workload]), flush=True)
report.save(results, arguments.out)
print(f"us per step (threads); ratio = minigrad / peer, ! = missed; {arguments.out}/results.json")
