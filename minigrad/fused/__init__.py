"""Hand-derived rules for the hottest functions, each beside the composed one that it must equal.

A rule composed of small operations reads best, but every one of them makes an array and walks
through memory. Here the same mathematics is done in as few passes as NumPy allows: in place on
arrays that the rule owns, and with what the forward pass has computed kept for going back. The
``composed_*`` function above each rule is its definition in plain operations; it serves higher
derivatives, and ``tests/test_fused.py`` holds the two together. Read ``affine.py`` first.
"""

from ..rules.indexing import embedding
from .activations import composed_gelu, composed_gelu_tanh, gelu
from .affine import composed_linear, composed_linear_relu, linear
from .losses import (
    binary_cross_entropy_with_logits,
    composed_binary_cross_entropy_with_logits,
    composed_mse,
    composed_softmax_cross_entropy,
    mse,
    softmax_cross_entropy,
)
from .masking import dropout
from .normalization import batch_norm, composed_layer_norm, layer_norm
from .recurrent import composed_lstm, lstm
from .scaled_dot_product import attention, attention_weights, composed_attention, self_attention

__all__ = [
    "attention",
    "attention_weights",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "composed_attention",
    "composed_binary_cross_entropy_with_logits",
    "composed_gelu",
    "composed_gelu_tanh",
    "composed_layer_norm",
    "composed_linear",
    "composed_linear_relu",
    "composed_lstm",
    "composed_mse",
    "composed_softmax_cross_entropy",
    "dropout",
    "embedding",
    "gelu",
    "layer_norm",
    "linear",
    "lstm",
    "mse",
    "self_attention",
    "softmax_cross_entropy",
]
