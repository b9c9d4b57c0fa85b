"""Names at the ends of lines instead of a legend, moved apart where they would overlap."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Label(NamedTuple):
    """A label as drawn: its text, the line's last point, and the height in axes fractions."""

    text: str
    x: float
    y: float
    height: float

    def __repr__(self) -> str:  # short, since a notebook stores what a cell shows
        return f"Label({self.text!r})"


def direct_labels(ax: Any, fontsize: float = 9) -> list[Label]:
    """Write each labelled line's name right of the axes, at the height where the line ends.

    Call it last, when the limits are final; a second call replaces the first. A thin leader joins
    a name to its line where the two are apart.
    """
    for old in [a for a in [*ax.texts, *ax.lines] if a.get_gid() == "direct-label"]:
        old.remove()
    named = [line for line in ax.lines if not str(line.get_label()).startswith("_")]
    lines = [(line, end) for line in named if (end := _end(ax, line)) is not None]
    if not lines:
        return []
    ax.figure.draw_without_rendering()  # settles the layout, hence the height of the axes
    pixels = ax.get_window_extent().height
    step = 1.35 * fontsize * ax.figure.dpi / 72 / pixels  # one line of text, in axes fractions
    ends = [(ax.transData + ax.transAxes.inverted()).transform(end) for _, end in lines]
    wanted = np.array([end[1] for end in ends])
    heights = spread_apart(np.clip(wanted, 0, 1), step)
    labels = []
    for (line, end), (x, y), height in zip(lines, ends, heights, strict=True):
        color = ink(line.get_color())
        ax.text(1.03, height, line.get_label(), transform=ax.transAxes, color=color,
                fontsize=fontsize, va="center", gid="direct-label")  # fmt: skip
        if abs(height - y) > step / 3 or x < 0.97:
            # No autoscaling: it would undo limits that set_ticks widened, and move the ends.
            ax.plot([x, 1.025], [y, height], transform=ax.transAxes, color=color, linewidth=0.6,
                    linestyle="-", alpha=0.7, clip_on=False, gid="direct-label",
                    label="_nolegend_", scalex=False, scaley=False)  # fmt: skip
        labels.append(Label(str(line.get_label()), float(end[0]), float(end[1]), float(height)))
    return labels


def spread_apart(wanted: np.ndarray, step: float) -> np.ndarray:
    """Heights at least ``step`` apart, in the same order, closest to ``wanted`` in least squares.

    Subtracting ``step`` times the rank turns the condition into "not decreasing", which pooling
    adjacent violators solves. The result is shifted into [0, 1] if it fits.
    """
    order = np.argsort(wanted, kind="stable")
    blocks: list[list[float]] = []  # mean, size
    for rank, index in enumerate(order):
        blocks.append([float(wanted[index]) - rank * step, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, size = blocks.pop()
            blocks[-1][0] = (blocks[-1][0] * blocks[-1][1] + mean * size) / (blocks[-1][1] + size)
            blocks[-1][1] += size
    level = np.concatenate([np.full(int(size), mean) for mean, size in blocks])
    # Clipping the levels keeps their order, and so the distances.
    top = max(0.0, 1 - step * (len(wanted) - 1))
    heights = np.empty(len(wanted))
    heights[order] = np.clip(level, 0, top) + step * np.arange(len(wanted))
    return heights


def ink(color: Any) -> str:
    """``color`` darkened until text in it has a contrast of 4.5 on white (WCAG AA)."""
    from matplotlib.colors import to_hex, to_rgb

    rgb = np.array(to_rgb(color))
    while 1.05 / (_luminance(rgb) + 0.05) < 4.5:
        rgb = rgb * 0.95
    return to_hex((rgb[0], rgb[1], rgb[2]))


def _luminance(rgb: np.ndarray) -> float:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _end(ax: Any, line: Any) -> tuple[float, float] | None:
    """The last finite point of a line inside the x limits that the axes can show."""
    x, y = (np.asarray(v, dtype=float) for v in line.get_data())
    left, right = sorted(ax.get_xlim())
    shown = np.isfinite(x) & np.isfinite(y) & (x >= left) & (x <= right)
    if ax.get_yscale() == "log":
        shown &= y > 0
    if not shown.any():
        return None
    last = np.flatnonzero(shown)[-1]
    return float(x[last]), float(y[last])
