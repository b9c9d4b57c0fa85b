"""The book's figures: one style, seed bands, censored points and phase diagrams.

Every function draws on given axes and returns the arrays it drew, so that a test (and a reader)
can look at the data. Colours survive colour-blindness, and line styles survive a grey printer.
"""

from .curves import Bands, Pair, bands, linear_and_log, style
from .events import CensoredPoints, Phase, censored_points, phase_diagram
from .labels import direct_labels, ink
from .palette import COLORS

__all__ = [
    "COLORS",
    "Bands",
    "CensoredPoints",
    "Pair",
    "Phase",
    "bands",
    "censored_points",
    "direct_labels",
    "ink",
    "linear_and_log",
    "phase_diagram",
    "style",
]
