"""Figures of events that may never come: times with a budget, and maps with censored cells."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .labels import ink
from .palette import draw_line


class CensoredPoints(NamedTuple):
    """What `censored_points` drew: ``x`` (k,), ``values`` (k, seeds) with inf where censored,
    ``censored`` (k,) counts, ``median`` (k,), inf where the median run is censored."""

    x: np.ndarray
    values: np.ndarray
    censored: np.ndarray
    median: np.ndarray

    def __repr__(self) -> str:  # short, since a notebook stores what a cell shows
        return f"CensoredPoints({len(self.x)} settings, {self.censored.sum()} runs censored)"


def censored_points(
    ax: Any, x: Any, values: Any, limit: float, *, label: str = "", color: str | None = None
) -> CensoredPoints:
    """Time until an event, seed by seed; runs in which it never came sit at "> limit", counted.

    Args:
        x: ``(k,)`` settings.
        values: ``(k, seeds)`` or k lists of different lengths; None, infinity and
            ``claims.censored(limit)`` are runs that never got there.
        limit: the budget; above it lies the field of the censored, where "▲ 2/5" says that the
            event never came in two runs of five.

    The line joins the medians and stops where the median run is censored. Choose the axes' scales
    before the call, since dots and limits follow them. Several arms may share the axes.
    """
    x = np.asarray(x, dtype=float)
    rows = [[_time(v) for v in np.atleast_1d(np.asarray(row, dtype=object))] for row in values]
    if len(rows) != len(x):
        raise ValueError(f"censored_points: {len(x)} settings x and {len(rows)} rows of values")
    width = max(map(len, rows), default=0)
    times = np.full((len(x), width), np.nan)  # (k, seeds), nan only pads short rows
    for k, row in enumerate(rows):
        times[k, : len(row)] = row
    late = times[np.isfinite(times)] > limit
    if late.any():
        raise ValueError(f"censored_points: {late.sum()} values exceed the budget limit={limit:g}")
    median = np.array([_median(row) for row in rows])
    counts = np.isinf(times).sum(axis=1)
    line = draw_line(ax, x, np.where(np.isfinite(median), median, np.nan), color, label)
    color = line.get_color()
    here = np.isfinite(times)
    dots = _sidestep(x, width, ax.get_xscale())
    ax.plot(dots[here], times[here], "o", color=color, markersize=3.5, alpha=0.55,
            markeredgewidth=0)  # fmt: skip
    ax.update_datalim([(place, limit) for place in x])  # settings without a dot are shown too
    height = _add_row_beyond(ax, limit, float(times[here].min()) if here.any() else limit / 10)
    for i in np.flatnonzero(counts):
        ax.text(x[i], height, f"▲ {counts[i]}/{len(rows[i])}", ha="center", va="center", fontsize=7,
                color=ink(color), transform=ax.get_xaxis_transform())  # fmt: skip
    return CensoredPoints(x, times, counts, median)


def _add_row_beyond(ax: Any, limit: float, lowest: float) -> float:
    """Make room for one more row of "> limit" marks; its height in axes fractions.

    The rows lie in a grey field above the budget, the first arm's at the top.
    """
    height = 0.085
    field = next((p for p in ax.patches if p.get_gid() == "beyond"), None)
    if field is None:
        rows = 0
        field = ax.axhspan(limit, 1e6 * limit, facecolor="#eeeeee", linewidth=0, zorder=0)
        field.set_gid("beyond")
        ax.axhline(limit, color="#555555", linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    else:
        rows, old_limit, old_lowest = field._rows
        lowest = min(lowest, old_lowest)
        if old_limit != limit:
            raise ValueError(f"censored_points: limit={limit:g} on axes with limit={old_limit:g}")
    field._rows = (rows + 1, limit, lowest)
    below = 1 - height * (rows + 1) - 0.01  # the share of the axes that shows measured times
    if ax.get_yscale() == "log":
        ax.set_ylim(lowest / 1.3, lowest / 1.3 * (1.3 * limit / lowest) ** (1 / below))
    else:
        ax.set_ylim(0, limit / below)
    for text in [t for t in ax.texts if t.get_gid() == "beyond"]:
        text.remove()
    ax.text(1.06, (1 + below) / 2, f"> {limit:g}", transform=ax.transAxes, va="center",
            fontsize=9, color="#444444", gid="beyond")  # fmt: skip
    return 1 - height * (rows + 0.5)


class Phase(NamedTuple):
    """What `phase_diagram` drew: ``values`` (rows, columns), inf where censored, and the mask."""

    xs: np.ndarray
    ys: np.ndarray
    values: np.ndarray
    censored: np.ndarray

    def __repr__(self) -> str:
        rows, columns = self.values.shape
        return f"Phase({rows} x {columns}, {self.censored.sum()} censored)"


def phase_diagram(
    ax: Any,
    xs: Any,
    ys: Any,
    values: Any,
    *,
    label: str = "",
    limit: float | None = None,
    log: bool = False,
    write: bool = False,
    cmap: str = "cividis",
) -> Phase:
    """A heat map over two settings; cells whose event never came are hatched, not coloured.

    Args:
        xs, ys: ``(columns,)`` and ``(rows,)`` increasing settings; cells are drawn around them,
            geometrically on an axis that was set to log scale before.
        values: ``(rows, columns)``; None, infinity and ``claims.censored(limit)`` are censored.
        label: name of the colour bar, with unit.
        limit: the budget, named in the legend of hatched cells.
        log: logarithmic colours.
        write: write each value (two digits) into its cell.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Patch, Rectangle

    xs, ys = np.asarray(xs, dtype=float), np.asarray(ys, dtype=float)
    array = np.array([[_time(v) for v in row] for row in np.asarray(values, dtype=object)])
    if array.shape != (len(ys), len(xs)):
        raise ValueError(
            f"phase_diagram: values {array.shape}; expected (len(ys), len(xs)) = "
            f"({len(ys)}, {len(xs)})"
        )
    gone = np.isinf(array)
    left, bottom = _edges(xs, ax.get_xscale()), _edges(ys, ax.get_yscale())
    # Autoscaling on nothing but masked cells would divide by zero.
    norm = LogNorm() if log and not gone.all() else None
    mesh = ax.pcolormesh(left, bottom, np.ma.masked_array(array, gone), cmap=cmap, norm=norm)
    ax.grid(False)
    for i, j in np.argwhere(gone):
        width, height = left[j + 1] - left[j], bottom[i + 1] - bottom[i]
        ax.add_patch(Rectangle((left[j], bottom[i]), width, height, facecolor="#eeeeee",
                               edgecolor="#777777", hatch="///", linewidth=0))  # fmt: skip
    if write:
        for i, j in np.argwhere(~gone):
            dark = sum(np.array(mesh.cmap(mesh.norm(array[i, j]))[:3]) * (0.3, 0.59, 0.11)) < 0.5
            two_digits = f"{float(f'{array[i, j]:.2g}'):g}"
            ax.text(xs[j], ys[i], two_digits, ha="center", va="center", fontsize=8,
                    color="white" if dark else "black")  # fmt: skip
    ax.figure.colorbar(mesh, ax=ax, label=label)
    if gone.any():
        name = "never within the budget" if limit is None else f"> {limit:g}"
        patch = Patch(facecolor="#eeeeee", edgecolor="#777777", hatch="///", label=name)
        ax.legend(handles=[patch], loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)
    return Phase(xs, ys, array, gone)


