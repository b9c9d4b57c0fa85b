"""Optimizers, learning-rate schedules and gradient clipping, named as in PyTorch.

Read ``algorithms.py`` first (the update rules), then ``optimizer.py`` (what they share) and
``flat.py`` (why a step takes the same number of NumPy calls however many layers there are).
"""

from . import schedules
from .algorithms import SGD, Adam, AdamW
from .clipping import clip_grad_norm_, clip_grad_value_
from .optimizer import Optimizer
from .schedules import Schedule

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Optimizer",
    "Schedule",
    "clip_grad_norm_",
    "clip_grad_value_",
    "schedules",
]
