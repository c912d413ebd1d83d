"""Ratios, bars and turns, from timings that are known; no clock is asked how fast anything is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from side_by_side import Bar, Options, Row, Timing, Work, alternate, compare, known, main, spread

TIMINGS = {
    "ours": Timing(wall=(1.0, 2.0, 3.0), cpu=(1.0, 1.0, 1.0)),
    "one": Timing(wall=(1.0, 1.0, 1.0), cpu=(2.0, 2.0, 2.0)),
    "other": Timing(wall=(1.0, 3.0, 1.0), cpu=(2.0, 2.0, 2.0)),
}


def test_a_ratio_is_taken_run_by_run_over_the_rivals_together() -> None:
    row = compare("name", "what", TIMINGS, ["ours"], ["one", "other"], Bar("at most", 0.5))
    assert row.ratio == (0.5, 0.5, 1.5)
    assert row.cpu_ratio == (0.25, 0.25, 0.25)
    assert row.record()["met"] is True
    assert row.figures["timings"]["ours"] == {
        "wall_seconds": (1.0, 2.0, 3.0),
        "cpu_seconds": (1.0, 1.0, 1.0),
        "runs": 3,
    }


@pytest.mark.parametrize(
    ("bar", "ratio", "met"),
    [
        (Bar("at most", 1.05), 1.05, True),
        (Bar("at most", 1.05), 1.06, False),
        (Bar("at least", 8.0), 8.0, True),
        (Bar("at least", 8.0), 7.9, False),
    ],
)
def test_a_bar_is_met_on_its_own_side(bar: Bar, ratio: float, met: bool) -> None:
    row = known("name", "what", ratio, bar)
    assert row.record()["met"] is met
    assert ("MISSED" in row.line()) is not met


def test_a_row_without_a_bar_is_neither_met_nor_missed() -> None:
    row = known("name", "what", 2.0)
    assert row.record()["met"] is None
    assert "bar" not in row.line()


def test_the_spread_is_least_median_most() -> None:
    assert spread([5.0, 1.0, 2.0]) == (1.0, 2.0, 5.0)


def test_contestants_take_turns_and_the_first_round_does_not_count() -> None:
    done: list[str] = []

    def contestant(name: str) -> Work:
        done.append(f"{name} ready")
        return lambda: done.append(name)

    timings = alternate({"a": lambda: contestant("a"), "b": lambda: contestant("b")}, Options(repeats=2))

    assert [each for each in done if "ready" not in each] == ["b", "a", "a", "b", "b", "a"]
    assert done[:4] == ["b ready", "b", "a ready", "a"]
    assert [len(timing.wall) for timing in timings.values()] == [2, 2]


def test_options_come_back_from_their_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    given = Options(student="a b", repeats=7, alone="it")
    seen: list[Options] = []

    def alone(options: Options) -> dict[str, float]:
        seen.append(options)
        return {"mib": 1.5}

    assert main({}, {"it": alone}, given.arguments()) == 0
    assert seen == [given]
    assert json.loads(capsys.readouterr().out) == {"mib": 1.5}


def test_chosen_rows_are_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def first(options: Options) -> Sequence[Row]:
        return [known("first", "of two", 1.0, Bar("at most", 2.0))]

    def second(options: Options) -> Sequence[Row]:
        raise AssertionError("this row was not chosen")

    file = tmp_path / "out.json"
    assert main({"one": first, "two": second}, argv=["--rows=one", f"--json={file}", "--seed=3"]) == 0

    assert "bar: at most 2.0, met" in capsys.readouterr().out
    written = json.loads(file.read_text(encoding="utf-8"))
    assert [row["name"] for row in written["rows"]] == ["first"]
    assert written["options"]["seed"] == 3
    assert {"machine", "threads", "openmp", "load_before", "load_after", "libraries", "code"} <= set(written)


def test_a_row_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main({"one": lambda options: []}, argv=["--rows=three"])
    assert "there is no three; there are one" in capsys.readouterr().err
