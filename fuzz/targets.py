"""What is fuzzed: functions that take any bytes, and fail where a reader of foreign text breaks a promise."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from recbole_routedk.cli.run import parse_settings
from recbole_routedk.config_schema import Schema, check_keys, read_schema
from recbole_routedk.data.answers import parse_answer
from recbole_routedk.data.atomic import SplitSessions, read_atomic, write_atomic
from recbole_routedk.data.from_jsonl import read_jsonl
from recbole_routedk.data.jsonl import parse_json
from recbole_routedk.data.plain import BadSessionError, plain_session
from recbole_routedk.data.prompts import label_texts
from recbole_routedk.data.public import read_public
from recbole_routedk.data.session import Bundle
from recbole_routedk.distill.formats.parsing import (
    clean_phrase,
    parse_bundles,
    parse_causes,
    parse_rules,
    parse_thought,
)
from recbole_routedk.distill.store.rows import BadRowError, parse_line, plain_row
from recbole_routedk.distill.teachers.answers import plain_words, read_answer
from recbole_routedk.errors import UserError
from recbole_routedk.literals import load_yaml, parse_literal, properties_folder

LABELS = tuple(label_texts()[:30])
_SEPARATOR = b"\x1e"
_TABLES = ("session_item.csv", "session_bundle.csv", "bundle_item.csv", "item_titles.csv", "bundle_intent.csv")


def completion(data: bytes) -> None:
    """What the student writes: bundles of the session, and what they are written as is read as the same again."""
    items = data[0] % (len(LABELS) + 1) if data else 0
    text = _text(data[1:])
    bundles, rejected = parse_answer(text, LABELS[:items])
    _within(bundles, items)
    assert all(len(each.text) <= 80 for each in rejected)
    written = "; ".join(" ".join(LABELS[place] for place in sorted(bundle)) for bundle in bundles)
    assert parse_answer(written, LABELS[:items]) == (bundles, ())


def teachers(data: bytes) -> None:
    """What teachers and endpoints answer, and rows of stores: read or refused, and read the same a second time."""
    items, raw = (data[0] % 12 if data else 0), data[1:]
    answer = read_answer(raw, "application/json")
    assert (answer.text is None) == bool(answer.failure)
    assert len(plain_words(answer.failure, 300)) <= 300
    text = _text(raw)
    _bundles(text, items)
    thought = parse_thought(text, items).value
    if thought is not None:
        _within(thought.groups, items)
        assert len(thought.groups) == len(thought.intents)
        assert ((thought.affinities >= 0) & (thought.affinities <= 1)).all()
    causes = parse_causes(text).value or ()
    assert parse_causes(json.dumps({"causes": list(causes)})).value == causes
    for rule in parse_rules(text).value or ():
        fields = {"rule": rule.text, "verdict": rule.verdict, "left": rule.left, "right": rule.right}
        assert parse_rules(json.dumps({"rules": [fields]})).value == (rule,)
    phrase = clean_phrase(text, 60)
    assert clean_phrase(phrase, 60) == phrase
    _row(text)


def _bundles(text: str, items: int) -> None:
    bundles = parse_bundles(text, items).value
    if bundles is not None:
        _within(bundles, items)
        written = json.dumps({"bundles": [sorted(bundle) for bundle in bundles]})
        assert parse_bundles(written, items).value == bundles


def _row(text: str) -> None:
    try:
        row = parse_line(text)
    except BadRowError:
        return
    assert parse_line(json.dumps(plain_row(row))) == row


def converter(data: bytes) -> None:
    """Data sets of others: sessions that are written and read back, or an error that names the file."""
    with tempfile.TemporaryDirectory(dir=_memory()) as name:
        folder = Path(name)
        (folder / "given.jsonl").write_bytes(data)
        _converted(lambda: read_jsonl(folder / "given.jsonl")[0], folder)
        public = folder / "public"
        public.mkdir()
        for table, part in zip(_TABLES, data.split(_SEPARATOR), strict=False):
            (public / table).write_bytes(part)
        _converted(lambda: read_public(public)[0], folder)
    for line in data.split(b"\n"):
        try:
            plain = plain_session(parse_json(line), "session")
        except BadSessionError:
            continue
        assert plain_session(plain.session, "session").session == plain.session
        assert set(plain.places) == set(range(len(plain.session)))


def _converted(read: Callable[[], SplitSessions], folder: Path) -> None:
    try:
        splits = read()
        write_atomic(folder / "written", "written", splits)
    except UserError as error:
        _told(error)
        return
    for labelled in splits.all():
        _within(labelled.bundles, len(labelled.session))
    assert read_atomic(folder / "written", "written") == splits


def config(data: bytes) -> None:
    """Settings in a file and on the command line: values of the right kind, or an error that a user can mend."""
    text = _text(data)
    try:
        given = parse_settings(text.split("\n"))
        for key, value in given.items():
            parse_literal(key, value)
        check_keys(given, _schema(), "command line")
        for key, value in given.items():
            checked = _schema()[key].check(value, "command line")
            assert _schema()[key].check(checked, "command line") == checked or checked != checked
    except UserError as error:
        _told(error)
    with tempfile.TemporaryDirectory(dir=_memory()) as name:
        (Path(name) / "given.yaml").write_bytes(data)
        try:
            assert all(isinstance(key, str) for key in load_yaml(Path(name) / "given.yaml"))
        except UserError as error:
            _told(error)


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (completion, teachers, converter, config)
}
SEEDS: dict[str, tuple[bytes, ...]] = {
    "completion": (b"\x05A C; B D", b"\x09A, B\nC D;;E E;A", b"\x1eA B Z; AA BB"),
    "teachers": (
        b'\x04{"bundles": [[0, 2], [1, 3]]}',
        b'\x04```json\n{"related": [[0, 1, 0.5]], "intents": [{"intent": "tea", "items": [0, 1]}]}\n```',
        b'\x04{"rules": [{"rule": "r", "verdict": "together", "left": "a", "right": "b"}], "causes": ["why"]}',
        b'\x04{"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}',
    ),
    "converter": (
        b'{"session_id": "a", "items": ["x", {"item_id": "b2", "title": "y"}], "bundles": [[0, 1]], "split": "train"}',
        b"".join(
            b'{"items": ["x%d", "y%d", "z"], "bundles": [[0, 1]], "intents": ["i"]}\n' % (n, n) for n in range(10)
        ),
        b"session ID,item ID\n1,1\n1,2\n\x1esession ID,bundle ID\n1,1\n\x1ebundle ID,item ID\n1,1\n1,2\n\x1e"
        b"item ID,titles\n1,tea\n2,cup\n\x1ebundle ID,intent\n1,drink\n",
    ),
    "config": (
        b"--epochs=3\n--learning_rate\n1e-4",
        b"epochs: 3\nmetrics: [MatchedF1, PairF1]\nseed: 2020\n",
        b"--a=!!int 1\n--b=0x1f\n--c=!!set {a}\n--d=!!timestamp 2020-01-01",
        b"--topk=[1, 2]\n--state=INFO\n--nothing={a: b}",
    ),
}


def _text(data: bytes) -> str:
    """Any text, lone surrogates among it: what JSON of an endpoint may hold."""
    return data.decode("utf-8", "surrogateescape")


def _told(error: UserError) -> None:
    assert str(error).strip()


def _within(bundles: Collection[Bundle], items: int) -> None:
    assert all(len(bundle) >= 2 and bundle <= set(range(items)) for bundle in bundles)
    assert len(set(bundles)) == len(bundles)


def _memory() -> str | None:
    return "/dev/shm" if os.path.isdir("/dev/shm") else None


_READ: list[Schema] = []


def _schema() -> Schema:
    if not _READ:
        _READ.append(read_schema(properties_folder() / "overall.yaml"))
    return _READ[0]
