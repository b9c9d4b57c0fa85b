"""Modules that hold modules: Sequential runs them in order, ModuleList only keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .activations import ReLU
from .ensembles import mark
from .linear import Linear
from .module import Module


class ModuleList(Module):
    """A list of modules, named by their positions. (A plain list as an attribute works as well.)"""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._layers: list[Module] = []
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end.

        Raises:
            TypeError: for anything else, such as a class that was not called.
        """
        if not isinstance(module, Module):
            raise TypeError(
                f"{type(self).__name__}: expected a Module, found {module!r}. Mend: ReLU() for a "
                "layer, and a Module of your own for a function"
            )
        self._layers.append(module)
        return self

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return ((str(i), layer) for i, layer in enumerate(self._layers))

    def __getitem__(self, index: Any) -> Any:
        return (
            type(self)._of(self._layers[index]) if isinstance(index, slice) else self._layers[index]
        )

    @classmethod
    def _of(cls, layers: list[Module]) -> ModuleList:
        part = cls.__new__(cls)
        part._layers = layers
        return part

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._layers)


class Sequential(ModuleList):
    """One after the other: ``Sequential(Linear(64, 32), ReLU(), Linear(32, 10))``.

    `Linear` followed by `ReLU` runs as one operation, which saves a pass through memory.
    """

    def __init__(self, *modules: Module) -> None:
        super().__init__(modules)

    def forward(self, x: Any) -> Any:
        done = False
        for layer, following in zip(self._layers, [*self._layers[1:], None], strict=True):
            if done:
                done = False
            elif type(layer) is Linear and type(following) is ReLU:
                x, done = layer(x, activation="relu"), True
            else:
                x = layer(x)
        return x


class Flatten(Module):
    """Axes ``start_dim`` to ``end_dim`` become one: ``(n, c, h, w)`` to ``(n, c h w)`` by default.

    The members axis of an ensemble does not count.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Any) -> Any:
        lead = x.shape[: getattr(x, "members", None) is not None]
        own = x.shape[len(lead) :]
        start, end = self.start_dim % len(own), self.end_dim % len(own)
        size = int(np.prod(own[start : end + 1]))
        return mark(np.reshape(x, (*lead, *own[:start], size, *own[end + 1 :])), x)

    def describe(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
