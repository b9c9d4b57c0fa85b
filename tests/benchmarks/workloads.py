"""What is computed: the shapes, the data and the initial weights of every workload.

All libraries start from these same NumPy arrays. A workload's settings say everything that its step
needs; `make` draws the arrays.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

MLPS = {
    "mlp 64 x 64-64-64-10": (64, (64, 64, 64, 10)),
    "mlp 128 x 64-256-256-10": (128, (64, 256, 256, 10)),
    "mlp 512 x 194-256-256-97": (512, (194, 256, 256, 97)),
    "mlp 4704 x 194-256-256-97": (4704, (194, 256, 256, 97)),
    "mlp 1024 x 784-512-512-10": (1024, (784, 512, 512, 10)),
}
TRANSFORMERS = {"transformer, batch 512": 512, "transformer, batch 2822": 2822}
WIDTH, HEADS, HIDDEN, TOKENS, MODULUS = 128, 4, 512, 3, 113
ELEMENTWISE = (
    "cross-entropy (1024, 1000)",
    "BCE (1024, 1000)",
    "MSE (1024, 1000)",
    "GELU (1024, 1000)",
)
OTHERS = (
    "convolutional net",
    "LSTM copy task",
    "gradient penalty",
    "Hessian-vector product",
    "operation chain",
)
ALL = (*MLPS, *TRANSFORMERS, *OTHERS, *ELEMENTWISE)

SGD_RATE = 0.03  # of the steps that are compared; at 0.1 the gradient penalty diverges
CHAIN = 1000  # operations in the chain: multiply and add by turns, on 64 numbers
COPY = {"batch": 64, "length": 20, "symbols": 10, "hidden": 128}


def linear(rng: np.random.Generator, n_in: int, n_out: int) -> list[np.ndarray]:
    """A weight (out, in) and a bias, uniform in 1/sqrt(in), as PyTorch's Linear."""
    bound = 1 / np.sqrt(n_in)
    return [rng.uniform(-bound, bound, (n_out, n_in)), rng.uniform(-bound, bound, n_out)]


def make(name: str, dtype: Any = np.float32) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(initial weights, data) of a workload; floating arrays in ``dtype``, labels int64."""
    rng = np.random.default_rng(0)
    if name in MLPS:
        batch, sizes = MLPS[name]
        weights = [a for n_in, n_out in pairwise(sizes) for a in linear(rng, n_in, n_out)]
        data = [rng.normal(size=(batch, sizes[0])), rng.integers(0, sizes[-1], batch)]
    elif name in TRANSFORMERS:
        weights, data = _transformer(rng, TRANSFORMERS[name])
    elif name == "convolutional net":
        weights = [
            rng.uniform(-0.2, 0.2, (16, 1, 5, 5)), rng.uniform(-0.2, 0.2, 16),
            rng.uniform(-0.05, 0.05, (32, 16, 5, 5)), rng.uniform(-0.05, 0.05, 32),
            *linear(rng, 32 * 7 * 7, 10),
        ]  # fmt: skip
        data = [rng.random((128, 1, 28, 28)), rng.integers(0, 10, 128)]
    elif name == "LSTM copy task":
        weights, data = _copy(rng, **COPY)
    elif name == "gradient penalty":
        weights = [*linear(rng, 64, 256), *linear(rng, 256, 256), *linear(rng, 256, 1)]
        data = [rng.normal(size=(128, 64))]
    elif name == "Hessian-vector product":
        weights = [*linear(rng, 64, 256), *linear(rng, 256, 256), *linear(rng, 256, 10)]
        data = [rng.normal(size=(128, 64)), rng.integers(0, 10, 128)]
        data += [rng.normal(size=w.shape) for w in weights]  # the vector
    elif name == "operation chain":
        weights, data = [rng.normal(size=64)], []
    elif name in ELEMENTWISE:
        weights = [rng.normal(size=(1024, 1000))]
        labels = rng.integers(0, 1000, 1024)
        target = {
            "BCE": rng.random((1024, 1000)),
            "MSE": rng.normal(size=(1024, 1000)),
            "cross-entropy": labels,
        }
        data = [target[k] for k in target if name.startswith(k)]
    else:
        raise ValueError(f"workload: expected one of {ALL}, found {name!r}")
    cast = lambda a: a.astype(dtype if a.dtype.kind == "f" else np.int64)  # noqa: E731
    return [cast(w) for w in weights], [cast(d) for d in data]


def _transformer(rng: np.random.Generator, batch: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """One pre-norm block on "a b =", read off at the last token (the grokking papers' model)."""
    d = WIDTH
    weights = [
        rng.normal(size=(MODULUS + 1, d)) * 0.1,  # 0 token embedding
        rng.normal(size=(TOKENS, d)) * 0.1,  # 1 positional embedding
        np.ones(d), np.zeros(d),  # 2, 3 layer norm
        *linear(rng, d, 3 * d),  # 4, 5 queries, keys, values
        *linear(rng, d, d),  # 6, 7 output projection
        np.ones(d), np.zeros(d),  # 8, 9 layer norm
        *linear(rng, d, HIDDEN),  # 10, 11
        *linear(rng, HIDDEN, d),  # 12, 13
        *linear(rng, d, MODULUS),  # 14, 15 unembedding
    ]  # fmt: skip
    pairs = rng.integers(0, MODULUS, (batch, 2))
    tokens = np.concatenate([pairs, np.full((batch, 1), MODULUS)], axis=1)  # (batch, 3)
    return weights, [tokens, pairs.sum(1) % MODULUS]


def _copy(
    rng: np.random.Generator, batch: int, length: int, symbols: int, hidden: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Read ``length`` symbols, then write them: one-hot inputs, a blank while writing."""
    bound = 1 / np.sqrt(hidden)
    uniform = lambda *shape: rng.uniform(-bound, bound, shape)  # noqa: E731
    weights = [
        uniform(4 * hidden, symbols + 1), uniform(4 * hidden, hidden),
        uniform(4 * hidden), uniform(4 * hidden),
        *linear(rng, hidden, symbols),
    ]  # fmt: skip
    sequence = rng.integers(0, symbols, (length, batch))
    blank = np.full((length, batch), symbols)
    inputs = np.eye(symbols + 1)[
        np.concatenate([sequence, blank])
    ]  # (2 length, batch, symbols + 1)
    return weights, [inputs, sequence]
