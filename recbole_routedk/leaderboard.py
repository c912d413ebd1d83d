"""One table of the results of several runs, as Markdown, JSON and terminal text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from recbole_routedk.data.files import write_json, write_texts

RANKED_BY = "matchedf1"
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
COSTS = {
    "trained_parameters": "trained",
    "parameters": "params",
    "train_seconds": "train s",
    "sessions_per_second": "sess/s",
    "peak_memory_mib": "MiB",
}
LEGEND = (
    "P, R and Cov are the published precision, recall and coverage with a session without an answer counted "
    "as zero; 'drop' leaves such sessions out, as the reference code does. Ranked by MatchedF1 on the test "
    "split. Costs: parameters of the network that were trained, and all of them (neither trees and counts nor the "
    "sentence encoder of titles are in it), seconds of training, sessions answered in a second, peak memory."
)


def ranked(results: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The results, the best MatchedF1 on the test split first."""
    return sorted(results, key=lambda result: -result["test_result"].get(RANKED_BY, float("-inf")))


def leaderboard(results: Sequence[Mapping[str, Any]], decimals: int = 3, style: str = "pipe") -> str:
    """The results as a table in a format of tabulate; a metric that was not measured shows as "-"."""
    shown = [key for key in HEADERS if any(key in result["test_result"] for result in results)]
    rows = [
        [result["name"]]
        + [_number(result["test_result"].get(key), decimals) for key in shown]
        + [_cost(key, result.get(key)) for key in COSTS]
        for result in ranked(results)
    ]
    headers = ["Model", *(HEADERS[key] for key in shown), *COSTS.values()]
    align = ["left"] + ["right"] * (len(headers) - 1)
    return tabulate(rows, headers, tablefmt=style, colalign=align, disable_numparse=True)


def write_leaderboard(folder: Path, results: Sequence[Mapping[str, Any]], decimals: int = 3) -> None:
    """Write ``leaderboard.md`` (rounded) and ``leaderboard.json`` (exact) into ``folder``."""
    title = f"# {results[0]['dataset']}\n\n" if results else ""
    write_texts({folder / "leaderboard.md": f"{title}{leaderboard(results, decimals)}\n\n{LEGEND}\n"})
    write_json(folder / "leaderboard.json", {"ranked_by": RANKED_BY, "results": ranked(results)})


def _cost(key: str, value: float | None) -> str:
    if value is not None and key.endswith("parameters"):
        return _counted(int(value))
    return _number(value, 0 if key == "peak_memory_mib" else 1)


def _counted(number: int) -> str:
    """A count with three digits: 940, 12.3k, 134M."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= 0.9995 * size:  # what rounds to the next unit is shown in it
            return f"{number / size:.3g}{unit}"
    return str(number)


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"
