"""Nothing is won by computing less: minigrad's steps are PyTorch's steps, in float64.

``python -m tests.benchmarks.agreement [words]`` takes ten SGD steps of every workload with an
update in both libraries and compares all parameters; of the others (element-wise functions, the
Hessian-vector product) it compares what the step returns.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from . import minigrad_peer, torch_peer
from . import workloads as w

STEPS = 10
TOLERANCE = 1e-10
WITHOUT_UPDATE = (*w.ELEMENTWISE, "operation chain", "Hessian-vector product")


def difference(name: str, steps: int = STEPS) -> tuple[float, float]:
    """How far the libraries are apart, and how far the steps have gone, over the largest value."""
    results = []
    for peer in (minigrad_peer, torch_peer):
        step, weights = peer.prepare(name, 1, np.float64, optimizer="sgd")
        if name in WITHOUT_UPDATE:
            result = step()
            results.append(result if isinstance(result, (list, tuple)) else [result])
            continue
        for _ in range(steps):
            step()
        results.append(weights)
    ours, theirs = ([_array(a) for a in arrays] for arrays in results)
    start = [np.zeros_like(b) for b in theirs]
    if name not in WITHOUT_UPDATE:
        start = w.make(name, np.float64)[0]
    scale = max(np.abs(b).max() for b in theirs)
    apart = max(np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True))
    moved = max(np.abs(b - s).max() for b, s in zip(theirs, start, strict=True))
    return float(apart / scale), float(moved / scale)


def _array(x: Any) -> np.ndarray:
    x = x.detach() if hasattr(x, "detach") else x
    return np.asarray(x.numpy() if hasattr(x, "numpy") else x)


def main(words: list[str]) -> None:
    """Print how far apart the workloads are whose names hold a word; exit with an error if far."""
    failed = []
    for name in w.ALL:
        if words and not any(word.lower() in name.lower() for word in words):
            continue
        apart, moved = difference(name)
        agrees = apart <= TOLERANCE < 1e-4 < moved  # NaN agrees with nothing
        what = "one result"
        if name not in WITHOUT_UPDATE:
            what = f"{STEPS} SGD steps, which changed the parameters by {moved:.0e}"
        print(f"{name:28s} {apart:9.1e}  {what}{'' if agrees else '  DISAGREES'}", flush=True)
        if not agrees:
            failed.append(name)
    if failed:
        sys.exit(f"more than {TOLERANCE} apart from PyTorch: {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
