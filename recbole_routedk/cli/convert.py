"""``convert``: the public bundle data sets' CSV files, or plain JSON lines, to RecBole atomic files."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from recbole_routedk.data.atomic import ITEM_FIELDS, SPLITS, check_item_fields, write_atomic
from recbole_routedk.data.files import json_text
from recbole_routedk.data.from_jsonl import read_jsonl
from recbole_routedk.data.public import read_public
from recbole_routedk.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = "Convert a folder of the public CSV layout, or a file of JSON lines, to RecBole atomic files."
    parser.add_argument(
        "--input",
        "--input_path",
        required=True,
        type=Path,
        metavar="PATH",
        help="folder with session_item.csv, session_bundle.csv, bundle_item.csv, item_titles.csv, ...; or a file with "
        'a session a line: {"session_id": "s1", "items": ["Tripod", {"item_id": "b2", "title": "Camera bag"}], '
        '"bundles": [[0, 1]], "intents": ["travel photos"], "split": "train"}, all but items optional',
    )
    parser.add_argument(
        "--output",
        "--output_path",
        default=Path("dataset"),
        type=Path,
        metavar="DIR",
        help="folder of data sets; the files go to DIR/NAME (default: dataset)",
    )
    parser.add_argument("--name", "--dataset", default="", metavar="NAME", help="data set name (default: the input's)")
    parser.add_argument(
        f"--{ITEM_FIELDS}",
        default="",
        metavar="NAME[,NAME]",
        help="further texts or numbers of an item that are kept, such as brand,price: keys of an item in JSON lines, "
        f"columns of item_titles.csv. `run` reads them with the same --{ITEM_FIELDS}",
    )
    parser.add_argument(
        "--seed",
        default=42,
        type=int,
        help="seed of the 7:1:2 split where the input names none (default: 42)",
    )


def main(args: argparse.Namespace) -> int:
    """Convert, print the report and keep it as conversion.json beside the files; returns the exit code.

    Raises UserError naming file and line for input that cannot be converted; nothing is written then.
    """
    source, target = args.input.expanduser(), args.output.expanduser()
    if not source.exists():
        raise UserError(f"{source}: there is no such file or folder")
    name = args.name or (source.stem if source.is_file() else source.resolve().name)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise UserError(f"--name={name!r} cannot name a data set; use letters, digits, '-' and '_'")
    fields = [field for field in args.item_fields.split(",") if field]
    check_item_fields(fields)
    splits, report = (read_jsonl if source.is_file() else read_public)(source, args.seed, fields)
    folder = target / name
    write_atomic(folder, name, splits, {"conversion.json": json_text(report.as_dict())})
    empty = [name for name in SPLITS if not splits.split(name)]
    lacking = f"No session in {', '.join(empty)}: a run on these data needs one in each of {', '.join(SPLITS)}"
    print(*report.lines(), *([lacking] if empty else []), f"Written to {folder}", sep="\n")
    return 0
