"""Walk through arrays in (shuffled) batches: the inner loop of every training run."""

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad import backend


def batches(
    *arrays: Any,
    batch_size: int,
    generator: np.random.Generator | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
) -> Iterator[tuple[Any, ...]]:
    """One pass over the examples: yields tuples with up to ``batch_size`` rows of every array.

    Row ``i`` of one array stays with row ``i`` of the others. Call it once per epoch; each call
    draws one permutation from the generator, so equal generators give equal batches.

    Args:
        arrays: one or more arrays ``(n, ...)``: NumPy, CuPy or Tensors, anything with a shape that
            can be indexed by an integer array.
        batch_size: rows per batch, at least 1. The last batch holds the remaining rows.
        generator: source of the permutation; the package's global generator if None.
        shuffle: draw the order at random. False walks in the stored order and yields views.
        drop_last: leave out a last batch that is shorter than the others.
    Raises:
        ValueError: no arrays, unequal lengths, ``batch_size < 1``, or ``drop_last`` with fewer
            than ``batch_size`` rows (there would be no batch at all).
        TypeError: an argument that is not an array or has no leading axis.
    """
    # Checked here and not in the generator below, so that a mistake is met at the call.
    if not arrays:
        raise ValueError("batches got no arrays; pass at least one, e.g. batches(x, y, ...)")
    for position, array in enumerate(arrays):
        if not getattr(array, "shape", ()):
            raise TypeError(
                f"batches: argument {position} is {type(array).__name__} without a leading axis; "
                "expected an array of shape (n, ...); convert it with np.asarray first"
            )
    lengths = [array.shape[0] for array in arrays]
    n = lengths[0]
    if any(length != n for length in lengths):
        raise ValueError(
            f"batches: the arrays have {lengths} rows; expected equal lengths; "
            "did you mix training and test arrays?"
        )
    try:
        batch_size = operator.index(batch_size)
    except TypeError:
        raise TypeError(
            f"batches: batch_size is {batch_size!r}; expected an integer; use // for whole numbers"
        ) from None
    if batch_size < 1:
        raise ValueError(
            f"batches: batch_size is {batch_size}; expected at least 1; "
            "use batch_size=len(x) for full-batch training"
        )
    if drop_last and n < batch_size:
        raise ValueError(
            f"batches: {n} rows make no full batch of batch_size={batch_size}; "
            "expected at least one; lower batch_size or set drop_last=False"
        )
    if generator is None:
        generator = backend.generator("cpu")  # host indices serve every array
    stop = n - n % batch_size if drop_last else n
    order = generator.permutation(n) if shuffle else None
    return _walk(arrays, order, stop, batch_size)


def _walk(arrays, order, stop, batch_size):
    for start in range(0, stop, batch_size):
        rows = slice(start, start + batch_size)  # the last one is cut by the arrays' end
        index = rows if order is None else order[rows]
        yield tuple(array[index] for array in arrays)
