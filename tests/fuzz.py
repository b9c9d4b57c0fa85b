"""Random programs of NumPy functions: minigrad must agree with JAX in values and derivatives.

A program is drawn from a seed. It has up to four leaves of random shapes and up to ten instructions
taken from the table below. The same instructions run on Tensors (through ``np``) and on JAX arrays
(through ``jax.numpy``); compared are all values, the gradients of a scalar made of them, and the
Hessian-vector product along a random direction. Values, shapes and dtypes are also compared with
NumPy itself. JAX has to compile every program, so each one runs on several inputs. An instruction
that would come near a kink, a tie, a pole or an overflow is drawn again (and counted), so that
whatever disagrees is a bug.

    python tests/fuzz.py --programs 20000 --inputs 1 --jobs 2   # over an hour on two cores
    python tests/fuzz.py --programs 500 --inputs 40 --jobs 2    # 20,000 runs in ten minutes
    python tests/fuzz.py --only 12345                           # one program, printed
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import dataclasses
import itertools
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Compile quickly: every program runs only a few times.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_use_fusion_emitters=false",
)

import jax
import jax.numpy as jnp
import numpy as np

import minigrad as mg
from minigrad.engine import raw
from minigrad.primitive import RULES

jax.config.update("jax_enable_x64", True)

GAP = 2e-2  # how far from kinks, ties and poles an instruction has to stay
LARGEST = 50.0  # values beyond it are not worth comparing: rounding would hide mistakes
SIZES = (1, 2, 3)  # few, because JAX compiles every function for every shape


# --- the table of instructions --------------------------------------------------------------------
# An entry takes the random generator and the values so far and returns a drawn call: a label, the
# positions of the arguments and the function of (np or jnp, *arguments), or None if nothing fits.

Drawn = tuple[str, tuple[int, ...], Callable[..., Any]]
TABLE: list[tuple[str, Callable[[Any, list[Any]], Drawn | None]]] = []


def entry(name: str) -> Callable[[Any], Any]:
    def add(draw: Any) -> Any:
        TABLE.append((name, draw))
        return draw

    return add


def far(x: Any) -> bool:
    """Whether all elements keep their distance from 0."""
    return bool(np.all(np.abs(x) > GAP))


def apart(x: Any, axis: int | None) -> bool:
    """Whether all elements along ``axis`` keep their distance from each other."""
    x = x.reshape(-1) if axis is None else x
    return bool(
        np.all(np.diff(np.sort(x, axis=-1 if axis is None else axis), axis=axis or 0) > GAP)
    )


def pick(rng: Any, values: list[Any], fits: Callable[[Any], Any] = lambda x: True) -> int | None:
    """A position whose value ``fits``; the latest values are twice as likely."""
    found = [i for i, v in enumerate(values) if fits(v)]
    return rng.choice([*found, *found[-3:]]).item() if found else None


def some_axis(rng: Any, x: Any) -> int:
    return int(rng.integers(-x.ndim, x.ndim))


def some_axes(rng: Any, x: Any) -> Any:
    """None, one axis or a tuple of axes."""
    choice = rng.integers(4)
    if x.ndim == 0 or choice == 0:
        return None
    if choice < 3 or x.ndim == 1:
        return some_axis(rng, x)
    return tuple(int(i) for i in rng.permutation(x.ndim)[:2])


def nonneg(x: Any) -> bool:
    return bool(np.all(x > 0.2))


def inside(x: Any) -> bool:
    return bool(np.all(np.abs(x) < 0.9))


def steps(x: Any) -> bool:
    return bool(np.all(np.abs(x - np.rint(x)) > GAP) and np.all(np.abs(x % 1 - 0.5) > GAP))


def small(x: Any) -> bool:
    return bool(np.all(np.abs(x) < 4.0))


def anything(x: Any) -> bool:
    return True


UNARY: dict[str, Callable[[Any], bool]] = {
    "exp": small,
    "exp2": small,
    "expm1": small,
    "log": nonneg,
    "log2": nonneg,
    "log10": nonneg,
    "log1p": lambda x: bool(np.all(x > -0.8)),
    "sqrt": nonneg,
    "cbrt": lambda x: bool(np.all(np.abs(x) > 0.2)),
    "reciprocal": lambda x: bool(np.all(np.abs(x) > 0.2)),
    "square": anything,
    "negative": anything,
    "positive": anything,
    "sin": anything,
    "cos": anything,
    "tan": lambda x: bool(np.all(np.abs(np.cos(x)) > 0.3)),
    "arcsin": inside,
    "arccos": inside,
    "arctan": anything,
    "sinh": small,
    "cosh": small,
    "tanh": anything,
    "arcsinh": anything,
    "arccosh": lambda x: bool(np.all(x > 1.2)),
    "arctanh": inside,
    "abs": far,
    "absolute": far,
    "fabs": far,
    "sign": far,
    "floor": steps,
    "ceil": steps,
    "rint": steps,
    "trunc": steps,
    "deg2rad": anything,
    "rad2deg": small,
    "sinc": far,
    "conj": anything,
    "real": anything,
    "nan_to_num": anything,
    "zeros_like": anything,
}


@entry("unary")
def _(rng: Any, values: list[Any]) -> Drawn | None:
    name = str(rng.choice([n for n in UNARY if getattr(np, n) in RULES]))
    i = pick(rng, values, UNARY[name])
    return None if i is None else (name, (i,), lambda xp, x: getattr(xp, name)(x))


@entry("unary")
def _(rng: Any, values: list[Any]) -> Drawn | None:
    """Functions whose argument is first brought into the domain."""
    name = str(rng.choice(["log", "sqrt", "reciprocal", "log2", "arcsin", "arctanh", "arccosh"]))
    i = pick(rng, values)
    if name in ("arcsin", "arctanh"):
        return f"{name}(0.8 tanh x)", (i,), lambda xp, x: getattr(xp, name)(0.8 * xp.tanh(x))
    return f"{name}(x * x + 1.3)", (i,), lambda xp, x: getattr(xp, name)(x * x + 1.3)


BINARY: dict[str, Callable[[Any, Any], bool]] = {
    "add": lambda a, b: True,
    "subtract": lambda a, b: True,
    "multiply": lambda a, b: True,
    "divide": lambda a, b: bool(np.all(np.abs(b) > 0.2)),
    "true_divide": lambda a, b: bool(np.all(np.abs(b) > 0.2)),
    "power": lambda a, b: nonneg(a) and bool(np.all(np.abs(b) < 3)),
    "float_power": lambda a, b: nonneg(a) and bool(np.all(np.abs(b) < 3)),
    "maximum": lambda a, b: far(a - b),
    "minimum": lambda a, b: far(a - b),
    "fmax": lambda a, b: far(a - b),
    "fmin": lambda a, b: far(a - b),
    "hypot": lambda a, b: bool(np.all(np.hypot(a, b) > 0.2)),
    "arctan2": lambda a, b: bool(np.all(np.hypot(a, b) > 0.2)) and far(a),
    "logaddexp": lambda a, b: True,
    "logaddexp2": lambda a, b: True,
    "copysign": lambda a, b: far(a) and far(b),
    "remainder": lambda a, b: bool(np.all(np.abs(b) > 0.2)) and steps(a / b),
    "fmod": lambda a, b: bool(np.all(np.abs(b) > 0.2)) and steps(a / b),
}


@entry("binary")
@entry("binary")
@entry("binary")
def _(rng: Any, values: list[Any]) -> Drawn | None:
    name = str(rng.choice([n for n in BINARY if getattr(np, n) in RULES]))
    i = pick(rng, values)
    a = values[i]
    kind = rng.integers(4)
    if kind == 0:  # with a Python number
        c = float(rng.choice([-1.7, 0.6, 2.0, 3.0]))
        if rng.integers(2) and BINARY[name](a, c):
            return f"{name}(., {c})", (i,), lambda xp, x: getattr(xp, name)(x, c)
        if BINARY[name](np.float64(c), a):
            return f"{name}({c}, .)", (i,), lambda xp, x: getattr(xp, name)(c, x)
        return None
    if kind == 1:  # with a plain array
        c = rng.uniform(0.3, 2.0, a.shape[-1:]).astype(a.dtype)
        if not BINARY[name](a, c):
            return None
        return f"{name}(., array)", (i,), lambda xp, x: getattr(xp, name)(x, xp.asarray(c))

    def fits(b: Any) -> bool:
        try:
            return bool(np.broadcast_shapes(a.shape, b.shape) is not None and BINARY[name](a, b))
        except ValueError:
            return False

    j = pick(rng, values, fits)
    return None if j is None else (name, (i, j), lambda xp, x, y: getattr(xp, name)(x, y))


@entry("operators")
def _(rng: Any, values: list[Any]) -> Drawn | None:
    i = pick(rng, values)
    k = rng.integers(6)
    calls: list[tuple[str, Any]] = [
        ("2 - x", lambda xp, x: 2 - x),
        ("x ** 3", lambda xp, x: x**3),
        ("x ** 0", lambda xp, x: x**0),
        ("-x + 1", lambda xp, x: -x + 1),
        ("x / (1 + x ** 2)", lambda xp, x: x / (1 + x**2)),
        ("2.0 ** x", lambda xp, x: 2.0**x),
    ]
    return (calls[k][0], (i,), calls[k][1]) if small(values[i]) else None


REDUCTIONS: dict[str, Callable[[Any, Any], bool]] = {
    "sum": lambda x, axis: True,
    "mean": lambda x, axis: x.size > 0,
    "prod": lambda x, axis: True,
    "var": lambda x, axis: x.size > 0,
    "std": lambda x, axis: x.size > 0 and bool(np.all(np.std(x, axis) > 0.1)),
    "max": lambda x, axis: x.size > 0 and not isinstance(axis, tuple) and apart(x, axis),
    "min": lambda x, axis: x.size > 0 and not isinstance(axis, tuple) and apart(x, axis),
    "amax": lambda x, axis: x.size > 0 and not isinstance(axis, tuple) and apart(x, axis),
    "amin": lambda x, axis: x.size > 0 and not isinstance(axis, tuple) and apart(x, axis),
    "ptp": lambda x, axis: x.size > 0 and not isinstance(axis, tuple) and apart(x, axis),
    # JAX's median of a 0-d array has shape (1,)
    "median": lambda x, axis: x.size > 0 < x.ndim and type(axis) is not tuple and apart(x, axis),
    "nansum": lambda x, axis: True,
    "nanmean": lambda x, axis: x.size > 0,
}


@entry("reduction")
@entry("reduction")
def _(rng: Any, values: list[Any]) -> Drawn | None:
    name = str(rng.choice([n for n in REDUCTIONS if getattr(np, n) in RULES]))
    i = pick(rng, values)
    axis, keep = some_axes(rng, values[i]), bool(rng.integers(2))
    if not REDUCTIONS[name](values[i], axis):
        return None
    label = f"{name}(axis={axis}, keepdims={keep})"
    if name in ("sum", "mean", "max", "min", "prod", "var", "std") and rng.integers(2):
        return f".{label}", (i,), lambda xp, x: getattr(x, name)(axis=axis, keepdims=keep)
    return label, (i,), lambda xp, x: getattr(xp, name)(x, axis=axis, keepdims=keep)


@entry("along an axis")
def _(rng: Any, values: list[Any]) -> Drawn | None:
    names = ["cumsum", "cumprod", "sort", "diff", "flip", "norm", "argsort", "roll", "average"]
    name = str(rng.choice(names))
    i = pick(rng, values, lambda x: x.ndim > 0 and x.size > 0)
    if i is None:
        return None
    x, axis = values[i], some_axis(rng, values[i])
    if name == "norm":
        if np.linalg.norm not in RULES or not np.all(np.linalg.norm(x, axis=axis) > 0.2):
            return None
        return f"norm({axis})", (i,), lambda xp, x: xp.linalg.norm(x, axis=axis)
    if getattr(np, name) not in RULES or (name in ("sort", "argsort") and not apart(x, axis)):
        return None
    if name == "argsort":
        order = np.argsort(x, axis=axis)
        return (
            f"take_along_axis(argsort, {axis})",
            (i,),
            lambda xp, x: xp.take_along_axis(x, order, axis=axis),
        )
    if name == "roll":
        return f"roll(1, {axis})", (i,), lambda xp, x: xp.roll(x, 1, axis=axis)
    return f"{name}({axis})", (i,), lambda xp, x: getattr(xp, name)(x, axis=axis)


@entry("clip and where")
def _(rng: Any, values: list[Any]) -> Drawn | None:
    i = pick(rng, values)
    x = values[i]
    if rng.integers(2):
        low, high = sorted(rng.normal(size=2).tolist())
        if not (far(x - low) and far(x - high)):
            return None
        return f"clip({low:.2f}, {high:.2f})", (i,), lambda xp, x: xp.clip(x, low, high)
    mask = rng.integers(0, 2, x.shape).astype(bool)
    j = pick(rng, values, lambda y: y.shape in (x.shape, ()))
    return "where(mask)", (i, j), lambda xp, x, y: xp.where(mask, x, y)


@entry("shape")
@entry("shape")
def _(rng: Any, values: list[Any]) -> Drawn | None:
    i = pick(rng, values)
    x = values[i]
    n, axes = x.ndim, [int(a) for a in rng.permutation(x.ndim)]
    calls: list[tuple[str, Any]] = [
        ("reshape(-1)", lambda xp, x: xp.reshape(x, -1)),
        ("ravel", lambda xp, x: xp.ravel(x)),
        ("x[None]", lambda xp, x: x[None]),
        ("x[..., None]", lambda xp, x: x[..., None]),
        ("expand_dims(-1)", lambda xp, x: xp.expand_dims(x, -1)),
        ("squeeze", lambda xp, x: xp.squeeze(x)),
        ("atleast_2d", lambda xp, x: xp.atleast_2d(x)),
        ("broadcast_to", lambda xp, x: xp.broadcast_to(x, (2, *x.shape))),
        (".T", lambda xp, x: x.T),
        (f"transpose({axes})", lambda xp, x: xp.transpose(x, axes)),
        (f"reshape({x.shape[::-1]})", lambda xp, x: x.reshape(x.shape[::-1])),
        ("copy", lambda xp, x: xp.copy(x)),
        ("tile", lambda xp, x: xp.tile(x, 2)),
        ("repeat", lambda xp, x: xp.repeat(x, 2)),
        ("flip", lambda xp, x: xp.flip(x)),
    ]
    if n > 0:
        axis, width = some_axis(rng, x), int(rng.integers(0, 3))
        calls += [
            (f"repeat(2, {axis})", lambda xp, x: xp.repeat(x, 2, axis=axis)),
            (f"pad({width}, 1)", lambda xp, x: xp.pad(x, [(width, 1)] * n)),
        ]
        if x.size:
            calls.append(("pad(edge)", lambda xp, x: xp.pad(x, 1, mode="edge")))
    if n > 1:
        k = int(rng.integers(-1, 2))
        calls += [
            ("swapaxes(0, -1)", lambda xp, x: xp.swapaxes(x, 0, -1)),
            ("moveaxis(0, -1)", lambda xp, x: xp.moveaxis(x, 0, -1)),
            ("mT", lambda xp, x: x.mT),
            (f"tril({k})", lambda xp, x: xp.tril(x, k)),
            (f"triu({k})", lambda xp, x: xp.triu(x, k)),
            ("diagonal", lambda xp, x: xp.diagonal(x)),
            ("trace", lambda xp, x: xp.trace(x)),
            ("rot90", lambda xp, x: xp.rot90(x)),
        ]
    if n in (1, 2):
        calls.append(("diag", lambda xp, x: xp.diag(x)))
    label, call = calls[rng.integers(len(calls))]
    name = label.partition("(")[0]
    if getattr(np, name, None) not in RULES and not label.startswith(("x", ".", "mT")):
        return None
    return label, (i,), call


@entry("indexing")
@entry("indexing")
def _(rng: Any, values: list[Any]) -> Drawn | None:
    i = pick(rng, values, lambda x: x.ndim > 0 and min(x.shape) > 0)
    if i is None:
        return None
    x = values[i]
    n = x.shape[0]
    picks = rng.integers(-n, n, size=int(rng.integers(1, 4)))
    mask = rng.integers(0, 2, n).astype(bool)
    lattice = rng.integers(0, x.shape[-1], size=(2, 2))
    choices: list[tuple[str, Any]] = [
        ("x[0]", 0),
        ("x[-1]", -1),
        ("x[1:]", slice(1, None)),
        ("x[::2]", slice(None, None, 2)),
        ("x[::-1]", slice(None, None, -1)),
        ("x[..., 0]", (Ellipsis, 0)),
        ("x[..., :1]", (Ellipsis, slice(None, 1))),
        (f"x[{picks}]", picks),
        (f"x[{mask}]", mask),
        (f"x[..., {lattice.tolist()}]", (Ellipsis, lattice)),
        ("x[None, :, ...]", (None, slice(None), Ellipsis)),
    ]
    if x.ndim > 1:
        pairs = (rng.integers(0, n, 3), rng.integers(0, x.shape[1], 3))
        choices.append((f"x[{pairs[0]}, {pairs[1]}]", pairs))
        choices.append(("x[[0], :, None]", (np.array([0]), slice(None), None)))
    if rng.integers(5) == 0:
        axis = some_axis(rng, x)
        where = rng.integers(0, x.shape[axis], 2)
        return f"take({where}, {axis})", (i,), lambda xp, x: xp.take(x, where, axis=axis)
    label, index = choices[rng.integers(len(choices))]
    return label, (i,), lambda xp, x: x[index]


@entry("joining")
def _(rng: Any, values: list[Any]) -> Drawn | None:
    i = pick(rng, values)
    x = values[i]
    name = str(rng.choice(["concatenate", "stack", "vstack", "hstack", "dstack", "column_stack"]))
    if getattr(np, name) not in RULES:
        return None
    j = pick(rng, values, lambda y: y.shape == x.shape)
    if name == "concatenate":
        if x.ndim == 0:
            return None
        axis = some_axis(rng, x)
        return f"concatenate({axis})", (i, j), lambda xp, x, y: xp.concatenate([x, y, x], axis=axis)
    if name == "stack":
        axis = int(rng.integers(-x.ndim - 1, x.ndim + 1))
        return f"stack({axis})", (i, j), lambda xp, x, y: xp.stack([x, y], axis=axis)
    return name, (i, j), lambda xp, x, y: getattr(xp, name)([x, y])


@entry("splitting")
def _(rng: Any, values: list[Any]) -> Drawn | None:
    i = pick(rng, values, lambda x: x.ndim > 0 and x.shape[0] > 1)
    if i is None:
        return None
    n = values[i].shape[0]
    if rng.integers(2):
        return "first and last row", (i,), lambda xp, x: (lambda rows: rows[0] * rows[-1])(list(x))
    return f"split({n})", (i,), lambda xp, x: xp.split(x, n)[n - 1] + xp.split(x, [1])[0]


EINSUMS = {  # by the number of axes of the operands
    (1,): ["i->", "i->i"],
    (2,): ["ij->ji", "ij->i", "ij->", "...j->..."],
    (3,): ["ijk->kj", "i...->..."],
    (1, 1): ["i,j->ij", "i,j->", "i,i->i"],
    (2, 1): ["ij,j->i", "ij,k->ijk", "ij,j->ij"],
    (2, 2): ["ij,jk->ik", "ij,ij->", "ij,kj->ik", "ij,ij->j", "ij,kl->jl"],
    (3, 2): ["bij,jk->bik", "...ij,jk->...ik"],
    (3, 3): ["bij,bjk->bik", "bij,bij->b"],
}


@entry("products")
@entry("products")
def _(rng: Any, values: list[Any]) -> Drawn | None:
    i, j = pick(rng, values), pick(rng, values)
    a, b = values[i], values[j]
    name = str(
        rng.choice(["matmul", "dot", "inner", "outer", "tensordot", "kron", "vdot", "einsum"])
    )
    if name == "einsum":
        shapes = (a.ndim, b.ndim) if rng.integers(3) else (a.ndim,)
        if shapes not in EINSUMS:
            return None
        formula = str(rng.choice(EINSUMS[shapes]))
        where = (i, j)[: len(shapes)]
        return f"einsum({formula})", where, lambda xp, *xs: xp.einsum(formula, *xs)
    if getattr(np, name) not in RULES:
        return None
    if name == "tensordot":
        axes = int(rng.integers(0, 2))
        return f"tensordot({axes})", (i, j), lambda xp, x, y: xp.tensordot(x, y, axes)
    if name == "matmul" and rng.integers(2):
        return "x @ y.T", (i, j), lambda xp, x, y: x @ y.T
    return name, (i, j), lambda xp, x, y: getattr(xp, name)(x, y)


def _spd(xp: Any, x: Any) -> Any:
    """A symmetric positive definite matrix, well conditioned where ``x`` is of order one."""
    n = x.shape[-1]
    return xp.matmul(xp.swapaxes(x, -1, -2), x) + np.diag(np.arange(2.0, n + 2.0)).astype(x.dtype)


@entry("linear algebra")
def _(rng: Any, values: list[Any]) -> Drawn | None:
    i = pick(rng, values, lambda x: x.ndim == 2 and x.size > 0 and np.all(np.abs(x) < 3))
    if i is None:
        return None
    x = values[i]
    spectrum = np.linalg.eigvalsh(_spd(np, x))
    separate = bool(np.all(np.diff(spectrum) > 0.3))
    calls: dict[str, Any] = {
        "inv": lambda xp, x: xp.linalg.inv(_spd(xp, x)),
        "det": lambda xp, x: xp.linalg.det(_spd(xp, x) * 0.5),
        "slogdet": lambda xp, x: xp.linalg.slogdet(_spd(xp, x))[1],
        "solve": lambda xp, x: xp.linalg.solve(_spd(xp, x), xp.swapaxes(x, -1, -2)),
        "cholesky": lambda xp, x: xp.linalg.cholesky(_spd(xp, x)),
        "matrix_power": lambda xp, x: xp.linalg.matrix_power(_spd(xp, x) * 0.2, 2),
        "pinv": lambda xp, x: xp.linalg.pinv(_spd(xp, x)),
        "norm": lambda xp, x: xp.linalg.norm(_spd(xp, x)),
    }
    if separate:
        calls["eigvalsh"] = lambda xp, x: xp.linalg.eigvalsh(_spd(xp, x))
        calls["eigh"] = lambda xp, x: xp.square(xp.linalg.eigh(_spd(xp, x))[1])
        calls["svd"] = lambda xp, x: xp.linalg.svd(_spd(xp, x), compute_uv=False)
    known = [n for n in calls if getattr(np.linalg, n) in RULES]
    if not known:
        return None
    name = str(rng.choice(known))
    return f"linalg.{name}", (i,), calls[name]


@entry("fourier")
def _(rng: Any, values: list[Any]) -> Drawn | None:
    i = pick(rng, values, lambda x: x.ndim > 0 and x.size > 0)
    name = str(rng.choice(["fft", "rfft", "ifft"]))
    if i is None or getattr(np.fft, name) not in RULES or values[i].dtype != np.float64:
        return None
    if rng.integers(2):
        return f"real(fft.{name})", (i,), lambda xp, x: xp.real(getattr(xp.fft, name)(x))
    return f"imag(fft.{name})", (i,), lambda xp, x: xp.imag(getattr(xp.fft, name)(x))


# --- programs -------------------------------------------------------------------------------------


@dataclasses.dataclass
class Program:
    """Leaves, instructions, and what turns the values into one number."""

    leaves: list[np.ndarray]
    steps: list[Drawn]
    weights: list[Any]  # per value that no later instruction used: two arrays of its shape
    outputs: list[int]
    directions: list[np.ndarray]
    redrawn: collections.Counter[str]
    draws: list[Any]  # per instruction: how it was drawn, to ask whether new leaves fit it as well
    rng: Any

    def other_inputs(self) -> Program | None:
        """The same instructions on new leaves, or None if those come near a kink somewhere."""
        leaves = [self.rng.normal(size=x.shape).astype(x.dtype) for x in self.leaves]
        values: list[Any] = list(leaves)
        for (label, where, call), (entry_draw, state) in zip(self.steps, self.draws, strict=True):
            rng = np.random.default_rng()
            rng.bit_generator.state = state
            again = entry_draw(rng, values)
            if again is None or again[:2] != (label, where):
                return None
            value = np.asarray(call(np, *(values[i] for i in where)))
            if not np.all(np.abs(value) < LARGEST):
                return None
            values.append(value)
        return dataclasses.replace(self, leaves=leaves)

    def run(self, xp: Any, leaves: Any) -> list[Any]:
        values = list(leaves)
        for _, where, call in self.steps:
            values.append(call(xp, *(values[i] for i in where)))
        return values

    def loss(self, xp: Any, leaves: Any) -> tuple[Any, list[Any]]:
        values = self.run(xp, leaves)
        total: Any = 0.0
        for i, (v, w) in zip(self.outputs, self.weights, strict=True):
            total = total + xp.sum(v * values[i]) + xp.sum(w * values[i] * values[i])
        return total, values

    def __str__(self) -> str:
        lines = [f"v{i}: leaf {x.shape} {x.dtype}" for i, x in enumerate(self.leaves)]
        for k, (label, where, _) in enumerate(self.steps, len(lines)):
            lines.append(f"v{k}: {label} of {', '.join(f'v{i}' for i in where)}")
        return "\n".join([*lines, f"outputs {self.outputs}"])


def draw(seed: int) -> Program:
    """The program of a seed."""
    rng = np.random.default_rng(seed)
    dtype = np.float32 if rng.integers(4) == 0 else np.float64
    leaves = []
    for _ in range(int(rng.integers(1, 5))):
        shape = tuple(
            int(n) for n in rng.choice(SIZES, size=int(rng.choice([0, 1, 1, 2, 2, 2, 3])))
        )
        if shape and rng.integers(40) == 0:
            shape = (0, *shape[1:])  # empty arrays are rare, but must work
        mixed = np.float64 if rng.integers(8) == 0 else dtype
        leaves.append(rng.normal(size=shape).astype(mixed))
    values: list[Any] = list(leaves)
    steps: list[Drawn] = []
    draws: list[Any] = []
    redrawn: collections.Counter[str] = collections.Counter()
    wished = int(rng.integers(3, 11))
    for _ in range(10 * wished):
        if len(steps) == wished:
            break
        name, entry_draw = TABLE[rng.integers(len(TABLE))]
        state = rng.bit_generator.state
        drawn = entry_draw(rng, values)
        if drawn is None:
            redrawn[f"{name}: nothing fits, or near a kink"] += 1
            continue
        try:
            value = np.asarray(drawn[2](np, *(values[i] for i in drawn[1])))
        except (ValueError, IndexError, TypeError, np.linalg.LinAlgError):
            redrawn[f"{name}: shapes do not fit"] += 1
            continue
        if value.size > 40 or value.ndim > 4 or value.dtype.kind != "f":
            redrawn[f"{name}: result too large"] += 1
        elif not np.all(np.abs(value) < LARGEST):
            redrawn[f"{name}: values too large"] += 1
        else:
            steps.append(drawn)
            draws.append((entry_draw, state))
            values.append(value)
    used = {i for _, where, _ in steps for i in where}
    outputs = [i for i in range(len(leaves), len(values)) if i not in used] or [len(values) - 1]
    weights = [
        tuple(rng.normal(size=values[i].shape).astype(values[i].dtype) for _ in range(2))
        for i in outputs
    ]
    directions = [rng.normal(size=x.shape).astype(x.dtype) for x in leaves]
    return Program(leaves, steps, weights, outputs, directions, redrawn, draws, rng)


# --- the two sides --------------------------------------------------------------------------------

Results = tuple[list[Any], list[Any], list[Any]]  # values, gradients, Hessian-vector products


def with_minigrad(program: Program) -> Results:
    leaves = [mg.tensor(x, requires_grad=True) for x in program.leaves]
    loss, values = program.loss(np, leaves)
    if not isinstance(loss, mg.Tensor) or not loss.requires_grad:
        zeros = [np.zeros_like(x) for x in program.leaves]
        return [np.asarray(v) for v in values], zeros, zeros
    plain = mg.grad(loss, leaves, retain_graph=True)
    recorded = mg.grad(loss, leaves, create_graph=True)
    for a, b, x in zip(plain, recorded, program.leaves, strict=True):
        if a.dtype != x.dtype or a.shape != x.shape:
            raise AssertionError(f"a gradient {a.shape} {a.dtype} for a leaf {x.shape} {x.dtype}")
        compare("recorded gradient", [b.data], [a], x.dtype)
    total: Any = 0.0
    for g, v in zip(recorded, program.directions, strict=True):
        total = total + np.sum(g * v)
    second = [np.zeros_like(x) for x in program.leaves]
    if total.requires_grad:
        second = list(mg.grad(total, leaves))
    program.loss(np, leaves)[0].backward()
    for t, a, x in zip(leaves, plain, program.leaves, strict=True):
        compare("leaf.grad", [np.zeros_like(x) if t.grad is None else t.grad], [a], x.dtype)
    return [raw(v) for v in values], list(plain), second


def with_jax(program: Program) -> Callable[[Program], Results]:
    """Compile once; the result computes the same for other leaves of the same shapes."""

    def everything(leaves: Any, directions: Any) -> Results:
        def value_and_grad(leaves: Any) -> Any:
            return jax.value_and_grad(lambda xs: program.loss(jnp, xs), has_aux=True)(leaves)

        ((_, values), gradients), (_, second) = jax.jvp(value_and_grad, (leaves,), (directions,))
        return values, gradients, second

    compiled: Any = jax.jit(everything).lower(program.leaves, program.directions).compile()
    return lambda p: jax.device_get(compiled(p.leaves, p.directions))


def compare(what: str, found: list[Any], expected: list[Any], dtype: Any) -> int:
    """Raise unless all arrays agree, up to rounding relative to the largest element; count them."""
    rtol = 1e-7 if dtype == np.float64 else 2e-3
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape:
            raise AssertionError(f"{what} {i}: shape {a.shape}, expected {b.shape}")
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0)))
        if not np.all(np.abs(a - b) <= rtol * scale):
            raise AssertionError(f"{what} {i}: {a.tolist()}, expected {b.tolist()}")
    return len(found)


def check(seed: int, inputs: int = 1) -> tuple[collections.Counter[str], list[str]]:
    """Counts, and what disagrees, for the program of a seed on ``inputs`` different inputs."""
    warnings.simplefilter("ignore")
    counts: collections.Counter[str] = collections.Counter()
    program = draw(seed)
    for reason, n in program.redrawn.items():
        counts[f"drawn again: {reason}"] += n
    counts["instructions"] += len(program.steps)
    if not program.steps:
        counts["skipped: no instruction fits"] += 1
        return counts, []
    try:
        oracle = with_jax(program)
    except Exception as error:  # what JAX cannot do is no finding about minigrad
        counts[f"skipped: JAX raises {type(error).__name__}: {str(error)[:60]}"] += 1
        return counts, []
    counts["programs"] += 1
    found = [program]
    for _ in range(4 * inputs):
        if len(found) == inputs:
            break
        other = program.other_inputs()
        if other is None:
            counts["inputs drawn again: near a kink or too large"] += 1
        else:
            found.append(other)
    disagreements = []
    for k, p in enumerate(found):
        try:
            reference = oracle(p)
        except Exception as error:  # for instance XLA's FFT, for some layouts
            counts[f"skipped: JAX raises {type(error).__name__}: {str(error)[:60]}"] += 1
            break
        outcome, n = check_inputs(p, reference)
        if outcome.startswith("skipped"):
            counts[outcome] += 1
            continue
        counts["runs"] += 1
        counts["comparisons"] += n
        if outcome:
            disagreements.append(f"seed {seed}, inputs {k}: {outcome}")
            break
    return counts, disagreements


def check_inputs(program: Program, reference: Results) -> tuple[str, int]:
    """("" if they agree, or what is wrong, or why skipped; number of arrays compared)."""
    dtypes = {x.dtype for x in program.leaves}
    dtype = np.float32 if np.dtype(np.float32) in dtypes else np.float64
    if not all(np.all(np.isfinite(x)) for x in itertools.chain(*reference)):
        return "skipped: JAX's result is not finite", 0
    if max(float(np.max(np.abs(x), initial=0.0)) for x in itertools.chain(*reference)) > 1e8:
        return "skipped: derivatives above 1e8", 0
    try:
        found = with_minigrad(program)
        exact = program.run(np, program.leaves)
        n = compare("value against NumPy", found[0], exact, dtype)
        for a, b in zip(found[0], exact, strict=True):
            if a.dtype != np.asarray(b).dtype:
                raise AssertionError(f"dtype {a.dtype}, NumPy has {np.asarray(b).dtype}")
        n += compare("value", found[0], reference[0], dtype)
        n += compare("gradient", found[1], reference[1], dtype)
        n += compare("Hessian-vector product", found[2], reference[2], dtype)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:400]}", 0
    return "", n


def check_many(seeds: list[int], inputs: int) -> tuple[collections.Counter[str], list[str]]:
    counts: collections.Counter[str] = collections.Counter()
    disagreements = []
    for seed in seeds:
        more, wrong = check(seed, inputs)
        counts.update(more)
        disagreements += wrong
    jax.clear_caches()  # compiled programs are not used again
    return counts, disagreements


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--programs", type=int, default=200)
    parser.add_argument("--inputs", type=int, default=8, help="different inputs per program")
    parser.add_argument("--seed", type=int, default=0, help="the first seed; the others follow")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", type=int, help="print and check the program of one seed")
    options = parser.parse_args()
    if options.only is not None:
        print(draw(options.only))
        print(check(options.only, options.inputs)[1] or "agree")
        return 0
    began, last = time.monotonic(), options.seed + options.programs
    chunks = [list(range(i, min(i + 10, last))) for i in range(options.seed, last, 10)]
    counts: collections.Counter[str] = collections.Counter()
    wrong: list[str] = []
    spawn = multiprocessing.get_context("spawn")  # JAX has threads, which a fork does not survive
    with concurrent.futures.ProcessPoolExecutor(options.jobs, mp_context=spawn) as pool:
        jobs = pool.map(check_many, chunks, [options.inputs] * len(chunks))
        for k, (more, disagreements) in enumerate(jobs, 1):
            counts.update(more)
            wrong += disagreements
            for line in disagreements:
                print(line, flush=True)
            if k % 10 == 0:
                seconds, runs = time.monotonic() - began, counts["runs"]
                print(f"{10 * k} programs, {runs} runs, {seconds:.0f} s", flush=True)
    print(f"disagreements: {len(wrong)}")
    for name, n in sorted(counts.items(), key=lambda item: (":" in item[0], -item[1])):
        print(f"{n:8d} {name}")
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
