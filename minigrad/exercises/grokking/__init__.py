"""Exercises for the chapters on grokking: the wait, a look inside, where numbers end, lazy to rich.

Predict what a leak and a penalty do, write the optimizer that has both, mend a split, count runs
that never arrived, derive two waits from one eigenvalue, keep a loss from becoming zero, give an
instrument its null, and measure how lazy a training was.
"""

from . import mechanism, runs

TASKS = [*runs.TASKS, *mechanism.TASKS]
