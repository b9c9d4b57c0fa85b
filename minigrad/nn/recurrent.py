"""Recurrent layers: the LSTM, which reads a sequence step by step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import fused
from . import init
from .ensembles import mark, parameter
from .module import Module


class LSTM(Module):
    r"""Long short-term memory: one layer, one direction (`fused.lstm` has the formulas).

    Args:
        input_size, hidden_size: features of the inputs and of the hidden state.
        bias: whether to have the two bias vectors.
        batch_first: inputs and outputs are ``(n, T, features)`` instead of ``(T, n, features)``.

    Attributes (PyTorch's names; gates in the order i, f, g, o):
        weight_ih_l0: ``(4 hidden_size, input_size)``.
        weight_hh_l0: ``(4 hidden_size, hidden_size)``.
        bias_ih_l0, bias_hh_l0: ``(4 hidden_size,)`` or None.

    All start uniform in +-1/sqrt(hidden_size), as in PyTorch.

    ``output, (h, c) = lstm(x, (h_0, c_0))``: output holds the hidden states of all steps; h and c
    are ``(1, n, hidden_size)`` with PyTorch's axis of layers, the default start is zero. In an
    ensemble all of them have a members axis in front.
    Source: Hochreiter and Schmidhuber 1997.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        batch_first: bool = False,
        *,
        dtype: Any = None,
        generator: Any = None,
    ) -> None:
        self.input_size, self.hidden_size = input_size, hidden_size
        self.batch_first = batch_first
        bound = 1.0 / math.sqrt(hidden_size)

        def uniform(*shape: int) -> Any:
            return init.uniform_(parameter(shape, dtype), -bound, bound, generator)

        self.weight_ih_l0 = uniform(4 * hidden_size, input_size)
        self.weight_hh_l0 = uniform(4 * hidden_size, hidden_size)
        self.bias_ih_l0 = uniform(4 * hidden_size) if bias else None
        self.bias_hh_l0 = uniform(4 * hidden_size) if bias else None

    def forward(self, x: Any, state: tuple[Any, Any] | None = None) -> tuple[Any, tuple[Any, Any]]:
        if x.ndim != 3 + (getattr(x, "members", None) is not None):
            axes = "(n, T, {})" if self.batch_first else "(T, n, {})"
            raise ValueError(f"LSTM: expected {axes.format(self.input_size)}, found {x.shape}")
        if self.batch_first:
            x = mark(np.swapaxes(x, -3, -2), x)
        if state is not None:
            state = (state[0][..., 0, :, :], state[1][..., 0, :, :])
        out, (h, c) = fused.lstm(
            x, self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0, state
        )
        if self.batch_first:
            out = mark(np.swapaxes(out, -3, -2), out)
        h, c = (mark(np.expand_dims(a, -3), a) for a in (h, c))  # (1, n, hidden_size)
        return out, (h, c)

    def describe(self) -> str:
        return f"{self.input_size}, {self.hidden_size}, batch_first={self.batch_first}"
