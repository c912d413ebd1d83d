"""Take leaderboards out of a folder of runs into ``results/``: the exact JSON, and the tables of its page.

``python scripts/take_results.py results/electronic.md output/electronic/leaderboard`` puts the board's tables, and
where and when its runs were made, between the marks of the page, and the exact figures beside it
(``results/electronic.json``). Of several boards, such as a study's on two data sets, each has a JSON of its own
(``results/studies/routers-clothing.json``). What people write on the page stays; a missing page is begun.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from marked_page import marks, with_part

NAME = Path(__file__).name


def take(page: Path, boards: Sequence[Path]) -> list[Path]:
    """Write the page and its JSON files; returns their paths.

    ``boards`` are the paths of leaderboards without suffix. Raises FileNotFoundError where a .json or .md is missing,
    ValueError where two are of one data set or the page lacks its marks.
    """
    told = [json.loads(Path(f"{board}.json").read_text(encoding="utf-8")) for board in boards]
    names = [each["dataset"] for each in told]
    if len(set(names)) < len(names):
        raise ValueError(f"several boards of one data set ({', '.join(names)}) would have one JSON file")
    # The first line is the page's own: the heading with the data set's name.
    texts = [Path(f"{board}.md").read_text(encoding="utf-8").partition("\n")[2].strip() for board in boards]
    headings = [f"## {each['dataset']}\n\n" if len(boards) > 1 else "" for each in told]
    part = "\n\n".join(
        f"{heading}{text}\n\n{origin(each)}" for heading, text, each in zip(headings, texts, told, strict=True)
    )
    begin, end = marks(NAME)
    before = page.read_text(encoding="utf-8") if page.is_file() else f"# {page.stem}\n\n{begin}\n{end}\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(with_part(before, NAME, part), encoding="utf-8")
    files = [
        page.with_name(f"{page.stem}-{each['dataset']}.json" if len(boards) > 1 else f"{page.stem}.json")
        for each in told
    ]
    for file, each in zip(files, told, strict=True):
        file.write_text(json.dumps(without_places(each), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [page, *files]


def origin(board: dict[str, Any]) -> str:
    """Say with which seeds, at which commits, when, where and with which libraries the runs of a board were made."""
    runs = board["results"]
    machines = [f"{run['machine']['gpu'] or run['machine']['cpu']}, {run['machine']['cores']} cores" for run in runs]
    libraries = [", ".join(f"{name} {version}" for name, version in run["libraries"].items()) for run in runs]
    dates = sorted(run["finished"][:10] for run in runs)
    told = {
        "Seeds": [str(run["seed"]) for run in runs],
        "commit": [run["code"]["commit"] or "unknown" for run in runs],
        "digest of the code": [run["code"]["digest"] for run in runs],
        "finished": [dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"],
        "on": machines,
        "with": libraries,
    }
    return "; ".join(f"{what} {' and '.join(dict.fromkeys(values))}" for what, values in told.items()) + "."


def without_places(board: dict[str, Any]) -> dict[str, Any]:
    """Return the board with each run's folder as its name under the data set's: no place of the machine that ran it."""
    runs = [{**run, "run_folder": "/".join(Path(run["run_folder"]).parts[-2:])} for run in board["results"]]
    return {**board, "results": runs}


def main(arguments: Sequence[str]) -> int:
    """Take the boards and name what was written; returns the exit code."""
    if len(arguments) < 2 or not arguments[0].endswith(".md"):
        print(f"usage: python scripts/{NAME} PAGE.md BOARD [BOARD ...]", file=sys.stderr)
        return 2
    page, *boards = map(Path, arguments)
    for path in take(page, boards):
        print(f"Written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
