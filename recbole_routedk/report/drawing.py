"""Figures as SVG that lies within the page: its colours are the page's, and its text is text.

Drawn with colours of ``INKS``, a figure follows the page from light to dark, because each of them is put in the place
of a CSS variable.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INKS = {
    "ink": "#010203",
    "quiet": "#020304",
    "line": "#030405",
    "paper": "#040506",
    **{f"series{number}": f"#a0b0{number:02x}" for number in range(8)},
}
"""Names of CSS variables (``--ink``) and the colour, found nowhere else, that stands for each in a drawing."""
INK, QUIET, LINE, PAPER = (INKS[name] for name in ("ink", "quiet", "line", "paper"))
SERIES = [INKS[f"series{number}"] for number in range(8)]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]
"""Beside the colours, so that nobody needs to tell colours apart."""
MOST_SERIES = 6
"""More lines in one figure cannot be followed."""

_POINTS = 72
_WIDTH = 330
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "text.parse_math": False,  # names of models may hold a dollar sign
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
}


@contextmanager
def drawing_style() -> Iterator[None]:
    """Draw within this, so that nothing of a user's own matplotlib settings gets into the page."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def new_figure(height: float = 270) -> tuple[Figure, Axes]:
    """A figure of 330 units by ``height`` with one axes: so narrow that its text can be read on a phone."""
    figure = Figure(figsize=(_WIDTH / _POINTS, height / _POINTS), layout="constrained")
    return figure, figure.add_subplot()


def inline_svg(figure: Figure, name: str, title: str, description: str) -> Markup:
    """The figure as an ``<svg>`` element; ``name`` sets its ids apart from those of other figures on the page."""
    with matplotlib.rc_context({"svg.hashsalt": name}):
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    body = drawn[drawn.index(">", drawn.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{name}-", body)
    for variable, colour in INKS.items():
        body = body.replace(colour, f"var(--{variable})")
    width, height = (size * _POINTS for size in figure.get_size_inches())
    head = (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="{name}-title {name}-about">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-about">{escape(description)}</desc>'
    )
    return Markup(head + body)  # nosec B704  # escaped above, and by matplotlib within the drawing
