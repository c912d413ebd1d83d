"""RecBole's own session data sets, as they are downloaded: ``NAME.inter`` and ``NAME.item``, without any bundle.

The rows of a session have to follow one another in the .inter file, so that it can be larger than memory; titles are
held in memory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_routedk.data.atomic import ITEM_COLUMNS, ITEM_FIELDS, unescape_text
from recbole_routedk.data.files import fault
from recbole_routedk.data.jsonl import byte_lines
from recbole_routedk.data.plain import BadSessionError, plain_session
from recbole_routedk.data.session import Session

MOST_ITEMS = 10_000
"""Rows of a session that are read into memory."""

_SESSION, _ITEM, _TIME = ("session_id", "user_id"), ("item_id",), ("timestamp", "position")
_TITLE = ("title", "name", "item_name", "product_title", "movie_title", "book_title", "entity_name")


@dataclass(frozen=True)
class FieldNames:
    """The columns to read, each "" for the usual name: several title columns are joined by a space.

    ``item_fields`` are further columns of the .item file.
    """

    session: str = ""
    item: str = ""
    time: str = ""
    titles: tuple[str, ...] = ()
    item_fields: tuple[str, ...] = ()


class RecBoleSessions:
    """The sessions of an .inter file, one after the other, in the order of their time column where there is one."""

    def __init__(self, path: Path, fields: FieldNames = FieldNames()) -> None:
        """``path`` is the .inter file, or the folder ``NAME`` with ``NAME.inter``.

        Raises UserError where a file or a column is missing.
        """
        self._inter = _inter_file(path)
        self.name = str(self._inter)
        header = _header(self._inter)
        self._session = _column(self._inter, header, fields.session, _SESSION, "--session_field")
        self._item = _column(self._inter, header, fields.item, _ITEM, "--item_field")
        timed = fields.time or any(name in header for name in _TIME)
        self._time = _column(self._inter, header, fields.time, _TIME, "--time_field") if timed else None
        self._width = len(header)
        item_file = self._inter.with_name(f"{self._inter.name.partition('.')[0]}.item")
        self._items = _read_items(item_file, fields)
        self._item_fields = fields.item_fields
        self._item_file = item_file.name

    def count(self) -> int:
        """Return the number of sessions; reads the file."""
        return sum(1 for _ in self.entries())

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Yield each session's rows as JSON with the line that they start at; a row that cannot be read by itself."""
        done: set[str] = set()
        rows: list[list[Any]] = []
        name, start = "", 0
        for number, line in _data_lines(self._inter):
            row = _fields(line)
            if row is None or len(row) != self._width:
                yield number, _fault("is no row of as many fields as the header has")
                continue
            if row[self._session] != name or not rows:
                if rows:
                    yield start, json.dumps({"session_id": name, "rows": rows}).encode()
                name, start, rows = row[self._session], number, []
                if name in done:
                    yield number, _fault(f"session {name!r} comes back after others; sort the file by session")
                done.add(name)
            if len(rows) <= MOST_ITEMS:
                rows.append([row[self._item], row[self._time] if self._time is not None else 0])
        if rows:
            yield start, json.dumps({"session_id": name, "rows": rows}).encode()

    def session(self, number: int, entry: bytes) -> Session:
        """Return the session of an entry, an item that comes again at its first place; raises BadSessionError."""
        content = json.loads(entry)
        if "fault" in content:
            raise BadSessionError(content["fault"])
        rows = content["rows"]
        if len(rows) > MOST_ITEMS:
            raise BadSessionError(f"session {content['session_id']!r} has more than {MOST_ITEMS} rows")
        ids = [item for item, _ in sorted(rows, key=lambda row: _seconds(row[1]))]
        untitled = next((item for item in ids if item not in self._items), None)
        if untitled is not None:
            raise BadSessionError(f"item {untitled!r} has no row in {self._item_file}")
        own = {"session_id": content["session_id"], "items": [self._items[item] for item in ids]}
        return plain_session(own, f"session-{number}", self._item_fields).session


def is_recbole(path: Path) -> bool:
    """Whether a path is read as a RecBole data set and not as JSON lines."""
    return path.is_dir() or path.suffix == ".inter"


def _inter_file(path: Path) -> Path:
    file = path / f"{path.resolve().name}.inter" if path.is_dir() else path
    if not file.is_file():
        found = ", ".join(sorted(each.name for each in path.glob("*.inter"))) if path.is_dir() else ""
        raise fault(file, None, "there is no such file" + (f"; name one of {found}" if found else ""))
    return file


def _data_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as stream:
            for number, line in byte_lines(stream):
                if number > 1:
                    yield number, line
    except OSError as error:
        raise fault(path, None, f"cannot be read ({error.strerror})") from None


def _header(path: Path) -> list[str]:
    try:
        with path.open("rb") as stream:
            first = next(byte_lines(stream), (0, b""))[1]
    except OSError as error:
        raise fault(path, None, f"cannot be read ({error.strerror})") from None
    return [column.partition(":")[0] for column in _fields(first) or []]


def _fields(line: bytes) -> list[str] | None:
    try:
        return line.decode().rstrip("\r\n").split("\t")
    except UnicodeDecodeError:
        return None


def _column(path: Path, header: Sequence[str], given: str, usual: Sequence[str], option: str) -> int:
    names = [given] if given else list(usual)
    for name in names:
        if name in header:
            return header.index(name)
    raise fault(path, 1, f"has no column {' or '.join(names)} but {', '.join(header)}; name one with {option}=")


def _read_items(path: Path, fields: FieldNames) -> dict[str, dict[str, str]]:
    if not path.is_file():
        raise fault(path, None, "there is no such file; the titles of the items are read from it")
    header = _header(path)
    own = _column(path, header, fields.item, _ITEM, "--item_field")
    wanted = fields.titles or ("",)
    columns = [_column(path, header, name, _TITLE, "--title_field") for name in wanted]
    further = {name: _column(path, header, name, (), f"--{ITEM_FIELDS}") for name in fields.item_fields}
    # In our own files texts are escaped, in RecBole's they stand as they are.
    known = header[: len(ITEM_COLUMNS)] == [column.partition(":")[0] for column in ITEM_COLUMNS]
    ours = known and path.with_suffix(".bundle").is_file()
    plain = unescape_text if ours else str
    items: dict[str, dict[str, str]] = {}
    for number, line in _data_lines(path):
        row = _fields(line)
        if row is None or len(row) != len(header):
            raise fault(path, number, "is no row of as many fields as the header has")
        title = " ".join(row[column] for column in columns if row[column])
        texts = {name: plain(row[column]) for name, column in further.items()}
        items[row[own]] = texts | {"item_id": row[own], "title": plain(title)}
    return items


def _fault(reason: str) -> bytes:
    return json.dumps({"fault": reason}).encode()


def _seconds(value: str | float) -> float:
    try:
        return float(value)
    except ValueError:
        return math.inf
