"""The workloads in autograd (HIPS), as its examples are written: NumPy functions, simple Adam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import elementwise_grad, grad, make_hvp
from autograd.scipy.special import erf, logsumexp

from . import workloads as w

SKIPPED = {*w.TRANSFORMERS, "convolutional net", "LSTM copy task"}


def mlp(p: list[Any], x: Any, relu: bool = True) -> Any:
    for i in range(0, len(p) - 2, 2):
        x = anp.dot(x, p[i].T) + p[i + 1]
        x = anp.maximum(x, 0.0) if relu else anp.tanh(x)
    return anp.dot(x, p[-2].T) + p[-1]


def cross_entropy(logits: Any, target: Any) -> Any:
    picked = logits[np.arange(len(target)), target]
    return anp.mean(logsumexp(logits, axis=1) - picked)


def loss_of(name: str, p: list[Any], d: list[Any]) -> Any:
    if name in w.MLPS:
        return cross_entropy(mlp(p, d[0]), d[1])
    if name == "Hessian-vector product":
        return cross_entropy(mlp(p, d[0], relu=False), d[1])
    if name == "gradient penalty":
        g = elementwise_grad(lambda x: mlp(p, x, relu=False))(d[0])
        norm = anp.sqrt(anp.sum(g * g, axis=1))
        return anp.mean(mlp(p, d[0], relu=False)) + 10 * anp.mean((norm - 1) ** 2)
    if name == "operation chain":
        x = p[0]
        for _ in range(w.CHAIN // 2):
            x = x * 1.001
            x = x + 0.001
        return anp.sum(x)
    if name.startswith("cross-entropy"):
        return cross_entropy(p[0], d[0])
    if name.startswith("BCE"):
        x = p[0]
        return anp.mean(anp.maximum(x, 0) - x * d[0] + anp.log1p(anp.exp(-anp.abs(x))))
    if name.startswith("MSE"):
        return anp.mean((p[0] - d[0]) ** 2)
    x = p[0]
    return anp.sum(0.5 * x * (1 + erf(x * 0.7071067811865476)))


def prepare(
    name: str, threads: int, dtype: Any = np.float32, optimizer: str = "adam"
) -> tuple[Callable[[], Any], Any]:
    """(one step, the weights it changes)."""
    p, d = w.make(name, dtype)
    if name == "Hessian-vector product":
        product = make_hvp(lambda p: loss_of(name, p, d))
        return lambda: product(p)[0](d[2:]), p
    gradient = grad(lambda p: loss_of(name, p, d))
    if name in (*w.ELEMENTWISE, "operation chain"):
        return lambda: gradient(p), p
    return numpy_step(gradient, p, optimizer), p


def numpy_step(gradient: Callable[[Any], Any], p: list[Any], optimizer: str) -> Callable[[], None]:
    """SGD, or Adam per array as in these libraries' own examples."""
    m, v, t = [np.zeros_like(a) for a in p], [np.zeros_like(a) for a in p], [0]

    def step() -> None:
        g = gradient(p)
        t[0] += 1
        for i, b in enumerate(g):
            if optimizer == "sgd":
                p[i] = p[i] - 0.1 * b
                continue
            m[i] = 0.9 * m[i] + 0.1 * b
            v[i] = 0.999 * v[i] + 0.001 * b * b
            mean, square = m[i] / (1 - 0.9 ** t[0]), v[i] / (1 - 0.999 ** t[0])
            p[i] = p[i] - 1e-3 * mean / (np.sqrt(square) + 1e-8)

    return step
