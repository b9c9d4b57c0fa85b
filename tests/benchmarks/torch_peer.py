"""The workloads in PyTorch eager, written as its users would: nn.functional and a fused Adam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from . import workloads as w


def _tensors(arrays: list[np.ndarray], grad: bool = False) -> list[torch.Tensor]:
    return [torch.tensor(a, requires_grad=grad) for a in arrays]


def mlp(p: list[Any], x: Any, activation: Callable[[Any], Any] = F.relu) -> Any:
    for i in range(0, len(p) - 2, 2):
        x = activation(F.linear(x, p[i], p[i + 1]))
    return F.linear(x, p[-2], p[-1])


def transformer(p: list[Any], tokens: Any) -> Any:
    x = p[0][tokens] + p[1]
    n, t, d = x.shape
    q, k, v = (
        F.linear(F.layer_norm(x, (d,), p[2], p[3]), p[4], p[5])
        .view(n, t, 3, w.HEADS, -1)
        .permute(2, 0, 3, 1, 4)
    )
    a = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d)
    x = x + F.linear(a, p[6], p[7])
    x = x + F.linear(
        F.relu(F.linear(F.layer_norm(x, (d,), p[8], p[9]), p[10], p[11])), p[12], p[13]
    )
    return F.linear(x[:, -1], p[14], p[15])


def conv(p: list[Any], x: Any) -> Any:
    x = F.max_pool2d(F.relu(F.conv2d(x, p[0], p[1], padding=2)), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, p[2], p[3], padding=2)), 2)
    return F.linear(x.flatten(1), p[4], p[5])


def lstm(p: list[Any], inputs: Any) -> Any:
    h = torch.zeros(1, inputs.shape[1], w.COPY["hidden"], dtype=inputs.dtype)
    out, _, _ = torch._VF.lstm(inputs, (h, h), p[:4], True, 1, 0.0, True, False, False)
    return F.linear(out[w.COPY["length"] :], p[4], p[5])


def penalty(p: list[Any], x: Any) -> Any:
    x = x.detach().requires_grad_()
    out = mlp(p, x, torch.tanh)
    (g,) = torch.autograd.grad(out.sum(), x, create_graph=True)
    return out.mean() + 10 * ((g.square().sum(1).sqrt() - 1) ** 2).mean()


def loss_of(name: str, p: list[Any], data: list[Any]) -> Any:
    if name in w.MLPS:
        return F.cross_entropy(mlp(p, data[0]), data[1])
    if name in w.TRANSFORMERS:
        return F.cross_entropy(transformer(p, data[0]), data[1])
    if name == "convolutional net":
        return F.cross_entropy(conv(p, data[0]), data[1])
    if name == "LSTM copy task":
        logits = lstm(p, data[0])
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), data[1].reshape(-1))
    if name == "gradient penalty":
        return penalty(p, data[0])
    if name == "operation chain":
        x = p[0]
        for _ in range(w.CHAIN // 2):
            x = x * 1.001
            x = x + 0.001
        return x.sum()
    if name.startswith("cross-entropy"):
        return F.cross_entropy(p[0], data[0])
    if name.startswith("BCE"):
        return F.binary_cross_entropy_with_logits(p[0], data[0])
    if name.startswith("MSE"):
        return F.mse_loss(p[0], data[0])
    return F.gelu(p[0]).sum()


def prepare(
    name: str, threads: int, dtype: Any = np.float32, optimizer: str = "adam"
) -> tuple[Callable[[], Any], Any]:
    """(one step, the weights it changes)."""
    if threads:
        torch.set_num_threads(threads)
    weights, data = w.make(name, dtype)
    p, d = _tensors(weights, grad=True), _tensors(data)
    if name == "Hessian-vector product":
        vector = d[2:]

        def product() -> Any:
            g = torch.autograd.grad(
                F.cross_entropy(mlp(p, d[0], torch.tanh), d[1]), p, create_graph=True
            )
            return torch.autograd.grad(g, p, vector)

        return product, p
    if name in (*w.ELEMENTWISE, "operation chain"):

        def backward() -> Any:
            p[0].grad = None
            loss_of(name, p, d).backward()
            return p[0].grad

        return backward, p
    sgd = optimizer == "sgd"
    update = torch.optim.SGD(p, lr=w.SGD_RATE) if sgd else torch.optim.Adam(p, lr=1e-3, fused=True)

    def step() -> Any:
        update.zero_grad()
        loss_of(name, p, d).backward()
        update.step()

    return step, p
