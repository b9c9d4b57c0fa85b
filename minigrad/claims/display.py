"""How verdicts are written: coarse numbers, wrapped text, and HTML that needs no script.

Stored outputs are compared strictly on machines with another BLAS, so numbers are rounded until
the last bits cannot show. The HTML takes its colours from the page and is readable in dark mode.
"""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from .censoring import Censored

WIDTH = 88


class Display:
    """Something with `text()` and `html()` that Jupyter and a terminal can both show."""

    def text(self) -> str:
        raise NotImplementedError

    def html(self) -> str:
        raise NotImplementedError

    def extra(self) -> dict[str, Any]:
        return {}

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": self.text(), "text/html": self.html(), **self.extra()}


def coarse(value: Any, digits: int = 2) -> str:
    """``value`` to ``digits`` significant digits, without false precision.

    >>> coarse(4851.3), coarse(0.09983), coarse(1.0), coarse(-2.6e-9)
    ('4900', '0.1', '1', '-2.6e-09')
    """
    if isinstance(value, Censored):
        return value.show(_bound)
    if not math.isfinite(value):
        return str(float(value))
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    size = abs(rounded)
    if 1e-4 <= size < 1e7:
        places = max(0, digits - 1 - math.floor(math.log10(size)))
        text = f"{rounded:.{places}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{rounded:.{digits - 1}e}"


def to_precision_of(error: float, value: float, digits: int = 2) -> str:
    """``value`` rounded where its error begins, as in 5180 ± 40."""
    if not 1e-4 <= error < 1e7:
        return coarse(value, digits)
    first = math.floor(math.log10(float(f"{error:.0e}")))
    return f"{round(value, -first) + 0.0:.{max(0, -first)}f}"


def _bound(bound: float) -> str:
    """A bound of a censored value: as it is if short (a chosen budget), else rounded down."""
    if float(f"{bound:.3g}") == bound:
        return f"{bound:.3g}" if abs(bound) < 1 else f"{bound:.15g}"
    step = 10.0 ** (math.floor(math.log10(abs(bound))) - 1)
    return coarse(math.floor(bound / step) * step)


def wrap(text: str, first: str = "", rest: str | None = None) -> list[str]:
    """Lines of at most 88 characters behind a label; later lines are indented under the text."""
    rest = " " * len(first) if rest is None else rest
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def html_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table with the page's own colours. A cell is a list of texts and ``(tag, text)`` pairs.

    All text is escaped; lines and dimmed text use ``currentColor``, backgrounds are transparent.
    """
    line = "border:0;border-bottom:1px solid currentColor;"
    cell = f"{line}background:transparent;text-align:left;vertical-align:top;padding:.4em .7em;"

    def escape(text: str) -> str:  # "> 5000" and "95 %" stay on one line
        return html.escape(text.replace("> ", ">\u00a0").replace(" %", "\u00a0%"))

    def render(part: Any) -> str:
        if isinstance(part, str):
            return escape(part)
        tag, text = part
        text = escape(text)
        if tag == "small":
            return f'<div style="font-size:.85em;opacity:.8">{text}</div>'
        return f"<{tag}>{text}</{tag}>"

    top = "".join(f'<th scope="col" style="{cell}">{html.escape(name)}</th>' for name in head)
    body = "".join(
        '<tr style="background:transparent">'
        + "".join(f'<td style="{cell}">{"".join(map(render, parts))}</td>' for parts in row)
        + "</tr>"
        for row in rows
    )
    return (
        '<div style="overflow-x:auto"><table style="color:inherit;background:transparent;'
        'border-collapse:collapse;white-space:normal"><thead><tr style="background:transparent">'
        f"{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )
