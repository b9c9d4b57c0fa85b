"""What a sweep does in a worker process: one run, on one BLAS thread, timed."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .store import encode


@contextmanager
def one_thread() -> Iterator[None]:
    """One BLAS thread inside the block: sums are added in one order, so bits do not change.

    The variables serve libraries that are loaded inside the block.
    """
    from threadpoolctl import threadpool_limits

    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        with threadpool_limits(1):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def task(
    function: Callable[..., Any], key: str, configuration: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """One run in a worker. An exception is a result: raised, it would end the other runs."""
    started = time.perf_counter()
    try:
        with one_thread():
            result = function(**configuration)
        result = dict(result) if isinstance(result, Mapping) else {"value": result}
        clash = (set(configuration) | {"seconds"}) & set(result)
        if clash:
            raise ValueError(f"the result repeats the names {sorted(clash)}; return other names")
        encoded = encode(result, "result")
    except Exception:
        return key, {"error": traceback.format_exc()}
    return key, {
        "configuration": encode(configuration),
        "result": encoded,
        "seconds": round(time.perf_counter() - started, 4),
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> int | None:
    """Most memory this process ever held; None where the system does not tell (Windows)."""
    try:
        import resource
        import sys
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))
