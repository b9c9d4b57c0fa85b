"""Dropout: zero activations at random while training: single ones, whole channels, or over time."""

from __future__ import annotations

from typing import Any

from .. import fused
from ..registry import term
from .masks import check_rate, drawn, member_generators, scaled_mask
from .module import Module


@term(
    kind="noise layer",
    family="dropout",
    papers=("srivastava2014dropout", "zhang2024finetuning"),
    aliases=("dropout",),
)
class Dropout(Module):
    r"""Multiply by a random mask: 0 with probability ``p``, otherwise 1/(1 - p); in eval mode by 1.

    .. math:: \tilde h = \frac{m \odot h}{1 - p}, \qquad m_j \sim \mathrm{Bernoulli}(1 - p)

    Args:
        p: probability of a zero, in [0, 1]. 0.5 is usual in hidden layers; fine-tuning with 0.9 on
            the last representation is Zhang and Bottou's "very large dropout" (the scale is then
            10: lower the learning rate).
        generator: random numbers for the masks (default: the global generator). Built inside
            ``nn.ensemble`` each member draws its own masks, going on with the member's generator.

    Input and output have the same shape; an input that the members share becomes one per member.
    Raises: ValueError for p outside [0, 1].
    Numerics: the mean of the output is the input. p = 1 gives zeros and divides by nothing.
    Source: Srivastava et al. 2014, in the form that rescales at training time.
    """

    def __init__(self, p: float = 0.5, generator: Any = None) -> None:
        check_rate(type(self).__name__, p)
        self.p = p
        self.generator = member_generators(generator)

    def forward(self, x: Any) -> Any:
        return fused.dropout(x, self.p, self.generator) if self.training else x

    def describe(self) -> str:
        return f"p={self.p}"


def _channels(shape: tuple[int, ...]) -> tuple[int, ...]:
    """One number per example and channel: ``(n, c, ...) -> (n, c, 1, ...)``."""
    return (*shape[:2], *(1,) * (len(shape) - 2))


def _dropped_channels(name: str, x: Any, p: float, ndim: int, generator: Any) -> Any:
    if x.ndim - (getattr(x, "members", None) is not None) != ndim:
        axes = "(n, channels, length)" if ndim == 3 else "(n, channels, height, width)"
        raise ValueError(f"{name}: expected {axes}, found shape {x.shape}")
    return drawn(x * scaled_mask(x, _channels, p, generator), x, generator)


@term(
    kind="noise layer",
    family="dropout",
    papers="tompson2015efficient",
    aliases=("spatial_dropout_1d",),
    example=lambda rng: {"x": rng.normal(size=(3, 4, 5))},
)
class Dropout1d(Dropout):
    """Dropout of whole channels of sequences ``(n, channels, length)``, as `Dropout2d`.

    Args:
        p: probability that a channel is zero, in [0, 1].
        generator: as in `Dropout`.
    Raises: ValueError for p outside [0, 1] or another number of axes.
    Source: Tompson et al. 2015, section 3.2 (spatial dropout).
    """

    def forward(self, x: Any) -> Any:
        if not self.training:
            return x
        return _dropped_channels("Dropout1d", x, self.p, 3, self.generator)


@term(
    kind="noise layer",
    family="dropout",
    papers="tompson2015efficient",
    aliases=("spatial_dropout", "spatial_dropout_2d"),
    example=lambda rng: {"x": rng.normal(size=(3, 4, 2, 3))},
)
class Dropout2d(Dropout):
    r"""Dropout of whole channels of images ``(n, channels, height, width)``.

    .. math:: \tilde x_{nchw} = \frac{m_{nc}}{1 - p} x_{nchw}, \qquad
              m_{nc} \sim \mathrm{Bernoulli}(1 - p)

    Neighbouring pixels say nearly the same, so that dropping single ones removes little.
    `DropBlock` with a block as large as the image is this layer.

    Args:
        p: probability that a channel is zero, in [0, 1].
        generator: as in `Dropout`.
    Raises: ValueError for p outside [0, 1] or another number of axes.
    Source: Tompson et al. 2015, section 3.2 (spatial dropout).
    """

    def forward(self, x: Any) -> Any:
        if not self.training:
            return x
        return _dropped_channels("Dropout2d", x, self.p, 4, self.generator)


@term(
    kind="noise layer",
    family="dropout",
    papers="gal2016theoretically",
    aliases=("locked_dropout", "LockedDropout", "variational_dropout"),
    example=lambda rng: {"x": rng.normal(size=(3, 5, 4))},
)
class VariationalDropout(Module):
    r"""Dropout of sequences with one mask for all time steps.

    .. math:: \tilde x_{nt} = \frac{m_n \odot x_{nt}}{1 - p}, \qquad
              m_{nj} \sim \mathrm{Bernoulli}(1 - p)

    Fresh masks at every step would let the noise average out along the sequence.

    Args:
        p: probability that a feature is zero throughout, in [0, 1].
        batch_first: sequences are ``(n, T, features)``; otherwise ``(T, n, features)``.
        generator: as in `Dropout`.
    Raises: ValueError for p outside [0, 1] or another number of axes.
    Source: Gal and Ghahramani 2016, section 4.
    """

    def __init__(self, p: float = 0.5, batch_first: bool = True, generator: Any = None) -> None:
        check_rate("VariationalDropout", p)
        self.p, self.batch_first = p, batch_first
        self.generator = member_generators(generator)

    def _per_sequence(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        n = shape[0] if self.batch_first else shape[1]
        return (n, 1, shape[2]) if self.batch_first else (1, n, shape[2])

    def forward(self, x: Any) -> Any:
        if x.ndim - (getattr(x, "members", None) is not None) != 3:
            raise ValueError(f"VariationalDropout: expected (n, T, features), found {x.shape}")
        if not self.training:
            return x
        mask = scaled_mask(x, self._per_sequence, self.p, self.generator)
        return drawn(x * mask, x, self.generator)

    def describe(self) -> str:
        return f"p={self.p}, batch_first={self.batch_first}"


def set_drop_rate(model: Module, p: float) -> int:
    """Set ``p`` of every random layer in ``model`` that has one, and return how many those are.

    Args:
        model: a module; all below it count.
        p: probability in [0, 1]; 0 turns the layers off.
    Raises:
        ValueError: for p outside [0, 1], or a model without such layers.
    """
    check_rate("set_drop_rate", p)
    layers = [m for m in model.modules() if {"p", "generator"} <= set(vars(m))]
    if not layers:
        raise ValueError("set_drop_rate: the model has no layer with a rate p, such as nn.Dropout")
    for layer in layers:
        vars(layer)["p"] = p
    return len(layers)
