"""The leaderboard of a summary as Markdown, LaTeX, CSV, JSON and terminal text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tabulate import tabulate

from recbole_routedk.comparison.summary import COSTS, RANKED_BY, TESTED, Row, Spread, Summary, Tested, differences_to

HEADERS = {
    "matchedf1": "MatchedF1",
    "bundlef1": "BundleF1",
    "pairf1": "PairF1",
    "precision": "P",
    "recall": "R",
    "coverage": "Cov",
    "precision_drop_empty": "P drop",
    "recall_drop_empty": "R drop",
    "coverage_drop_empty": "Cov drop",
    "emptyrate": "Empty",
    "invalidrate": "Invalid",
}
LESS_IS_BETTER = ("emptyrate", "invalidrate")
COST_HEADERS = {
    "trained_parameters": "trained",
    "parameters": "params",
    "train_seconds": "train s",
    "sessions_per_second": "sess/s",
    "peak_memory_mib": "MiB",
    "teacher_dollars": "teacher $",
}
_LEGEND = (
    "P, R and Cov are the published precision, recall and coverage with a session without an answer counted "
    "as zero; 'drop' leaves such sessions out, as the reference code does. Ranked by MatchedF1 on the {split} "
    "split; the best of each metric is bold, ± is the standard deviation over seeds. Costs (means over seeds): "
    "parameters of the network that were trained, and all of them (neither trees and counts nor the sentence encoder "
    "of titles are in it), seconds of training with preparing and answering the valid sessions (not what earlier runs "
    "left in the user's cache or in memory, such as vectors of titles and what the teacher learnt; of weights from "
    "another run, what they took there), sessions answered in a second, peak memory, price of the teacher."
)
TEST_LEGEND = (
    "Differences are means over sessions of scores averaged over seeds, with the bootstrap's 95% interval over "
    "sessions; p is the paired permutation test's, after Holm's correction over the rows of the table."
)


def legend(summary: Summary) -> str:
    """What the columns of the leaderboard are."""
    return _LEGEND.format(split=summary.split)


def leaderboard(summary: Summary, decimals: int = 3, style: str = "pipe") -> str:
    """The rows as a table in a format of tabulate; what was not measured shows as "-".

    ``pipe`` marks the best of each metric as Markdown does, ``latex_raw`` as LaTeX does, others not at all.
    """
    shown = shown_metrics(summary.rows)
    costs = [key for key in COSTS if any(key in row.costs for row in summary.rows)]
    best = {key: best_mean(summary.rows, key) for key in shown}
    seeds = any(len(row.seeds) > 1 for row in summary.rows)
    cells = [
        [_escaped(row.name, style)]
        + ([str(len(row.seeds))] if seeds else [])
        + [_metric(row.metrics.get(key), best[key], decimals, style) for key in shown]
        + [cost_text(key, row.costs.get(key)) for key in costs]
        for row in summary.rows
    ]
    names = [*(["seeds"] if seeds else []), *(header(key) for key in shown), *(COST_HEADERS[key] for key in costs)]
    headers = [_escaped(name, style) for name in ("Model", *names)]
    align = ["left"] + ["right"] * (len(headers) - 1)
    return tabulate(cells, headers, tablefmt=style, colalign=align, disable_numparse=True)


def differences_table(rows: Sequence[Row], name: str, decimals: int = 3, style: str = "pipe") -> str:
    """Every other row against the row ``name``; empty where no run kept the scores of single sessions."""
    tests = differences_to(rows, name)
    if not tests:
        return ""
    cells = [
        [_escaped(text, style) for text in (other, *(test_text(own[metric], decimals) for metric in TESTED))]
        for other, own in tests.items()
    ]
    headers = [_escaped(f"against {name}", style), *(HEADERS[metric] for metric in TESTED)]
    return tabulate(cells, headers, tablefmt=style, disable_numparse=True)


def as_csv(summary: Summary) -> str:
    """Exact means and standard deviations, a row a model, and of what is tested the interval.

    ``_p`` is of the test against the best baseline, after Holm's correction; it is empty for that itself.
    """
    shown = shown_metrics(summary.rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    tested = [f"{key}_{part}" for key in TESTED for part in ("low", "high", "p")]
    writer.writerow(
        ["model", "seeds", *(f"{key}_{part}" for key in shown for part in ("mean", "std")), *COSTS, *tested]
    )
    for row in summary.rows:
        spreads = [row.metrics.get(key) for key in shown]
        values = [value for each in spreads for value in ((each.mean, each.std) if each else (None, None))]
        costs = [row.costs.get(key) for key in COSTS]
        tests = [value for key in TESTED for value in _tested(row, key)]
        writer.writerow([_no_formula(row.name), len(row.seeds), *values, *costs, *tests])
    return text.getvalue()


def _tested(row: Row, key: str) -> tuple[float | None, float | None, float | None]:
    low, high = row.intervals.get(key, (None, None))
    return low, high, row.against[key].adjusted_p if key in row.against else None


def as_json(summary: Summary, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The exact leaderboard, and the results that it was made from."""
    return {
        "dataset": summary.dataset,
        "test_on": summary.test_on,
        "split": summary.split,
        "ranked_by": RANKED_BY,
        "best_baseline": summary.baseline,
        "leaderboard": [_plain(row) for row in summary.rows],
        "results": list(results),
    }


