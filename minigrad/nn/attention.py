"""Multi-head attention, the layer of transformers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import fused
from . import init
from .dropout import Dropout
from .ensembles import mark, parameter
from .linear import Linear
from .module import Module


class MultiheadAttention(Module):
    r"""Self-attention with several heads, each on its own slice of the features.

    .. math:: \mathrm{softmax}\!\left(\frac{q k^\top}{\sqrt{d}} + \text{mask}\right) v

    Args:
        embed_dim: features of input and output.
        num_heads: must divide ``embed_dim``.
        dropout: probability of dropping an attention weight while training.
        bias: whether the projections have biases.
        causal: position i attends to positions up to i only.

    Attributes (PyTorch's names): in_proj_weight ``(3 embed_dim, embed_dim)`` and in_proj_bias give
    queries, keys and values; ``out_proj`` mixes the heads.

    Input and output ``(n, time, embed_dim)``; in an ensemble with a members axis in front.
    Source: Vaswani et al. 2017, section 3.2.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        causal: bool = False,
        *,
        dtype: Any = None,
        generator: Any = None,
    ) -> None:
        if embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: num_heads must divide embed_dim, found {num_heads} and "
                f"{embed_dim}"
            )
        self.embed_dim, self.num_heads, self.causal = embed_dim, num_heads, causal
        self.in_proj_weight = parameter((3 * embed_dim, embed_dim), dtype)
        init.xavier_uniform_(self.in_proj_weight, generator=generator)
        self.in_proj_bias = parameter((3 * embed_dim,), dtype) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype=dtype, generator=generator)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)
        self.dropout = Dropout(dropout, generator)

    def forward(self, x: Any) -> Any:
        if x.ndim != 3 + (getattr(x, "members", None) is not None):
            raise ValueError(
                f"MultiheadAttention: expected (n, time, {self.embed_dim}), found {x.shape}"
            )
        qkv = fused.linear(x, self.in_proj_weight, self.in_proj_bias)  # (..., n, t, 3 e)
        if not self.training or self.dropout.p == 0.0:
            return self.out_proj(fused.self_attention(qkv, self.num_heads, self.causal))
        *lead, t, _ = qkv.shape
        width = self.embed_dim // self.num_heads
        parts = np.reshape(qkv, (*lead, t, 3, self.num_heads, width))
        q, k, v = (np.swapaxes(parts[..., i, :, :], -2, -3) for i in range(3))  # (..., n, h, t, d)
        scale = 1.0 / math.sqrt(width)
        weights = fused.attention_weights(q, k, None, scale, self.causal)  # (..., n, h, t, t)
        weights = self.dropout(mark(weights, qkv))
        mixed = np.swapaxes(np.matmul(weights, v), -2, -3)  # (..., n, t, h, d)
        return self.out_proj(mark(np.reshape(mixed, (*lead, t, self.embed_dim)), qkv))

    def describe(self) -> str:
        return f"{self.embed_dim}, num_heads={self.num_heads}, causal={self.causal}"
