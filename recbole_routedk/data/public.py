"""Reader of the public bundle data sets' CSV layout (Sun et al., SIGIR 2022).

A folder, as dataset/<domain> in github BundleRec/bundle_recommendation, holds session_item.csv,
session_bundle.csv, bundle_item.csv and item_titles.csv, and may hold bundle_intent.csv,
item_categories.csv and split.json. Sessions keep their file order of items; sessions without a bundle
take no part. What does not come through as it stands is counted in the report.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recbole_routedk.data.atomic import SPLITS, SplitSessions, check_id
from recbole_routedk.data.files import fault, read_text
from recbole_routedk.data.leaks import absences
from recbole_routedk.data.report import ConversionReport, Reason
from recbole_routedk.data.session import Bundle, Item, LabelledSession, Session, drop_redundant_bundles

SESSION_ID, ITEM_ID, BUNDLE_ID = "session ID", "item ID", "bundle ID"
_ID_KINDS = {SESSION_ID: "session", ITEM_ID: "item", BUNDLE_ID: "bundle"}
_ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|[A-Za-z]\w*);")


@dataclass(frozen=True, slots=True)
class _Row:
    """Two columns of one CSV record and where it starts, as "file, line N"."""

    left: str
    right: str
    line: int
    place: str


def read_public(
    folder: Path, seed: int = 42, item_fields: Sequence[str] = ()
) -> tuple[SplitSessions, ConversionReport]:
    """Read a folder in the public layout; ``seed`` serves only where there is no split.json.

    ``item_fields`` are further columns of item_titles.csv that are kept.

    Raises UserError naming file and line for a missing file or column, a wrong number of fields, broken
    quoting, bytes that are not UTF-8, and a split that names an unknown session or one session twice.
    """
    if not folder.is_dir():
        raise fault(folder, None, "is no folder; give the one that holds session_item.csv")
    report = ConversionReport(source=folder.name)
    places = _session_items(folder, report)
    bundles = _session_bundles(folder, places, report)
    kept = _kept_sessions(places, bundles, report)
    if not kept:
        raise fault(folder, None, "has no session with a bundle of two items or more")
    split = _split(folder, list(kept), set(places), seed, report)
    used = [item for ids in split.values() for key in ids for item in places[key]]
    items = _items(folder, used, item_fields, report)
    intents = _intents(folder, [bundle for ids in split.values() for key in ids for bundle in kept[key]], report)
    labelled = {
        name: tuple(_labelled(key, places[key], kept[key], items, intents) for key in ids)
        for name, ids in split.items()
    }
    summarise(labelled, len(items), report)
    warn_of_leaks([part for name in SPLITS for part in labelled[name]], report)
    return SplitSessions(**labelled), report


def parse_categories(text: str) -> tuple[str, ...]:
    """Return the paths of a nested list such as ``[[A, B & C,D],[A,E]]`` as ("A, B & C > D", "A > E").

    A comma with a space behind it belongs to a name. Raises ValueError for text of another form.
    """
    if re.fullmatch(r"\s*\[\s*\]\s*", text):
        return ()
    inner = re.fullmatch(r"\s*\[\s*\[(.*)\]\s*\]\s*", text, flags=re.DOTALL)
    if inner is None:
        raise ValueError(f"categories {text[:40]!r} are no nested list such as [[A,B],[A,C]]")
    paths = re.split(r"\]\s*,\s*\[", inner[1])
    return tuple(" > ".join(re.split(r",(?! )", path)) for path in paths if path.strip())


def _records(path: Path, left: str, right: str, report: ConversionReport) -> Iterable[_Row]:
    """Yield two named columns of every record, ids checked; header names match in any case."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    start = 1
    header: list[str] = []
    try:
        for record in reader:
            line, start = start, reader.line_num + 1
            if not header:
                header = [name.strip().casefold() for name in record]
                _check_header(path, header, (left, right))
            elif record and len(record) != len(header):
                what = f"has {len(record)} fields where the header has {len(header)}; quote text with a comma"
                raise fault(path, line, what)
            elif record:
                fields = [record[header.index(name.casefold())] for name in (left, right)]
                yield _row(path, line, (left, right), fields, report)
    except csv.Error as error:
        raise fault(path, start, f"is no well-formed CSV record ({error})") from None
    if not header:
        _check_header(path, header, (left, right))


def _check_header(path: Path, header: list[str], needed: Iterable[str]) -> None:
    for name in needed:
        if header.count(name.casefold()) != 1:
            raise fault(path, 1, f"needs the column {name!r} once; its columns are {header}")


def _row(path: Path, line: int, columns: tuple[str, str], fields: list[str], report: ConversionReport) -> _Row:
    place = f"{path.name}, line {line}"
    for number, column in enumerate(columns):
        if column in _ID_KINDS:
            stripped = fields[number].strip()
            if stripped != fields[number]:
                report.count(Reason.SPACED_ID, place)
            check_id(path, line, _ID_KINDS[column], stripped)
            fields[number] = stripped
    return _Row(fields[0], fields[1], line, place)


