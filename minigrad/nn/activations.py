"""Activation functions as modules. Each keeps the shape and the members mark of its input."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import fused
from ..engine import raw
from ..rules import special
from .module import Module


class Identity(Module):
    """``x``, unchanged: a placeholder."""

    def forward(self, x: Any) -> Any:
        return x


class ReLU(Module):
    """``max(x, 0)``; the slope at 0 is 0."""

    def forward(self, x: Any) -> Any:
        return special.relu(x)


class LeakyReLU(Module):
    """``x`` where positive, otherwise ``negative_slope * x`` (also at 0)."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Any:
        values = raw(x)
        return x * np.where(values > 0, 1.0, self.negative_slope).astype(values.dtype)

    def describe(self) -> str:
        return f"negative_slope={self.negative_slope}"


class Tanh(Module):
    """``tanh(x)``."""

    def forward(self, x: Any) -> Any:
        return np.tanh(x)


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``, without overflow."""

    def forward(self, x: Any) -> Any:
        return special.expit(x)


class Softplus(Module):
    """``log(1 + exp(beta x)) / beta``: a smooth ReLU, sharper for larger ``beta``; no overflow."""

    def __init__(self, beta: float = 1.0) -> None:
        if not beta > 0.0:
            raise ValueError(f"Softplus: beta must be positive, found {beta}")
        self.beta = beta

    def forward(self, x: Any) -> Any:
        return (
            special.softplus(x) if self.beta == 1.0 else special.softplus(x * self.beta) / self.beta
        )

    def describe(self) -> str:
        return f"beta={self.beta}"


class SiLU(Module):
    """``x sigmoid(x)``, also called swish. Source: Elfwing, Uchibe and Doya 2017."""

    def forward(self, x: Any) -> Any:
        return x * special.expit(x)


class GELU(Module):
    """``x Phi(x)``, Phi the normal distribution function (`fused.gelu`); or a tanh like it."""

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate must be 'none' or 'tanh', found {approximate!r}")
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        return fused.gelu(x, self.approximate)

    def describe(self) -> str:
        return "" if self.approximate == "none" else f"approximate={self.approximate!r}"
