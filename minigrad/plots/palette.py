"""The book's colours and line styles."""

from __future__ import annotations

from typing import Any

import numpy as np

# Okabe and Ito's colours without the yellow, which no thin line survives; in alternating lightness.
COLORS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermillion": "#D55E00",
    "sky": "#56B4E9",
    "purple": "#CC79A7",
    "black": "#000000",
}
DASHES = ["-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1)), (0, (8, 2)), "-"]


def draw_line(ax: Any, x: np.ndarray, y: np.ndarray, color: str | None, label: str) -> Any:
    """A line in a palette colour with the dashes that belong to it, or the next of the cycle."""
    label = label or "_nolegend_"
    if color is None:
        return ax.plot(x, y, label=label, zorder=3)[0]
    color = COLORS.get(color, color)
    known = [c.lower() for c in COLORS.values()]
    dashes = DASHES[known.index(color.lower())] if color.lower() in known else "-"
    return ax.plot(x, y, label=label, color=color, linestyle=dashes, zorder=3)[0]
