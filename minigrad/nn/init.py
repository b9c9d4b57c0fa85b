"""How parameters start: PyTorch's names and formulas. Each function fills a tensor in place.

Random numbers come from ``generator``, or else from the global generator of ``mg.manual_seed`` (the
host's, so that a seed means the same start on every device). Inside ``nn.ensemble`` each member of
a marked tensor is filled from the member's own generator, with the fans of a single member.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backend
from ..engine import Tensor, changed_in_place
from . import ensembles


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Factor that keeps the variance through a nonlinearity: sqrt(2) for relu, 5/3 for tanh, ..."""
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1.0 + slope**2))
    gains = {
        "linear": 1.0,
        "conv2d": 1.0,
        "sigmoid": 1.0,
        "tanh": 5.0 / 3.0,
        "relu": math.sqrt(2.0),
    }
    gains["selu"] = 0.75
    if nonlinearity not in gains:
        known = ", ".join([*gains, "leaky_relu"])
        raise ValueError(f"calculate_gain: expected one of {known}, found {nonlinearity!r}")
    return gains[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """``(fan_in, fan_out)`` of a weight ``(out, in, *kernel)``, of one member."""
    shape = tensor.shape if tensor.members is None else tensor.shape[1:]
    if len(shape) < 2:
        raise ValueError(
            f"init: fan_in and fan_out need a weight of at least 2 axes (out, in), found {shape}. "
            "Mend: zeros_, uniform_ or normal_ for biases and gains"
        )
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def _fill(tensor: Tensor, draw: Callable[[Any, Any], Any], generator: Any) -> Tensor:
    """Write ``draw(generator, like)`` into the tensor, one draw per member of an ensemble."""
    data, m = tensor.data, tensor.members
    rngs = ensembles.generators() if generator is None and m == ensembles.size() else None
    fallback = backend.generator("cpu") if generator is None else generator
    if m is None:
        data[...] = draw(fallback, data)
    else:
        for i in range(m):
            data[i] = draw(fallback if rngs is None else rngs[i], data[i, ...])
    changed_in_place([tensor])
    return tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in [a, b)."""
    return _fill(tensor, lambda rng, like: a + (b - a) * backend.uniform(like, rng=rng), generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with this mean and standard deviation."""
    return _fill(tensor, lambda rng, like: mean + std * backend.normal(like, rng=rng), generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Normal, with draws outside [a, b] drawn again. (a, b are values, not standard deviations.)

    Raises:
        ValueError: if [a, b] lies so far out that rejection would hardly ever end.
    """
    if not a < b or max(a - mean, mean - b) > 3.0 * std:
        raise ValueError(
            f"trunc_normal_: [{a}, {b}] must overlap mean +- 3 std = {mean} +- {3 * std}"
        )

    def draw(rng: Any, like: Any) -> Any:
        x = mean + std * backend.normal(like, rng=rng)
        outside = (x < a) | (x > b)
        while outside.any():
            x = np.where(outside, mean + std * backend.normal(like, rng=rng), x)
            outside = (x < a) | (x > b)
        return x

    return _fill(tensor, draw, generator)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every element ``val``."""
    tensor.data[...] = val
    changed_in_place([tensor])
    return tensor


def zeros_(tensor: Tensor) -> Tensor:
    """All zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """All ones."""
    return constant_(tensor, 1.0)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform with std = gain sqrt(2 / (fan_in + fan_out)).

    Source: Glorot and Bengio 2010, eq. 16.
    """
    bound = gain * math.sqrt(6.0 / sum(fans(tensor)))  # a uniform on [-b, b] has std b / sqrt(3)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with std = gain sqrt(2 / (fan_in + fan_out)). Source: Glorot and Bengio 2010."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Uniform with std = gain / sqrt(fan); ``a`` is the slope of the leaky ReLU.

    Source: He et al. 2015, eq. 14 and 15.
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Normal with std = gain / sqrt(fan). Source: He et al. 2015, eq. 14 and 15."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"kaiming init: mode must be 'fan_in' or 'fan_out', found {mode!r}")
    fan = fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Rows (or columns, whichever are fewer) orthonormal, uniformly random, times ``gain``.

    Axes after the first are flattened. Source: Saxe, McClelland and Ganguli 2013.
    """
    fans(tensor)  # refuses tensors with fewer than two axes

    def draw(rng: Any, like: Any) -> Any:
        rows, columns = like.shape[0], math.prod(like.shape[1:])
        normal = backend.normal(like, (max(rows, columns), min(rows, columns)), rng)
        q, r = np.linalg.qr(normal)
        q = q * np.sign(np.diagonal(r))  # makes the distribution uniform (Mezzadri 2007)
        return gain * (q if rows >= columns else q.T).reshape(like.shape)

    return _fill(tensor, draw, generator)
