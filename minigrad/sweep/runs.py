"""Running a grid of configurations, reading it back, and a cluster to run it on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from .store import appending, decode, dumps, encode, read, record
from .task import task

GIVE_UP_AFTER = 3  # failures without a single success: a bug in the function, not in a run


class SweepError(RuntimeError):
    """Some runs failed; ``failures`` has (configuration, traceback). What finished is stored."""

    def __init__(self, message: str, failures: list[tuple[dict[str, Any], str]] | None = None):
        super().__init__(message)
        self.failures = failures or []


def grid(**axes: Any) -> list[dict[str, Any]]:
    """All combinations, the last axis fastest. A single number or text is an axis of length one.

    >>> grid(width=[8, 64], seed=range(2))[1:3]
    [{'width': 8, 'seed': 1}, {'width': 64, 'seed': 0}]
    """

    def listed(axis: Any) -> list[Any]:
        single = isinstance(axis, (str, bytes, Mapping)) or not isinstance(axis, Iterable)
        return [axis] if single else list(axis)

    return [dict(zip(axes, values, strict=True)) for values in product(*map(listed, axes.values()))]


def run(
    function: Callable[..., Any],
    configurations: Iterable[Mapping[str, Any]],
    *,
    store: str | os.PathLike[str] | None = None,
    n_jobs: int = 2,
    progress: bool = True,
    retries: int = 2,
    version: int | str = 1,
    name: str | None = None,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Call ``function(**configuration)`` for every configuration and return one row for each.

    A row is the configuration, what the function returned, and ``seconds``. Rows come in the order
    of the configurations, and equal rows come back whether a run was computed here, in another
    process or read from the store: every result passes through JSON, and each run has one BLAS
    thread. The function draws its randomness from its own ``seed`` argument.

    Runs go to ``n_jobs`` processes through joblib (1 stays in this process). Inside
    ``joblib.parallel_config(backend="dask")`` they go to the cluster instead; see `dask_cluster`.
    The function may be defined in a notebook.

    Args:
        function: returns a dict of numbers, texts, lists, dicts and NumPy arrays, or one such
            value, which is then called ``value``.
        configurations: dicts of keyword arguments, as `grid` makes them. 1 and 1.0 differ.
        store: a .jsonl file; without one nothing is kept. Several functions may share it.
        progress: show a bar while there is something to compute.
        retries: how often to start again when a worker process was killed (out of memory).
        version: change it after changing the function, so that old rows are not used.
        name: identifies the function in the store; its ``__qualname__`` by default.
        device: written into the store's record.
    Raises:
        SweepError: runs failed or workers kept dying. All other runs are finished and kept, unless
            the first three all failed.
        TypeError, ValueError: a configuration that JSON cannot hold, a function without a name.
    """
    name = name or _name(function)
    wanted = [dict(configuration) for configuration in configurations]
    keys = [_key(name, version, c, i) for i, c in enumerate(wanted)]
    configuration_of = dict(zip(keys, wanted, strict=True))
    path = None if store is None else Path(store)
    source = _source_hash(function)
    done: dict[str, dict[str, Any]] = {}
    if path is not None and path.exists():
        entries = read(path)
        done = {e["key"]: e for e in entries if e.get("key") in configuration_of}
        _warn_if_changed(name, source, done.values())
    missing = {key: c for key, c in configuration_of.items() if key not in done}
    if missing:
        with contextlib.nullcontext() if path is None else appending(path) as append:
            if append:
                append({"record": record(device, function=name, version=version)})
            identity = {"function": name, "version": version, "source": source}
            for key, outcome in _finish(function, missing, n_jobs, progress, retries, name):
                done[key] = {"key": key, **identity, **outcome}
                if append:
                    append(done[key])
    return [_row(done[key]) for key in keys]


def load(
    path: str | os.PathLike[str], function: str | None = None, version: int | str | None = None
) -> list[dict[str, Any]]:
    """The rows of a store, in the order in which they finished.

    Raises ValueError if it holds several functions or versions and the arguments name none.
    """
    latest = {e["key"]: e for e in read(Path(path)) if "key" in e}
    entries = [
        e
        for e in latest.values()
        if function in (None, e["function"]) and version in (None, e["version"])
    ]
    found = sorted({(e["function"], str(e["version"])) for e in entries})
    if len(found) > 1:
        raise ValueError(f"{Path(path).name} holds {found}; say which function= and version=")
    return [_row(e) for e in entries]


