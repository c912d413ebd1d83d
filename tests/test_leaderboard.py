"""The table of results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recbole_routedk.leaderboard import leaderboard, write_leaderboard


def result(name: str, matchedf1: float, **metrics: float) -> dict[str, Any]:
    return {
        "name": name,
        "dataset": "toy",
        "test_result": {"matchedf1": matchedf1} | metrics,
        "sessions_per_second": 12.34,
        "peak_memory_mib": 512.6,
        "train_seconds": 7.0,
    }


def test_the_best_matched_f1_comes_first_with_three_digits() -> None:
    table = leaderboard([result("Weak", 0.12345), result("Strong", 0.98765)])

    assert table.splitlines() == [
        "| Model   |   MatchedF1 |   sess/s |   MiB |   train s |",
        "|:--------|------------:|---------:|------:|----------:|",
        "| Strong  |       0.988 |     12.3 |   513 |       7.0 |",
        "| Weak    |       0.123 |     12.3 |   513 |       7.0 |",
    ]


def test_a_metric_that_one_run_lacks_shows_as_a_dash() -> None:
    table = leaderboard([result("A", 0.5, pairf1=0.25), result("B", 0.4)], decimals=2, style="plain")

    assert [line.split()[:3] for line in table.splitlines()] == [
        ["Model", "MatchedF1", "PairF1"],
        ["A", "0.50", "0.25"],
        ["B", "0.40", "-"],
    ]


def test_files_hold_the_table_and_the_exact_numbers(tmp_path: Path) -> None:
    write_leaderboard(tmp_path / "toy", [result("Weak", 0.12345), result("Strong", 0.98765)])

    markdown = (tmp_path / "toy" / "leaderboard.md").read_text(encoding="utf-8")
    exact = json.loads((tmp_path / "toy" / "leaderboard.json").read_text(encoding="utf-8"))
    assert markdown.startswith("# toy\n\n| Model")
    assert [each["test_result"]["matchedf1"] for each in exact["results"]] == [0.98765, 0.12345]
