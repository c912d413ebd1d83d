"""Write the tables that people keep by hand on a page of ``results/`` as JSON beside it.

``python scripts/tables_as_json.py results/knowledge.md`` writes results/knowledge.json: each table with the heading it
stands under, its columns and its rows, as text. Tables that are made from runs have their exact JSON from
``take_results.py``, ``performance_page.py`` or ``tune`` instead.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Table:
    """A table with the heading it stands under; cells are text."""

    under: str
    columns: list[str]
    rows: list[list[str]]


_RULE = re.compile(r"\|(\s*:?-+:?\s*\|)+")
_BREAK = re.compile(r"(?<!\\)\|")


def tables(page: str) -> list[Table]:
    """Return the Markdown tables of a page; code blocks hold none."""
    found: list[Table] = []
    heading, before, code, open_table = "", "", False, False
    for line in page.splitlines():
        code ^= line.startswith("```")
        if line.startswith("#") and not code:
            heading = line.lstrip("#").strip()
        if not code and _RULE.fullmatch(line.strip()) and before.startswith("|"):
            found.append(Table(heading, _cells(before), []))
            open_table = True
        elif open_table and line.startswith("|"):
            found[-1].rows.append(_cells(line))
        else:
            open_table = False
        before = line
    return found


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in _BREAK.split(line.strip())[1:-1]]


def as_json(page: Path) -> str:
    """Return the JSON that belongs beside a page."""
    told = {"page": page.name, "tables": [asdict(each) for each in tables(page.read_text(encoding="utf-8"))]}
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the JSON of each page and name it; returns the exit code."""
    if not arguments or not all(each.endswith(".md") for each in arguments):
        print(f"usage: python scripts/{Path(__file__).name} PAGE.md [PAGE.md ...]", file=sys.stderr)
        return 2
    for page in map(Path, arguments):
        page.with_suffix(".json").write_text(as_json(page), encoding="utf-8")
        print(f"Written: {page.with_suffix('.json')}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
