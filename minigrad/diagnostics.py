"""What goes wrong, said clearly: each error names the function, what was found, and the mend.

Also here: the watcher behind ``detect_anomaly()``, which looks for NaN and for changed arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# --- calling a function ---------------------------------------------------------------------------


def numpy_name(function: Any) -> str:
    """``np.linalg.inv`` for NumPy's functions, the plain name for all others."""
    module = getattr(function, "__module__", None) or ("numpy" if _is_ufunc(function) else "")
    name = getattr(function, "__name__", type(function).__name__)
    return f"np{module[5:]}.{name}" if module.split(".")[0] == "numpy" else name


def _is_ufunc(function: Any) -> bool:
    return isinstance(function, np.ufunc)


_MENDS = (  # a word of NumPy's message, and what to do
    ("NoneType", "an argument is None: does the function that made it lack a return?"),
    (
        "broadcast",
        "shapes must agree from the right or be 1: reshape, or insert an axis: x[:, None]",
    ),
    (
        "matmul",
        "the last axis of the first must equal the second-to-last of the second: transpose?",
    ),
    ("not aligned", "the last axis of the first must equal the second-to-last of the second"),
    ("reshape", "the number of elements must stay the same; one axis may be -1"),
    ("index ", "an index must lie inside its axis, from -n to n - 1"),
    ("indices", "an index is an integer, a slice, a mask, or an array of integers"),
    ("axis", "axes count from 0, or from the end with -1"),
    ("argument", "the function takes the arguments of NumPy's function of that name"),
)
_KINDS = (np.linalg.LinAlgError, np.exceptions.AxisError, IndexError, ValueError, TypeError)


def explain(name: str, arrays: list[Any], error: Exception) -> Exception:
    """NumPy's error, with the function, the arguments found and what to do about them."""
    text = str(error)
    if "Mend:" in text:  # raised inside, already explained
        return error
    found = ", ".join(_what(a) for a in arrays)
    mend = next((mend for word, mend in _MENDS if word in text), "check the arguments")
    kind = next(k for k in _KINDS if isinstance(error, k))
    return kind(f"{name}: {text}. Found: {found}. Mend: {mend}")


def unsupported_ufunc(ufunc: Any, method: str, inputs: Any, kwargs: dict[str, Any]) -> TypeError:
    name = numpy_name(ufunc)
    if "out" in kwargs and any(isinstance(o, np.ndarray) for o in kwargs["out"]):
        return TypeError(
            f"{name}: writing a Tensor into a plain array (out=, or array += tensor) would lose "
            "its history. Mend: assign the result to a new name, or write tensor.data"
        )
    if method != "__call__":
        return TypeError(
            f"{name}.{method}: ufunc methods have no rule. Mend: use the function that does it, "
            "such as np.sum, np.cumsum or np.max"
        )
    if kwargs:
        return unsupported_keyword(name, next(iter(kwargs)))
    return unsupported_function(ufunc)


def unsupported_function(function: Any) -> TypeError:
    return TypeError(
        f"{numpy_name(function)} has no derivative rule. Mend: compose it from functions that have "
        "one, declare your own with minigrad.primitive(forward, vjp), or work on the plain array "
        "tensor.data if no gradient is wanted"
    )


def unsupported_keyword(name: str, keyword: str) -> TypeError:
    hint = {
        "where": "np.where(mask, x, 0) selects, and keeps the derivative",
        "out": "assign the result to a name instead",
        "dtype": "use .astype(dtype) on the argument or the result",
    }.get(keyword, "leave it out, or compute the same from other functions")
    return TypeError(f"{name}: the keyword {keyword!r} has no derivative rule. Mend: {hint}")


def unexpected_keyword(function: Any, error: TypeError) -> TypeError:
    """Python's complaint about a keyword of a composed function, in the words used for rules."""
    before, _, keyword = str(error).partition("got an unexpected keyword argument ")
    if not keyword or "Mend:" in before:
        return error
    return unsupported_keyword(numpy_name(function), keyword.split("'")[1])


def tensor_as_keyword(name: str, keyword: str) -> TypeError:
    return TypeError(
        f"{name}: {keyword}= is a Tensor, whose gradient would be lost. "
        "Mend: pass it by position, together with the arguments before it, or pass its .data"
    )


def too_many_arguments(name: str, known: list[str], found: int) -> TypeError:
    names = ", ".join(n.lstrip("_").removesuffix("_shape") for n in known)
    return TypeError(
        f"{name}: {found} arguments by position, but the derivative knows only ({names}). "
        "Mend: leave the others out, or name them"
    )


def no_derivative(name: str, position: int) -> TypeError:
    return TypeError(
        f"{name}: argument {position} has requires_grad=True, but no derivative towards it is "
        "known. Mend: pass argument.detach() if it is a constant"
    )


# --- leaving the graph ----------------------------------------------------------------------------


def leaves_the_graph(what: str) -> TypeError:
    return TypeError(
        f"{what}: this tensor is part of a graph, and a plain number or array would forget that. "
        "Mend: .item() or .numpy() to read the value, .detach() to go on without history"
    )


def item_assignment() -> TypeError:
    return TypeError(
        "tensor[index] = value: assignment would overwrite values that backward needs. "
        "Mend: np.where(mask, new, old), np.concatenate, or build the pieces and np.stack them"
    )