def _plain(row: Row) -> dict[str, Any]:
    return {
        "model": row.name,
        "class": row.model,
        "seeds": list(row.seeds),
        **{key: asdict(spread) for key, spread in row.metrics.items()},
        "valid": asdict(row.valid) if row.valid else None,
        "costs": row.costs,
        "intervals": {key: list(ends) for key, ends in row.intervals.items()},
        "against_best_baseline": {
            key: {**asdict(tested.difference), "adjusted_p": tested.adjusted_p} for key, tested in row.against.items()
        },
    }


def best_mean(rows: Sequence[Row], key: str) -> float:
    """The mean of the best row, which is the lowest where less is better."""
    means = [row.metrics[key].mean for row in rows if key in row.metrics]
    return min(means) if _less_is_better(key) else max(means)


def shown_metrics(rows: Sequence[Row]) -> list[str]:
    """The metrics of any of the rows: ours in the order of ``HEADERS``, then your own."""
    found = dict.fromkeys(key for row in rows for key in row.metrics)
    return [key for key in HEADERS if key in found] + [key for key in found if key not in HEADERS]


def header(key: str) -> str:
    """What stands above a metric's column: of your own metrics, the key."""
    return HEADERS.get(key, key)


def _less_is_better(key: str) -> bool:
    if key in HEADERS:
        return key in LESS_IS_BETTER
    # Imported here: RecBole takes seconds, and most tables have none but our metrics.
    from recbole_routedk.evaluation.recbole_metrics import own_metrics

    own = own_metrics().get(key)
    return own is not None and own.smaller


def _metric(spread: Spread | None, best: float, decimals: int, style: str) -> str:
    if spread is None:
        return "-"
    mean = f"{spread.mean:.{decimals}f}"
    if mean == f"{best:.{decimals}f}":
        mean = {"pipe": f"**{mean}**", "latex_raw": rf"\textbf{{{mean}}}"}.get(style, mean)
    if spread.std is None:
        return mean
    sign = r"$\pm$" if style == "latex_raw" else "±"
    return f"{mean} {sign} {spread.std:.{decimals}f}"


def test_text(tested: Tested, decimals: int) -> str:
    """A difference with its interval and p: "+0.012 [+0.001, +0.020], p 0.030"."""
    gap = tested.difference
    interval = f"[{gap.low:+.{decimals}f}, {gap.high:+.{decimals}f}]"
    p = f"p {tested.adjusted_p:.3f}" if tested.adjusted_p >= 0.001 else "p < 0.001"
    return f"{gap.mean:+.{decimals}f} {interval}, {p}"


def cost_text(key: str, value: float | None) -> str:
    """A mean of ``COSTS`` with its usual digits; "-" where it was not measured."""
    if value is None:
        return "-"
    if key.endswith("parameters"):
        return _counted(round(value))
    return f"{value:.{ {'peak_memory_mib': 0, 'teacher_dollars': 2}.get(key, 1) }f}"


def _counted(number: int) -> str:
    """A count with three digits: 940, 12.3k, 134M."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= 0.9995 * size:  # what rounds to the next unit is shown in it
            return f"{number / size:.3g}{unit}"
    return str(number)


_LATEX = str.maketrans(
    {mark: "\\" + mark for mark in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\^{}", "<": "$<$", "±": r"$\pm$"}
)


def _escaped(text: str, style: str) -> str:
    if style == "latex_raw":
        return text.replace("\\", r"\textbackslash ").translate(_LATEX)
    return text.replace("|", "\\|") if style == "pipe" else text


def _no_formula(text: str) -> str:
    """A name that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
