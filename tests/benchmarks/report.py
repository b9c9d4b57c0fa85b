"""The table, the JSON file and the bar chart of a benchmark run."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

from .run import LIBRARIES

# What the project promises: our time over the peer's, at most.
TARGETS = {
    "mlp": {"torch": 1.0, "jax": 1.05},
    "transformer": {"torch": 1.0, "jax": 1.3},
    "gradient penalty": {"torch": 1.0},
    "Hessian-vector": {"torch": 1.0},
    "operation chain": {"torch": 0.6},
    "cross-entropy": {"torch": 1.2},
    "BCE": {"torch": 1.5},
    "GELU": {"torch": 1.5},
    "LSTM": {"torch": 1.2},
    "convolutional": {"torch": 1.5},
}


def targets(workload: str) -> dict[str, float]:
    return next((t for start, t in TARGETS.items() if workload.startswith(start)), {})


def line(workload: str, row: dict[str, Any]) -> str:
    """Our median in us; per peer its median and our time over its (! = target missed)."""
    ours = row["minigrad"].get("us")
    cells = [f"{workload:28s}"]
    for library in LIBRARIES:
        result = row.get(library, {})
        if "us" not in result:
            cells.append(f"{'failed' if 'failed' in result else '-':>16s}")
        elif library == "minigrad" or ours is None:
            cells.append(f"{result['us']:10.0f} ({result['threads'] or 'all'})  ")
        else:
            ratio = ours / result["us"]
            missed = "!" if ratio > targets(workload).get(library, float("inf")) else " "
            cells.append(f"{result['us']:9.0f} {ratio:5.2f}{missed}")
    return " ".join(cells)


def header() -> str:
    return f"{'workload':28s} " + " ".join(f"{x:>16s}" for x in LIBRARIES)


def save(results: dict[str, Any], folder: Path) -> None:
    """``results.json`` (with versions) and ``ratios.png`` in ``folder``."""
    import importlib.metadata as metadata

    names = ("numpy", "torch", "jax", "autograd", "mygrad")
    versions = {n: metadata.version(n) for n in names if _has(n)}
    record = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": versions,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(
        json.dumps({"record": record, "results": results}, indent=1)
    )
    chart(results, folder / "ratios.png")


def _has(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def chart(results: dict[str, Any], path: Path) -> None:
    """Our time over each peer's: one bar per peer and workload; left of 1 we are faster."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from minigrad import plots

    plots.style()
    peers = [x for x in LIBRARIES if x not in ("minigrad", "floor")]
    colors = dict(zip(peers, list(plots.COLORS.values()), strict=False))
    fig, ax = plt.subplots(figsize=(7, 0.42 * len(results) + 1))
    for i, row in enumerate(results.values()):
        present = [x for x in peers if "us" in row.get(x, {}) and "us" in row["minigrad"]]
        for j, peer in enumerate(present):
            ratio = row["minigrad"]["us"] / row[peer]["us"]
            y = i + (j - (len(present) - 1) / 2) * 0.2
            ax.barh(
                y,
                ratio - 1,
                height=0.18,
                left=1,
                color=colors[peer],
                label=peer if i == 0 else None,
            )
    ax.axvline(1, color="black", lw=1)
    ax.set(xscale="log", yticks=range(len(results)), yticklabels=list(results))
    ax.set_xlabel("minigrad's time over the peer's (left of 1: minigrad is faster)")
    ax.invert_yaxis()
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.1), ncols=4)
    fig.savefig(path)
    plt.close(fig)
