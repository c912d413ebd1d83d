"""The leaderboard in its formats."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from recbole_routedk.comparison.files import markdown
from recbole_routedk.comparison.summary import Summary, differences_to, summarise
from recbole_routedk.comparison.tables import as_csv, as_json, differences_table, leaderboard


def result(name: str, matchedf1: float, seed: int = 1, **metrics: float) -> dict[str, Any]:
    return {
        "name": name,
        "model": name.partition(" ")[0],
        "dataset": "toy",
        "seed": seed,
        "test_result": {"matchedf1": matchedf1} | metrics,
        "trained_parameters": 940,
        "parameters": 134_515_584,
        "train_seconds": 7.0,
        "sessions_per_second": 12.34,
        "peak_memory_mib": 512.6,
    }


def table(*results: dict[str, Any], **settings: Any) -> list[str]:
    return leaderboard(summarise(results, [{}] * len(results), ["RouteDK"]), **settings).splitlines()


def sessions(*matchedf1: float) -> dict[str, dict[str, float]]:
    scores = ("matchedf1", "bundlef1", "pairf1", "precision", "recall")
    return {str(number): dict.fromkeys(scores, value) for number, value in enumerate(matchedf1)}


def test_the_best_matched_f1_comes_first_in_bold_with_three_digits() -> None:
    assert table(result("Weak", 0.12345), result("Strong", 0.98765)) == [
        "| Model   |   MatchedF1 |   trained |   params |   train s |   sess/s |   MiB |",
        "|:--------|------------:|----------:|---------:|----------:|---------:|------:|",
        "| Strong  |   **0.988** |       940 |     135M |       7.0 |     12.3 |   513 |",
        "| Weak    |       0.123 |       940 |     135M |       7.0 |     12.3 |   513 |",
    ]


def test_seeds_of_a_model_are_one_row_with_their_spread() -> None:
    rows = table(result("A", 0.5, 1), result("A", 0.7, 2), result("B", 0.4), style="plain")

    # 0.1414 is the sample standard deviation of 0.5 and 0.7.
    assert rows[1].split()[:5] == ["A", "2", "0.600", "±", "0.141"]
    assert rows[2].split()[:3] == ["B", "1", "0.400"]


def test_a_seed_that_was_run_twice_counts_once() -> None:
    runs = [result("POG", 0.5, seed=1), result("POG", 0.7, seed=2), result("POG", 0.5, seed=1)]
    (row,) = summarise(runs, [{}] * 3, ["RouteDK"]).rows
    assert (row.seeds, row.metrics["matchedf1"].mean) == ((1, 2), pytest.approx(0.6))


def test_a_metric_that_one_seed_lacks_has_no_mean() -> None:
    runs = [result("POG", 0.5, seed=1, pairf1=0.4), result("POG", 0.7, seed=2)]
    (row,) = summarise(runs, [{}] * 2, ["RouteDK"]).rows
    assert set(row.metrics) == {"matchedf1"}


def test_less_is_better_where_errors_are_counted() -> None:
    rows = table(result("A", 0.5, emptyrate=0.25), result("B", 0.4, emptyrate=0.0))

    assert "**0.000**" in rows[3]
    assert "**0.500**" in rows[2]


def test_a_metric_that_one_run_lacks_shows_as_a_dash() -> None:
    rows = table(result("A", 0.5, pairf1=0.25), result("B", 0.4), decimals=2, style="plain")

    assert [line.split()[:3] for line in rows] == [
        ["Model", "MatchedF1", "PairF1"],
        ["A", "0.50", "0.25"],
        ["B", "0.40", "-"],
    ]


@pytest.mark.parametrize(
    "parameters, shown",
    [(0, "0"), (999, "999"), (1000, "1k"), (98_765, "98.8k"), (999_999, "1M"), (7_240_000_000, "7.24G")],
)
def test_parameters_are_counted_with_three_digits(parameters: int, shown: str) -> None:
    row = table(result("A", 0.5) | {"parameters": parameters}, style="plain")[1]

    assert row.split()[3] == shown


def test_an_older_result_without_its_size_is_shown() -> None:
    older = {key: value for key, value in result("A", 0.5).items() if "parameters" not in key}

    assert table(older, style="plain")[1].split() == ["A", "0.500", "7.0", "12.3", "513"]


def test_a_board_of_another_data_sets_sessions_says_so() -> None:
    here, there = result("A", 0.5), result("B", 0.4) | {"test_on": "other"}

    assert heading(there, there | {"seed": 2}) == "# toy, tested on other"
    assert heading(here, there) == heading(here) == "# toy"
    assert heading(there | {"best_valid_result": {"matchedf1": 0.3}}, split="valid") == "# toy"


def heading(*results: dict[str, Any], split: str = "test") -> str:
    return markdown(summarise(results, [{}] * len(results), ["RouteDK"], split), ["RouteDK"], 3).splitlines()[0]


def test_latex_is_escaped_and_bold() -> None:
    rows = table(result("KD (use=icl_sft, 100%)", 0.5), style="latex_raw")

    assert r"KD (use=icl\_sft, 100\%)" in "\n".join(rows)
    assert r"\textbf{0.500}" in "\n".join(rows)


def test_csv_has_the_exact_figures_and_no_formula() -> None:
    summary = summarise([result("=cmd()", 1 / 3, 1), result("=cmd()", 2 / 3, 2)], [{}, {}], [])

    (row,) = csv.DictReader(as_csv(summary).splitlines())

    assert row["model"] == "'=cmd()"
    assert float(row["matchedf1_mean"]) == 0.5
    assert float(row["matchedf1_std"]) == pytest.approx(2**0.5 / 6)


def test_rows_are_tested_against_the_best_baseline_with_holms_correction() -> None:
    runs = [result("RouteDK", 0.9), result("Good", 0.6), result("Bad", 0.1)]
    scored = [sessions(*[0.9] * 10), sessions(*[0.6] * 10), sessions(*[0.1] * 10)]

    summary = summarise(runs, scored, ["RouteDK"])

    assert summary.baseline == "Good"
    exact = as_json(summary, runs)
    lead = exact["leaderboard"][0]["against_best_baseline"]["matchedf1"]
    assert lead["mean"] == pytest.approx(0.3)
    # All ten sessions agree: two of the 2^10 swaps differ as much, and two rows are tested.
    assert lead["p"] == pytest.approx(2 / 2**10)
    assert lead["adjusted_p"] == pytest.approx(2 * 2 / 2**10)
    assert exact["leaderboard"][1]["against_best_baseline"] == {}
    assert "+0.300" in differences_table(summary.rows, "Good")
    assert "-0.800" in differences_table(summary.rows, "RouteDK")


def test_seeds_are_averaged_within_a_session_before_they_are_tested() -> None:
    runs = [result("A", 0.5, 1), result("A", 0.5, 2), result("B", 0.4)]
    scored = [sessions(0.0, 1.0), sessions(1.0, 0.0), sessions(0.4, 0.4)]

    summary = summarise(runs, scored, [])

    assert {key: each["matchedf1"] for key, each in summary.rows[0].sessions.items()} == {"0": 0.5, "1": 0.5}
    assert differences_to(summary.rows, "A")["B"]["matchedf1"].difference.mean == pytest.approx(-0.1)


def test_runs_on_other_sessions_are_not_tested() -> None:
    summary = summarise([result("A", 0.5), result("B", 0.4)], [sessions(0.5), {}], [])

    assert differences_table(summary.rows, "A") == ""
    with pytest.raises(ValueError, match="one data set"):
        summarise([result("A", 0.5), result("B", 0.4) | {"dataset": "other"}], [{}, {}], [])


def test_the_teacher_of_the_proposed_model_is_shown_and_is_no_baseline() -> None:
    runs = [result("RouteDK", 0.9), result("Teacher", 0.8), result("Good", 0.6)]
    scored = [sessions(*[run["test_result"]["matchedf1"]] * 10) for run in runs]

    summary = summarise(runs, scored, ["RouteDK"])

    assert summary.baseline == "Good"
    assert [row.name for row in summary.rows] == ["RouteDK", "Teacher", "Good"]
    assert "-0.100" in differences_table(summary.rows, "RouteDK")


def board_of(*means: tuple[str, float]) -> Summary:
    runs = [result(name, mean) for name, mean in means]
    return summarise(runs, [sessions(*[mean] * 10) for _, mean in means], ["RouteDK"])


def test_every_model_is_compared_with_the_simple_baseline_too() -> None:
    page = markdown(board_of(("RouteDK", 0.9), ("Good", 0.8), ("TitleCluster", 0.7)), ["RouteDK"], 2)

    headings = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| against")]
    assert headings == ["against Good", "against RouteDK", "against TitleCluster"]
    assert "+0.20 [+0.20, +0.20], p 0.004" in page  # RouteDK over TitleCluster: 2 of 2^10 swaps, two rows


def test_a_simple_baseline_that_is_the_best_is_compared_with_once() -> None:
    page = markdown(board_of(("RouteDK", 0.9), ("TitleCluster", 0.8)), ["RouteDK"], 2)

    assert page.count("against TitleCluster") == 1


def test_latex_tables_of_tests_are_escaped() -> None:
    text = differences_table(board_of(("A_b", 0.9), ("Good (50%)", 0.8)).rows, "Good (50%)", style="latex_raw")

    assert r"against Good (50\%)" in text
    assert r"A\_b" in text


def test_csv_has_intervals_and_the_test_against_the_best_baseline() -> None:
    first, second = csv.DictReader(as_csv(board_of(("RouteDK", 0.9), ("Good", 0.8))).splitlines())

    assert float(first["matchedf1_p"]) == pytest.approx(2 / 2**10)
    assert float(first["matchedf1_low"]) == pytest.approx(0.9)
    assert second["matchedf1_p"] == ""
