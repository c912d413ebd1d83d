"""The tables of results/performance.md are what the scripts measured."""

from __future__ import annotations

import json
from pathlib import Path

import performance_page
import pytest
from marked_page import marks


def test_the_page_has_what_was_measured() -> None:
    files = list((performance_page.RESULTS / "performance").glob("*.json"))

    assert files
    assert performance_page.tables(files).strip() in (performance_page.RESULTS / "performance.md").read_text(
        encoding="utf-8"
    )


def test_a_row_says_whether_its_bar_is_met(tmp_path: Path) -> None:
    rows = [
        {"name": "a", "what": "b", "ratio": [0.5, 1.06, 2.0], "bar": {"kind": "at most", "value": 1.05}, "met": False},
        {"name": "c", "what": "d", "ratio": [3, 3, 3], "bar": {"kind": "at least", "value": 2}, "met": True},
        {"name": "e", "what": "f", "ratio": [1, 12345.6, 20000], "bar": None, "met": None},
    ]
    own = json.loads((performance_page.RESULTS / "performance" / "mixture.json").read_text(encoding="utf-8"))
    (tmp_path / "x.json").write_text(json.dumps(own | {"benchmark": "x", "rows": rows}), encoding="utf-8")

    table = performance_page.tables([tmp_path / "x.json"])

    assert table.startswith("## x.py\n")
    assert "| a: b | 1.06 | 0.5 to 2 | at most 1.05 | **missed** |\n" in table
    assert "| c: d | 3 | 3 to 3 | at least 2 | met |\n" in table
    assert table.endswith("| e: f | 1.23e+04 | 1 to 2e+04 |  |  |\n")


def test_the_page_is_written_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "performance").mkdir()
    source = performance_page.RESULTS / "performance" / "mixture.json"
    (tmp_path / "performance" / "mixture.json").write_bytes(source.read_bytes())
    begin, end = marks("performance_page.py")
    (tmp_path / "performance.md").write_text(f"# Before\n{begin}\nold\n{end}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(performance_page, "RESULTS", tmp_path)

    assert performance_page.main() == 0

    page = (tmp_path / "performance.md").read_text(encoding="utf-8")
    assert page.startswith("# Before\n")
    assert page.endswith(f"{end}\nafter\n")
    assert "old" not in page
    assert "## mixture.py" in page
