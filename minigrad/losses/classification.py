"""Classification losses: cross-entropy, for classes and for yes/no questions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import fused
from ..engine import raw
from ..registry import term
from ..rules.special import log_softmax, softplus
from .checks import (
    check_class_weight,
    check_labels,
    check_logits,
    check_pair,
    check_target_probabilities,
)
from .reduction import as_array, check_not_nan, reduced


@term(
    kind="loss",
    family="classification",
    papers=("bridle1990probabilistic", "szegedy2016rethinking"),
    aliases=(
        "softmax_cross_entropy", "label_smoothing", "label_smoothing_cross_entropy",
        "soft_cross_entropy",
    ),
)  # fmt: skip
def cross_entropy(
    logits: Any,
    target: Any,
    weight: Any = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    ignore_index: int | None = None,
) -> Any:
    r"""Cross-entropy between softmax of the logits and the target.

    .. math:: \ell = -\sum_k q_k \log p_k, \qquad p = \mathrm{softmax}(z), \qquad
              q = (1 - \epsilon)\, q^{\text{target}} + \epsilon / K

    Args:
        logits: ``(..., n, classes)`` real scores z.
        target: ``(..., n)`` integers in ``[0, classes)``, or ``(..., n, classes)`` probabilities.
        weight: ``(classes,)``: each class's term of the sum is multiplied by it. With integer
            targets the mean divides by the sum of the targets' weights, as in PyTorch.
        label_smoothing: the share epsilon in [0, 1] that is spread evenly over all K classes.
        reduction: ``"mean"``, ``"sum"``, or ``"none"`` for one loss per target.
        ignore_index: integer targets of this value count for nothing. (PyTorch ignores -100
            unasked; here a label outside the classes is an error unless you name it.)
    Returns: a scalar, or ``(..., n)`` with ``"none"``. For logits with an ensemble's members mark:
        ``(members,)``; targets are then per member, or without the first axis shared by all.
    Raises:
        ValueError: a label out of range, probabilities that do not sum to 1, an empty batch, other
            shapes, an unknown reduction.
        TypeError: integer logits, or float labels where integers are expected.
    Numerics: log-sum-exp shifted by the largest logit: finite for logits of 1e4. A right class that
        leads by more than about 17 in float32 (37 in float64) has probability 1 to the last bit:
        its loss and its entry of the gradient, softmax minus target, are then exactly 0 ("softmax
        collapse"). NaN in the logits is an error (in an ensemble that member becomes NaN).
    Source: Bridle 1990; label smoothing: Szegedy et al. 2016, section 7.
    """
    name = "cross_entropy"
    check_logits(name, logits, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"{name}: label_smoothing must lie in [0, 1], found {label_smoothing}")
    members, classes = getattr(logits, "members", None), logits.shape[-1]
    weight = check_class_weight(name, weight, logits)
    if not hasattr(target, "dtype"):
        target = np.asarray(target)
    if target.dtype.kind == "f":
        target = as_array(target, logits.dtype, logits)
        target = check_target_probabilities(name, target, logits)
        if label_smoothing:
            target = target * (1.0 - label_smoothing) + label_smoothing / classes
        terms = log_softmax(logits, axis=-1) * (target if weight is None else target * weight)
        return reduced(name, -np.sum(terms, axis=-1), logits, reduction)

    labels = check_labels(name, target, logits, ignore_index)
    if reduction == "mean" and weight is None and ignore_index is None and not label_smoothing:
        loss = fused.softmax_cross_entropy(logits, labels)  # what training does: one operation
        return check_not_nan(name, loss, logits, "logits")
    ignored = None if ignore_index is None else labels == ignore_index
    if ignored is not None:
        labels = np.where(ignored, 0, labels)
    if label_smoothing == 0.0:
        losses = fused.softmax_cross_entropy(logits, labels, "none")
        losses = losses if weight is None else losses * weight[labels]
    else:
        log_p = log_softmax(logits, axis=-1)
        of_target = np.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]
        of_target = of_target if weight is None else of_target * weight[labels]
        of_all = np.sum(log_p if weight is None else log_p * weight, axis=-1)
        losses = -(1.0 - label_smoothing) * of_target - (label_smoothing / classes) * of_all
    if ignored is not None:  # where, not times 0: an ignored infinite loss stays out
        losses = np.where(ignored, 0.0, losses)
    total = None
    if reduction == "mean":
        total = _total_weight(name, labels, weight, ignored, members, logits.dtype)
    return reduced(name, losses, logits, reduction, total_weight=total)


@term(kind="loss", family="classification", papers="bridle1990probabilistic")
def nll_loss(
    log_probabilities: Any,
    target: Any,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
) -> Any:
    r"""Negative log-likelihood :math:`-\log p_y` of integer targets, from log-probabilities.

    ``nll_loss(log_softmax(z), y)`` is ``cross_entropy(z, y)``.

    Args:
        log_probabilities: ``(..., n, classes)``; the rest as in `cross_entropy`, as are the errors.
    Source: Bridle 1990.
    """
    name, target = "nll_loss", raw(target)
    check_logits(name, log_probabilities, reduction)
    members = getattr(log_probabilities, "members", None)
    weight = check_class_weight(name, weight, log_probabilities)
    labels = check_labels(name, target, log_probabilities, ignore_index)
    ignored = None if ignore_index is None else labels == ignore_index
    if ignored is not None:
        labels = np.where(ignored, 0, labels)
    losses = -np.take_along_axis(log_probabilities, labels[..., None], axis=-1)[..., 0]
    losses = losses if weight is None else losses * weight[labels]
    if ignored is not None:
        losses = np.where(ignored, 0.0, losses)
    total = None
    if reduction == "mean":
        total = _total_weight(name, labels, weight, ignored, members, log_probabilities.dtype)
    return reduced(
        name, losses, log_probabilities, reduction, "log_probabilities", total_weight=total
    )


@term(
    kind="loss",
    family="classification",
    aliases=("bce_with_logits", "logistic_loss"),
    example=lambda rng: {"target": rng.random((6, 4))},
)
def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: str = "mean"
) -> Any:
    r"""Cross-entropy of independent yes/no questions.

    .. math:: \ell = w\,[\, t\, c \, \mathrm{softplus}(-z) + (1 - t)\, \mathrm{softplus}(z) \,]

    Args:
        input: logits z of any shape; p = sigmoid(z).
        target: probabilities t in [0, 1] of the same shape (or without the members axis: shared).
        weight: w, broadcast to ``input``.
        pos_weight: c, the weight of the positive answers.
        reduction: ``"mean"`` over all elements, ``"sum"`` or ``"none"``.
    Returns: a scalar, ``(members,)`` for an ensemble, or the shape of ``input`` with ``"none"``.
    Raises:
        ValueError: other shapes, targets outside [0, 1], an empty batch, an unknown reduction.
    Numerics: softplus never overflows, and its gradient, sigmoid minus target, is exact.
    """
    name = "binary_cross_entropy_with_logits"
    target = check_pair(name, input, target, reduction)
    values = raw(target)
    if not (float(values.min()) >= 0.0 and float(values.max()) <= 1.0):  # NaN fails as well
        raise ValueError(
            f"{name}: targets are probabilities in [0, 1], found values from {values.min()} to "
            f"{values.max()}"
        )
    if pos_weight is None and weight is None and reduction == "mean":
        loss = fused.binary_cross_entropy_with_logits(input, target)  # one operation
        return check_not_nan(name, loss, input, "input")
    if weight is not None:
        weight = as_array(weight, input.dtype, input)
    if pos_weight is not None:
        pos_weight = as_array(pos_weight, input.dtype, input)
    if pos_weight is None:  # t softplus(-z) + (1 - t) softplus(z) = softplus(z) - t z
        losses = softplus(input) - target * input
    else:
        losses = target * pos_weight * softplus(-input) + (1.0 - target) * softplus(input)
    losses = losses if weight is None else losses * weight
    return reduced(name, losses, input, reduction, "input")


# --- checks ---------------------------------------------------------------------------------------


def _total_weight(
    name: str, labels: Any, weight: Any, ignored: Any, members: int | None, dtype: Any
) -> Any:
    """What a weighted mean divides by: the sum of the targets' weights; None if all are 1."""
    if weight is None and ignored is None:
        return None
    axes = None if members is None else tuple(range(1, labels.ndim))
    if weight is None:
        total = np.sum(~ignored, axis=axes)
    else:
        weights = weight[labels]
        total = np.sum(weights if ignored is None else np.where(ignored, 0.0, weights), axis=axes)
    if not np.all(total > 0):
        raise ValueError(
            f"{name}: the targets' weights sum to 0 (all ignored?), so that their mean does not "
            "exist. "
            'Mend: reduction="sum", or skip the batch'
        )
    return float(total) if members is None else total.astype(dtype)
