"""Put the leaderboards of several data sets side by side into a page: one row a model, five figures a data set.

``python scripts/short_boards.py README.md results/electronic.json results/clothing.json`` writes between the marks of
the page what the exact boards hold. Rows are in the order of their mean MatchedF1 over the data sets.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from marked_page import with_part
from tabulate import tabulate

from recbole_routedk.report.figures import short_names

NAME = Path(__file__).name
_PUBLISHED = ("precision", "recall", "coverage")


def table(boards: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of boards as they lie in ``results/<dataset>.json``; "-" where a model was not run."""
    found = [{row["model"]: row for row in board["leaderboard"]} for board in boards]
    labels = short_names(list(dict.fromkeys(name for board in found for name in board)))

    def height(name: str) -> float:
        return fmean(board[name]["matchedf1"]["mean"] for board in found if name in board)

    cells = [
        [labels[name], *(text for board in found for text in _cells(board.get(name)))]
        for name in sorted(labels, key=height, reverse=True)
    ]
    headers = [
        f"{board['dataset']}: {text}" if text == "MatchedF1" else text
        for board in boards
        for text in ("MatchedF1", "BundleF1", "P / R / Cov", "seeds")
    ]
    return tabulate(cells, ["model", *headers], tablefmt="pipe", disable_numparse=True)


def _cells(row: Mapping[str, Any] | None) -> list[str]:
    if row is None:
        return ["-"] * 4
    published = " / ".join(_short(row[key]["mean"]) for key in _PUBLISHED)
    return [_spread(row["matchedf1"]), _spread(row["bundlef1"]), published, str(len(row["seeds"]))]


def _spread(value: Mapping[str, Any]) -> str:
    mean, deviation = value["mean"], value["std"]
    return _short(mean) if deviation is None else f"{_short(mean)} ± {_short(deviation)}"


def _short(number: float) -> str:
    return f"{number:.3f}".removeprefix("0")


def main(arguments: Sequence[str]) -> int:
    """Write the table into the page; returns the exit code."""
    if len(arguments) < 2 or not arguments[0].endswith(".md"):
        print(f"usage: python scripts/{NAME} PAGE.md BOARD.json [BOARD.json ...]", file=sys.stderr)
        return 2
    page, *files = map(Path, arguments)
    boards = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    page.write_text(with_part(page.read_text(encoding="utf-8"), NAME, table(boards)), encoding="utf-8")
    print(f"Written: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
