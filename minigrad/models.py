"""Networks that more than one chapter trains.

They are small on purpose: each is here so that two chapters can talk about the same network.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from . import nn


class PairNet(nn.Module):
    r"""Two numbers in, p scores out: shared embedding, one hidden ReLU layer, linear read-out.

    .. math:: z = V \max\!\left(0,\; W \begin{pmatrix} E_a \\ E_b \end{pmatrix} + c\right) + d

    W = (W_1, W_2), and there are only p different vectors W_1 E_a: two small tables are computed
    once per step, instead of one product for every pair.

    Args:
        p: how many numbers there are, at least 1; also the number of classes.
        features: length of an embedding row :math:`E_a`, which starts with length about 1.
        width: number of hidden units.
        dtype: of the parameters. float64, since delayed generalization amplifies rounding.

    Input ``(n, 2)`` integers in [0, p), output ``(n, p)``.
    Source: the task of Power et al. 2022; the network is a small stand-in for their transformer.
    """

    def __init__(self, p: int, features: int = 64, width: int = 128, dtype: Any = np.float64):
        self.embedding = nn.Embedding(p, features, dtype=dtype)
        self.hidden = nn.Linear(2 * features, width, dtype=dtype)
        self.readout = nn.Linear(width, p, dtype=dtype)
        self.embedding.weight.data /= np.sqrt(features)

    def forward(self, pairs: Any) -> Any:
        E, W = self.embedding.weight, self.hidden.weight  # (p, features), (width, 2 features)
        left, right = np.split(W, 2, axis=1)  # (width, features) each
        first, second = E @ left.T, E @ right.T + self.hidden.bias  # (p, width) each
        hidden = np.maximum(first[pairs[:, 0]] + second[pairs[:, 1]], 0)  # (n, width)
        return self.readout(hidden)  # (n, p)


def mlp(*sizes: int, activation: Any = nn.ReLU, bias: bool = True, dtype: Any = None) -> Any:
    """Linear layers of the given sizes with an activation between them.

    ``mlp(64, 256, 10)`` is ``Sequential(Linear(64, 256), ReLU(), Linear(256, 10))``.

    Args:
        sizes: features of the input, of each hidden layer, and of the output; at least two.
        activation: called for a new module after every layer but the last, such as ``nn.Tanh``.
        bias, dtype: of every `nn.Linear`.
    Raises: ValueError for fewer than two sizes.
    """
    if len(sizes) < 2:
        raise ValueError(
            f"mlp: sizes is {sizes}; expected at least input and output, such as mlp(64, 10)"
        )
    layers: list[Any] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out, bias=bias, dtype=dtype), activation()]
    return nn.Sequential(*layers[:-1])
