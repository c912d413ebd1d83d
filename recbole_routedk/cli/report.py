"""``report``: one self-contained page, made from the finished runs of a data set."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from recbole_routedk.errors import UserError

FILE = "report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("--dataset", required=True, help="name of the data set, such as bundle-mini")
    parser.add_argument(
        "--output_dir",
        type=Path,
        default=Path("output"),
        metavar="DIR",
        help="folder that runs were written to; those in its folder DATASET are shown (default: output)",
    )
    parser.add_argument(
        "--config_files",
        nargs="+",
        default=[],
        metavar="YAML",
        help="settings with a benchmark, such as properties/benchmark/electronic.yaml: its runs alone are shown "
        "(default: every finished run)",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help=f"the page (default: OUTPUT_DIR/DATASET/{FILE})")
    parser.add_argument(
        "--data_path",
        type=Path,
        metavar="DIR",
        help="folder that holds the data set's own folder (default: where the newest run found it)",
    )
    parser.add_argument(
        "--sessions",
        type=int,
        default=200,
        metavar="N",
        help="at most so many test sessions to look through, evenly spread; 0: none, for a page that holds no title of "
        "an item and can be given to anybody (default: 200)",
    )


def main(args: argparse.Namespace) -> int:
    """Write the page and say where it lies and what is not on it; raises UserError."""
    if args.sessions < 0:
        raise UserError(f"--sessions has to be at least 0, not {args.sessions}")
    from recbole_routedk.data.files import write_texts
    from recbole_routedk.report.gather import gather
    from recbole_routedk.report.page import render

    files = [name for given in args.config_files for name in given.split()]
    gathered = gather(args.dataset, args.output_dir, args.data_path, files, args.sessions)
    path = (args.output or args.output_dir / args.dataset / FILE).expanduser()
    write_texts({path: render(gathered)})
    for each in gathered.left_out:
        print(f"left out: {each.folder}: {each.reason}", file=sys.stderr)
    print(f"{len(gathered.runs)} runs of {len(gathered.summary.rows)} models: {path}")
    return 0
