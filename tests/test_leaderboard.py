"""The table of results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recbole_routedk.leaderboard import leaderboard, write_leaderboard


def result(name: str, matchedf1: float, **metrics: float) -> dict[str, Any]:
    return {
        "name": name,
        "dataset": "toy",
        "test_result": {"matchedf1": matchedf1} | metrics,
        "trained_parameters": 940,
        "parameters": 134_515_584,
        "train_seconds": 7.0,
        "sessions_per_second": 12.34,
        "peak_memory_mib": 512.6,
    }


def test_the_best_matched_f1_comes_first_with_three_digits() -> None:
    table = leaderboard([result("Weak", 0.12345), result("Strong", 0.98765)])

    assert table.splitlines() == [
        "| Model   |   MatchedF1 |   trained |   params |   train s |   sess/s |   MiB |",
        "|:--------|------------:|----------:|---------:|----------:|---------:|------:|",
        "| Strong  |       0.988 |       940 |     135M |       7.0 |     12.3 |   513 |",
        "| Weak    |       0.123 |       940 |     135M |       7.0 |     12.3 |   513 |",
    ]


def test_a_metric_that_one_run_lacks_shows_as_a_dash() -> None:
    table = leaderboard([result("A", 0.5, pairf1=0.25), result("B", 0.4)], decimals=2, style="plain")

    assert [line.split()[:3] for line in table.splitlines()] == [
        ["Model", "MatchedF1", "PairF1"],
        ["A", "0.50", "0.25"],
        ["B", "0.40", "-"],
    ]


@pytest.mark.parametrize(
    "parameters, shown",
    [(0, "0"), (999, "999"), (1000, "1k"), (98_765, "98.8k"), (999_999, "1M"), (7_240_000_000, "7.24G")],
)
def test_parameters_are_counted_with_three_digits(parameters: int, shown: str) -> None:
    row = leaderboard([result("A", 0.5) | {"parameters": parameters}], style="plain").splitlines()[1]

    assert row.split()[3] == shown


def test_an_older_result_without_its_size_is_shown() -> None:
    older = {key: value for key, value in result("A", 0.5).items() if "parameters" not in key}

    assert leaderboard([older], style="plain").splitlines()[1].split() == ["A", "0.500", "-", "-", "7.0", "12.3", "513"]


def test_files_hold_the_table_and_the_exact_numbers(tmp_path: Path) -> None:
    write_leaderboard(tmp_path / "toy", [result("Weak", 0.12345), result("Strong", 0.98765)])

    markdown = (tmp_path / "toy" / "leaderboard.md").read_text(encoding="utf-8")
    exact = json.loads((tmp_path / "toy" / "leaderboard.json").read_text(encoding="utf-8"))
    assert markdown.startswith("# toy\n\n| Model")
    assert [each["test_result"]["matchedf1"] for each in exact["results"]] == [0.98765, 0.12345]
