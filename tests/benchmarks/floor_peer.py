"""The floor: the same matrix products through NumPy, nothing else (fully connected nets only)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import workloads as w

SKIPPED = set(w.ALL) - set(w.MLPS)


def prepare(
    name: str, threads: int, dtype: Any = np.float32, optimizer: str = "adam"
) -> tuple[Callable[[], Any], Any]:
    """(the products of one step, the weights)."""
    weights, data = w.make(name, dtype)
    matrices = weights[::2]
    inputs = [data[0]]
    for m in matrices:
        inputs.append(inputs[-1] @ m.T)

    def products() -> None:
        for x, m in zip(inputs, matrices, strict=False):
            x @ m.T  # forward
        for i in reversed(range(len(matrices))):
            inputs[i + 1].T @ inputs[i]  # towards the weights
            if i:
                inputs[i + 1] @ matrices[i]  # towards the layer below; the data needs none

    return products, matrices