def records(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """How a store was made, one dict per session: command, versions, device, cpu, started,
    function, and over its runs: ``runs``, ``seconds`` (sum) and ``peak_mb`` (largest process)."""
    sessions: list[dict[str, Any]] = []
    for entry in read(Path(path)):
        if "record" in entry:
            sessions.append({**entry["record"], "runs": 0, "seconds": 0.0, "peak_mb": 0})
        elif sessions:
            sessions[-1]["runs"] += 1
            sessions[-1]["seconds"] += entry["seconds"]
            sessions[-1]["peak_mb"] = max(sessions[-1]["peak_mb"], entry["peak_mb"] or 0)
    return sessions


@contextmanager
def dask_cluster(n_workers: int) -> Iterator[Any]:
    """A Dask cluster on this machine, used by every `run` inside the block. Yields its client.

    For several machines connect your own: ``Client(address)``, then
    ``joblib.parallel_config(backend="dask")``. In a script, call it under
    ``if __name__ == "__main__":``, since the workers import the script.
    """
    import dask
    import joblib
    from distributed import Client, LocalCluster

    # Dask tells malloc to give memory back at every free, which doubled the time of our runs.
    environment = dict(dask.config.get("distributed.nanny.pre-spawn-environ", {}))
    environment.pop("MALLOC_TRIM_THRESHOLD_", None)
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": environment}),
        LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        yield client


def _finish(
    function: Callable[..., Any],
    missing: dict[str, dict[str, Any]],
    n_jobs: int,
    progress: bool,
    retries: int,
    name: str,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every outcome as it comes; start again without what came when a worker dies."""
    from tqdm.auto import tqdm

    left, failures, successes = dict(missing), [], 0
    # An explicit disable=False would override the user's TQDM_DISABLE=1.
    silent = {} if progress else {"disable": True}
    with tqdm(total=len(missing), desc=name, **silent) as bar:
        for attempt in range(retries + 1):
            try:
                for key, outcome in _stream(function, list(left.items()), n_jobs):
                    configuration = left.pop(key)
                    bar.update()
                    if "error" in outcome:
                        failures.append((configuration, outcome["error"]))
                        if len(failures) >= GIVE_UP_AFTER and not successes:
                            raise _failed(name, failures, len(missing), successes)
                    else:
                        successes += 1
                        yield key, outcome
            except Exception as error:
                if not _worker_died(error):
                    raise
                if attempt == retries:
                    raise SweepError(
                        f"sweep {name}: a worker process was killed {attempt + 1} times, usually "
                        f"for lack of memory: try fewer n_jobs. {successes} runs finished and are "
                        f"kept; {len(left)} are left, the first {next(iter(left.values()))}"
                    ) from error
            if not left:
                break
    if failures:
        raise _failed(name, failures, len(missing), successes)


def _stream(
    function: Callable[..., Any], configurations: list[tuple[str, dict[str, Any]]], n_jobs: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    from joblib import Parallel, delayed
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    if type(backend).__name__ == "DaskDistributedBackend":
        n_jobs = -1  # joblib would take 1 as "not parallel"; the cluster knows its size
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    return parallel(delayed(task)(function, key, c) for key, c in configurations)


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    parts = decode(entry["configuration"]), decode(entry["result"])
    return {**parts[0], **parts[1], "seconds": entry["seconds"]}


def _key(name: str, version: int | str, configuration: dict[str, Any], position: int) -> str:
    encoded = encode(configuration, f"configurations[{position}]")
    canonical = dumps([name, version, encoded], sort=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:20]


def _name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", "<unnamed>").split("<locals>.")[-1]
    if "<" in name:
        raise ValueError(f"sweep: {function!r} has no name to find its rows by; pass name=...")
    return name


def _source_hash(function: Callable[..., Any]) -> str | None:
    """Of the function's code without comments and layout; None where there is no source."""
    import ast
    import inspect
    import textwrap

    try:
        code = ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(function))))
    except (OSError, TypeError, SyntaxError):
        return None
    return hashlib.sha256(code.encode()).hexdigest()[:12]


def _warn_if_changed(name: str, source: str | None, entries: Iterable[dict[str, Any]]) -> None:
    if source and any(e.get("source") not in (None, source) for e in entries):
        warnings.warn(
            f"sweep: {name} has changed since rows in this store were computed; they are used as "
            "they are. Pass another version= to compute them again.",
            stacklevel=3,
        )


def _failed(
    name: str, failures: list[tuple[dict[str, Any], str]], total: int, successes: int
) -> SweepError:
    configuration, error = failures[0]
    others = "".join(f"\nalso failed: {c}" for c, _ in failures[1:6])
    return SweepError(
        f"sweep {name}: {len(failures)} of {total} runs failed, {successes} finished and are kept. "
        f"The first failure was {configuration}:\n{error}{others}",
        failures,
    )


def _worker_died(error: Exception) -> bool:
    from concurrent.futures.process import BrokenProcessPool  # loky's TerminatedWorkerError is one

    return isinstance(error, BrokenProcessPool) or type(error).__name__ == "KilledWorker"
