"""Pictures of the router's gates: a triangle for three experts, histograms for another number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import sqrt
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from recbole_routedk.comparison.summary import RANKED_BY
from recbole_routedk.comparison.tables import HEADERS
from recbole_routedk.report.drawing import INK, LINE, MARKERS, QUIET, SERIES, inline_svg, new_figure
from recbole_routedk.report.figures import Shown
from recbole_routedk.report.gates import Gates

HEIGHT = sqrt(3) / 2
_CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.5, HEIGHT))
_SEVERAL = "several alike"


def gate_figure(gates: Gates, name: str) -> Shown:
    """The gates of one model; ``name`` sets the ids of the drawing apart."""
    return _triangle(gates, name) if len(gates.experts) == 3 else _histograms(gates, name)


def triangle_place(weights: Sequence[float]) -> tuple[float, float]:
    """Where three weights that sum to 1 lie in a triangle with sides of 1: at a corner where one has all."""
    x = sum(weight * corner[0] for weight, corner in zip(weights, _CORNERS, strict=True))
    y = sum(weight * corner[1] for weight, corner in zip(weights, _CORNERS, strict=True))
    return x, y


def _triangle(gates: Gates, name: str) -> Shown:
    figure, axes = new_figure(340)
    axes.set_axis_off()
    axes.set_aspect("equal")
    _draw_grid(axes)
    for expert, (x, y) in zip(gates.experts, _CORNERS, strict=True):
        up = y > 0
        side = "bottom" if up else "top"
        axes.annotate(expert, (x, y), (0, 7 if up else -7), textcoords="offset points", ha="center", va=side)
    groups: dict[int | None, list[tuple[float, float]]] = {}
    for session, weights in gates.weights.items():
        groups.setdefault(gates.colour_of(session), []).append(triangle_place(weights))
    # Sessions that say nothing about the experts first, below the others.
    for place in [None, *range(3)]:
        points = groups.get(place, [])
        label = f"{_SEVERAL if place is None else gates.experts[place]} ({len(points)})"
        colour, marker = (QUIET, ".") if place is None else (SERIES[place], MARKERS[place])
        if place is not None or gates.best:
            xs, ys = [x for x, _ in points], [y for _, y in points]
            axes.scatter(xs, ys, s=40 if place is None else 30, c=colour, marker=marker, alpha=0.75, lw=0, label=label)
    axes.set_xlim(-0.08, 1.08)
    axes.set_ylim(-0.1, HEIGHT + 0.1)
    what = "Best alone" if gates.best else "Highest gate"
    figure.legend(loc="outside upper left", ncols=2, title=f"{what} (sessions)", alignment="left", title_fontsize=9)
    title = f"Gates of {gates.name}"
    return Shown(title, _see(gates), inline_svg(figure, name, title, _means(gates)))


def _draw_grid(axes: Axes) -> None:
    outline = [*_CORNERS, _CORNERS[0]]
    axes.plot([x for x, _ in outline], [y for _, y in outline], color=QUIET, linewidth=1)
    for fifth in (0.2, 0.4, 0.6, 0.8):
        rest = 1 - fifth
        for ends in (
            ((fifth, rest, 0), (fifth, 0, rest)),
            ((rest, fifth, 0), (0, fifth, rest)),
            ((rest, 0, fifth), (0, rest, fifth)),
        ):
            (x, y), (to_x, to_y) = map(triangle_place, ends)
            axes.plot([x, to_x], [y, to_y], color=LINE, linewidth=0.6, zorder=0)


def _histograms(gates: Gates, name: str) -> Shown:
    figure, axes = new_figure(290)
    edges = [part / 20 for part in range(21)]
    for number, expert in enumerate(gates.experts):
        values = [weights[number] for weights in gates.weights.values()]
        colour = SERIES[number % len(SERIES)]
        axes.hist(values, bins=edges, histtype="step", linewidth=1.8, color=colour, label=expert)
    axes.set_xlim(0, 1)
    axes.set_xlabel("weight of the expert")
    axes.set_ylabel("sessions")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.label.set_color(INK)
    figure.legend(loc="outside upper left", ncols=3)
    title = f"Gates of {gates.name}"
    return Shown(title, _see(gates), inline_svg(figure, name, title, _means(gates)))


def _see(gates: Gates) -> str:
    what = (
        "Each dot is a test session; the nearer to a corner, the more weight its expert was given."
        if len(gates.experts) == 3
        else "How many test sessions gave each expert which weight."
    )
    if gates.missing:
        missing = ", ".join(f"fusion={expert}" for expert in gates.missing)
        return f"{what} Coloured by the highest gate, because runs of single experts are missing ({missing})."
    hits, clear, commonest = gates.right()
    if not clear:
        return f"{what} On no session was one expert alone better than the others by {HEADERS[RANKED_BY]}."
    return (
        f"{what} One expert alone is best on {clear} sessions; there the highest gate is that expert's on {hits} "
        f"({hits / clear:.0%}), and always naming the commonest expert would be right on {commonest} "
        f"({commonest / clear:.0%})."
    )


def _means(gates: Gates) -> str:
    means = [fmean(column) for column in zip(*gates.weights.values(), strict=True)]
    told = ", ".join(f"{expert} {mean:.3f}" for expert, mean in zip(gates.experts, means, strict=True))
    counts = Counter(gates.colour_of(session) for session in gates.weights)
    groups = ", ".join(
        f"{_SEVERAL if place is None else gates.experts[place]} {count}" for place, count in counts.items()
    )
    return f"Mean gates: {told}. Sessions: {groups}."
