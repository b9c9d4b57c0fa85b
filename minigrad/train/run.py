"""Where a training stands: batches, counts and measurements, and how to save and restore them."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .. import backend
from ..data import batches
from ..engine import Tensor, raw
from ..modes import no_grad
from ..optim import Optimizer
from . import checkpoint as checkpoints
from .history import History


class Run:
    """Where a training stands. Callbacks get it after every update.

    ``model``, ``optimizer``, ``history``, ``step`` (updates done), ``epoch`` (begun), ``loss`` (of
    the latest batch, a raw array); setting ``stop`` ends the training for good.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Optimizer,
        data: Any,
        batch_size: int | None,
        generator: np.random.Generator | None,
        evaluate: Mapping[str, Callable[[Any], Any]],
        every: int | None,
    ) -> None:
        self.model, self.optimizer, self.evaluate = model, optimizer, evaluate
        self.generator = backend.generator("cpu") if generator is None else generator
        self.history = History()
        self.step = self.epoch = 0
        self.loss: Any = None
        self.stop = self.interrupted = False
        self._sum: Any = 0.0  # of the losses since the latest row, and how many
        self._count = 0
        self._in_epoch = 0  # updates done in this epoch
        self._epoch_start: Any = None  # the shuffling generator's state when the epoch began

        self._data, self._batch_size, self._per_epoch = data, batch_size, 0
        if not callable(data):
            self._data = tuple(_placed(array) for array in data)
            if len(self._data) < 2 or len({len(array) for array in self._data}) != 1:
                raise ValueError(
                    f"fit: data has shapes {[np.shape(array) for array in data]}; expected "
                    "(*inputs, target), as many rows each. Mend: pass e.g. (x_train, y_train)"
                )
            rows = len(self._data[0])
            self._per_epoch = math.ceil(rows / (batch_size or rows))
        elif every is None or batch_size is not None:
            raise ValueError(
                f"fit: data is a function, every={every}, batch_size={batch_size}; expected every "
                "and no batch_size, since the function makes the batches. Mend: pass every=100"
            )
        self.every = self._per_epoch if every is None else every
        if self.every < 1 or self.every != int(self.every):
            raise ValueError(
                f"fit: every={every!r}; expected a whole number of updates, at least 1"
            )
        self._configured = self._configuration()  # now: callbacks may change the optimizer
        self._start = _digest(self.model.state_dict())

    def last_step(self, epochs: int | None, steps: int | None) -> int:
        """The number of updates that ``epochs`` or ``steps`` asks for."""
        if (epochs is None) == (steps is None) or (steps is None and not self._per_epoch):
            raise ValueError(
                f"fit: epochs={epochs}, steps={steps}; expected exactly one of them, and steps if "
                "data is a function. Mend: pass epochs=10"
            )
        return epochs * self._per_epoch if epochs is not None else steps  # type: ignore[return-value]

    # --- what the loop calls ---

    def batches(self) -> Iterable[tuple[Any, ...]]:
        """The batches of one epoch; after resuming in its middle, those that are left."""
        now = [g.bit_generator.state for g in self._generators()] if self._in_epoch else []
        if now:  # resumed: draw this epoch's order again, skip what was done, restore the present
            self.generator.bit_generator.state = self._epoch_start
        else:
            self._epoch_start = self.generator.bit_generator.state
            self.epoch += 1
        if callable(self._data):
            epoch = iter(self._data(self.generator))
        elif self._batch_size is None:
            epoch = iter([self._data])
        else:
            epoch = batches(*self._data, batch_size=self._batch_size, generator=self.generator)
        for _ in range(self._in_epoch):
            next(epoch)
        for g, state in zip(self._generators(), now, strict=False):
            g.bit_generator.state = state
        empty = True
        for batch in epoch:
            empty = False
            self._in_epoch += 1
            yield tuple(_placed(array) for array in batch)
        if empty and not now:
            raise ValueError("fit: an epoch had no batch. Mend: let data yield at least one")
        self._in_epoch = 0

    def after_update(self, value: Tensor) -> None:
        """Count the update and its loss."""
        self.step += 1
        self.loss = value.data
        self._sum = self._sum + value.data.astype(np.float64)
        self._count += 1

    def add_row(self) -> None:
        """Measure, in evaluation mode and without recording."""
        row = {"step": self.step, "epoch": self.epoch, "loss": _number(self._sum / self._count)}
        self._sum, self._count = 0.0, 0
        if self.evaluate:
            self.model.eval()
            with no_grad():
                row.update({name: _number(f(self.model)) for name, f in self.evaluate.items()})
            self.model.train()
        self.history.append(row)

    # --- saving and going on ---

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything that the next update depends on."""
        checkpoints.write(
            path,
            {
                "configuration": self._configured,
                "start": self._start,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "generators": [g.bit_generator.state for g in self._generators()],
                "epoch_start": self._epoch_start,
                "step": self.step,
                "epoch": self.epoch,
                "in_epoch": self._in_epoch,
                "sum": np.asarray(_number(self._sum)),
                "count": self._count,
                "stop": self.stop,
                "history": {name: self.history[name] for name in self.history},
            },
        )

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on from a file of `save`; refuse one that another run has written."""
        saved = checkpoints.read(path)
        for name, value in self._configured.items():
            if saved["configuration"].get(name) != value:
                raise ValueError(
                    f"checkpoint {os.fspath(path)!r} is of another run: its {name} is "
                    f"{saved['configuration'].get(name)}, here it is {value}. Mend: one file per "
                    "configuration; or pass resume=False to start anew and overwrite it"
                )
        if self._start not in (saved["start"], _digest(saved["model"])):
            raise ValueError(
                f"checkpoint {os.fspath(path)!r} is of another run: it began with other parameters "
                "(another seed?). Mend: one file per seed, a newly built model, or resume=False"
            )
        self._start = saved["start"]
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        for g, state in zip(self._generators(), saved["generators"], strict=True):
            g.bit_generator.state = state
        self._epoch_start = saved["epoch_start"]
        self.step, self.epoch, self._in_epoch = saved["step"], saved["epoch"], saved["in_epoch"]
        self._sum, self._count, self.stop = saved["sum"][()], saved["count"], saved["stop"]
        for name, column in saved["history"].items():
            rows = np.moveaxis(column, -1, 0)
            self.history.columns[name] = [
                v.copy() if v.ndim else v.item() for v in map(np.array, rows)
            ]

    def _generators(self) -> list[np.random.Generator]:
        """All random streams the run draws from: shuffling, the global one, and those of layers."""
        found = [self.generator, backend.generator("cpu")]
        for module in self.model.modules() if hasattr(self.model, "modules") else ():
            for value in vars(module).values():
                several = value if isinstance(value, (list, tuple)) else [value]
                found += [v for v in several if isinstance(v, np.random.Generator)]
        return list({id(g): g for g in found}.values())  # each once

    def _configuration(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to fit."""
        groups = [
            {
                **g,
                "params": len(g["params"]),
                "lr": g.get("initial_lr", g["lr"]),
                "initial_lr": None,
            }
            for g in self.optimizer.param_groups
        ]
        return {
            "parameters": [f"{k} {v.shape} {v.dtype}" for k, v in self.model.state_dict().items()],
            "optimizer": f"{type(self.optimizer).__name__} {groups}",
            "data": [] if callable(self._data) else [f"{a.shape} {a.dtype}" for a in self._data],
            "batch_size": self._batch_size,
            "every": self.every,
            "evaluate": list(self.evaluate),
            "generators": [type(g.bit_generator).__name__ for g in self._generators()],
        }


def _digest(state: Mapping[str, np.ndarray]) -> int:
    """A number that tells parameters of one run from those of another."""
    total = 0
    for array in state.values():
        total = zlib.crc32(array.tobytes(), total)
    return total


def _placed(array: Any) -> Any:
    """An array on the current device; Tensors (which may carry an ensemble's mark) as they are."""
    return array if isinstance(array, Tensor) else backend.asarray(array)


def _number(value: Any) -> Any:
    """A float, or a host array of float64 ``(members,)``."""
    value = backend.to_host(raw(value))
    return float(value) if value.ndim == 0 else value.astype(np.float64)
