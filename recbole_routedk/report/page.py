"""Makes the page: one HTML file that needs no other file and no network."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from recbole_routedk import __version__
from recbole_routedk.comparison.tables import HEADERS, TEST_LEGEND, legend
from recbole_routedk.report.board import headline, score_table, test_table
from recbole_routedk.report.drawing import drawing_style
from recbole_routedk.report.figures import cost_figures, curve_figures, interval_figures, length_figure
from recbole_routedk.report.gallery import shown_text
from recbole_routedk.report.gate_figures import gate_figure
from recbole_routedk.report.gather import Gathered

_TEMPLATE = "template"
MOST_ROUTERS = 6
"""At most so many models get a picture of their gates."""


def render(gathered: Gathered) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("recbole_routedk.report", _TEMPLATE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown_text
    script = _part("gallery.js")
    return environment.get_template("page.html").render(
        **_content(gathered),
        css=Markup(_part("style.css")),  # nosec B704  # a file of this package
        script=Markup(script),  # nosec B704  # likewise
        script_digest=_digest(script),
        version=__version__,
    )


def _content(gathered: Gathered) -> dict[str, Any]:
    summary, proposed = gathered.summary, gathered.proposed
    with drawing_style():
        routers = [gate_figure(gates, f"gates-{number}") for number, gates in enumerate(gathered.gates[:MOST_ROUTERS])]
        return {
            "summary": summary,
            "seeds": sorted({run.seed for run in gathered.runs}),
            "headline": headline(summary, proposed),
            "scores": score_table(summary, proposed),
            "tests": test_table(summary, proposed),
            "legend": legend(summary),
            "test_legend": TEST_LEGEND,
            "intervals": interval_figures(summary, proposed),
            "by_length": length_figure(gathered),
            "groups": gathered.groups,
            "lengths": gathered.lengths,
            "curves": curve_figures(gathered),
            "all_curves": gathered.curves,
            "trained": gathered.trained,
            "curve_metric": HEADERS.get(gathered.curve_metric, gathered.curve_metric),
            "routers": routers,
            "more_routers": [gates.name for gates in gathered.gates[MOST_ROUTERS:]],
            "cost": cost_figures(summary),
            "gallery": gathered.gallery,
            "runs": sorted(gathered.runs, key=lambda run: (run.name, run.seed)),
            "left_out": gathered.left_out,
        }


def _part(name: str) -> str:
    return (resources.files("recbole_routedk.report") / _TEMPLATE / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """What the page's policy knows its one script by: no other script runs, wherever it may come from."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
