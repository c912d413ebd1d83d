"""Sessions as people have them: a list of titles, or a mapping with items, ids and, for training, bundles.

``["Tripod", "Camera bag"]`` or ``{"session_id": "s1", "items": ["Tripod", {"item_id": "b2", "title": "Camera bag"}]}``;
in training data also ``"bundles": [[0, 1]]`` (0-based places, item ids or titles), ``"intents": ["travel photos"]``
and ``"split": "train"``. Other keys are left alone, but for those of items that ``item_fields`` names.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recbole_routedk.data.session import Bundle, Item, Session

SessionLike = Session | Mapping[str, Any] | Sequence[str]
"""What is taken for a session: titles, a mapping as above, or a ``Session``."""

_FORM = 'give titles, ["Tripod", "Camera bag"], or {"items": ["Tripod", {"item_id": "b2", "title": "Camera bag"}]}'


class BadSessionError(ValueError):
    """What was given is no session; the message is the reason."""


@dataclass(frozen=True, slots=True)
class PlainSession:
    """A session as it was given.

    ``places`` says for each given item where it stands in the session: an item that is given twice has one place.
    ``numbers`` are the item ids that were given as numbers.
    """

    session: Session
    places: tuple[int, ...]
    numbers: frozenset[int] = frozenset()

    @property
    def repeated(self) -> int:
        """How many items were given a second time."""
        return len(self.places) - len(self.session)


def plain_session(value: object, default_id: str, item_fields: Sequence[str] = ()) -> PlainSession:
    """Read a session; ``default_id`` is its id where it has none, and an item without id is named by its title.

    ``item_fields`` are further keys of items that are read, texts or numbers. A repeated item keeps its first place.
    Raises BadSessionError.
    """
    if isinstance(value, Session):
        return PlainSession(value, tuple(range(len(value))))
    given = value["items"] if isinstance(value, Mapping) and "items" in value else value
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise BadSessionError(f"is no session; {_FORM}")
    if not given:
        raise BadSessionError("has no item")
    session_id = value.get("session_id") if isinstance(value, Mapping) else None
    places: list[int] = []
    known: dict[str, int] = {}
    items: list[Item] = []
    for number, entry in enumerate(given):
        item = _item(entry, number, item_fields)
        if known.setdefault(item.item_id, len(items)) == len(items):
            items.append(item)
        places.append(known[item.item_id])
    name = default_id if session_id is None else _identifier(session_id, "session_id")
    ids = [entry.get("item_id") for entry in given if isinstance(entry, Mapping)]
    numbers = frozenset(each for each in ids if type(each) is int)
    return PlainSession(Session(name, tuple(items)), tuple(places), numbers)


def plain_bundles(value: Mapping[str, Any], plain: PlainSession) -> list[tuple[Bundle, str]]:
    """Read the bundles of a session with their intents ("" for none), as given; raises BadSessionError."""
    bundles, intents = value.get("bundles") or [], value.get("intents") or []
    if not isinstance(bundles, list) or not isinstance(intents, list):
        raise BadSessionError('"bundles" and "intents" have to be lists')
    if intents and len(intents) != len(bundles):
        raise BadSessionError(f"has {len(bundles)} bundles and {len(intents)} intents")
    ids = _named_places(plain.session)
    return [
        (_bundle(bundle, plain, ids), "" if intent is None else _text(intent, "an intent"))
        for bundle, intent in zip(bundles, intents or [""] * len(bundles), strict=True)
    ]


def title_id(title: str) -> str:
    """The id of an item that has only a title: the same title is the same item."""
    return f"t-{hashlib.sha256(title.encode()).hexdigest()[:16]}"


def _item(entry: object, number: int, item_fields: Sequence[str]) -> Item:
    if isinstance(entry, Mapping):
        if "title" not in entry:
            raise BadSessionError(f"item {number} has no title")
        title, item_id = _text(entry["title"], f"the title of item {number}"), entry.get("item_id")
        paths = entry.get("categories") or []
        if not isinstance(paths, list | tuple):
            raise BadSessionError(f"the categories of item {number} have to be a list of texts")
        categories = tuple(_text(path, f"a category of item {number}") for path in paths if path is not None)
    else:
        title, item_id, categories = _text(entry, f"item {number}"), None, ()
    further = entry if isinstance(entry, Mapping) else {}
    fields = tuple((field, _field(further.get(field), f"{field} of item {number}")) for field in item_fields)
    name = title_id(title) if item_id is None else _identifier(item_id, f"the item_id of item {number}")
    return Item(name, title, tuple(path for path in categories if path), fields)


def _field(value: object, what: str) -> str:
    if value is None:
        return ""
    return _text(str(value) if type(value) in (int, float) else value, what)


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise BadSessionError(f"{what} is no text but {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadSessionError(f"{what} holds half a character (a lone surrogate)") from None
    return value


def _identifier(value: object, what: str) -> str:
    text = _text(str(value) if type(value) is int else value, what)
    if not text.strip():
        raise BadSessionError(f"{what} is empty")
    return text


def _named_places(session: Session) -> dict[str, int]:
    """Where the items stand, by id and by title; a title that two items have names none."""
    times = Counter(item.title for item in session.items)
    by_title = {item.title: place for place, item in enumerate(session.items) if times[item.title] == 1}
    return by_title | {item.item_id: place for place, item in enumerate(session.items)}


def _bundle(bundle: object, plain: PlainSession, ids: Mapping[str, int]) -> Bundle:
    if not isinstance(bundle, list):
        raise BadSessionError("a bundle has to be a list of 0-based places, of item ids or of titles")
    return frozenset(_member(member, plain, ids) for member in bundle)


def _member(member: object, plain: PlainSession, ids: Mapping[str, int]) -> int:
    """The position that a bundle names: a number is a place, or the id of an item that was given as a number."""
    places = plain.places
    place = places[member] if type(member) is int and 0 <= member < len(places) else None
    by_id = ids.get(str(member)) if type(member) is int and member in plain.numbers else None
    if place is not None and by_id is not None and place != by_id:
        raise BadSessionError(
            f"the bundle member {member} is a place and, for another item, an item id; write ids as text, in quotes"
        )
    named = ids.get(member) if isinstance(member, str) else place if by_id is None else by_id
    if named is None:
        raise BadSessionError(
            f"the bundle member {member!r:.60} is no place below {len(places)}, no item id and no title"
        )
    return named
