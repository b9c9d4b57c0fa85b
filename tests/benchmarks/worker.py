"""One library, one workload, one process: waits for orders, answers with seconds.

Started by `run.py`; the number of threads is set by the environment before NumPy is loaded. Reads
``N`` from standard input, runs N steps, writes the seconds per step.
"""

from __future__ import annotations

import importlib
import sys
import time


def main() -> None:
    library, workload, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    peer = importlib.import_module(f"{__package__}.{library}_peer")
    step, _ = peer.prepare(workload, threads)
    for _ in range(3):  # compile, fault pages in, fill caches
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        n = int(line)
        start = time.perf_counter()
        for _ in range(n):
            step()
        print((time.perf_counter() - start) / n, flush=True)


main()
