"""The book's style, seed bands, and one curve on a linear beside a logarithmic axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .labels import direct_labels
from .palette import COLORS, DASHES, draw_line


def style() -> None:
    """Set matplotlib's parameters to the book's: 7 in wide, 100 dpi, a white card on any page.

    Only fonts that ship with matplotlib are used, and mathtext instead of TeX.
    """
    import matplotlib
    from cycler import cycler

    matplotlib.rcParams.update(
        {
            "figure.figsize": (7, 3.4),
            "figure.dpi": 100,
            "savefig.dpi": 100,
            "figure.facecolor": "white",  # the figure stays readable on a dark page
            "savefig.facecolor": "white",
            "axes.facecolor": "white",
            "figure.constrained_layout.use": True,
            "font.family": "DejaVu Sans",
            "mathtext.fontset": "dejavusans",
            "text.usetex": False,
            "font.size": 9.5,
            "axes.titlesize": 10.5,
            "axes.titlelocation": "left",
            "axes.labelsize": 9.5,
            "legend.fontsize": 9,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#dddddd",
            "grid.linewidth": 0.6,
            "axes.linewidth": 0.8,
            "axes.formatter.min_exponent": 4,  # 400 and 2000 instead of powers of ten
            "lines.linewidth": 1.8,
            "lines.markersize": 5,
            "hatch.linewidth": 0.7,
            "image.cmap": "cividis",
            "axes.prop_cycle": cycler(color=list(COLORS.values()), linestyle=DASHES),
        }
    )


class Bands(NamedTuple):
    """What `bands` drew: ``x`` (k,), ``runs`` (seeds, k), and center, low, high (k,)."""

    x: np.ndarray
    runs: np.ndarray
    center: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def __repr__(self) -> str:  # short, since a notebook stores what a cell shows
        return f"Bands({len(self.runs)} runs, {len(self.x)} points)"


def bands(
    ax: Any,
    x: Any,
    runs: Any,
    *,
    label: str = "",
    color: str | None = None,
    center: str = "median",
    spread: str | None = None,
    thin: bool = True,
) -> Bands:
    """A line through many seeds, a band around it, single runs thin behind.

    Args:
        x: ``(k,)``.
        runs: ``(seeds, k)``, finite. One seed is drawn as a line without a band.
        label: name of the line; ``direct_labels(ax)`` writes it at the line's end.
        color: a matplotlib colour or a name of ``COLORS``; the next of the cycle by default.
        center: ``"median"``, or ``"mean"`` where theory predicts means.
        spread: ``"quartiles"`` (default of the median), ``"error"`` (standard error of the mean,
            default of the mean), or ``"range"`` (smallest to largest).
        thin: draw single runs.
    """
    x, runs = np.asarray(x), np.atleast_2d(np.asarray(runs, dtype=float))  # runs (seeds, k)
    if runs.ndim != 2 or x.shape != runs.shape[1:]:
        raise ValueError(f"bands: x {x.shape} and runs {runs.shape}; expected (k,) and (seeds, k)")
    _refuse_not_finite("bands: runs", runs)
    spread = spread or {"median": "quartiles", "mean": "error"}.get(center, "")
    if center == "median":
        middle = np.median(runs, axis=0)
    elif center == "mean":
        middle = runs.mean(axis=0)
    else:
        raise ValueError(f"bands: center={center!r}; expected 'median' or 'mean'")
    if spread == "quartiles":
        low, high = np.quantile(runs, [0.25, 0.75], axis=0)
    elif spread == "range":
        low, high = runs.min(axis=0), runs.max(axis=0)
    elif spread == "error" and center == "mean":
        # One seed has no standard error; the band is then the line itself.
        error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs)) if len(runs) > 1 else 0 * middle
        low, high = middle - error, middle + error
    else:
        raise ValueError(f"bands: spread={spread!r} around the {center}; see the docstring")
    line = draw_line(ax, x, middle, color, label)
    drawn = line.get_color()
    if len(runs) > 1:
        ax.fill_between(x, low, high, color=drawn, alpha=0.22, linewidth=0)
        if thin:
            ax.plot(x, runs.T, color=drawn, linestyle="-", linewidth=0.6, alpha=0.35, zorder=1.5)
    return Bands(x, runs, middle, low, high)


class Pair(NamedTuple):
    """What `linear_and_log` made; ``data`` is what ``draw`` returned for the first axes."""

    figure: Any
    axes: tuple[Any, Any]
    data: Any

    def __repr__(self) -> str:
        return "Pair(linear, log)"


def linear_and_log(
    draw: Callable[[Any], Any], *, axis: str = "x", figsize: Sequence[float] = (7, 3.2)
) -> Pair:
    """The same figure twice, since a log axis exaggerates some dramas and hides others.

    ``draw(ax)`` is called for both; ``axis`` is ``"x"`` or ``"y"``. Points at zero are left out of
    the log axis. Lines are labelled once, at the right.
    """
    import matplotlib.pyplot as plt

    if axis not in ("x", "y"):
        raise ValueError(f"linear_and_log: axis={axis!r}; expected 'x' or 'y'")
    figure, (linear, log) = plt.subplots(1, 2, figsize=tuple(figsize), sharey=axis == "x")
    data = draw(linear)
    log.set(**{f"{axis}scale": "log"})  # before drawing: bands and cells follow the scale
    draw(log)
    linear.set_title(f"linear {axis} axis")
    log.set_title(f"logarithmic {axis} axis")
    if axis == "x":
        log.set_ylabel("")
    direct_labels(log)
    return Pair(figure, (linear, log), data)


def _refuse_not_finite(name: str, array: np.ndarray) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        where = ", ".join(map(str, bad[0]))
        raise ValueError(
            f"{name}[{where}] is {array[tuple(bad[0])]}; expected finite numbers. An event that "
            "never came belongs in censored_points; cut a curve before it diverges"
        )
