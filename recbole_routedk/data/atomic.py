r"""RecBole atomic files of a bundle data set: sessions, items, splits and gold bundles.

The files of data set NAME lie in its own folder (RecBole's ``data_path``, usually ``dataset/NAME``):

- ``NAME.item``: ``item_id:token``, ``title:token``, ``categories:token`` (paths joined by ``|``), and further
  texts about the item, such as ``brand:token``
- ``NAME.train.inter``, ``NAME.valid.inter``, ``NAME.test.inter``: ``session_id:token``,
  ``item_id:token``, ``position:float`` (items of a session in ascending position)
- ``NAME.bundle``: ``bundle_id:token``, ``bundle_session:token``, ``bundle_items:token_seq``
  (item ids with a space between), ``intent:token``

Fields are separated by tabs and never quoted. Free text (title, categories, intent) is escaped with
backslashes: ``\\``, ``\t``, ``\n``, ``\r``, ``\0``, and ``\|`` inside a category path. Item ids hold no
white space; session ids hold no tab or line break.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recbole_routedk.data.files import fault, read_text, write_texts
from recbole_routedk.data.session import Bundle, Item, LabelledSession, Session
from recbole_routedk.errors import UserError

SPLITS = ("train", "valid", "test")
ITEM_COLUMNS = ("item_id:token", "title:token", "categories:token")
INTER_COLUMNS = ("session_id:token", "item_id:token", "position:float")
BUNDLE_COLUMNS = ("bundle_id:token", "bundle_session:token", "bundle_items:token_seq", "intent:token")

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"}
_UNESCAPES = {escaped[1]: plain for plain, escaped in _ESCAPES.items()} | {"|": "|"}
_PAD = "[PAD]"
ITEM_FIELDS = "item_fields"
"""The setting that names further fields of items."""


@dataclass(frozen=True, slots=True)
class SplitSessions:
    """The labelled sessions of a data set, by split."""

    train: tuple[LabelledSession, ...]
    valid: tuple[LabelledSession, ...]
    test: tuple[LabelledSession, ...]

    def split(self, name: str) -> tuple[LabelledSession, ...]:
        """Return the sessions of "train", "valid" or "test"; raises UserError for another name."""
        if name not in SPLITS:
            raise UserError(f"there is no split {name!r}; use one of {', '.join(SPLITS)}")
        sessions: tuple[LabelledSession, ...] = getattr(self, name)
        return sessions

    def all(self) -> tuple[LabelledSession, ...]:
        """Return every session: train, then valid, then test."""
        return self.train + self.valid + self.test


def escape_text(text: str) -> str:
    """Return free text as it stands in an atomic file: one field, one line."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def unescape_text(field: str) -> str:
    """Return the free text of a field; raises ValueError for a backslash that starts no known escape."""
    return re.sub(r"\\(.?)", _plain, field, flags=re.DOTALL)


def join_categories(paths: Sequence[str]) -> str:
    """Return category paths as one field."""
    return "|".join(escape_text(path).replace("|", "\\|") for path in paths)


def split_categories(field: str) -> tuple[str, ...]:
    """Return the category paths of a field; raises ValueError for a bad escape."""
    # An escape is taken as a pair, so that only a bare "|" separates; paths are never empty.
    return tuple(unescape_text(path) for path in re.findall(r"(?:\\.?|[^\\|])+", field))


def check_id(path: Path, line: int, kind: str, value: str) -> None:
    """Raise UserError, with its place, for an id that cannot stand in an atomic file; kind: session, item."""
    try:
        _check_id(kind, value)
    except UserError as error:
        raise fault(path, line, str(error)) from None


def write_atomic(folder: Path, name: str, splits: SplitSessions, beside: Mapping[str, str] | None = None) -> None:
    """Write the five files of data set ``name`` into ``folder``, all of them or none, and the texts ``beside`` them.

    Killed at any moment, it leaves the old data set, the new one, or files that ``read_atomic`` refuses.
    Raises UserError where the sessions cannot be told apart again from files: an id that is empty, is
    RecBole's padding token or holds white space that separates, a session in two splits, an item twice
    in one session or with two titles, a bundle outside its session.
    """
    _check_sessions(splits.all())
    items = {item.item_id: item for labelled in splits.all() for item in labelled.session.items}
    texts = {folder / file: text for file, text in (beside or {}).items()}
    texts |= {
        folder / f"{name}.item": _item_table(list(items.values())),
        folder / f"{name}.bundle": _table(BUNDLE_COLUMNS, _bundle_rows(splits.all())),
    }
    for split in SPLITS:
        rows = (row for labelled in splits.split(split) for row in _inter_rows(labelled.session))
        texts[folder / f"{name}.{split}.inter"] = _table(INTER_COLUMNS, rows)
    write_texts(texts, _unfinished(folder, name))


