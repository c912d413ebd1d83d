"""The figures about scores, training and cost; each says in one sentence what there is to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from recbole_routedk.comparison.summary import RANKED_BY, TESTED, Row, Summary
from recbole_routedk.comparison.tables import HEADERS
from recbole_routedk.report.curves import Points
from recbole_routedk.report.drawing import (
    INK,
    MARKERS,
    MOST_SERIES,
    PAPER,
    QUIET,
    SERIES,
    inline_svg,
    new_figure,
)
from recbole_routedk.report.gather import Gathered

LEAST_SECONDS = 0.001
"""Shorter times are drawn as this: a logarithmic axis has no zero."""

LONGEST_LABEL = 36
"""As many characters of a name are shown within a figure."""


@dataclass(frozen=True)
class Shown:
    """A figure, its title and what to see in it."""

    title: str
    see: str
    svg: Markup


def interval_figures(summary: Summary, proposed: Sequence[str]) -> list[Shown]:
    """Every model's mean over sessions with its bootstrap interval, one figure for each metric that is tested."""
    rows = [row for row in summary.rows if row.intervals]
    return [_intervals(rows, metric, proposed, summary.baseline) for metric in TESTED if rows]


def _intervals(rows: Sequence[Row], metric: str, proposed: Sequence[str], baseline: str | None) -> Shown:
    figure, axes = new_figure(50 + 31 * len(rows))
    ordered = sorted(rows, key=lambda row: -row.metrics[metric].mean)
    labels = short_names([row.name for row in rows])
    for place, row in enumerate(ordered):
        low, high = row.intervals[metric]
        ours = row.model in proposed
        colour = SERIES[1] if ours else SERIES[0] if row.name == baseline else QUIET
        axes.plot([low, high], [place, place], color=colour, linewidth=2.2, solid_capstyle="round")
        axes.plot(row.metrics[metric].mean, place, "D" if ours else "o", color=colour, markersize=6.5)
        told = f"{labels[row.name]}  {row.metrics[metric].mean:.3f}"
        text = axes.annotate(told, (0, place), (0, 6), axes.get_yaxis_transform(), "offset points", fontsize=9)
        text.set_in_layout(False)
    axes.set_ylim(len(ordered) - 0.5, -0.8)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"{HEADERS[metric]} on the test split")
    best = ordered[0]
    low, high = best.intervals[metric]
    title = f"{HEADERS[metric]} of every model"
    see = (
        f"{best.name} has the highest {HEADERS[metric]}, {best.metrics[metric].mean:.3f}; a bar is the range in which "
        f"its mean would lie with other sessions of this kind (95%, here {low:.3f} to {high:.3f})."
    )
    listed = "; ".join(f"{row.name} {row.metrics[metric].mean:.3f}" for row in ordered)
    return Shown(title, see, inline_svg(figure, f"interval-{metric}", title, listed))


def length_figure(gathered: Gathered) -> Shown:
    """MatchedF1 by the number of items, for the best models and the best baseline."""
    figure, axes = new_figure(300)
    names = leading(list(gathered.lengths), gathered.summary.baseline)
    groups = gathered.groups
    tones, labels = series_of(names, names), short_names(list(gathered.lengths))
    for number, name in enumerate(names):
        own = gathered.lengths[name]
        spots = [place + (number - (len(names) - 1) / 2) * 0.08 for place in range(len(groups))]
        means = [estimate.mean for estimate in own]
        below = [estimate.mean - estimate.low for estimate in own]
        above = [estimate.high - estimate.mean for estimate in own]
        axes.errorbar(spots, means, yerr=[below, above], label=labels[name], elinewidth=0.9, **_line(tones[name]))
    axes.set_xticks(range(len(groups)), [f"{group.title}\n({len(group.sessions)})" for group in groups])
    axes.set_xlabel("items of a session (number of sessions)")
    axes.set_ylabel(HEADERS[RANKED_BY])
    axes.set_ylim(0, 1.03)
    axes.grid(axis="x", visible=False)
    _legend_above(axes)
    title = f"{HEADERS[RANKED_BY]} by length of the session"
    first = gathered.lengths[names[0]]
    see = (
        f"{names[0]} reaches {first[0].mean:.2f} on sessions of {groups[0].title} items and {first[-1].mean:.2f} on "
        f"those of {groups[-1].title}; thin bars are 95% intervals over sessions."
    )
    listed = "; ".join(f"{name}: " + ", ".join(f"{each.mean:.3f}" for each in gathered.lengths[name]) for name in names)
    return Shown(title, see, inline_svg(figure, "lengths", title, listed))


