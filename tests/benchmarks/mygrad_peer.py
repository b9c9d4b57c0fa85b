"""The workloads in MyGrad, with its own layers' losses; first derivatives only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu
from mygrad.nnet.losses import softmax_crossentropy

from . import workloads as w
from .autograd_peer import numpy_step

SKIPPED = {
    *w.TRANSFORMERS, "convolutional net", "LSTM copy task", "gradient penalty",
    "Hessian-vector product", "GELU (1024, 1000)",
}  # fmt: skip


def loss_of(name: str, p: list[Any], d: list[Any]) -> Any:
    if name in w.MLPS:
        x = d[0]
        for i in range(0, len(p) - 2, 2):
            x = relu(mg.matmul(x, p[i].T) + p[i + 1])
        return softmax_crossentropy(mg.matmul(x, p[-2].T) + p[-1], d[1])
    if name == "operation chain":
        x = p[0]
        for _ in range(w.CHAIN // 2):
            x = x * 1.001
            x = x + 0.001
        return x.sum()
    if name.startswith("cross-entropy"):
        return softmax_crossentropy(p[0], d[0])
    if name.startswith("BCE"):
        x = p[0]
        return mg.mean(mg.maximum(x, 0) - x * d[0] + mg.log1p(mg.exp(-mg.abs(x))))
    return mg.mean((p[0] - d[0]) ** 2)


def prepare(
    name: str, threads: int, dtype: Any = np.float32, optimizer: str = "adam"
) -> tuple[Callable[[], Any], Any]:
    """(one step, the weights it changes)."""
    mg.turn_memory_guarding_off()  # its users are told to, for speed
    p, d = w.make(name, dtype)

    def gradient(p: list[Any]) -> list[Any]:
        tensors = [mg.tensor(a, copy=False) for a in p]
        loss_of(name, tensors, d).backward()
        return [t.grad for t in tensors]

    if name in (*w.ELEMENTWISE, "operation chain"):
        return lambda: gradient(p), p
    return numpy_step(gradient, p, optimizer), p
