"""Several boards in one table of a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from short_boards import main, table


def row(name: str, matchedf1: float, deviation: float | None = None) -> dict[str, Any]:
    seeds = [1] if deviation is None else [1, 2]
    spread = {"mean": matchedf1, "std": deviation}
    others = {key: {"mean": 0.25, "std": None} for key in ("bundlef1", "precision", "recall", "coverage")}
    return {"model": name, "class": name.partition(" ")[0], "seeds": seeds, "matchedf1": spread, **others}


def board(dataset: str, *rows: dict[str, Any]) -> dict[str, Any]:
    return {"dataset": dataset, "leaderboard": list(rows)}


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_models_stand_in_the_order_of_their_means_and_gaps_are_shown() -> None:
    first = board("one", row("Good (base_model=ItemKNN)", 0.5, 0.01), row("Bad", 0.1))
    second = board("two", row("Bad", 0.3), row("Good (base_model=ItemKNN)", 0.7), row("Good (base_model=BPR)", 0.4))

    header, _, *rows = cells(table([first, second]))

    others = ["BundleF1", "P / R / Cov", "seeds"]
    assert header == ["model", "one: MatchedF1", *others, "two: MatchedF1", *others]
    # (.5 + .7) / 2, .4 alone, (.1 + .3) / 2.
    assert [own[0] for own in rows] == ["Good (base_model=ItemKNN)", "Good (base_model=BPR)", "Bad"]
    assert rows[0][1:5] == [".500 ± .010", ".250", ".250 / .250 / .250", "2"]
    assert rows[1][1:5] == ["-"] * 4


def test_the_page_keeps_what_people_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, file = tmp_path / "page.md", tmp_path / "one.json"
    page.write_text(
        "Before\n<!-- short_boards.py begins -->old<!-- short_boards.py ends -->\nAfter\n", encoding="utf-8"
    )
    file.write_text(json.dumps(board("one", row("A", 0.5))), encoding="utf-8")

    assert main([str(page), str(file)]) == 0

    text = page.read_text(encoding="utf-8")
    assert text.startswith("Before\n")
    assert text.endswith("\nAfter\n")
    assert "| A " in text
    assert "old" not in text
    assert main([str(page)]) == 2
    assert "usage: python scripts/short_boards.py" in capsys.readouterr().err