def _time(value: Any) -> float:
    """A measured time as a float; inf for None, infinity and a censored value."""
    if value is None or (hasattr(value, "low") and hasattr(value, "high")):
        return np.inf
    if np.isnan(value):
        raise ValueError("a value is nan; an event that never came is None, inf or censored(limit)")
    return float(value)


def _median(row: list[float]) -> float:
    low, high = sorted(row)[(len(row) - 1) // 2], sorted(row)[len(row) // 2]
    return (low + high) / 2


def _sidestep(x: np.ndarray, seeds: int, scale: str) -> np.ndarray:
    """``(k, seeds)`` positions beside each x, a fraction of the smallest gap apart."""
    if scale == "log":
        return np.exp(_sidestep(np.log(x), seeds, "linear"))
    gap = np.diff(np.unique(x)).min() if len(np.unique(x)) > 1 else 0.0
    aside = np.linspace(-0.12, 0.12, seeds) if seeds > 1 else np.zeros(seeds)
    return x[:, None] + gap * aside  # (k, seeds)


def _edges(centers: np.ndarray, scale: str) -> np.ndarray:
    if len(centers) > 1 and not (np.diff(centers) > 0).all():
        raise ValueError(f"phase_diagram: settings {centers} must increase")
    if scale == "log":
        return np.exp(_edges(np.log(centers), "linear"))
    if len(centers) == 1:
        return np.array([centers[0] - 0.5, centers[0] + 0.5])
    inner = (centers[1:] + centers[:-1]) / 2
    return np.concatenate([[2 * centers[0] - inner[0]], inner, [2 * centers[-1] - inner[-1]]])
