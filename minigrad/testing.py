"""Checking derivatives: compare what the engine computes with differences of function values.

``gradcheck(f, x, y)`` is the first thing to run after writing a rule, a layer or a loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .engine import Tensor, grad, raw


class GradcheckError(AssertionError):
    """A derivative disagrees with the difference quotient; the message says where."""


def gradcheck(
    f: Callable[..., Any],
    *inputs: Any,
    order: int = 1,
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-4,
    seed: int = 0,
) -> bool:
    r"""Whether the derivatives of ``f`` agree with central differences.

    .. math:: \frac{\partial f}{\partial x_i}
        \approx \frac{f(x + \epsilon e_i) - f(x - \epsilon e_i)}{2 \epsilon}

    Args:
        f: takes the inputs as Tensors, returns a Tensor of any shape, or several in a tuple, list
            or dict. Outputs are reduced to one number by a random cotangent, drawn from ``seed``.
            ``f`` must be deterministic: give stochastic functions a generator made inside ``f``.
        inputs: arrays or Tensors, or nested lists, tuples and dicts of them. float64 and complex128
            are checked; integers, booleans, None and Python scalars are constants.
        order: 1, or 2 to check the derivatives of the gradient as well, and that the gradient is
            the same when it is recorded (``create_graph=True``).
        eps: half the step. The error of the quotient is about eps^2 f''' + 1e-16 f / eps.
        atol, rtol: allowed is ``atol + rtol * |numeric|``.
    Returns: True.
    Raises:
        GradcheckError: with input, index, analytic and numeric value of the worst disagreement.
        TypeError: for float32 inputs, whose rounding would drown the difference. ValueError: for
            another order, or without any input to check.
    Numerics: stay away from kinks and ties by more than ``eps``. Complex inputs are moved along the
        real and along the imaginary axis; the gradient's convention is dL/dx - i dL/dy.
    """
    if order not in (1, 2):
        raise ValueError(f"gradcheck: order must be 1 or 2, found {order!r}")
    arrays: list[np.ndarray] = []
    names: list[str] = []
    trees = [_collect(x, f"input {i}", arrays, names) for i, x in enumerate(inputs)]
    if not arrays:
        raise ValueError("gradcheck: no float64 or complex128 input to differentiate by")

    def outputs(leaves: list[Any]) -> list[Tensor]:
        left = iter(leaves)
        return [t for t in _flat(f(*(_fill(tree, left) for tree in trees))) if type(t) is Tensor]

    rng = np.random.default_rng(seed)
    cotangents = [_random_like(o.data, rng) for o in outputs(_tensors(arrays))]
    if not cotangents:
        raise GradcheckError(
            "gradcheck: f returned no Tensor, so no derivative can flow through it"
        )

    def value(points: list[np.ndarray]) -> float:
        """The real number L = Re sum(cotangent * output), computed without a graph."""
        parts = outputs(_tensors(points, requires_grad=False))
        return sum(float(np.sum(c * o.data).real) for c, o in zip(cotangents, parts, strict=True))

    def gradients(points: list[np.ndarray], create_graph: bool = False) -> tuple[Any, Any]:
        leaves = _tensors(points)
        parts = zip(cotangents, outputs(leaves), strict=True)
        total: Any = sum((np.sum(np.real(c * o)) for c, o in parts), start=0.0)
        if type(total) is not Tensor or total.node is None:
            raise GradcheckError("gradcheck: the output does not depend on the inputs' graph")
        return leaves, grad(total, leaves, create_graph=create_graph)

    analytic = gradients(arrays)[1]
    _compare(analytic, _differences(value, arrays, eps), names, "gradient", atol, rtol)
    if order == 1:
        return True

    leaves, recorded = gradients(arrays, create_graph=True)
    _compare([r.data for r in recorded], analytic, names, "recorded gradient", atol, rtol)
    directions = [_random_like(a, rng) for a in arrays]

    def slope(points: list[np.ndarray]) -> float:
        """The gradient along the random directions."""
        found = gradients(points)[1]
        return sum(float(np.sum(d * g).real) for d, g in zip(directions, found, strict=True))

    along: Any = sum(np.sum(np.real(d * g)) for d, g in zip(directions, recorded, strict=True))
    second = grad(along, leaves) if along.node is not None else [np.zeros_like(a) for a in arrays]
    numeric = _differences(slope, arrays, eps)
    _compare(second, numeric, names, "second derivative", atol, rtol)
    return True


def _differences(f: Callable[[Any], float], arrays: list[np.ndarray], eps: float) -> list[Any]:
    """Central differences of the real number ``f(arrays)`` by every element of every array."""
    gradients = []
    for k, array in enumerate(arrays):
        numeric = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            for unit in (1.0, 1j) if array.dtype.kind == "c" else (1.0,):
                ends = []
                for step in (eps * unit, -eps * unit):
                    moved = array.copy()
                    moved[index] += step
                    ends.append(f([*arrays[:k], moved, *arrays[k + 1 :]]))
                numeric[index] += np.conj(unit) * (ends[0] - ends[1]) / (2.0 * eps)
        gradients.append(numeric)
    return gradients


def _compare(
    found: Any, expected: Any, names: list[str], what: str, atol: float, rtol: float
) -> None:
    """Raise for the worst element that is further off than allowed."""
    for name, a, b in zip(names, found, expected, strict=True):
        if a.shape != b.shape:
            raise GradcheckError(
                f"gradcheck, {name}: {what} of shape {a.shape} for shape {b.shape}"
            )
        excess = np.abs(a - b) / (atol + rtol * np.abs(b))
        if not excess.size or bool((excess <= 1.0).all()):
            continue
        bad = np.where(np.isnan(excess), np.inf, excess)
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))
        raise GradcheckError(
            f"gradcheck, {name}, index {index}: {what} is {a[index]:.10g}, but differences give "
            f"{b[index]:.10g} ({int((bad > 1.0).sum())} of {bad.size} elements differ by more than "
            f"atol={atol:g} + rtol={rtol:g} * |value|). Mend: check the rule's sign, factors and "
            "missing terms, or move the inputs away from kinks"
        )


# --- inputs and outputs in nested containers ------------------------------------------------------


class _Slot:
    """Stands for an array that is differentiated, inside the containers."""


def _collect(tree: Any, name: str, arrays: list[np.ndarray], names: list[str]) -> Any:
    """The nesting with a `_Slot` for every array to check; the arrays are appended in order."""
    if isinstance(tree, dict):
        return {k: _collect(v, f"{name}[{k!r}]", arrays, names) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        parts = [_collect(v, f"{name}[{i}]", arrays, names) for i, v in enumerate(tree)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    array = raw(tree)
    kind = getattr(getattr(array, "dtype", None), "kind", "")
    if kind not in ("f", "c"):
        return tree
    if array.dtype not in (np.float64, np.complex128):
        raise TypeError(
            f"gradcheck, {name}: expected float64 (or complex128), found {array.dtype}, whose "
            "rounding error is larger than the difference that is measured. "
            "Mend: x.astype(np.float64), or leave out dtype=np.float32 in the test"
        )
    arrays.append(np.array(array))
    names.append(name)
    return _Slot()


def _fill(tree: Any, leaves: Any) -> Any:
    """The nesting with its slots replaced, in order, by the next of ``leaves``."""
    if isinstance(tree, dict):
        return {k: _fill(v, leaves) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        parts = [_fill(v, leaves) for v in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return next(leaves) if type(tree) is _Slot else tree


def _flat(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in _flat(part)]
    return [tree]


def _tensors(arrays: list[np.ndarray], requires_grad: bool = True) -> list[Any]:
    return [Tensor(a, requires_grad=requires_grad) for a in arrays]


def _random_like(array: Any, rng: np.random.Generator) -> Any:
    """A cotangent or direction with entries near +-1, so that no output is overlooked."""
    values = rng.uniform(0.5, 1.5, array.shape) * rng.choice([-1.0, 1.0], array.shape)
    return values * (1.0 + 0.5j) if array.dtype.kind == "c" else values
