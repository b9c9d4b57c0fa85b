"""Grids of runs, in parallel, resumable: every finished run is on disk before the next is counted.

    def train(width, seed):
        ...
        return {"test_error": error}

    rows = sweep.run(train, sweep.grid(width=[8, 64], seed=range(5)), store="width.jsonl")

Killed half-way, the same call runs what is missing. Finished, it reads the rows back.
"""

from .runs import SweepError, dask_cluster, grid, load, records, run
from .task import one_thread

__all__ = ["SweepError", "dask_cluster", "grid", "load", "one_thread", "records", "run"]
