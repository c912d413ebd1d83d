"""``distill show``, ``export``, ``import`` and ``batch read``: a look into the store, and its way in and out."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from recbole_routedk.data.files import read_text, write_texts
from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.store.rows import StoredRow
from recbole_routedk.distill.store.transfer import TransferCounts, export_lines, import_jsonl, read_batch
from recbole_routedk.distill.teachers.protocol import Task
from recbole_routedk.literals import load_yaml, properties_folder

COMMANDS = ("show", "export", "import")
_BAD_LINES_SHOWN = 20
_SOME_BAD = 1


def main(words: Sequence[str]) -> int:
    """Run one command (``show``, ``export``, ``import`` or ``read``); returns the exit code, 1 for bad lines."""
    args = _parser().parse_args(list(words))
    if args.command in ("import", "read"):
        read_text(args.file.expanduser())  # before a store is made: a mistyped name must leave none behind
    with RequestStore(args.store.expanduser(), must_exist=args.command in ("show", "export", "read")) as store:
        if args.command == "show":
            return _show(store, args)
        if args.command == "export":
            return _export(store, args.output)
        counts = import_jsonl(store, args.file) if args.command == "import" else read_batch(store, args.file)
    return _report(args.file, counts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="recbole_routedk distill", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("show", help="print requests and answers")
    show.add_argument("--task", choices=[task.value for task in Task], help="requests of one task only")
    show.add_argument("--failures", action="store_true", help="only requests without an answer")
    show.add_argument("--session", metavar="ID", help="only requests about this session")
    show.add_argument("--limit", type=int, default=10, metavar="N", help="most requests to print (default: 10)")
    export = commands.add_parser("export", help="write the store as JSON lines")
    export.add_argument("--format", choices=["jsonl"], default="jsonl", help="JSON lines, one request each")
    export.add_argument("--output", type=Path, metavar="FILE", help="file to write (default: standard output)")
    taken = commands.add_parser("import", help="take rows of an exported file")
    read = commands.add_parser("read", prog="recbole_routedk distill batch read", help="take a batch's output file")
    for command in (taken, read):
        command.add_argument("file", type=Path, metavar="FILE")
    for command in (show, export, taken, read):
        command.add_argument(
            *("--store", "--knowledge_store"),
            type=Path,
            default=default_store(),
            metavar="FILE",
            help="the store (default: %(default)s)",
        )
    return parser


def default_store() -> Path:
    """Where the store lies if no setting says otherwise."""
    return Path(load_yaml(properties_folder() / "overall.yaml")["output_dir"]) / "knowledge.sqlite"


def _show(store: RequestStore, args: argparse.Namespace) -> int:
    for row in islice(store.rows(args.task, args.failures, args.session), max(0, args.limit)):
        print(*_row_lines(row), "", sep="\n")
    print(f"{'task':<10}{'model':<32}{'answers':>10}{'unanswered':>12}{'input tok':>14}{'output tok':>14}")
    for count in store.counts():
        numbers = f"{count.answers:>10,}{count.failures:>12,}{count.input_tokens:>14,}{count.output_tokens:>14,}"
        print(f"{count.task:<10}{_printable(count.model)[:30]:<32}{numbers}")
    return 0


def _row_lines(row: StoredRow) -> list[str]:
    request, response = row.request, row.response
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.created))
    lines = [
        f"{row.key[:12]}  {request.task.value}  {row.identity.teacher} {row.identity.model}  "
        f"sessions: {', '.join(row.sessions) or 'none'}",
        f"  asked {row.attempts} times, last {when}, {response.seconds:.1f} s, {response.usage.input_tokens} input and "
        f"{response.usage.output_tokens} output tokens, temperature {request.sampling.temperature:g}, "
        f"seed {request.seed}, sample {request.sample}",
    ]
    said: list[tuple[str, str]] = [(message.role, message.content) for message in request.messages]
    said.append(("failed", response.failure) if response.text is None else ("answer", response.text))
    for role, text in said:
        first, *rest = text.rstrip("\n").split("\n")
        lines += [f"  {role}: {first}", *(f"    {line}" for line in rest)]
    return [_printable(line) for line in lines]


def _export(store: RequestStore, output: Path | None) -> int:
    if output is None:
        for line in export_lines(store.rows()):
            print(line)
        return 0
    lines = list(export_lines(store.rows()))
    write_texts({output.expanduser(): "".join(f"{line}\n" for line in lines)})
    print(f"{len(lines)} requests written to {output}")
    return 0


def _report(file: Path, counts: TransferCounts) -> int:
    print(f"{file}: {counts.new} new, {counts.known} known, {counts.failed} failed, {len(counts.bad)} bad lines")
    for number, reason in counts.bad[:_BAD_LINES_SHOWN]:
        print(f"{file}, line {number}: {_printable(reason)}", file=sys.stderr)
    if len(counts.bad) > _BAD_LINES_SHOWN:
        print(f"... and {len(counts.bad) - _BAD_LINES_SHOWN} more bad lines", file=sys.stderr)
    return _SOME_BAD if counts.bad else 0


def _printable(text: str) -> str:
    """Return text from a file or a server with control characters escaped: a terminal would obey them."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
