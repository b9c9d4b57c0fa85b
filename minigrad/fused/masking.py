"""Dropout: draw the mask, scale it, multiply, in the memory of the random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backend
from ..engine import raw
from ..primitive import Rule
from .parts import marked


def composed_masked(x: Any, mask: Any) -> Any:
    """``x * mask`` in plain operations."""
    return x * mask


def _masked_vjp(g: Any, _out: Any, _x: Any, mask: Any) -> Any:
    g *= mask  # the output's shape is the mask's
    return g


_masked = Rule(
    lambda x, mask: x * mask,
    _masked_vjp,
    twin=composed_masked,
    overwrites=True,
    elementwise=True,
    name="dropout",
)


def dropout_mask(like: Any, shape: tuple[int, ...], p: float, generator: Any = None) -> Any:
    """0 with probability ``p``, otherwise 1/(1 - p), in the dtype of the raw array ``like``."""
    mask = backend.uniform(like, shape, generator)
    return np.multiply(mask >= p, mask.dtype.type(1.0 / (1.0 - p)), out=mask)


def dropout(x: Any, p: float = 0.5, generator: Any = None) -> Any:
    r"""Inverted dropout: zero each element with probability p, scale the others by 1/(1 - p).

    Args:
        x: any shape.
        p: in [0, 1]; 0 returns ``x`` itself.
        generator: random numbers (default: the global generator). A list holds one generator for
            each member of an ensemble; an ``x`` that the members share then becomes one per member.
    Returns: the shape of ``x``, with a members axis in front if each member draws its own mask.
    Raises:
        ValueError: for p outside [0, 1].
    Source: Srivastava et al. 2014, in the form that rescales at training time.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout: p must lie in [0, 1], found {p}")
    if p == 0.0:
        return x
    if p == 1.0:
        return x * 0.0
    like = raw(x)
    if not isinstance(generator, list):
        return _masked(x, dropout_mask(like, like.shape, p, generator))
    own = getattr(x, "members", None) is not None
    shape = like.shape[1:] if own else like.shape
    mask = np.stack([dropout_mask(like, shape, p, rng) for rng in generator])
    out = marked(_masked(x, mask), x)
    if hasattr(out, "members"):
        out.members = len(generator)
    return out
