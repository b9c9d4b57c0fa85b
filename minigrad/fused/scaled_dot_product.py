"""Attention: softmax(q k^T / sqrt(d)) v, for separate arrays and for a joint projection."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine import raw
from ..primitive import Rule
from ..rules.special import softmax
from .parts import marked, t

# Up to so many keys the scores are laid out with the key axis first. The largest and the sum over
# keys are then taken between long contiguous arrays, not within rows of a few numbers: with 3 keys
# that halves the time of the forward pass. Beyond, the products would suffer from rows that far
# apart. Products of tiny matrices stay np.matmul's (0.2 us each): with 3 tokens and 32 features
# einsum, or multiplying and summing key by key, took as long, with more tokens up to ten times.
FEW_KEYS = 64


def attention_weights(q: Any, k: Any, mask: Any, scale: float, causal: bool) -> Any:
    """``softmax(scale q k^T + mask)`` in plain operations: ``(..., queries, keys)``."""
    scores = np.matmul(q * scale, t(k))
    if causal:
        scores = np.where(_past(raw(scores)), scores, -math.inf)
    if mask is not None:
        allowed = mask.dtype == bool
        scores = np.where(mask, scores, -math.inf) if allowed else scores + mask
    return softmax(scores, axis=-1)


def _past(scores: Any) -> Any:
    """``(queries, keys)``: whether key j comes no later than query i."""
    return np.tri(*scores.shape[-2:], dtype=np.bool_, like=scores)


def composed_attention(q: Any, k: Any, v: Any, mask: Any, scale: float, causal: bool) -> Any:
    """Attention in plain operations."""
    return np.matmul(attention_weights(q, k, mask, scale, causal), v)


def _weights(q: Any, k: Any, mask: Any, scale: float, causal: bool) -> Any:
    """The weights in an array of our own, in place from the scores on."""
    lead, queries, keys = q.shape[:-2], q.shape[-2], k.shape[-2]
    if keys <= FEW_KEYS:
        p = np.moveaxis(np.empty((keys, *lead, queries), q.dtype, like=q), 0, -1)
    else:
        p = np.empty((*lead, queries, keys), q.dtype, like=q)
    np.matmul(q, t(k), out=p)
    p *= scale
    if causal:
        np.copyto(p, -math.inf, where=~_past(p))
    if mask is not None and mask.dtype == bool:
        np.copyto(p, -math.inf, where=~mask)
    elif mask is not None:
        p += mask
    p -= p.max(axis=-1, keepdims=True)
    np.exp(p, out=p)
    p /= p.sum(axis=-1, keepdims=True)
    return p


def _back(g: Any, p: Any, q: Any, k: Any, v: Any, scale: float, into: Any) -> Any:
    r"""Gradients towards q, k and v, written to the three arrays ``into`` where these are not None.

    With :math:`P` the weights and :math:`o = P v`: :math:`dv = P^\top g, \; dP = g v^\top`, then
    through the softmax :math:`dS = P \circ (dP - \sum_j dP_{ij} P_{ij})`, :math:`dq = s\, dS\, k`
    and :math:`dk = s\, dS^\top q`. Returns dS.
    """
    towards_q, towards_k, towards_v = into
    if towards_v is not None:
        np.matmul(t(p), g, out=towards_v)
    scores = np.empty_like(p)  # in the same layout
    np.matmul(g, t(v), out=scores)
    scores -= (scores * p).sum(axis=-1, keepdims=True)
    scores *= p
    if towards_q is not None:
        np.matmul(scores, k, out=towards_q)
        towards_q *= scale
    if towards_k is not None:
        np.matmul(t(scores), q, out=towards_k)
        towards_k *= scale
    return scores


# --- separate queries, keys and values ------------------------------------------------------------


def _attention_forward(
    q: Any, k: Any, v: Any, mask: Any, scale: float, causal: bool
) -> tuple[Any, Any]:
    p = _weights(q, k, mask, scale, causal)
    return np.matmul(p, v), p


def _attention_joint(
    need: Any, g: Any, p: Any, q: Any, k: Any, v: Any, mask: Any, scale: float, causal: bool
) -> Any:
    into = [np.empty_like(a) if n else None for a, n in zip((q, k, v), need, strict=False)]
    scores = _back(g, p, q, k, v, scale, into)
    return (*into, scores if need[3] else None)


_attention = Rule(
    _attention_forward,
    joint=_attention_joint,
    twin=composed_attention,
    residual=True,
    name="attention",
)


def attention(
    q: Any, k: Any, v: Any, causal: bool = False, mask: Any = None, scale: float | None = None
) -> Any:
    r"""Scaled dot-product attention.

    .. math:: \mathrm{softmax}\!\left(s\, q k^\top + \text{mask}\right) v

    Args:
        q: queries ``(..., heads, tokens, head_dim)``.
        k, v: keys and values ``(..., heads, keys, head_dim)``, with the same leading axes.
        causal: query i sees keys up to i only.
        mask: broadcasts to ``(..., heads, tokens, keys)``: booleans (True: may be seen), or
            numbers added to the scores (a Tensor there gets its gradient).
        scale: s; the default is 1/sqrt(head_dim).
    Returns: ``(..., heads, tokens, head_dim)``, with the members mark of ``q``.
    Raises:
        ValueError: if the shapes do not fit.
    Numerics: shifted by the largest score, so finite for scores of any finite size. A query that
        may see no key at all gives NaN.
    Source: Vaswani et al. 2017, eq. 1.
    """
    if q.shape[:-2] != k.shape[:-2] or k.shape[:-1] != v.shape[:-1] or q.shape[-1] != k.shape[-1]:
        raise ValueError(
            "attention: q (..., tokens, head_dim), k and v (..., keys, head_dim) must agree in "
            f"their leading axes, head_dim and keys, found {q.shape}, {k.shape} and {v.shape}"
        )
    scale = 1.0 / math.sqrt(q.shape[-1]) if scale is None else scale
    if mask is not None and not hasattr(mask, "dtype"):
        mask = np.asarray(mask)
    return marked(_attention(q, k, v, mask, float(scale), causal), q, k, v)


# --- queries, keys and values side by side, as one projection gives them --------------------------


def _heads(qkv: Any, heads: int) -> Any:
    """``(..., tokens, 3 heads d)`` -> three views ``(..., heads, tokens, d)``."""
    width = qkv.shape[-1] // (3 * heads)
    parts = qkv.reshape((*qkv.shape[:-1], 3, heads, width))  # (..., tokens, 3, heads, d)
    return [np.swapaxes(parts[..., i, :, :], -2, -3) for i in range(3)]


def _side_by_side(a: Any) -> Any:
    """``(..., heads, tokens, d)`` -> ``(..., tokens, heads d)``."""
    a = np.swapaxes(a, -2, -3)
    return a.reshape((*a.shape[:-2], a.shape[-2] * a.shape[-1]))


def composed_self_attention(qkv: Any, mask: Any, heads: int, scale: float, causal: bool) -> Any:
    """Self-attention in plain operations."""
    q, k, v = _heads(qkv, heads)
    return _side_by_side(composed_attention(q, k, v, mask, scale, causal))


def _self_attention_forward(
    qkv: Any, mask: Any, heads: int, scale: float, causal: bool
) -> tuple[Any, Any]:
    q, k, v = _heads(qkv, heads)
    p = _weights(q, k, mask, scale, causal)
    out = np.empty((*qkv.shape[:-1], heads, v.shape[-1]), qkv.dtype, like=qkv)
    np.matmul(p, v, out=np.swapaxes(out, -2, -3))  # straight into (..., tokens, heads, d)
    return out.reshape((*qkv.shape[:-1], heads * v.shape[-1])), p


def _self_attention_joint(
    need: Any, g: Any, p: Any, qkv: Any, mask: Any, heads: int, scale: float, causal: bool
) -> Any:
    """All three gradients are written into one array of the projection's layout: no copies."""
    q, k, v = _heads(qkv, heads)
    g = np.swapaxes(g.reshape((*g.shape[:-1], heads, v.shape[-1])), -2, -3)
    towards = np.empty(qkv.shape, qkv.dtype, like=qkv)
    into = _heads(towards, heads) if need[0] else (None, None, None)
    scores = _back(g, p, q, k, v, scale, into)
    return towards if need[0] else None, scores if need[1] else None


_self_attention = Rule(
    _self_attention_forward,
    joint=_self_attention_joint,
    twin=composed_self_attention,
    residual=True,
    name="self_attention",
)


def self_attention(
    qkv: Any, heads: int, causal: bool = False, mask: Any = None, scale: float | None = None
) -> Any:
    """`attention` of tokens to each other, from one projection: nothing is split or transposed.

    Args:
        qkv: ``(..., tokens, 3 heads head_dim)``: the queries of all heads, then keys, then values.
        heads: number of heads.
        causal, mask, scale: as in `attention`.
    Returns: ``(..., tokens, heads head_dim)``, the heads side by side.
    Raises:
        ValueError: if the last axis cannot be split into 3 times ``heads`` parts.
    """
    if qkv.shape[-1] % (3 * heads):
        raise ValueError(
            f"self_attention: the last axis of qkv must be 3 x {heads} heads x head_dim, found "
            f"shape {qkv.shape}"
        )
    scale = 1.0 / math.sqrt(qkv.shape[-1] // (3 * heads)) if scale is None else scale
    if mask is not None and not hasattr(mask, "dtype"):
        mask = np.asarray(mask)
    return marked(_self_attention(qkv, mask, heads, float(scale), causal), qkv)
