"""Answers a source of sessions into an output, a window at a time: read, answered, written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from recbole_routedk.data.plain import BadSessionError
from recbole_routedk.data.session import Session
from recbole_routedk.errors import UserError
from recbole_routedk.model.generating import BATCHES_A_WINDOW, WindowAnswerer, windows
from recbole_routedk.progress import progress_bar
from recbole_routedk.serving.output import Done, Output
from recbole_routedk.serving.sources import SessionSource

Report = Callable[[int, str], None]
"""Takes the line number of an entry that is no session, and the reason."""


@dataclass(frozen=True)
class Window:
    """Entries that are answered together, with their line numbers; ``digest`` is that of the source up to their end."""

    entries: Sequence[tuple[int, bytes]]
    digest: str


@dataclass(frozen=True)
class AnsweredWindow:
    """The lines to write for a window of ``entries`` entries, and the bad ones with their line numbers and reasons."""

    lines: Sequence[str]
    entries: int
    bad: Sequence[tuple[int, str]]
    digest: str


def answer_source(
    answerer: WindowAnswerer, source: SessionSource, output: Output, batch_size: int, report: Report, title: str
) -> Done:
    """Answer what the output lacks, in the order of the source, and complete the output.

    Raises UserError where the source is not the one that the output was begun with.
    """
    answered = (answer_window(answerer, source, window) for window in read_windows(source, output.done, batch_size))
    return write_answers(answered, source, output, report, title)


def read_windows(source: SessionSource, done: Done, batch_size: int) -> Iterator[Window]:
    """Yield the windows that come after what is done; UserError where the source is not the one that was begun with.

    A window is the same entries whether a run was stopped or not, so that a resumed run answers what an unbroken one
    would have.
    """
    entries, digest = source.entries(), ""
    for _, entry in islice(entries, done.entries):
        digest = _chained(digest, entry)
    if digest != done.digest:
        raise UserError(
            f"{source.name}: is not what the unfinished output was begun with; give the same input, or --overwrite"
        )
    for window in windows(entries, BATCHES_A_WINDOW * batch_size):
        for _, entry in window:
            digest = _chained(digest, entry)
        yield Window(window, digest)


def answer_window(answerer: WindowAnswerer, source: SessionSource, window: Window) -> AnsweredWindow:
    """Parse the entries of a window and answer those that are sessions."""
    numbers: list[int] = []
    sessions: list[Session] = []
    bad: list[tuple[int, str]] = []
    for number, entry in window.entries:
        try:
            sessions.append(source.session(number, entry))
            numbers.append(number)
        except BadSessionError as error:
            bad.append((number, str(error)))
    answers = zip(numbers, answerer.answer(sessions) if sessions else [], strict=True)
    lines = [json.dumps({"line": number} | each.as_dict(), ensure_ascii=False) for number, each in answers]
    return AnsweredWindow(lines, len(window.entries), bad, window.digest)


def write_answers(
    answered: Iterable[AnsweredWindow], source: SessionSource, output: Output, report: Report, title: str
) -> Done:
    """Write windows that come in order, tell of their bad entries, and complete the output."""
    with progress_bar(source.count(), title, "session") as bar:
        bar.update(output.done.entries)
        bar.unpause()  # what was done before says nothing about the speed of this run
        for window in answered:
            for number, reason in window.bad:
                report(number, reason)
            output.add(window.lines, window.entries, len(window.bad), window.digest)
            bar.set_postfix_str(f"{output.done.bad} bad", refresh=False)
            bar.update(window.entries)
    output.finish()
    return output.done


def _chained(digest: str, entry: bytes) -> str:
    return hashlib.sha256(digest.encode() + entry).hexdigest()
