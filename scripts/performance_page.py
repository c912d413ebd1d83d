"""Write the tables of results/performance.md from what the scripts measured.

``python scripts/performance_page.py`` reads results/performance/*.json, as ``--json`` writes them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from marked_page import with_part

RESULTS = Path(__file__).resolve().parents[1] / "results"


def tables(files: list[Path]) -> str:
    """Return a heading, where and how it was measured, and a table for each file."""
    return "\n".join(_section(json.loads(file.read_text(encoding="utf-8"))) for file in sorted(files))


def _section(told: dict[str, Any]) -> str:
    machine, options = told["machine"], {key: value for key, value in told["options"].items() if value is not None}
    libraries = ", ".join(f"{name} {told['libraries'][name]}" for name in ("python", "torch", "transformers", "peft"))
    where = machine["gpu"] or f"{machine['cpu']}, {machine['cores']} cores"
    data = f"{options['dataset']}, {options['student']}, {options['dtype']}, batches of {options['batch']}"
    lines = [
        f"## {told['benchmark']}.py",
        "",
        f"{where}, {told['threads']} threads, load {told['load_before']} before; {data}; seed {options['seed']}, "
        f"{options['repeats']} repeats; {libraries}; commit {told['code']['commit']}, {told['started'][:10]}.",
        "",
        "| row | median | least to most | bar | |",
        "|---|---|---|---|---|",
    ]
    return "\n".join(lines + [_line(row) for row in told["rows"]]) + "\n"


def _line(row: dict[str, Any]) -> str:
    least, median, most = row["ratio"]
    bar, met = row["bar"], ""
    if bar is not None:
        met = "met" if row["met"] else "**missed**"
    wanted = f"{bar['kind']} {bar['value']:g}" if bar else ""
    return f"| {row['name']}: {row['what']} | {median:.3g} | {least:.3g} to {most:.3g} | {wanted} | {met} |"


def main() -> int:
    """Write the tables between the two marks of the page; returns the exit code."""
    page = RESULTS / "performance.md"
    made = tables(list((RESULTS / "performance").glob("*.json")))
    page.write_text(with_part(page.read_text(encoding="utf-8"), Path(__file__).name, made), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
