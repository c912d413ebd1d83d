"""Reader of plain JSON lines as a data set to train on: one session a line (``data.plain``), bundles in some of them.

A line may name its ``split``; where none does, the sessions with a bundle are split 7:1:2. Sessions without a bundle
take no part: a trained model answers them (``generate``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_routedk.data.atomic import SPLITS, SplitSessions, check_id
from recbole_routedk.data.files import fault
from recbole_routedk.data.jsonl import byte_lines, parse_json
from recbole_routedk.data.plain import BadSessionError, PlainSession, plain_bundles, plain_session
from recbole_routedk.data.public import seeded_split, summarise, warn_of_leaks
from recbole_routedk.data.report import ConversionReport, Reason
from recbole_routedk.data.session import Item, LabelledSession

_NO_SPLIT = ""


def read_jsonl(path: Path, seed: int = 42, item_fields: Sequence[str] = ()) -> tuple[SplitSessions, ConversionReport]:
    """Read a file of sessions; ``seed`` serves only where no line names its split, ``item_fields`` are kept of items.

    Raises UserError naming file and line for a line that is no session, a session id that comes twice, an item with
    two titles, a bundle with an unknown item, and a split that some lines name and others do not.
    """
    report = ConversionReport(source=path.name)
    items: dict[str, Item] = {}
    sessions: dict[str, tuple[LabelledSession, str]] = {}
    for number, value, plain in _lines(path, item_fields):
        try:
            labelled, split = _labelled(value, plain, f"line {number}", report), _split_of(value)
        except BadSessionError as error:
            raise fault(path, number, str(error)) from None
        name = labelled.session.session_id
        if name in sessions:
            raise fault(path, number, _second(name, value))
        _check_items(path, number, labelled, items)
        sessions[name] = labelled, split
    kept = {name: own for name, own in sessions.items() if own[0].bundles}
    for name in sessions:
        if name not in kept:
            report.count(Reason.SESSION_WITHOUT_BUNDLE, f"session {name}")
    if not kept:
        what = (
            'no line has "bundles" of two items or more, such as [[0, 1]], so that there is nothing to train on; '
            "sessions without bundles are answered by a trained model: generate --input=FILE"
        )
        raise fault(path, None, what)
    splits = {name: tuple(kept[key][0] for key in ids) for name, ids in _split(path, kept, seed, report).items()}
    everything = [each for name in SPLITS for each in splits[name]]
    used = {item for each in everything for item in each.session.items}
    for item in sorted(used, key=lambda item: item.item_id):
        if not item.title.strip():
            report.count(Reason.TITLE_MISSING, f"item {item.item_id}")
    summarise(splits, len(used), report)
    warn_of_leaks(everything, report)
    return SplitSessions(**splits), report


def _lines(path: Path, item_fields: Sequence[str]) -> Iterator[tuple[int, Any, PlainSession]]:
    try:
        with path.open("rb") as stream:
            for number, line in byte_lines(stream):
                try:
                    value = parse_json(line)
                    yield number, value, plain_session(value, f"session-{number}", item_fields)
                except BadSessionError as error:
                    raise fault(path, number, str(error)) from None
    except OSError as error:
        raise fault(path, None, f"cannot be read ({error.strerror})") from None


def _second(name: str, value: Any) -> str:
    if isinstance(value, Mapping) and value.get("session_id") is not None:
        return f"session {name!r} is given a second time; give it another session_id"
    return f"has no session_id and would be named {name!r}, which is another session's; give it one"


def _labelled(value: Any, plain: PlainSession, place: str, report: ConversionReport) -> LabelledSession:
    for _ in range(plain.repeated):
        report.count(Reason.REPEATED_ITEM, place)
    bundles, intents = [], []
    for bundle, intent in plain_bundles(value, plain) if isinstance(value, Mapping) else ():
        if len(bundle) < 2:
            report.count(Reason.BUNDLE_TOO_SMALL, place)
            continue
        bundles.append(bundle)
        intents.append(intent)
        if not intent.strip():
            report.count(Reason.INTENT_MISSING, place)
    return LabelledSession(plain.session, tuple(bundles), tuple(intents))


def _split_of(value: Any) -> str:
    split = value.get("split") if isinstance(value, Mapping) else None
    split = _NO_SPLIT if split is None else split
    if split not in (*SPLITS, _NO_SPLIT):
        raise BadSessionError(f'"split" has to be one of {", ".join(SPLITS)}, not {split!r:.60}')
    return str(split)


def _check_items(path: Path, number: int, labelled: LabelledSession, items: dict[str, Item]) -> None:
    check_id(path, number, "session", labelled.session.session_id)
    for item in labelled.session.items:
        check_id(path, number, "item", item.item_id)
        if items.setdefault(item.item_id, item) != item:
            what = f"item {item.item_id!r} had another title, other categories or other fields before; give it one"
            raise fault(path, number, what)


def _split(
    path: Path, kept: Mapping[str, tuple[LabelledSession, str]], seed: int, report: ConversionReport
) -> dict[str, list[str]]:
    named = {split for _, split in kept.values()}
    if named == {_NO_SPLIT}:
        report.split_rule = f"7:1:2 by session with seed {seed}, as no line names its split"
        return seeded_split(path, list(kept), seed)
    if named != set(SPLITS):
        raise fault(path, None, f'every session with a bundle needs "split", and each of {", ".join(SPLITS)} a session')
    report.split_rule = "as the lines name it"
    return {name: [key for key, (_, split) in kept.items() if split == name] for name in SPLITS}
