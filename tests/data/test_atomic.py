"""Atomic files give back exactly what was written, and name the place of every fault."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recbole_routedk.data.atomic import (
    SplitSessions,
    escape_text,
    join_categories,
    read_atomic,
    split_categories,
    unescape_text,
    write_atomic,
)
from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.errors import UserError

AWKWARD = [
    "",
    "None",
    "NA",
    "nan",
    "[PAD]",
    '"quoted" title, with a comma',
    '"',
    "tab\there",
    "two\nlines\r\nand a carriage return\r",
    r"C:\new\table\0",
    "back\\",
    "a|b \\| c > d",
    "☕ mug 👩‍👩‍👧",
    " space around ",
    "\u2028\x85\x0b\x0c\x1c",
    "nul\0byte",
    "&quot;kept&quot;",
    "x" * 2000,
]


def labelled(
    key: str, *items: Item, bundles: tuple[frozenset[int], ...] = (), intents: tuple[str, ...] = ()
) -> LabelledSession:
    return LabelledSession(Session(key, items), bundles, intents)


def small() -> SplitSessions:
    lamp, bulb, rope = Item("9", "Lamp", ("Home > Light",)), Item("2", "Bulb"), Item("5", "Rope")
    pair = frozenset({0, 1})
    return SplitSessions(
        train=(labelled("b", lamp, bulb, rope, bundles=(pair, frozenset({0, 2})), intents=("light", "")),),
        valid=(labelled("a", rope, lamp, bundles=(pair,), intents=("",)),),
        test=(labelled("c c", bulb, lamp),),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_atomic(tmp_path, "toy", small())
    return tmp_path


def test_files_read_as_recbole_expects(folder: Path) -> None:
    assert (folder / "toy.item").read_text() == (
        "item_id:token\ttitle:token\tcategories:token\n9\tLamp\tHome > Light\n2\tBulb\t\n5\tRope\t\n"
    )
    assert (folder / "toy.train.inter").read_text() == (
        "session_id:token\titem_id:token\tposition:float\nb\t9\t0\nb\t2\t1\nb\t5\t2\n"
    )
    assert (folder / "toy.bundle").read_text() == (
        "bundle_id:token\tbundle_session:token\tbundle_items:token_seq\tintent:token\n"
        "0\tb\t9 2\tlight\n1\tb\t9 5\t\n2\ta\t5 9\t\n"
    )


def test_what_was_written_is_read(folder: Path) -> None:
    assert read_atomic(folder, "toy") == small()


def test_nothing_else_is_left_in_the_folder(folder: Path) -> None:
    write_atomic(folder, "toy", small())
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["toy.bundle", "toy.item", "toy.test.inter", "toy.train.inter", "toy.valid.inter"]


@pytest.mark.parametrize("text", AWKWARD, ids=[ascii(text)[:24] for text in AWKWARD])
def test_awkward_titles_categories_and_intents_survive(tmp_path: Path, text: str) -> None:
    paths = (text, "Home > Light") if text else ()
    session = labelled("1", Item("1", text, paths), Item("2", text), bundles=(frozenset({0, 1}),), intents=(text,))
    splits = SplitSessions((session,), (), ())
    write_atomic(tmp_path, "toy", splits)
    assert read_atomic(tmp_path, "toy") == splits


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text(), st.lists(st.text(min_size=1), max_size=3)), min_size=1, max_size=4))
def test_any_text_survives(tmp_path: Path, texts: list[tuple[str, list[str]]]) -> None:
    items = [Item(str(n), title, tuple(paths)) for n, (title, paths) in enumerate(texts)]
    splits = SplitSessions((labelled("s", *items),), (), ())
    write_atomic(tmp_path, "toy", splits)
    assert read_atomic(tmp_path, "toy") == splits


@given(st.text())
def test_an_escaped_text_is_one_field(text: str) -> None:
    field = escape_text(text)
    assert not set("\t\n\r\0") & set(field)
    assert unescape_text(field) == text


@given(st.lists(st.text(min_size=1)))
def test_category_paths_survive(paths: list[str]) -> None:
    assert split_categories(join_categories(paths)) == tuple(paths)


def test_a_split_is_found_by_name() -> None:
    assert small().split("valid") == small().valid
    assert [part.session.session_id for part in small().all()] == ["b", "a", "c c"]
    with pytest.raises(UserError, match="no split 'dev'; use one of train, valid, test"):
        small().split("dev")


def test_position_decides_the_order_not_the_row(folder: Path) -> None:
    (folder / "toy.train.inter").write_text(
        "position:float\titem_id:token\tsession_id:token\n30\t5\tb\n10\t9\tb\n20\t2\tb\n"
    )
    session = read_atomic(folder, "toy").train[0].session
    assert [item.item_id for item in session.items] == ["9", "2", "5"]


def test_windows_line_ends_and_byte_order_mark_are_read(folder: Path) -> None:
    path = folder / "toy.item"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_atomic(folder, "toy") == small()


def test_files_of_two_writings_are_refused_until_they_are_written_again(folder: Path) -> None:
    (folder / ".toy.unfinished").touch()  # as a killed writer leaves it; scripts/inject_kills.py kills real ones
    with pytest.raises(UserError, match=r"\.toy\.unfinished: the files are not all of one writing"):
        read_atomic(folder, "toy")

    write_atomic(folder, "toy", small(), {"notes.txt": "of the same writing"})
    assert read_atomic(folder, "toy") == small()
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "of the same writing"
    assert len(list(folder.iterdir())) == 6


ITEM = b"item_id:token\ttitle:token\tcategories:token\n9\tLamp\t\n2\tBulb\t\n"
INTER = b"session_id:token\titem_id:token\tposition:float\nb\t9\t0\n"
BUNDLE = b"bundle_id:token\tbundle_session:token\tbundle_items:token_seq\tintent:token\n"
FAULTS = [
    ("toy.item", None, r"toy\.item: there is no such file"),
    ("toy.item", b"", r"toy\.item, line 1: needs the column 'item_id:token'"),
    ("toy.item", ITEM + b"5\tRope\n", r"toy\.item, line 4: has 2 fields where the header has 3"),
    ("toy.item", ITEM + b"5\tRo\\pe\t\n", r"toy\.item, line 4: unknown escape '\\\\p'"),
    ("toy.item", ITEM + b"5\tRope\\\t\n", r"toy\.item, line 4: unknown escape"),
    ("toy.item", ITEM + b"5\tRope\ta\\\n", r"toy\.item, line 4: unknown escape"),
    ("toy.item", ITEM + b"9\tLamp\t\n", r"toy\.item, line 4: item '9' is listed a second time"),
    ("toy.item", ITEM + b"5 5\tRope\t\n", r"toy\.item, line 4: item id '5 5' cannot stand"),
    ("toy.item", ITEM + b"5\tR\xff\t\n", r"toy\.item, line 4: is not UTF-8 \(byte 0xff\)"),
    ("toy.item", ITEM + b"5\tR\0\t\n", r"toy\.item, line 4: holds a NUL byte"),
    ("toy.train.inter", INTER + b"b\t77\t1\n", r"train\.inter, line 3: item '77' has no row"),
    ("toy.train.inter", INTER + b"b\t2\tlast\n", r"train\.inter, line 3: position 'last' is not a number"),
    ("toy.train.inter", INTER + b"b\t2\tinf\n", r"train\.inter, line 3: position 'inf' is not a number"),
    ("toy.train.inter", INTER + b"b\t2\t0\n", r"train\.inter, line 3: session 'b' has position 0 twice"),
    ("toy.train.inter", INTER + b"b\t9\t1\n", r"train\.inter, line 3: session 'b' holds item '9' twice"),
    ("toy.valid.inter", INTER, r"valid\.inter: session 'b' is in toy\.train\.inter too"),
    ("toy.bundle", BUNDLE + b"0\tz\t9 2\t\n", r"toy\.bundle, line 2: session 'z' is in none"),
    ("toy.bundle", BUNDLE + b"0\tb\t9 7\t\n", r"toy\.bundle, line 2: item '7' is not in session 'b'"),
    ("toy.bundle", BUNDLE + b"0\tb\t9\t\n", r"toy\.bundle, line 2: bundle '9' needs two or more items"),
    ("toy.bundle", BUNDLE + b"0\tb\t9 2 9\t\n", r"toy\.bundle, line 2: bundle '9 2 9' needs two"),
    ("toy.bundle", BUNDLE + b"0\tb\t9 2\t\\q\n", r"toy\.bundle, line 2: unknown escape"),
]


@pytest.mark.parametrize(("name", "raw", "message"), FAULTS)
def test_a_fault_is_named_with_its_place(folder: Path, name: str, raw: bytes | None, message: str) -> None:
    path = folder / name
    if raw is None:
        path.unlink()
    else:
        path.write_bytes(raw)
    with pytest.raises(UserError, match=message):
        read_atomic(folder, "toy")


LAMP, BULB = small().train[0].session.items[:2]
REFUSED = [
    (labelled("", LAMP), "session id '' cannot stand"),
    (labelled("[PAD]", LAMP), r"session id '\[PAD\]' cannot stand"),
    (labelled("a\tb", LAMP), "session id .* cannot stand"),
    (labelled("s", Item("9 9", "Lamp")), "item id '9 9' cannot stand .* no white space"),
    (labelled("s", Item("9", "Lamp", ("",))), "item '9' has an empty category path"),
    (labelled("s", LAMP, LAMP), "session 's' holds an item twice"),
    (labelled("s", LAMP, Item("2", "Another")), "item '2' has two titles"),
    (labelled("s", LAMP, BULB, bundles=(frozenset({0, 2}),)), r"session 's': \[0, 2\] is no bundle"),
    (labelled("s", LAMP, BULB, bundles=(frozenset({0}),)), r"session 's': \[0\] is no bundle"),
    (labelled("s", LAMP, BULB, intents=("light",)), "session 's' has 0 bundles and 1 intents"),
    (labelled("a", LAMP), "session 'a' is given twice"),
    (labelled("s", Item("7", "lone \ud800")), r"lone surrogate U\+D800"),
]


@pytest.mark.parametrize(("session", "message"), REFUSED)
def test_what_files_cannot_hold_is_refused_before_anything_is_written(
    folder: Path, session: LabelledSession, message: str
) -> None:
    splits = replace(small(), train=(*small().train, session))
    with pytest.raises(UserError, match=message):
        write_atomic(folder, "toy", splits)
    assert read_atomic(folder, "toy") == small()
    assert len(list(folder.iterdir())) == 5
