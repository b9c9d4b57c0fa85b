"""Embedding: a table of vectors, one row per symbol."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import raw
from ..fused import embedding
from . import init
from .ensembles import mark, parameter
from .module import Module


class Embedding(Module):
    """Rows of a trainable table, picked by integers.

    Args:
        num_embeddings: rows of the table: indices lie in [0, num_embeddings).
        embedding_dim: length of each row.

    Attributes:
        weight: ``(num_embeddings, embedding_dim)``, starts standard normal.

    Input: integers of any shape; output: that shape ``+ (embedding_dim,)``, in an ensemble with a
    members axis in front. Raises IndexError for an index outside the table.
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, *, dtype: Any = None, generator: Any = None
    ) -> None:
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = init.normal_(
            parameter((num_embeddings, embedding_dim), dtype), generator=generator
        )

    def forward(self, index: Any) -> Any:
        m = self.weight.members
        if m is None:
            return mark(embedding(self.weight, index), index)
        # One long table of all members: member i's rows begin at i * num_embeddings.
        rows, picks = self.num_embeddings, raw(index)
        if picks.size and (int(picks.min()) < 0 or int(picks.max()) >= rows):
            raise IndexError(
                f"embedding: index must lie in [0, {rows}), found values from {int(picks.min())} "
                f"to {int(picks.max())}"
            )
        shared = getattr(index, "members", None) is None
        picks = np.broadcast_to(picks, (m, *picks.shape)) if shared else picks
        start = (np.arange(m, like=picks) * rows).reshape((m,) + (1,) * (picks.ndim - 1))
        table = np.reshape(self.weight, (m * rows, self.embedding_dim))
        return mark(embedding(table, picks + start), self.weight)

    def describe(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}"
