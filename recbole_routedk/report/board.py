"""The leaderboard as rows of cells for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recbole_routedk.comparison.summary import COSTS, TESTED, Row, Summary
from recbole_routedk.comparison.tables import (
    COST_HEADERS,
    HEADERS,
    best_mean,
    cost_text,
    header,
    shown_metrics,
    test_text,
)

DECIMALS = 3
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Cell:
    """A number as text, what is said beside it in small, and whether it is the best of its column."""

    text: str
    small: str = ""
    best: bool = False


@dataclass(frozen=True)
class Line:
    """A row of a table: a model and its cells."""

    name: str
    ours: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table of models: the headers of the cells, and the rows."""

    headers: tuple[str, ...]
    lines: tuple[Line, ...]


def score_table(summary: Summary, proposed: Sequence[str]) -> Table:
    """Every metric and cost of every model, the best of each metric marked."""
    metrics = shown_metrics(summary.rows)
    costs = [key for key in COSTS if any(key in row.costs for row in summary.rows)]
    best = {key: best_mean(summary.rows, key) for key in metrics}
    headers = ("Seeds", *(header(key) for key in metrics), *(COST_HEADERS[key] for key in costs))
    lines = [
        Line(
            row.name,
            row.model in proposed,
            (
                Cell(str(len(row.seeds))),
                *(_score(row, key, best[key]) for key in metrics),
                *(Cell(cost_text(key, row.costs.get(key))) for key in costs),
            ),
        )
        for row in summary.rows
    ]
    return Table(headers, tuple(lines))


def test_table(summary: Summary, proposed: Sequence[str]) -> Table:
    """Every other model against the best baseline; differences that are more than chance are marked."""
    lines = [
        Line(row.name, row.model in proposed, tuple(_test(row, metric) for metric in TESTED))
        for row in summary.rows
        if row.against
    ]
    return Table(tuple(HEADERS[metric] for metric in TESTED), tuple(lines))


def headline(summary: Summary, proposed: Sequence[str]) -> str:
    """What the leaderboard says, in one or two sentences."""
    best = summary.rows[0]
    said = f"{best.name} is first with a MatchedF1 of {best.metrics['matchedf1'].mean:.{DECIMALS}f}."
    ours = next((row for row in summary.rows if row.model in proposed), None)
    if ours is None or "matchedf1" not in ours.against:
        return said
    tested = ours.against["matchedf1"]
    gap = tested.difference.mean
    where = "above" if gap > 0 else "below"
    chance = "more than chance" if tested.adjusted_p < SIGNIFICANT else "no more than chance may give"
    return (
        f"{said} {ours.name} is {abs(gap):.{DECIMALS}f} {where} the best baseline, {summary.baseline}: {chance} "
        f"(p {tested.adjusted_p:.3f} after Holm's correction)."
    )


def _score(row: Row, key: str, best: float) -> Cell:
    spread = row.metrics.get(key)
    if spread is None:
        return Cell("-")
    text = f"{spread.mean:.{DECIMALS}f}"
    parts = [] if spread.std is None else [f"± {spread.std:.{DECIMALS}f}"]
    if key in row.intervals:
        low, high = row.intervals[key]
        parts.append(f"[{low:.{DECIMALS}f}, {high:.{DECIMALS}f}]")
    return Cell(text, " ".join(parts), text == f"{best:.{DECIMALS}f}")


def _test(row: Row, metric: str) -> Cell:
    tested = row.against[metric]
    return Cell(test_text(tested, DECIMALS), best=tested.adjusted_p < SIGNIFICANT)
