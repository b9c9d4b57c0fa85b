"""The training loop."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..engine import Tensor
from ..optim import Optimizer
from .history import History
from .run import Run


def fit(
    model: Any,
    loss: Callable[[Any, Any], Tensor],
    data: Any,
    optimizer: Optimizer,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    generator: np.random.Generator | None = None,
    evaluate: Mapping[str, Callable[[Any], Any]] | None = None,
    every: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = True,
    save_seconds: float = 10.0,
    callbacks: Sequence[Callable[[Run], Any]] = (),
    progress: bool = True,
) -> History:
    """Train ``model`` so that ``loss(model(*inputs), target)`` gets small.

    Args:
        model: an `nn.Module`.
        loss: gives a scalar, or ``(members,)`` for an ensemble.
        data: arrays ``(*inputs, target)``, each ``(n, ...)``; or a function ``generator -> iterable
            of batches``, called once per epoch, which draws only from that generator.
        optimizer: over the model's parameters.
        epochs: passes over the data.
        steps: updates; give either epochs or steps (for a function: steps).
        batch_size: rows per batch, shuffled in every epoch. None: all rows in every step.
        generator: shuffles; the global generator if None.
        evaluate: name -> function of the model, computed in evaluation mode without recording.
        every: updates between two rows of the history (default: an epoch). The last step has a row.
        checkpoint: a file to save to, at most every ``save_seconds`` and at the end.
        resume: go on from ``checkpoint`` if the file is there. The result has the same bits as that
            of a run that was never stopped (on the CPU, with one BLAS thread).
        callbacks: called after every update with the `Run`; ``run.stop = True`` ends the training.
            A `Schedule` is one.
        progress: show a bar, in a terminal or notebook (``TQDM_DISABLE=1`` turns all bars off).
    Returns: the `History`. A row has ``step``, ``epoch`` (begun so far), ``loss`` (the mean over
        the updates since the row before), and what ``evaluate`` names.
    Raises: ValueError for arguments that do not fit together, or a checkpoint of another run.

    Ctrl-C finishes the update, saves, and returns what there is; a second one raises at once.
    """
    run = Run(model, optimizer, data, batch_size, generator, evaluate or {}, every)
    last = run.last_step(epochs, steps)
    if checkpoint is not None and resume and os.path.exists(checkpoint):
        run.load(checkpoint)
    saved = time.monotonic()
    model.train()
    with _progress_bar(run.step, last, progress) as bar, _ctrl_c(run):
        while run.step < last and not (run.stop or run.interrupted):
            for *inputs, target in run.batches():
                value = loss(model(*inputs), target)
                optimizer.zero_grad()
                value.backward()
                optimizer.step()

                run.after_update(value)
                if run.step % run.every == 0 or run.step == last:
                    run.add_row()
                for callback in callbacks:
                    callback(run)
                bar.update()
                if run.step == last or run.stop or run.interrupted:
                    break
                if checkpoint is not None and time.monotonic() - saved >= save_seconds:
                    run.save(checkpoint)
                    saved = time.monotonic()
    if checkpoint is not None:
        run.save(checkpoint)
    if run.interrupted:
        warnings.warn(f"fit: interrupted after step {run.step} of {last}", stacklevel=2)
    return run.history


def _progress_bar(step: int, last: int, progress: bool) -> Any:
    """A bar in terminals and notebooks, gone when done; none in log files."""
    from tqdm.auto import tqdm

    watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    # An explicit disable=False would override the user's TQDM_DISABLE=1.
    silent = {} if progress and watched else {"disable": True}
    return tqdm(total=last, initial=step, leave=False, **silent)


@contextlib.contextmanager
def _ctrl_c(run: Run) -> Iterator[None]:
    """The first Ctrl-C asks the run to stop after the update: what is saved is whole."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals can be caught in the main thread only
        return

    def ask(number: int, frame: Any) -> None:
        if run.interrupted:
            raise KeyboardInterrupt
        run.interrupted = True

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
