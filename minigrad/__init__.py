"""minigrad: a small autograd engine on NumPy and CuPy, made for learning deep learning."""

import importlib
from typing import Any

from . import backend

backend.keep_pages()  # before the first big array; MINIGRAD_KEEP_PAGES=0 opts out

from . import rules  # noqa: E402
from .backend import device, manual_seed, use  # noqa: E402
from .engine import Tensor, grad  # noqa: E402
from .modes import detect_anomaly, enable_grad, no_grad  # noqa: E402
from .primitive import Rule as primitive  # noqa: E402
from .transforms import (  # noqa: E402
    hessian,
    hvp,
    jacobian,
    jvp,
    stop_gradient,
    straight_through,
    value_and_grad,
    vjp,
)

tensor = Tensor
__version__ = "0.1.0"

_PARTS = (
    *("claims", "data", "exercises", "fused", "losses", "metrics", "models", "nn"),
    *("optim", "plots", "regularizers", "sweep", "testing", "train", "zoo"),
)

__all__ = [
    "Tensor",
    "backend",
    "detect_anomaly",
    "device",
    "enable_grad",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "manual_seed",
    "no_grad",
    "primitive",
    "rules",
    "stop_gradient",
    "straight_through",
    "tensor",
    "use",
    "value_and_grad",
    "vjp",
]


def __getattr__(name: str) -> Any:
    """``mg.nn``, ``mg.plots`` and the like are imported when first used: a quick start."""
    if name == "members":
        return importlib.import_module(".nn.ensembles", __name__).members
    if name in _PARTS:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'minigrad' has no attribute {name!r}")
