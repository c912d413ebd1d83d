"""Write the tables of a page of ``results/`` whose figures come from no leaderboard, from the JSON beside it.

``python scripts/tables_from_json.py results/knowledge.md`` reads results/knowledge.json (each table with the heading it
stands under, its columns and its rows, as text) and writes its tables over those of the page, in their order. Figures
are changed in the JSON. Tables that are made from runs come from ``take_results.py``, ``performance_page.py`` or
``tune``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict


class Table(TypedDict):
    """A table with the heading it stands under; cells are text."""

    under: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Place:
    """Where a table stands on a page: the heading above it, its first line and the line after its last."""

    under: str
    first: int
    end: int


_RULE = re.compile(r"\|(\s*:?-+:?\s*\|)+")


def places(lines: Sequence[str]) -> list[Place]:
    """Return where the Markdown tables of a page are; code blocks hold none."""
    found: list[Place] = []
    heading, code = "", False
    for number, line in enumerate(lines):
        code ^= line.startswith("```")
        if line.startswith("#") and not code:
            heading = line.lstrip("#").strip()
        if not code and number and _RULE.fullmatch(line.strip()) and lines[number - 1].startswith("|"):
            end = next((later for later in range(number, len(lines)) if not lines[later].startswith("|")), len(lines))
            found.append(Place(heading, number - 1, end))
    return found


def written(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of one table."""
    cells = [columns, *rows]
    lines = [" ".join(["|", *(f"{_escaped(cell)} |" if cell else "|" for cell in row)]) for row in cells]
    return [lines[0], "|" + "---|" * len(columns), *lines[1:]]


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def with_tables(page: str, tables: Sequence[Table]) -> str:
    """Return the page with ``tables`` in place of its own.

    Raises ValueError where the page does not have as many tables under the same headings.
    """
    lines = page.split("\n")
    found = places(lines)
    headings, wanted = [place.under for place in found], [table["under"] for table in tables]
    if headings != wanted:
        raise ValueError(f"the page has tables under {headings}, the JSON beside it under {wanted}")
    for place, table in reversed(list(zip(found, tables, strict=True))):
        lines[place.first : place.end] = written(table["columns"], table["rows"])
    return "\n".join(lines)


def made(page: Path) -> str:
    """Return the text of a page with the tables of the JSON beside it."""
    tables = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))["tables"]
    return with_tables(page.read_text(encoding="utf-8"), tables)


def main(arguments: Sequence[str]) -> int:
    """Write the tables of each page and name it; returns the exit code."""
    if not arguments or not all(each.endswith(".md") for each in arguments):
        print(f"usage: python scripts/{Path(__file__).name} PAGE.md [PAGE.md ...]", file=sys.stderr)
        return 2
    for page in map(Path, arguments):
        page.write_text(made(page), encoding="utf-8")
        print(f"Written: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
