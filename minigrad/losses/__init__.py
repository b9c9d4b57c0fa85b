"""Losses, one file per family. Class axis last; ``reduction`` is "mean", "sum" or "none"."""

from .classification import binary_cross_entropy_with_logits, cross_entropy, nll_loss
from .regression import huber_loss, l1_loss, mse_loss

__all__ = [
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "nll_loss",
]