def curve_figures(gathered: Gathered) -> list[Shown]:
    """The training loss and the valid metric by epoch, a line a seed."""
    names = gathered.trained[:MOST_SERIES]
    if not names:
        return []
    runs = {name: [curve for curve in gathered.curves if curve.name == name] for name in names}
    loss = {name: [curve.by_stage(curve.loss) for curve in own] for name, own in runs.items()}
    valid = {name: [curve.by_stage(curve.valid) for curve in own] for name, own in runs.items()}
    metric = HEADERS.get(gathered.curve_metric, gathered.curve_metric)
    tones = series_of(names, leading(list(gathered.lengths), gathered.summary.baseline))
    losses = _curves("loss", "Training loss by epoch", "mean training loss", loss, tones)
    scores = _curves("valid", f"{metric} on the valid split by epoch", metric, valid, tones)
    see_loss = (
        "A loss that falls and then stays is a training that is done; losses of different models are of different "
        "kinds, so compare the shapes; a new line is a new stage (RouteDK trains its experts, then its router)."
    )
    ends = [(max(points, key=lambda point: point[1]), name) for name in names for run in valid[name] for points in run]
    see_valid = "No epoch was measured on the valid split."
    if ends:
        (epoch, value), name = max(ends, key=lambda end: end[0][1])
        see_valid = f"The best epoch of all is epoch {epoch} of {name} with {value:.3f}; each run keeps its best epoch."
    return [Shown(losses[0], see_loss, losses[1]), Shown(scores[0], see_valid, scores[1])]


