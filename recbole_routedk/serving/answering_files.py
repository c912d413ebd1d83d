"""Answers a source of sessions into an output, a window at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator

from recbole_routedk.data.plain import BadSessionError
from recbole_routedk.data.session import Session
from recbole_routedk.errors import UserError
from recbole_routedk.model.generating import BATCHES_A_WINDOW, WindowAnswerer, windows
from recbole_routedk.progress import progress_bar
from recbole_routedk.serving.output import Done, Output
from recbole_routedk.serving.sources import SessionSource

Report = Callable[[int, str], None]
"""Takes the line number of an entry that is no session, and the reason."""


def answer_source(
    answerer: WindowAnswerer, source: SessionSource, output: Output, batch_size: int, report: Report, title: str
) -> Done:
    """Answer what the output lacks, in the order of the source, and complete the output.

    A window is the same entries whether a run was stopped or not, so that a resumed run answers what an unbroken one
    would have. Raises UserError where the source is not the one that the output was begun with.
    """
    with progress_bar(source.count(), title, "session") as bar:
        entries = source.entries()
        _skip(entries, source, output.done)
        bar.update(output.done.entries)
        bar.unpause()  # what was done before says nothing about the speed of this run
        for window in windows(entries, BATCHES_A_WINDOW * batch_size):
            numbers: list[int] = []
            sessions: list[Session] = []
            for number, entry in window:
                try:
                    sessions.append(source.session(number, entry))
                    numbers.append(number)
                except BadSessionError as error:
                    report(number, str(error))
            answers = zip(numbers, answerer.answer(sessions) if sessions else [], strict=True)
            lines = [json.dumps({"line": number} | each.as_dict(), ensure_ascii=False) for number, each in answers]
            digest = output.done.digest
            for _, entry in window:
                digest = _chained(digest, entry)
            output.add(lines, len(window), len(window) - len(sessions), digest)
            bar.set_postfix_str(f"{output.done.bad} bad", refresh=False)
            bar.update(len(window))
    output.finish()
    return output.done


def _skip(entries: Iterator[tuple[int, bytes]], source: SessionSource, done: Done) -> None:
    digest = ""
    for _ in range(done.entries):
        _, entry = next(entries, (0, b""))
        digest = _chained(digest, entry)
    if digest != done.digest:
        raise UserError(
            f"{source.name}: is not what the unfinished output was begun with; give the same input, or --overwrite"
        )


def _chained(digest: str, entry: bytes) -> str:
    return hashlib.sha256(digest.encode() + entry).hexdigest()
