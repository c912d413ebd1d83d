"""``convert``: the public bundle data sets' CSV files to RecBole atomic files."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from recbole_routedk.data.atomic import write_atomic
from recbole_routedk.data.files import write_json
from recbole_routedk.data.public import read_public
from recbole_routedk.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = "Convert a folder of the public CSV layout to RecBole atomic files."
    parser.add_argument(
        "--input",
        "--input_path",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder with session_item.csv, session_bundle.csv, bundle_item.csv, item_titles.csv, ...",
    )
    parser.add_argument(
        "--output",
        "--output_path",
        default=Path("dataset"),
        type=Path,
        metavar="DIR",
        help="folder of data sets; the files go to DIR/NAME (default: dataset)",
    )
    parser.add_argument(
        "--name", "--dataset", default="", metavar="NAME", help="data set name (default: the input folder's)"
    )
    parser.add_argument(
        "--seed",
        default=42,
        type=int,
        help="seed of the 7:1:2 split where there is no split.json (default: 42)",
    )


def main(args: argparse.Namespace) -> int:
    """Convert, print the report and keep it as conversion.json beside the files; returns the exit code.

    Raises UserError naming file and line for input that cannot be converted; nothing is written then.
    """
    source, target = args.input.expanduser(), args.output.expanduser()
    name = args.name or source.resolve().name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise UserError(f"--name={name!r} cannot name a data set; use letters, digits, '-' and '_'")
    splits, report = read_public(source, args.seed)
    folder = target / name
    write_atomic(folder, name, splits)
    write_json(folder / "conversion.json", report.as_dict())
    print(*report.lines(), f"Written to {folder}", sep="\n")
    return 0