def _session_items(folder: Path, report: ConversionReport) -> dict[str, dict[str, int]]:
    """Return each session's items with their places, in file order."""
    sessions: dict[str, dict[str, int]] = {}
    for row in _records(folder / "session_item.csv", SESSION_ID, ITEM_ID, report):
        items = sessions.setdefault(row.left, {})
        if row.right in items:
            report.count(Reason.REPEATED_ITEM, row.place)
        else:
            items[row.right] = len(items)
    return sessions


def _session_bundles(
    folder: Path, sessions: Mapping[str, Mapping[str, int]], report: ConversionReport
) -> dict[str, dict[str, Bundle]]:
    """Return each session's usable bundles by bundle id, in the order of session_bundle.csv."""
    members = _bundle_members(folder, report)
    usable: dict[str, dict[str, Bundle]] = {}
    placed: set[tuple[str, str]] = set()
    for row in _records(folder / "session_bundle.csv", SESSION_ID, BUNDLE_ID, report):
        if (row.left, row.right) in placed:
            report.count(Reason.REPEATED_ROW, row.place)
        elif row.left not in sessions:
            report.count(Reason.BUNDLE_OF_UNKNOWN_SESSION, row.place)
        else:
            bundle = _bundle(members.get(row.right, {}), sessions[row.left], report)
            found = usable.setdefault(row.left, {})
            if len(bundle) < 2:
                report.count(Reason.BUNDLE_TOO_SMALL, f"bundle {row.right}")
            else:
                found[row.right] = bundle
        placed.add((row.left, row.right))
    owned = {bundle for _, bundle in placed}
    for key in members:
        for place in members[key].values() if key not in owned else ():
            report.count(Reason.BUNDLE_WITHOUT_SESSION, place)
    return usable


def _bundle_members(folder: Path, report: ConversionReport) -> dict[str, dict[str, str]]:
    """Return each bundle's item ids, each with the place of its row."""
    members: dict[str, dict[str, str]] = {}
    for row in _records(folder / "bundle_item.csv", BUNDLE_ID, ITEM_ID, report):
        if row.right in members.setdefault(row.left, {}):
            report.count(Reason.REPEATED_ROW, row.place)
        members[row.left].setdefault(row.right, row.place)
    return members


def _bundle(members: Mapping[str, str], places: Mapping[str, int], report: ConversionReport) -> Bundle:
    for item, place in members.items():
        if item not in places:
            report.count(Reason.ITEM_OUTSIDE_SESSION, place)
    return frozenset(places[item] for item in members if item in places)


def _kept_sessions(
    sessions: Iterable[str], bundles: Mapping[str, dict[str, Bundle]], report: ConversionReport
) -> dict[str, dict[str, Bundle]]:
    kept: dict[str, dict[str, Bundle]] = {}
    for key in sessions:
        if key not in bundles:
            report.count(Reason.SESSION_WITHOUT_BUNDLE, f"session {key}")
        elif not bundles[key]:
            report.count(Reason.SESSION_WITHOUT_USABLE_BUNDLE, f"session {key}")
        else:
            kept[key] = bundles[key]
    return kept


def _split(folder: Path, kept: list[str], known: set[str], seed: int, report: ConversionReport) -> dict[str, list[str]]:
    path = folder / "split.json"
    if not path.exists():
        report.split_rule = f"7:1:2 by session with seed {seed}, as there is no split.json"
        return seeded_split(folder, kept, seed)
    report.split_rule = "as published in split.json"
    published = _published_split(path, known)
    usable = set(kept)
    for key in kept:
        if not any(key in ids for ids in published.values()):
            report.count(Reason.SESSION_NOT_IN_SPLIT, f"session {key}")
    for name, ids in published.items():
        for key in ids:
            if key not in usable:
                report.count(Reason.SPLIT_SESSION_WITHOUT_BUNDLE, f"{name}, session {key}")
    return {name: [key for key in ids if key in usable] for name, ids in published.items()}


def seeded_split(folder: Path, kept: list[str], seed: int) -> dict[str, list[str]]:
    """Return 7:1:2 of the session ids, each part in the given order; UserError for fewer than three."""
    if len(kept) < len(SPLITS):
        raise fault(folder, None, f"has {len(kept)} sessions with a bundle; a split needs three or more")
    shuffled = random.Random(seed).sample(kept, len(kept))  # nosec B311  # a split that anybody can draw again
    valid = max(1, round(0.1 * len(kept)))
    test = max(1, round(0.2 * len(kept)))
    train = len(kept) - valid - test
    parts = (shuffled[:train], shuffled[train : train + valid], shuffled[train + valid :])
    rank = {key: number for number, key in enumerate(kept)}
    return {name: sorted(part, key=rank.__getitem__) for name, part in zip(SPLITS, parts, strict=True)}


