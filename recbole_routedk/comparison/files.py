"""A data set's leaderboard in the formats that people quote from, made from result and session files of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from recbole_routedk.checkpoint import read_json
from recbole_routedk.comparison.plan import PROPOSED, Board
from recbole_routedk.comparison.summary import SIMPLE, SessionScores, Summary, summarise
from recbole_routedk.comparison.tables import (
    TEST_LEGEND,
    as_csv,
    as_json,
    differences_table,
    leaderboard,
    legend,
)
from recbole_routedk.data.files import write_json, write_texts
from recbole_routedk.quick_start import SESSIONS_FILES


def summary_of(
    results: Sequence[Mapping[str, Any]], proposed: Sequence[str] = PROPOSED, split: str = "test"
) -> Summary:
    """Sum up runs with the scores of single sessions that their folders keep."""
    return summarise(results, [_sessions(result, split) for result in results], proposed, split)


def write_leaderboard(folder: Path, results: Sequence[Mapping[str, Any]], board: Board, decimals: int) -> None:
    """Write the board as .md, .tex, .csv (exact) and .json (exact, with all results) into ``folder``."""
    summary = summary_of(results, board.proposed, board.split)
    latex = [leaderboard(summary, decimals, "latex_raw"), *_tests(summary, board.proposed, decimals, "latex_raw")]
    write_texts(
        {
            folder / f"{board.name}.md": markdown(summary, board.proposed, decimals),
            folder / f"{board.name}.tex": "\n\n".join(latex) + "\n",
            folder / f"{board.name}.csv": as_csv(summary),
        }
    )
    write_json(folder / f"{board.name}.json", as_json(summary, results))


def markdown(summary: Summary, proposed: Sequence[str], decimals: int) -> str:
    """The leaderboard as a page: the table, then tests against the best baseline, the best proposed and ``SIMPLE``."""
    heading = f"# {summary.dataset}" + (f", tested on {summary.test_on}" if summary.test_on else "")
    parts = [heading, leaderboard(summary, decimals), legend(summary)]
    shown = _tests(summary, proposed, decimals, "pipe")
    return "\n\n".join([*parts, *shown, *([TEST_LEGEND] if shown else [])]) + "\n"


def _tests(summary: Summary, proposed: Sequence[str], decimals: int, style: str) -> list[str]:
    best = [[row.name for row in summary.rows if row.model in models][:1] for models in (proposed, (SIMPLE,))]
    names = dict.fromkeys([*filter(None, [summary.baseline]), *chain.from_iterable(best)])
    tables = [differences_table(summary.rows, name, decimals, style) for name in names]
    return [table for table in tables if table]


def _sessions(result: Mapping[str, Any], split: str) -> SessionScores:
    path = Path(result["run_folder"]) / SESSIONS_FILES[split]
    return read_json(path) if path.is_file() else {}