def read_atomic(folder: Path, name: str, item_fields: Sequence[str] = ()) -> SplitSessions:
    """Return the sessions of data set ``name`` with every gold bundle as it stands in the file.

    Columns may stand in any order, and others beside them and ``item_fields`` are ignored. A session has one intent
    per bundle, "" where none is known. Raises UserError naming file and line, and for files of two writings.
    """
    if _unfinished(folder, name).exists():
        what = "the files are not all of one writing, which was killed or is still going on; write the data set again"
        raise fault(_unfinished(folder, name), None, what)
    items = _read_items(folder / f"{name}.item", item_fields)
    sessions = {split: _read_sessions(folder / f"{name}.{split}.inter", items) for split in SPLITS}
    _check_disjoint(folder, name, sessions)
    everything = {key: session for part in sessions.values() for key, session in part.items()}
    bundles = _read_bundles(folder / f"{name}.bundle", everything)
    labelled = {
        split: tuple(_labelled(session, bundles.get(key, [])) for key, session in part.items())
        for split, part in sessions.items()
    }
    return SplitSessions(**labelled)


def _unfinished(folder: Path, name: str) -> Path:
    """What lies in the folder while the files are exchanged."""
    return folder / f".{name}.unfinished"


def _plain(match: re.Match[str]) -> str:
    if match[1] not in _UNESCAPES:
        raise ValueError(f"unknown escape {match[0]!r}; write a backslash itself as two backslashes")
    return _UNESCAPES[match[1]]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "".join("\t".join(row) + "\n" for row in (columns, *rows))


def _item_table(items: Sequence[Item]) -> str:
    names = list(dict.fromkeys(name for item in items for name, _ in item.fields))
    return _table((*ITEM_COLUMNS, *(f"{name}:token" for name in names)), (_item_row(item, names) for item in items))


def _item_row(item: Item, names: Sequence[str]) -> tuple[str, ...]:
    fields = dict(item.fields)
    further = (escape_text(fields.get(name, "")) for name in names)
    return item.item_id, escape_text(item.title), join_categories(item.categories), *further


def _inter_rows(session: Session) -> Iterator[tuple[str, str, str]]:
    for position, item in enumerate(session.items):
        yield session.session_id, item.item_id, str(position)


def _bundle_rows(sessions: Iterable[LabelledSession]) -> Iterator[tuple[str, str, str, str]]:
    number = 0
    for labelled in sessions:
        session = labelled.session
        intents = labelled.intents or ("",) * len(labelled.bundles)
        for bundle, intent in zip(labelled.bundles, intents, strict=True):
            members = " ".join(session.items[position].item_id for position in sorted(bundle))
            yield str(number), session.session_id, members, escape_text(intent)
            number += 1


def _check_sessions(sessions: Iterable[LabelledSession]) -> None:
    seen: set[str] = set()
    known: dict[str, Item] = {}
    for labelled in sessions:
        session = labelled.session
        _check_id("session", session.session_id)
        if session.session_id in seen:
            raise UserError(f"session {session.session_id!r} is given twice; a session lies in one split, once")
        seen.add(session.session_id)
        for item in session.items:
            _check_item(item)
            if known.setdefault(item.item_id, item) != item:
                raise UserError(f"item {item.item_id!r} has two titles, category lists or {ITEM_FIELDS}; give it one")
        _check_labels(labelled)


def _check_id(kind: str, value: str) -> None:
    bad = re.search(r"\s" if kind == "item" else r"[\t\n\r\0]", value)
    if not value or value == _PAD or bad or "\0" in value:
        raise UserError(
            f"{kind} id {value!r} cannot stand in an atomic file; use an id that is not empty, is not {_PAD} "
            "and has no " + ("white space" if kind == "item" else "tab or line break")
        )


def _check_item(item: Item) -> None:
    _check_id("item", item.item_id)
    check_item_fields([name for name, _ in item.fields])
    if not all(item.categories):
        raise UserError(f"item {item.item_id!r} has an empty category path; leave it out")


def _check_labels(labelled: LabelledSession) -> None:
    session = labelled.session
    name = f"session {session.session_id!r}"
    if len({item.item_id for item in session.items}) < len(session):
        raise UserError(f"{name} holds an item twice; keep its first place only")
    if labelled.intents and len(labelled.intents) != len(labelled.bundles):
        raise UserError(f"{name} has {len(labelled.bundles)} bundles and {len(labelled.intents)} intents")
    for bundle in labelled.bundles:
        if len(bundle) < 2 or not all(0 <= position < len(session) for position in bundle):
            raise UserError(f"{name}: {sorted(bundle)} is no bundle; give two or more positions below {len(session)}")