def _published_split(path: Path, known: set[str]) -> dict[str, list[str]]:
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise fault(path, error.lineno, f"is not JSON ({error.msg})") from None
    if not isinstance(content, dict) or set(content) != set(SPLITS):
        raise fault(path, None, f"must be one object with the keys {', '.join(SPLITS)} and no other")
    split: dict[str, list[str]] = {}
    home: dict[str, str] = {}
    for name in SPLITS:
        ids = content[name]
        if not isinstance(ids, list) or not all(type(key) in (int, str) for key in ids):
            raise fault(path, None, f"{name!r} must be a list of session ids")
        split[name] = [str(key).strip() for key in ids]
        for key in split[name]:
            if key not in known:
                raise fault(path, None, f"session {key!r} of {name!r} is not in session_item.csv")
            if key in home:
                raise fault(path, None, f"session {key!r} is in {home[key]!r} and again in {name!r}")
            home[key] = name
    return split


def _by_id(
    path: Path, key: str, value: str, used: set[str], unused: Reason, report: ConversionReport
) -> dict[str, _Row]:
    """Return the first row of every used id; the file may lack rows."""
    rows: dict[str, _Row] = {}
    for row in _records(path, key, value, report):
        first = rows.setdefault(row.left, row)
        if first is not row:
            report.count(Reason.REPEATED_ROW if first.right == row.right else Reason.CONFLICTING_ROW, row.place)
        elif row.left not in used:
            report.count(unused, row.place)
    return {name: row for name, row in rows.items() if name in used}


def _items(folder: Path, ids: Iterable[str], item_fields: Sequence[str], report: ConversionReport) -> dict[str, Item]:
    used = dict.fromkeys(ids)
    titles = _by_id(folder / "item_titles.csv", ITEM_ID, "titles", set(used), Reason.UNUSED_TITLE, report)
    categories = _categories(folder / "item_categories.csv", set(used), report)
    counted = ConversionReport(source=folder.name)  # rows are counted with the titles
    further = {
        name: _by_id(folder / "item_titles.csv", ITEM_ID, name, set(used), Reason.UNUSED_TITLE, counted)
        for name in item_fields
    }
    items = {}
    for item_id in used:
        title = titles[item_id].right if item_id in titles else ""
        fields = tuple((name, rows[item_id].right if item_id in rows else "") for name, rows in further.items())
        items[item_id] = Item(item_id, title, categories.get(item_id, ()), fields)
        if not title.strip():
            report.count(Reason.TITLE_MISSING, f"item {item_id}")
        if _ENTITY.search(title):
            report.count(Reason.TITLE_WITH_ENTITY, titles[item_id].place)
        if not items[item_id].categories:
            report.count(Reason.CATEGORIES_MISSING, f"item {item_id}")
    return items


def _categories(path: Path, used: set[str], report: ConversionReport) -> dict[str, tuple[str, ...]]:
    if not path.exists():
        return {}
    paths: dict[str, tuple[str, ...]] = {}
    for row in _by_id(path, ITEM_ID, "categories", used, Reason.UNUSED_CATEGORIES, report).values():
        try:
            paths[row.left] = parse_categories(row.right) if row.right.strip() else ()
        except ValueError as error:
            raise fault(path, row.line, str(error)) from None
    return paths


def _intents(folder: Path, ids: Iterable[str], report: ConversionReport) -> dict[str, str]:
    used = dict.fromkeys(ids)
    path = folder / "bundle_intent.csv"
    rows = {}
    if path.exists():
        rows = _by_id(path, BUNDLE_ID, "intent", set(used), Reason.UNUSED_INTENT, report)
    intents = {key: rows[key].right if key in rows else "" for key in used}
    for key, intent in intents.items():
        if not intent.strip():
            report.count(Reason.INTENT_MISSING, f"bundle {key}")
    return intents


def _labelled(
    key: str,
    places: Mapping[str, int],
    bundles: Mapping[str, Bundle],
    items: Mapping[str, Item],
    intents: Mapping[str, str],
) -> LabelledSession:
    session = Session(key, tuple(items[item] for item in places))
    return LabelledSession(session, tuple(bundles.values()), tuple(intents[bundle] for bundle in bundles))


def summarise(splits: Mapping[str, tuple[LabelledSession, ...]], items: int, report: ConversionReport) -> None:
    """Count sessions, bundles and redundant bundles."""
    report.items = items
    for name, part in splits.items():
        report.sessions[name] = len(part)
        report.bundles[name] = sum(len(labelled.bundles) for labelled in part)
        for labelled in part:
            scored = drop_redundant_bundles(list(labelled.bundles))
            for _ in range(len(labelled.bundles) - len(scored)):
                report.count(Reason.REDUNDANT_BUNDLE, f"session {labelled.session.session_id}")


def warn_of_leaks(sessions: Iterable[LabelledSession], report: ConversionReport) -> None:
    """Warn where a gap in the item texts tells items in bundles from items outside: it leaks the labels."""
    report.warnings += absences(sessions)