def _curves(
    name: str, title: str, label: str, lines: Mapping[str, Sequence[Sequence[Points]]], tones: Mapping[str, int]
) -> tuple[str, Markup]:
    """``lines`` holds for each model its runs, for each run its stages."""
    figure, axes = new_figure(290)
    labels = short_names(list(lines))
    for model, runs in lines.items():
        for nth, points in enumerate(chain.from_iterable(runs)):
            epochs, values = [epoch for epoch, _ in points], [value for _, value in points]
            axes.plot(epochs, values, label=None if nth else labels[model], **_line(tones[model]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch (a line for each seed and stage)")
    axes.set_ylabel(label)
    _legend_above(axes)
    listed = "; ".join(
        f"{model}: {', '.join(f'{points[0][1]:.3f} to {points[-1][1]:.3f}' for run in runs for points in run)}"
        for model, runs in lines.items()
    )
    return title, inline_svg(figure, f"curve-{name}", title, listed)


def cost_figures(summary: Summary) -> list[Shown]:
    """MatchedF1 over the seconds of training and over the seconds that one session takes."""
    training = {row.name: row.costs["train_seconds"] for row in summary.rows if "train_seconds" in row.costs}
    answering = {
        row.name: 1 / row.costs["sessions_per_second"]
        for row in summary.rows
        if row.costs.get("sessions_per_second", 0) > 0
    }
    kinds = (
        ("train", "training", "seconds of training", training),
        ("answer", "an answer", "seconds a session", answering),
    )
    return [_cost(summary, *kind) for kind in kinds if kind[3]]


def _cost(summary: Summary, name: str, of_what: str, label: str, seconds: Mapping[str, float]) -> Shown:
    figure, axes = new_figure(300)
    scores = {row.name: row.metrics[RANKED_BY].mean for row in summary.rows if row.name in seconds}
    ranks = {row.name: rank for rank, row in enumerate(summary.rows, start=1)}
    times = {model: max(LEAST_SECONDS, value) for model, value in seconds.items()}
    front = worth_their_cost(times, scores)
    axes.plot([times[each] for each in front], [scores[each] for each in front], color=SERIES[0], zorder=1)
    for model in reversed(scores):  # the best are drawn last, on top
        worth = model in front
        axes.plot(
            times[model],
            scores[model],
            "o",
            markersize=15,
            markerfacecolor=SERIES[0] if worth else PAPER,
            markeredgecolor=SERIES[0] if worth else QUIET,
        )
        colour = PAPER if worth else INK
        axes.annotate(
            str(ranks[model]), (times[model], scores[model]), ha="center", va="center", fontsize=8.5, color=colour
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=7))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(0.12)
    axes.set_xlabel(f"{label} (each step is ten times as long)")
    axes.set_ylabel(HEADERS[RANKED_BY])
    title = f"{HEADERS[RANKED_BY]} against the cost of {of_what}"
    see = (
        f"Up and to the left is better; the filled dots, joined by the line, are {_joined(front)}: no other model is "
        "both faster and at least as good. Numbers are places in the leaderboard."
    )
    if times != seconds:
        see += f" Times below {LEAST_SECONDS:g} s are drawn as that."
    listed = "; ".join(
        f"{ranks[model]} {model}: {seconds[model]:.3g} s, {score:.3f}" for model, score in scores.items()
    )
    return Shown(title, see, inline_svg(figure, f"cost-{name}", title, listed))


def worth_their_cost(times: Mapping[str, float], scores: Mapping[str, float]) -> list[str]:
    """The models, the fastest first, that beat every model which is as fast or faster."""
    front: list[str] = []
    for model in sorted(scores, key=lambda each: (times[each], -scores[each])):
        if not front or scores[model] > scores[front[-1]]:
            front.append(model)
    return front


def leading(names: Sequence[str], baseline: str | None) -> list[str]:
    """The first few models, which are the best, and always the best baseline."""
    first = list(names[:MOST_SERIES])
    if baseline is not None and baseline in names and baseline not in first:
        first[-1] = baseline
    return first


def short_names(names: Sequence[str]) -> dict[str, str]:
    """What figures call the models: a long name loses the settings that all of its class share, then its end."""
    parts = {name: name.removesuffix(")").partition(" (") for name in names}
    settings = {name: set(inner.split(", ")) for name, (_, _, inner) in parts.items()}
    short = {}
    for name, (start, _, inner) in parts.items():
        shared = set.intersection(*(settings[other] for other in names if parts[other][0] == start))
        own = ", ".join(setting for setting in inner.split(", ") if setting not in shared)
        label = name if len(name) <= LONGEST_LABEL else f"{start} ({own})" if own else start
        short[name] = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
    return short


def series_of(names: Sequence[str], leaders: Sequence[str]) -> dict[str, int]:
    """The series of each model: ``leaders`` keep theirs in every figure, the others get the free ones."""
    own = {name: leaders.index(name) for name in names if name in leaders}
    free = [number for number in range(len(SERIES)) if number not in own.values()]
    return own | dict(zip((name for name in names if name not in own), free, strict=False))


def _line(number: int) -> dict[str, Any]:
    return {"color": SERIES[number], "marker": MARKERS[number]}


def _legend_above(axes: Axes) -> None:
    names = axes.get_legend_handles_labels()[1]
    if not names:  # matplotlib would warn
        return
    longest = max(len(name) for name in names)
    axes.figure.legend(loc="outside upper left", ncols=2 if longest < 26 else 1)


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
