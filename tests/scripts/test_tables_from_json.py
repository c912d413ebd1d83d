"""Tables of pages whose figures come from no leaderboard: made from the JSON beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tables_from_json import Table, made, main, places, with_tables

RESULTS = Path(__file__).resolve().parents[2] / "results"
PAGES = ("knowledge", "reliability")


@pytest.mark.parametrize("name", PAGES)
def test_the_tables_of_a_page_are_those_of_its_json(name: str) -> None:
    page = RESULTS / f"{name}.md"

    assert page.read_text(encoding="utf-8") == made(page), f"run: python scripts/tables_from_json.py results/{name}.md"
    assert places(page.read_text(encoding="utf-8").split("\n"))


def test_every_page_with_a_table_has_its_figures_as_json() -> None:
    pages = [page for page in RESULTS.rglob("*.md") if page.name != "README.md"]

    for page in pages:
        own = [page.with_suffix(".json")] if page.with_suffix(".json").is_file() else []
        beside = own + list(page.parent.glob(f"{page.stem}-*.json")) + list(page.with_suffix("").glob("*.json*"))
        assert beside or not places(page.read_text(encoding="utf-8").split("\n")), page


PAGE = "# Page\n\n## Part\ntext | no table\n\n| a | b |\n|:--|--:|\n| old | |\n| 2 | |\n\nend\n"


def test_a_table_is_written_over_the_one_under_its_heading() -> None:
    told: Table = {"under": "Part", "columns": ["a", "c"], "rows": [["1", "x | y"], ["", "3"]]}

    page = with_tables(PAGE, [told])

    table = "| a | c |\n|---|---|\n| 1 | x \\| y |\n| | 3 |"
    assert page == f"# Page\n\n## Part\ntext | no table\n\n{table}\n\nend\n"
    assert with_tables(page, [told]) == page


def test_tables_that_the_page_lacks_are_refused() -> None:
    table: Table = {"under": "Part", "columns": ["a"], "rows": []}

    with pytest.raises(ValueError, match=r"\['Part'\].*\['Part', 'Part'\]"):
        with_tables(PAGE, [table, table])


def test_code_is_no_table() -> None:
    assert places(["```", "| a |", "|---|", "# no heading", "```"]) == []


def test_a_page_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results"]) == 2
    assert "PAGE.md" in capsys.readouterr().err
