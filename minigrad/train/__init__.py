"""Training: a loop that can be read from top to bottom, killed at any moment, and resumed.

Read ``loop.py`` first (`fit`), then ``history.py`` (what it returns), then ``run.py`` and
``checkpoint.py`` (how a run stands still and goes on).
"""

from .history import History, accuracy
from .loop import fit
from .run import Run

__all__ = ["History", "Run", "accuracy", "fit"]
