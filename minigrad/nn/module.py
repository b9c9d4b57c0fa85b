"""Module: what owns parameters. A Tensor attribute is a parameter, a Module one is a child."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import backend
from ..engine import Tensor, changed_in_place
from . import ensembles


class Module:
    """Base of all layers and models. Write ``forward``; call the module.

    What an attribute is follows from what it holds; there is nothing to declare and no
    ``super().__init__()`` to call:

    - a Tensor that nobody computed (a leaf) is a **parameter**,
    - a Module, or a list, tuple or dict of Modules, is a **child**,
    - an array given to `register_buffer` is a **buffer**: saved, but not trained,
    - a name that starts with ``_`` is private: neither.

    Names are PyTorch's: the weight of child ``0`` is ``0.weight``.
    """

    training: bool = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes. Subclasses write this."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(self, x) method yet")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    # --- what is inside ---

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Modules directly inside this one, with their names."""
        for name, value in vars(self).items():
            if name.startswith("_"):
                continue
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, (list, tuple, dict)):
                items = value.items() if isinstance(value, dict) else enumerate(value)
                yield from ((f"{name}.{k}", m) for k, m in items if isinstance(m, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module (named ``""``) and all below it."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        seen: set[int] = set()
        for _, module in self.named_modules():
            if id(module) not in seen:
                seen.add(id(module))
                yield module

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """All parameters with their full names; a shared one once, under its first name."""
        seen = set()
        for name, value in self._named_tensors():
            if value not in seen:
                seen.add(value)
                yield name, value

    def parameters(self) -> Iterator[Tensor]:
        """All parameters, each once: what an optimizer takes."""
        return (value for _, value in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Any]]:
        """All buffers (raw arrays) with their full names."""
        for prefix, module in self.named_modules():
            for name in vars(module).get("_buffers", {}):
                yield f"{prefix}.{name}" if prefix else name, getattr(module, name)

    def _named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        for prefix, module in self.named_modules():
            for name, value in vars(module).items():
                if type(value) is Tensor and value.is_leaf and not name.startswith("_"):
                    yield f"{prefix}.{name}" if prefix else name, value

    def register_buffer(self, name: str, array: Any, per_member: bool = True) -> None:
        """Keep ``array`` as ``self.name``: part of ``state_dict()``, but not trained.

        Inside ``nn.ensemble(m)`` every member gets its own copy, along a new leading axis, unless
        ``per_member`` is False (a constant, such as a mask).
        """
        members = ensembles.size() if per_member else None
        array = backend.asarray(array)
        if members is not None:
            array = np.repeat(array[None], members, axis=0)  # (members, ...)
        self.__dict__.setdefault("_buffers", {})[name] = members
        setattr(self, name, array)

    @property
    def members(self) -> int | None:
        """How many models this is (`nn.ensemble`); None for a single one."""
        return next((p.members for p in self.parameters() if p.members is not None), None)

    def num_parameters(self) -> int:
        """Number of trainable numbers; of one member, for an ensemble."""
        return sum(p.size // (p.members or 1) for p in self.parameters() if p.requires_grad)

    # --- modes, devices, gradients ---

    def train(self, mode: bool = True) -> Module:
        """Training mode (dropout drops, batch norm uses the batch); with False, evaluation."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Evaluation mode: the same as ``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Freeze all parameters (False), or make them trainable again."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters():
            if p.node is not None:
                p.grad = None

    def to(self, device: str | None = None, dtype: Any = None) -> Module:
        """Move to ``"cpu"`` or ``"cuda"``, or convert the float arrays to ``dtype``.

        Gradients are forgotten. Make the optimizer afterwards: it holds the arrays themselves.
        """

        def convert(array: Any) -> Any:
            if device is not None:
                array = backend.to_device(array, device)
            return array if dtype is None or array.dtype.kind != "f" else array.astype(dtype)

        for p in self.parameters():
            tracked, p.node = p.requires_grad, None
            p.data = convert(p.data)
            p.requires_grad_(tracked)  # a new leaf, of the new dtype
        for module in self.modules():
            for name in vars(module).get("_buffers", {}):
                setattr(module, name, convert(getattr(module, name)))
        return self

    # --- weights in and out ---

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers as NumPy arrays, under their full names."""
        state: dict[str, np.ndarray] = {}
        for prefix, module in self.named_modules():
            for name, array in _own_state(module).items():
                state[f"{prefix}.{name}" if prefix else name] = np.array(backend.to_host(array))
        return state

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Write the arrays of ``state`` into the parameters and buffers, in place.

        Args:
            state: name -> array, from ``state_dict()`` here or in PyTorch. Values are cast to the
                dtype that they have here.
            strict: names must match exactly. With False, other names on either side are ignored.
        Raises:
            KeyError: names missing from ``state``, or not in this module (only if ``strict``).
            ValueError: an array of another shape. Nothing has been written then.
        """
        mine: dict[str, Any] = {}
        for prefix, module in self.named_modules():
            for name, array in _own_state(module).items():
                mine[f"{prefix}.{name}" if prefix else name] = array
        missing = [name for name in mine if name not in state]
        unexpected = [name for name in state if name not in mine]
        if strict and (missing or unexpected):
            raise KeyError(
                f"load_state_dict: missing {missing or 'nothing'}, unexpected "
                f"{unexpected or 'nothing'} for {type(self).__name__}. Mend: build the same model, "
                "or pass strict=False"
            )
        wrong = [
            f"{name}: found {np.shape(state[name])}, expected {array.shape}"
            for name, array in mine.items()
            if name in state and np.shape(state[name]) != array.shape
        ]
        if wrong:
            raise ValueError(
                f"load_state_dict: other shapes than in {type(self).__name__}: {'; '.join(wrong)}. "
                "Mend: build the model with the sizes that were saved"
            )
        for name, array in mine.items():
            if name in state:
                array[...] = np.asarray(state[name], dtype=array.dtype, like=array)
        changed_in_place(self.parameters())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``state_dict()`` as a safetensors file; a crash leaves the old file or the new."""
        from safetensors.numpy import save

        path = Path(path)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(save(self.state_dict()))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def load(self, path: str | os.PathLike[str], strict: bool = True) -> Module:
        """Read a safetensors file into this module (`load_state_dict`) and return the module."""
        from safetensors.numpy import load

        self.load_state_dict(load(Path(path).read_bytes()), strict=strict)
        return self

    # --- how it reads ---

    def describe(self) -> str:
        """What stands in the brackets of the repr: the layer's sizes."""
        return ""

    def __repr__(self) -> str:
        lines = [f"({name}): {child!r}" for name, child in self.named_children()]
        inner = "\n".join(lines).replace("\n", "\n  ")
        body = f"\n  {inner}\n" if lines else ""
        return f"{type(self).__name__}({self.describe()}{body})"


def _own_state(module: Module) -> dict[str, Any]:
    """Raw arrays of a module itself: parameters first, then buffers, as PyTorch orders them."""
    state = {
        name: value.data
        for name, value in vars(module).items()
        if type(value) is Tensor and value.is_leaf and not name.startswith("_")
    }
    for name in vars(module).get("_buffers", {}):
        state[name] = getattr(module, name)
    return state