def copy_of_non_leaf() -> TypeError:
    return TypeError(
        "copy.deepcopy and pickle: this tensor was computed from others, and a copy would lose its "
        "history. Mend: copy tensor.detach(), or the leaves (parameters) it was computed from"
    )


def integer_leaf(dtype: Any) -> TypeError:
    return TypeError(
        f"requires_grad: a {dtype} tensor cannot have a gradient, only float and complex ones. "
        "Mend: pass dtype=np.float32, or leave requires_grad out for labels and indices"
    )


def grad_of_non_leaf() -> TypeError:
    return TypeError(
        "grad: only leaves (tensors made with requires_grad=True) hold a gradient. "
        "Mend: minigrad.grad(output, tensor) gives it for any tensor"
    )


# --- going back -----------------------------------------------------------------------------------


def freed() -> RuntimeError:
    return RuntimeError(
        "backward: this graph was already used and its saved arrays are freed. Mend: run the "
        "forward pass again, or give the first backward retain_graph=True"
    )


def no_graph(output: Any) -> RuntimeError:
    return RuntimeError(
        f"backward: the output ({_what(output)}) does not depend on any tensor with "
        "requires_grad=True. Mend: set requires_grad=True on an input, and check for .detach(), "
        "no_grad() or .numpy() on the way"
    )


def not_scalar(output: Any) -> RuntimeError:
    found = f"has shape {output.shape}" if output.size != 1 else f"is {output.dtype}"
    return RuntimeError(
        f"backward: the output {found}; only a real scalar has one gradient. "
        "Mend: reduce it with .sum() or .mean(), take np.real or np.abs of a complex one, or pass "
        "a cotangent of that shape"
    )


def cotangent_shape(found: Any, expected: Any) -> ValueError:
    return ValueError(
        f"cotangent: expected the output's shape {expected}, found {found}. "
        "Mend: np.broadcast_to(cotangent, output.shape), or np.ones_like(output) for plain sums"
    )


def untracked_input(i: int, found: Any) -> TypeError:
    return TypeError(
        f"grad: input {i} ({_what(found)}) is not a tensor with requires_grad=True. "
        "Mend: minigrad.tensor(array, requires_grad=True) before computing the output"
    )


def gradient_shape(name: str, found: Any, expected: Any) -> ValueError:
    return ValueError(
        f"rule {name}: its derivative returned shape {found} for an argument of shape {expected}. "
        "Mend: a vjp returns the argument's shape, or one that the argument broadcasts to"
    )


def _what(x: Any) -> str:
    """An argument in an error: its shape and dtype, or a short value, or its type."""
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        kind = "Tensor" if hasattr(x, "node") else "array"
        return f"{kind} {x.shape} {x.dtype}"
    text = repr(x)
    return text if len(text) <= 40 else type(x).__name__


def check_unchanged(node: Any) -> None:
    """Refuse to go back through ``node`` if an array it saved was changed in place since."""
    for parent, saved in zip(node.parents, node.args, strict=True):
        source = parent
        if source is None or not hasattr(saved, "dtype"):
            continue
        while source.rule is not None and source.rule.view and saved.base is not None:
            if source.parents is None or source.parents[0] is None:
                break
            source = source.parents[0]
        if source.changed > node.order:
            raise RuntimeError(
                f"backward: a {saved.shape} tensor that {node.rule.name} saved was changed in "
                "place after the forward pass (by an optimizer step or load_state_dict?). Mend: "
                "call backward() before the change, or run the forward pass again"
            )


# --- detect_anomaly() -----------------------------------------------------------------------------


class Watcher:
    """Checks every operation for NaN, and that saved arrays are the same on the way back."""

    def __init__(self) -> None:
        self.fingerprints: dict[Any, list[int]] = {}

    def after_forward(self, name: str, arrays: list[Any], data: Any) -> None:
        if _has_nan(data) and not any(_has_nan(a) for a in arrays):
            found = ", ".join(_what(a) for a in arrays)
            raise FloatingPointError(
                f"{name} made a NaN from arguments without one ({found}). "
                "Mend: look for 0/0, inf - inf, log or sqrt of a negative number"
            )

    def recorded(self, node: Any) -> None:
        self.fingerprints[node] = _fingerprints(node)

    def before_rule(self, node: Any) -> None:
        known = self.fingerprints.pop(node, None)
        if known is not None and known != _fingerprints(node):
            raise RuntimeError(
                f"an array that {node.rule.name} saved was changed between forward and backward. "
                "Mend: do not write into tensor.data (or an array it wraps) before backward()"
            )

    def after_rule(self, node: Any, g: Any, gradients: Any) -> None:
        if _has_nan(gradients) and not _has_nan(g):
            raise FloatingPointError(
                f"the derivative of {node.rule.name} made a NaN. Mend: look for an infinite slope "
                "times zero, such as sqrt or a norm at 0; np.where both the argument and the result"
            )


def _has_nan(x: Any) -> bool:
    x = x.data if hasattr(x, "node") else x
    if isinstance(x, (tuple, list, dict)):
        return any(_has_nan(part) for part in (x.values() if isinstance(x, dict) else x))
    if isinstance(x, float):
        return x != x
    return hasattr(x, "dtype") and x.dtype.kind in "fc" and bool(np.isnan(x).any())


def _fingerprints(node: Any) -> list[int]:
    out = node.out if isinstance(node.out, tuple) else (node.out,)
    return [hash(a.tobytes()) for a in (*node.args, *out) if hasattr(a, "tobytes")]
