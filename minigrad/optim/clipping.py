"""Keep gradients from growing beyond a bound, between ``backward()`` and ``step()``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..engine import Tensor, raw


def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    *,
    members: int | None = None,
) -> Any:
    r"""Shrink all gradients together, in place, so that their joint norm is at most ``max_norm``.

    .. math:: g \leftarrow g \cdot \min\bigl(1, c / (\lVert g \rVert + 10^{-6})\bigr), \qquad
        \lVert g \rVert^q = \sum_{p} \sum_i |g_{p,i}|^q

    Args:
        parameters: Tensors; those without a gradient are left out.
        max_norm: :math:`c \ge 0`.
        norm_type: :math:`q > 0`; ``math.inf`` is the largest absolute value.
        error_if_nonfinite: raise RuntimeError where the norm is NaN or infinite; otherwise NaN
            gradients stay NaN, and an infinite norm makes the finite gradients 0.
        members: ensemble size: one norm per member, over each gradient's leading axis. None takes
            it from the parameters' ``members`` marks; without marks there is one norm.
    Returns: the norm before clipping: a float, or an array ``(members,)``.
    Raises: ValueError if some parameters have the members and others have not.
    Source: Pascanu et al. 2013, algorithm 1; PyTorch's 1e-6 and arguments.
    """
    _check("clip_grad_norm_", "max_norm", max_norm)
    if not norm_type > 0:
        raise ValueError(f"clip_grad_norm_: norm_type={norm_type!r}; expected a number > 0, or inf")
    params = _with_gradient(parameters)
    if not params:
        return 0.0
    m = _members(params, members)
    gradients = [raw(p.grad) for p in params]
    rows = [g.reshape(m or 1, -1) for g in gradients]  # (members, elements)
    if norm_type == math.inf:
        norms = np.max(np.stack([np.max(np.abs(r), axis=1) for r in rows]), axis=0)
    elif norm_type == 2:
        norms = np.sqrt(sum(np.einsum("mi,mi->m", r, r).astype(np.float64) for r in rows))
    else:
        powers = [np.sum(np.abs(r) ** norm_type, axis=1).astype(np.float64) for r in rows]
        norms = sum(powers) ** (1.0 / norm_type)
    if error_if_nonfinite and not bool(np.isfinite(norms).all()):
        raise RuntimeError(
            f"clip_grad_norm_: the gradient norm is {norms}; expected finite numbers. Mend: find "
            "the operation with mg.detect_anomaly(), or lower the learning rate"
        )
    factors = np.minimum(float(max_norm) / (norms + 1e-6), 1.0)  # NaN stays NaN
    if not bool((factors == 1.0).all()):
        for p, g in zip(params, gradients, strict=True):
            g *= factors.astype(g.dtype).reshape(-1, *[1] * (g.ndim - 1)) if g.ndim else factors[0]
            p.grad = g
    return norms if m is not None else float(norms[0])


def clip_grad_value_(parameters: Iterable[Tensor] | Tensor, clip_value: float) -> None:
    """Clip every gradient element into ``[-clip_value, clip_value]``, in place."""
    _check("clip_grad_value_", "clip_value", clip_value)
    for p in _with_gradient(parameters):
        g = raw(p.grad)
        np.clip(g, -float(clip_value), float(clip_value), out=g)


def _check(owner: str, name: str, value: Any) -> None:
    if not value >= 0:
        raise ValueError(f"{owner}: {name}={value!r}; expected a number >= 0. Mend: pass e.g. 1.0")


def _with_gradient(parameters: Iterable[Tensor] | Tensor) -> list[Tensor]:
    params = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p for p in dict.fromkeys(params) if p.grad is not None]  # a tied one counts once


def _members(params: list[Tensor], members: int | None) -> int | None:
    """The ensemble size of all parameters; an error if they do not agree."""
    if members is None:
        members = params[0].members
    for i, p in enumerate(params):
        fits = p.members == members or (p.members is None and members in p.shape[:1])
        if not fits or (members is not None and p.shape[:1] != (members,)):
            raise ValueError(
                f"clip_grad_norm_: parameter {i} of shape {p.shape} has members={p.members}; "
                f"expected {members}, as the others. Mend: clip shared parameters separately"
            )
    return members