def check_item_fields(names: Sequence[str]) -> None:
    """Raise UserError for names that further fields of an item cannot have."""
    taken = {column.partition(":")[0] for column in ITEM_COLUMNS}
    for place, name in enumerate(names):
        if not re.fullmatch(r"\w+", name) or name in taken or name in names[:place]:
            what = f"name each field once, by letters, digits and '_', and none of {', '.join(sorted(taken))}"
            raise UserError(f"{ITEM_FIELDS}: {name!r} is no further field of an item; {what}")


def _rows(
    path: Path, columns: Sequence[str], item_fields: Sequence[str] = ()
) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield the line number, the named columns and the fields of any type of every row."""
    lines = [line.removesuffix("\r") for line in read_text(path).split("\n")]
    header = lines[0].split("\t")
    for column in columns:
        if header.count(column) != 1:
            raise fault(path, 1, f"needs the column {column!r} once; its columns are {header}")
    places = [header.index(column) for column in columns]
    names = [column.partition(":")[0] for column in header]
    for name in item_fields:
        if names.count(name) != 1:
            what = f"{ITEM_FIELDS} wants the column {name!r} once; the columns are {header}. `convert` writes it too"
            raise fault(path, 1, f"{what}, with --{ITEM_FIELDS}={','.join(item_fields)}")
    further = [names.index(name) for name in item_fields]
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        fields = line.split("\t")
        if len(fields) != len(header):
            raise fault(path, number, f"has {len(fields)} fields where the header has {len(header)}")
        yield number, [fields[place] for place in places], [fields[place] for place in further]


def _read_items(path: Path, item_fields: Sequence[str]) -> dict[str, Item]:
    check_item_fields(item_fields)
    items: dict[str, Item] = {}
    for line, (item_id, title, categories), further in _rows(path, ITEM_COLUMNS, item_fields):
        check_id(path, line, "item", item_id)
        if item_id in items:
            raise fault(path, line, f"item {item_id!r} is listed a second time; keep one row")
        try:
            fields = tuple(zip(item_fields, map(unescape_text, further), strict=True))
            items[item_id] = Item(item_id, unescape_text(title), split_categories(categories), fields)
        except ValueError as error:
            raise fault(path, line, str(error)) from None
    return items


def _read_sessions(path: Path, items: dict[str, Item]) -> dict[str, Session]:
    places: dict[str, dict[float, Item]] = {}
    for line, (session_id, item_id, field), _ in _rows(path, INTER_COLUMNS):
        check_id(path, line, "session", session_id)
        if item_id not in items:
            raise fault(path, line, f"item {item_id!r} has no row in the .item file; add it (its title may be empty)")
        seen = places.setdefault(session_id, {})
        position = _position(path, line, field)
        if position in seen:
            raise fault(path, line, f"session {session_id!r} has position {field} twice; number its items 0, 1, 2")
        if items[item_id] in seen.values():
            raise fault(path, line, f"session {session_id!r} holds item {item_id!r} twice; keep its first place")
        seen[position] = items[item_id]
    return {
        key: Session(key, tuple(item for _, item in sorted(seen.items(), key=lambda pair: pair[0])))
        for key, seen in places.items()
    }


def _position(path: Path, line: int, field: str) -> float:
    try:
        position = float(field)
    except ValueError:
        position = math.nan
    if not math.isfinite(position):
        raise fault(path, line, f"position {field!r} is not a number; number the items of a session 0, 1, 2")
    return position


def _read_bundles(path: Path, sessions: dict[str, Session]) -> dict[str, list[tuple[Bundle, str]]]:
    bundles: dict[str, list[tuple[Bundle, str]]] = {}
    for line, (_, session_id, field, intent), _ in _rows(path, BUNDLE_COLUMNS):
        if session_id not in sessions:
            raise fault(path, line, f"session {session_id!r} is in none of the .inter files")
        places = {item.item_id: place for place, item in enumerate(sessions[session_id].items)}
        members = field.split(" ")
        for member in members:
            if member not in places:
                raise fault(path, line, f"item {member!r} is not in session {session_id!r}")
        bundle = frozenset(places[member] for member in members)
        if len(bundle) < max(2, len(members)):
            raise fault(path, line, f"bundle {field!r} needs two or more items, each once")
        try:
            bundles.setdefault(session_id, []).append((bundle, unescape_text(intent)))
        except ValueError as error:
            raise fault(path, line, str(error)) from None
    return bundles


def _check_disjoint(folder: Path, name: str, sessions: dict[str, dict[str, Session]]) -> None:
    home: dict[str, str] = {}
    for split, part in sessions.items():
        for key in part:
            other = home.setdefault(key, split)
            if other != split:
                what = f"session {key!r} is in {name}.{other}.inter too; a session lies in one split"
                raise fault(folder / f"{name}.{split}.inter", None, what)


def _labelled(session: Session, bundles: Sequence[tuple[Bundle, str]]) -> LabelledSession:
    return LabelledSession(session, tuple(bundle for bundle, _ in bundles), tuple(intent for _, intent in bundles))
