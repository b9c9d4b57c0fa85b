"""What all optimizers share: parameter groups, a step over flat vectors, state to save and load."""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import backend
from ..engine import Tensor
from ..graph import changed_in_place
from .flat import Flat


class Optimizer:
    """The half of an optimizer that is no algorithm: `SGD` and `Adam` add ``update``.

    Args:
        params: Tensors, or dicts with the key ``"params"`` and options of their own
            (``[{"params": weights, "weight_decay": 0.1}, {"params": biases}]``).
        options: values for the groups that do not say otherwise.

    ``param_groups`` is a list of dicts as in PyTorch; the next step reads what is written there.
    A Tensor that is listed twice within a group (tied layers) is updated once. ``p.data`` of every
    parameter is rebound to a view of one vector per dtype (see `Flat`); code that keeps ``p`` and
    reads ``p.data`` when it needs it does not notice.
    """

    def __init__(self, params: Iterable[Any], **options: Any) -> None:
        self.defaults = options
        self.param_groups: list[dict[str, Any]] = []
        self._flats: list[tuple[dict[str, Any], Flat]] = []
        for group in _groups(params):
            self.add_param_group(group)

    # --- the algorithm: what a subclass says ---

    def prepare(self, flat: Flat, options: dict[str, Any]) -> None:
        """Make the state vectors of ``flat`` that ``update`` needs (``flat.vector(name)``)."""

    def update(
        self, p: Any, g: Any, state: dict[str, Any], count: int, options: dict[str, Any]
    ) -> None:
        """One step on vectors ``(k,)``, in place; every element is on its own.

        Args:
            p: the parameters.
            g: their gradient, not to be changed.
            state: the state vectors by name, and ``scratch``, a vector to write into.
            count: which update of these parameters this is, from 1.
            options: the group's. ``lr`` and ``weight_decay`` are floats or vectors ``(k,)``.
        """
        raise NotImplementedError

    # --- the step ---

    def step(self) -> None:
        """Update every parameter that has a gradient; the others stay as they are."""
        for group, flat in self._flats:
            options = {name: flat.spread(name, group[name]) for name in self.defaults}
            self.prepare(flat, options)
            for run in flat.gather():
                for start in range(run.start, run.stop, flat.block):
                    part = slice(start, min(start + flat.block, run.stop))
                    p = flat.data[part]
                    g = run.gradient[start - run.start : part.stop - run.start]
                    state = {name: vector[part] for name, vector in flat.state.items()}
                    state["scratch"] = flat.scratch[: p.size]
                    values = {k: v[part] if hasattr(v, "ndim") else v for k, v in options.items()}
                    self.update(p, g, state, run.updates, values)
            changed_in_place(flat.params)

    def zero_grad(self) -> None:
        """Forget the gradients: ``p.grad`` becomes None."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad = None

    # --- groups and options ---

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Train further parameters: ``{"params": tensors, "lr": ..., ...}``."""
        unknown = set(group) - set(self.defaults) - {"params"}
        if "params" not in group or unknown:
            raise ValueError(
                f"{self._name}: a parameter group has the keys {sorted(group)}; expected 'params' "
                f"and any of {sorted(self.defaults)}"
            )
        position = sum(len(g["params"]) for g in self.param_groups)
        params = _parameters(self._name, group["params"], position)
        for p in params:
            if any(p is q for g in self.param_groups for q in g["params"]):
                raise ValueError(
                    f"{self._name}: the parameter of shape {p.shape} is in two groups; expected "
                    "one, which says its lr. Mend: list it in one group only"
                )
        _refuse_shared_memory(self._name, [*params, *(p for _, f in self._flats for p in f.params)])
        group = {**self.defaults, **group, "params": params}
        self.check(group)
        self.param_groups.append(group)
        kinds: dict[Any, list[Tensor]] = {}  # one vector holds one dtype on one device
        for p in params:
            kind = (p.dtype, type(p.data), getattr(p.data, "device", None))
            kinds.setdefault(kind, []).append(p)
        self._flats += [(group, Flat(same)) for same in kinds.values()]

    def check(self, group: dict[str, Any]) -> None:
        """Refuse options that make no sense, when the optimizer is made."""
        for name in ("lr", "weight_decay"):
            require_at_least_zero(self._name, name, group[name], per_member=True)

    @property
    def lr(self) -> Any:
        """The learning rate of the first group; writing sets it in all groups."""
        return self.param_groups[0]["lr"]

    @lr.setter
    def lr(self, value: Any) -> None:
        require_at_least_zero(self._name, "lr", value, per_member=True)
        for group in self.param_groups:
            group["lr"] = value

    # --- saving ---

    def state_dict(self) -> dict[str, Any]:
        """Everything the next step depends on, as numbers and (copied, host) arrays.

        ``{"state": [...], "param_groups": [...]}``: ``state`` has one dict per parameter, in order:
        ``step`` (updates so far) and the algorithm's arrays in the parameter's shape, or nothing
        before its first update. Groups name their parameters by position.
        """
        places = {
            p: (flat, i) for _, flat in self._flats for i, p in enumerate(flat.params)
        }  # Tensors hash by identity
        state: list[dict[str, Any]] = []
        groups = []
        for group in self.param_groups:
            first = len(state)
            for p in group["params"]:
                flat, i = places[p]
                entry: dict[str, Any] = {"step": flat.counts[i]} if flat.counts[i] else {}
                if entry:
                    for name, vector in flat.state.items():
                        entry[name] = backend.to_host(flat.split(vector)[i]).copy()
                state.append(entry)
            options = {name: value for name, value in group.items() if name != "params"}
            groups.append({**options, "params": list(range(first, len(state)))})
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken, bit for bit; options are restored as well.

        Raises:
            ValueError: if the saved groups or array shapes are not those of these parameters.
        """
        found = [len(g["params"]) for g in saved["param_groups"]]
        expected = [len(g["params"]) for g in self.param_groups]
        if found != expected:
            raise ValueError(
                f"load_state_dict: the saved groups have {found} parameters, this {self._name} has "
                f"{expected}. Mend: build model and optimizer as they were when the state was saved"
            )
        params = [p for g in self.param_groups for p in g["params"]]
        places = {p: (flat, i) for _, flat in self._flats for i, p in enumerate(flat.params)}
        for position, (p, entry) in enumerate(zip(params, saved["state"], strict=True)):
            for name, array in entry.items():  # everything is checked before anything is changed
                if name != "step" and np.shape(array) != p.shape:
                    raise ValueError(
                        f"load_state_dict: {name} of parameter {position} has shape "
                        f"{np.shape(array)}; expected {p.shape}, the parameter's. Mend: build the "
                        "model as it was saved"
                    )
        for group, options in zip(self.param_groups, saved["param_groups"], strict=True):
            for name, value in options.items():  # JSON knows lists, not tuples
                if name != "params":
                    group[name] = tuple(value) if isinstance(value, list) else value
        for _, flat in self._flats:
            flat.state, flat.betas = {}, None
        for p, entry in zip(params, saved["state"], strict=True):
            flat, i = places[p]
            flat.counts[i] = int(entry.get("step", 0))
            for name, array in entry.items():
                if name != "step":
                    view = flat.split(flat.vector(name))[i]
                    np.copyto(view, np.asarray(array, dtype=view.dtype, like=view))

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        options = ", ".join(f"{k}={self.param_groups[0][k]}" for k in self.defaults)
        groups = "" if len(self.param_groups) == 1 else f", {len(self.param_groups)} groups"
        n = sum(p.size for g in self.param_groups for p in g["params"])
        return f"{self._name}({options}{groups}; {n} parameters)"


# --- checking what the user passes ----------------------------------------------------------------


def require_at_least_zero(owner: str, name: str, value: Any, per_member: bool = False) -> None:
    """Refuse what is not a number >= 0 (or, with ``per_member``, a vector of them)."""
    if per_member and getattr(value, "ndim", 0) == 1:
        fine = value.dtype.kind in "fiu" and bool((value >= 0).all())
    else:
        fine = isinstance(value, numbers.Real) or getattr(value, "shape", None) == ()
        fine = fine and float(value) >= 0  # NaN is not
    if not fine:
        also = ", or a vector of one per ensemble member" if per_member else ""
        raise ValueError(
            f"{owner}: {name}={value!r}; expected a number >= 0{also}. Mend: pass e.g. {name}=0.01"
        )


def _groups(params: Any) -> list[dict[str, Any]]:
    """What the constructor was given, as a list of groups."""
    if isinstance(params, (Tensor, dict, set, str)) or not isinstance(params, Iterable):
        mend = ".parameters()" if hasattr(params, "parameters") else ""
        raise TypeError(
            f"params is a {type(params).__name__}; expected a sequence of Tensors, or of dicts "
            f"with the key 'params'. Mend: pass {'model' + mend if mend else '[tensor, ...]'}"
        )
    params = list(params)
    if not params:
        raise ValueError(
            "params is empty; expected at least one Tensor. Mend: a generator such as "
            "model.parameters() serves once: call it again, or keep list(model.parameters())"
        )
    return params if isinstance(params[0], dict) else [{"params": params}]


def _parameters(owner: str, params: Any, position: int) -> list[Tensor]:
    """Distinct leaf Tensors of a float dtype."""
    params = [params] if isinstance(params, Tensor) else list(params)
    if not params:
        raise ValueError(
            f"{owner}: a parameter group is empty; expected at least one Tensor. Mend: a generator "
            "serves once: make a list of it first"
        )
    for i, p in enumerate(params, position):
        if not isinstance(p, Tensor):
            raise TypeError(
                f"{owner}: parameter {i} is a {type(p).__name__}; expected a Tensor. Mend: "
                "mg.tensor(array, requires_grad=True), or model.parameters() for a whole model"
            )
        if not p.is_leaf:
            raise ValueError(
                f"{owner}: parameter {i} of shape {p.shape} was computed ({p.node.rule.name}); "
                "expected a leaf, which holds a gradient. Mend: p = p.detach().requires_grad_(True)"
            )
        if p.dtype.kind != "f":
            raise TypeError(
                f"{owner}: parameter {i} is {p.dtype}; expected a real float dtype. Mend: "
                "tensor(array, dtype=np.float32); keep indices and masks out of the parameters"
            )
    return list(dict.fromkeys(params))


def _refuse_shared_memory(owner: str, params: list[Tensor]) -> None:
    """Two Tensors over one array would silently become two parameters with a life of their own."""
    arrays = [p.data for p in params if isinstance(p.data, np.ndarray) and p.size]
    arrays.sort(key=lambda a: np.lib.array_utils.byte_bounds(a)[0])
    for a, b in itertools.pairwise(arrays):
        # Broadcast views overlap with themselves only and are copied; neighbours must not overlap.
        if np.may_share_memory(a, b) and np.shares_memory(a, b):
            raise ValueError(
                f"{owner}: parameters of shapes {a.shape} and {b.shape} share memory; expected "
                "arrays of their own. Mend: to tie layers use the same Tensor twice; otherwise copy"
            )
