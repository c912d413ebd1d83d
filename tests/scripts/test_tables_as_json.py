"""Tables kept by hand, as JSON beside their page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tables_as_json import as_json, main, tables

RESULTS = Path(__file__).resolve().parents[2] / "results"
BY_HAND = ("knowledge", "reliability")


@pytest.mark.parametrize("name", BY_HAND)
def test_the_json_beside_a_page_has_its_tables(name: str) -> None:
    told = (RESULTS / f"{name}.json").read_text(encoding="utf-8")

    assert told == as_json(RESULTS / f"{name}.md"), f"run: python scripts/tables_as_json.py results/{name}.md"
    assert json.loads(told)["tables"]


def test_every_page_with_a_table_has_its_figures_as_json() -> None:
    pages = [page for page in RESULTS.rglob("*.md") if page.name != "README.md"]

    for page in pages:
        own = [page.with_suffix(".json")] if page.with_suffix(".json").is_file() else []
        beside = own + list(page.parent.glob(f"{page.stem}-*.json")) + list(page.with_suffix("").glob("*.json*"))
        assert beside or not tables(page.read_text(encoding="utf-8")), page


def test_a_table_is_read_with_its_heading() -> None:
    page = "# Page\n\n## Part\ntext | no table\n\n| a | b |\n|:--|--:|\n| 1 | x \\| y |\n| 2 | |\n\nend\n"

    (table,) = tables(page)

    assert (table.under, table.columns, table.rows) == ("Part", ["a", "b"], [["1", "x | y"], ["2", ""]])


def test_code_is_no_table() -> None:
    assert tables("```\n| a |\n|---|\n# no heading\n```\n") == []


def test_a_page_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results"]) == 2
    assert "PAGE.md" in capsys.readouterr().err
