"""The workloads in JAX: the whole step, update included, is one jitted function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import workloads as w


def linear(x: Any, weight: Any, bias: Any) -> Any:
    return x @ weight.T + bias


def mlp(p: list[Any], x: Any, activation: Callable[[Any], Any] = jax.nn.relu) -> Any:
    for i in range(0, len(p) - 2, 2):
        x = activation(linear(x, p[i], p[i + 1]))
    return linear(x, p[-2], p[-1])


def cross_entropy(logits: Any, target: Any) -> Any:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), target[..., None], axis=-1))


def layer_norm(x: Any, scale: Any, shift: Any) -> Any:
    x = x - x.mean(-1, keepdims=True)
    return x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * scale + shift


def transformer(p: list[Any], tokens: Any) -> Any:
    x = p[0][tokens] + p[1]
    n, t, d = x.shape
    qkv = linear(layer_norm(x, p[2], p[3]), p[4], p[5]).reshape(n, t, 3, w.HEADS, -1)
    q, k, v = jnp.moveaxis(qkv, 2, 0)  # (n, t, heads, d / heads) each
    scores = jnp.einsum("nihd,njhd->nhij", q, k) / np.sqrt(d // w.HEADS).astype(x.dtype)
    a = jnp.einsum("nhij,njhd->nihd", jax.nn.softmax(scores), v).reshape(n, t, d)
    x = x + linear(a, p[6], p[7])
    x = x + linear(jax.nn.relu(linear(layer_norm(x, p[8], p[9]), p[10], p[11])), p[12], p[13])
    return linear(x[:, -1], p[14], p[15])


def conv(p: list[Any], x: Any) -> Any:
    for weight, bias in ((p[0], p[1]), (p[2], p[3])):
        x = jax.lax.conv_general_dilated(x, weight, (1, 1), "SAME") + bias[:, None, None]
        x = jax.lax.reduce_window(
            jax.nn.relu(x), -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID"
        )
    return linear(x.reshape(x.shape[0], -1), p[4], p[5])


def lstm(p: list[Any], inputs: Any) -> Any:
    def cell(state: Any, x: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(linear(x, p[0], p[2]) + linear(h, p[1], p[3]), 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zero = jnp.zeros((inputs.shape[1], w.COPY["hidden"]), inputs.dtype)
    _, out = jax.lax.scan(cell, (zero, zero), inputs)
    return linear(out[w.COPY["length"] :], p[4], p[5])


def penalty(p: list[Any], x: Any) -> Any:
    f = lambda x: mlp(p, x, jnp.tanh)  # noqa: E731
    out, pull = jax.vjp(f, x)
    (g,) = pull(jnp.ones_like(out))
    return out.mean() + 10 * ((jnp.sqrt((g * g).sum(1)) - 1) ** 2).mean()


def loss_of(name: str, p: list[Any], data: list[Any]) -> Any:
    if name in w.MLPS:
        return cross_entropy(mlp(p, data[0]), data[1])
    if name in w.TRANSFORMERS:
        return cross_entropy(transformer(p, data[0]), data[1])
    if name == "convolutional net":
        return cross_entropy(conv(p, data[0]), data[1])
    if name == "LSTM copy task":
        return cross_entropy(lstm(p, data[0]), data[1])
    if name == "gradient penalty":
        return penalty(p, data[0])
    if name == "operation chain":
        x = p[0]
        for _ in range(w.CHAIN // 2):
            x = x * 1.001
            x = x + 0.001
        return x.sum()
    if name.startswith("cross-entropy"):
        return cross_entropy(p[0], data[0])
    if name.startswith("BCE"):
        x, t = p[0], data[0]
        return jnp.mean(jnp.maximum(x, 0) - x * t + jnp.log1p(jnp.exp(-jnp.abs(x))))
    if name.startswith("MSE"):
        return jnp.mean((p[0] - data[0]) ** 2)
    return jax.nn.gelu(p[0], approximate=False).sum()


def prepare(
    name: str, threads: int, dtype: Any = np.float32, optimizer: str = "adam"
) -> tuple[Callable[[], Any], Any]:
    """(one step, a list holding the current weights)."""
    weights, data = w.make(name, dtype)
    p, d = [jnp.asarray(a) for a in weights], [jnp.asarray(a) for a in data]
    if name == "Hessian-vector product":
        loss = lambda p: cross_entropy(mlp(p, d[0], jnp.tanh), d[1])  # noqa: E731
        product = jax.jit(lambda p, v: jax.jvp(jax.grad(loss), (p,), (v,))[1])
        return lambda: jax.block_until_ready(product(p, d[2:])), p
    gradient = jax.grad(lambda p, d: loss_of(name, p, d))
    if name in (*w.ELEMENTWISE, "operation chain"):
        compiled = jax.jit(gradient)
        return lambda: jax.block_until_ready(compiled(p, d)), p
    if optimizer == "sgd":
        descend = jax.jit(
            lambda p, d: [a - w.SGD_RATE * g for a, g in zip(p, gradient(p, d), strict=True)]
        )

        def sgd_step() -> None:
            p[:] = jax.block_until_ready(descend(p, d))

        return sgd_step, p

    def adam(state: Any, d: Any) -> Any:
        p, m, v, t = state
        g, t = gradient(p, d), t + 1
        m = [0.9 * a + 0.1 * b for a, b in zip(m, g, strict=True)]
        v = [0.999 * a + 0.001 * b * b for a, b in zip(v, g, strict=True)]
        scale = jnp.sqrt(1 - 0.999**t)
        rate = 1e-3 / (1 - 0.9**t)
        p = [a - rate * b / (jnp.sqrt(c) / scale + 1e-8) for a, b, c in zip(p, m, v, strict=True)]
        return p, m, v, t

    compiled = jax.jit(adam, donate_argnums=0)
    state = [(p, [jnp.zeros_like(a) for a in p], [jnp.zeros_like(a) for a in p], jnp.float32(0))]

    def step() -> None:
        state[0] = jax.block_until_ready(compiled(state[0], d))

    return step, p
