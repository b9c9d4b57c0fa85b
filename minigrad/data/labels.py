"""Label noise: replace a known fraction of the labels by wrong ones, once and reproducibly."""

import numpy as np


def noisy_labels(
    y: np.ndarray,
    fraction: float,
    classes: int | None = None,
    seed: int = 0,
    kind: str = "wrong",
) -> np.ndarray:
    r"""Return a copy of ``y`` in which ``round(fraction * n)`` labels are redrawn.

    Papers use two conventions, and 20 % noise means different things in them:

    - ``kind="wrong"``: uniform over the *other* classes, so exactly ``fraction`` labels are wrong;
    - ``kind="redraw"``: uniform over *all* classes, so about ``fraction * (classes - 1) / classes``
      are wrong (20 % over ten classes flips 18 %).

    The sets are nested: for one seed, the examples corrupted at 10 % are also corrupted at 20 %,
    with the same new labels, so that a sweep over the fraction only ever adds noise.
    ``noisy_labels(y, ...) != y`` marks the wrong ones.

    Args:
        y: ``(n,)`` integer labels in ``[0, classes)``.
        fraction: share of the labels to redraw, in [0, 1].
        classes: number of classes, at least 2; the largest label plus one if None.
        seed: selects the examples and their new labels.
        kind: ``"wrong"`` or ``"redraw"``.
    Returns: ``(n,)`` int64.
    Raises:
        ValueError: a fraction outside [0, 1], an unknown kind, or a label outside its range.
        TypeError: labels that are not integers in one axis.
    Source: the "wrong" convention is the symmetric noise of most noisy-label papers; "redraw" is
        that of Zhang et al. 2017, *Understanding deep learning requires rethinking generalization*.
    """
    y = np.asarray(y)
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise TypeError(
            f"noisy_labels: y has shape {y.shape} and dtype {y.dtype}; expected (n,) integers; "
            "use argmax(-1) on one-hot labels"
        )
    if not 0 <= fraction <= 1:
        raise ValueError(
            f"noisy_labels: fraction is {fraction}; expected a share in [0, 1]; write 10 % as 0.1"
        )
    if kind not in ("wrong", "redraw"):
        raise ValueError(
            f"noisy_labels: kind is {kind!r}; expected 'wrong' (always another class) or "
            "'redraw' (uniform over all classes)"
        )
    y = y.astype(np.int64)  # always a copy
    if y.size == 0:
        return y
    if classes is None:
        classes = int(y.max()) + 1
    if y.min() < 0 or y.max() >= classes:
        raise ValueError(
            f"noisy_labels: labels run from {y.min()} to {y.max()}; expected values in "
            f"[0, {classes}); pass the right classes or relabel from 0"
        )
    if classes < 2:
        raise ValueError(
            f"noisy_labels: classes is {classes}; expected at least 2, since no other label exists "
            "to change to; pass classes"
        )
    # A stream of its own: data drawn with the same seed must not decide which labels are wrong.
    generator = np.random.default_rng([seed, 3])
    # Everything is drawn for all n examples, whatever the fraction: that nests the sets.
    order = generator.permutation(y.size)
    if kind == "wrong":
        replacement = (y + generator.integers(1, classes, size=y.size)) % classes
    else:
        replacement = generator.integers(0, classes, size=y.size)
    chosen = order[: round(fraction * y.size)]
    y[chosen] = replacement[chosen]
    return y
