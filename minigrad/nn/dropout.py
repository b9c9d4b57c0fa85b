"""Dropout: zero each activation with probability p while training."""

from __future__ import annotations

from typing import Any

from .. import fused
from . import ensembles
from .module import Module


class Dropout(Module):
    """Multiply by a random mask: 0 with probability ``p``, otherwise 1/(1 - p); in eval mode by 1.

    Args:
        p: probability of a zero, in [0, 1].
        generator: random numbers for the masks (default: the global generator). Built inside
            ``nn.ensemble`` each member draws its own masks, going on with the member's generator.

    Input and output have the same shape; an input that the members share becomes one per member.
    Source: Srivastava et al. 2014, in the form that rescales at training time.
    """

    def __init__(self, p: float = 0.5, generator: Any = None) -> None:
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"Dropout: p must lie in [0, 1], found {p}")
        self.p = p
        m = ensembles.size()
        own = ensembles.generators()
        self.generator = generator if m is None else own if generator is None else [generator] * m

    def forward(self, x: Any) -> Any:
        return fused.dropout(x, self.p, self.generator) if self.training else x

    def describe(self) -> str:
        return f"p={self.p}"
