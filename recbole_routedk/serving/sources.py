"""Where the sessions of ``generate`` come from: JSON lines in a file or a pipe, or a RecBole session data set."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from recbole_routedk.data.files import fault
from recbole_routedk.data.jsonl import byte_lines, parse_json
from recbole_routedk.data.plain import plain_session
from recbole_routedk.data.session import Session


class SessionSource(Protocol):
    """Entries to be read one at a time; an entry is bytes, so that a resumed run can tell that it is the same."""

    name: str

    def count(self) -> int:
        """Return how many entries there are, 0 where nobody knows."""

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Yield entries with their line numbers."""

    def session(self, number: int, entry: bytes) -> Session:
        """Return the session of an entry; raises BadSessionError with the reason where it is none."""


class JsonLines:
    """A file of JSON lines, or standard input."""

    def __init__(self, path: Path | None, item_fields: Sequence[str] = ()) -> None:
        """None is standard input; ``item_fields`` are read of items. Raises UserError where the file is missing."""
        self._path = path
        self._item_fields = tuple(item_fields)
        self.name = str(path) if path else "standard input"
        if path is not None and not path.is_file():
            raise fault(path, None, "there is no such file")

    def count(self) -> int:
        """Count the lines; 0 for standard input."""
        return sum(1 for _ in self.entries()) if self._path else 0

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that are not blank."""
        if self._path is None:
            yield from byte_lines(sys.stdin.buffer)
            return
        try:
            with self._path.open("rb") as stream:
                yield from byte_lines(stream)
        except OSError as error:
            raise fault(self._path, None, f"cannot be read ({error.strerror})") from None

    def session(self, number: int, entry: bytes) -> Session:
        """Parse a line."""
        return plain_session(parse_json(entry), f"session-{number}", self._item_fields).session
