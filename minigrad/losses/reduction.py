"""What all losses share: checks of arguments, and the reduction that keeps members apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import Tensor, raw

REDUCTIONS = ("mean", "sum", "none")


def check_reduction(name: str, reduction: str) -> None:
    """Raise ValueError for an unknown reduction."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{name}: reduction must be one of {REDUCTIONS}, found {reduction!r}")


def check_not_empty(name: str, x: Any) -> None:
    """Raise ValueError for a batch without examples, whose mean does not exist."""
    if x.size == 0:
        raise ValueError(
            f"{name}: the batch is empty (input of shape {x.shape}). Mend: check how it was "
            "selected"
        )


def as_array(target: Any, dtype: Any, like: Any) -> Any:
    """A target in the predictions' dtype (float32 stays float32); a trained one as it is."""
    if type(target) is Tensor and target.requires_grad:
        return target
    return np.asarray(raw(target), dtype=dtype, like=raw(like))


def reduce_losses(
    losses: Any, members: int | None, reduction: str, total_weight: Any = None
) -> Any:
    """One number, or one per member of an ensemble; ``"none"`` leaves the losses as they are.

    ``total_weight`` (a number, or one per member) replaces the count in a weighted mean.
    """
    if reduction == "none":
        return losses
    axes = None if members is None else tuple(range(1, losses.ndim))
    if reduction == "sum":
        out = np.sum(losses, axis=axes)
    elif total_weight is None:
        out = np.mean(losses, axis=axes)
    else:
        out = np.sum(losses, axis=axes) / total_weight
    if type(out) is Tensor:
        out.members = members
    return out
