"""The table of bad inputs: what becomes of each, in the converter (CSV files) and in RecBole's atomic files.

A row names the input, the file, what is put in place of what there, and the outcome: an error with file and line, a
drop that is counted with its place, or that the sessions are read as they should be.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from recbole_routedk.data.atomic import SplitSessions, read_atomic, write_atomic
from recbole_routedk.data.public import read_public
from recbole_routedk.data.report import Reason
from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.errors import UserError
from recbole_routedk.quick_start import run_recbole_routedk

CSV = {
    "session_item.csv": "session ID,item ID\ns1,a\ns1,b\ns1,c\ns2,a\ns2,d\ns3,b\ns3,d\n",
    "session_bundle.csv": "session ID,bundle ID\ns1,x\ns2,y\ns3,z\n",
    "bundle_item.csv": "bundle ID,item ID\nx,a\nx,b\ny,a\ny,d\nz,b\nz,d\n",
    "item_titles.csv": "item ID,titles\na,Lamp\nb,Bulb\nc,Rope\nd,Stove\n",
    "item_categories.csv": "item ID,categories\na,[[Home]]\nb,[[Home]]\nc,[[Home]]\nd,[[Home]]\n",
    "bundle_intent.csv": "bundle ID,intent\nx,light\ny,heat\nz,both\n",
    "split.json": '{"train": ["s1"], "valid": ["s2"], "test": ["s3"]}',
}
SESSIONS, OWNERS, BUNDLES, TITLES = "session_item.csv", "session_bundle.csv", "bundle_item.csv", "item_titles.csv"
ITEM, TRAIN, VALID, BUNDLE = "toy.item", "toy.train.inter", "toy.valid.inter", "toy.bundle"
WHOLE = b""
"""In place of this: the file as a whole is replaced."""


class Error(NamedTuple):
    """A UserError that names the file and then says this, or has this in it."""

    told: str


class Dropped(NamedTuple):
    """A row is left out, counted under this name of a Reason with its place; the rest is as it was."""

    reason: str
    place: str


class Read(NamedTuple):
    """The sessions are read, and this holds for the first training session."""

    holds: Callable[[LabelledSession], bool]


def titles(labelled: LabelledSession) -> list[str]:
    return [item.title for item in labelled.session.items]


def ids(labelled: LabelledSession) -> list[str]:
    return [item.item_id for item in labelled.session.items]


SAME = Read(lambda first: titles(first) == ["Lamp", "Bulb", "Rope"] and first.bundles == (frozenset({0, 1}),))
LATIN_1, MEGABYTE = "Glühbirne".encode("latin-1"), b"x" * 10**6
MANY = "".join(f"s1,i{n}\n" for n in range(497)).encode()

CONVERTER = [
    # input, file, what is replaced there, by what, outcome
    ("missing column", SESSIONS, b"item ID", b"thing", Error("line 1: needs the column 'item ID' once")),
    ("unknown item", BUNDLES, b"x,b", b"x,b\nx,q", Dropped("ITEM_OUTSIDE_SESSION", "line 4")),
    ("untitled item", TITLES, b"c,Rope\n", b"", Read(lambda first: titles(first)[2] == "")),
    ("bundle outside its session", BUNDLES, b"x,b", b"x,b\nx,d", Dropped("ITEM_OUTSIDE_SESSION", "line 4")),
    ("bundle without session", BUNDLES, b"x,b", b"x,b\nw,d", Dropped("BUNDLE_WITHOUT_SESSION", "line 4")),
    ("bundle of unknown session", OWNERS, b"s1,x", b"s1,x\ns8,x", Dropped("BUNDLE_OF_UNKNOWN_SESSION", "line 3")),
    ("one-item session", SESSIONS, b"s1,a", b"s4,a\ns1,a", Dropped("SESSION_WITHOUT_BUNDLE", "session s4")),
    ("one-item bundle", OWNERS, b"s1,x", b"s1,x\ns1,w", Dropped("BUNDLE_TOO_SMALL", "bundle w")),
    ("empty file", SESSIONS, WHOLE, b"", Error("line 1: needs the column")),
    ("file without rows", SESSIONS, WHOLE, b"session ID,item ID\n", Error("{folder}: has no session with a bundle")),
    ("500-item session", SESSIONS, b"s1,c\n", b"s1,c\n" + MANY, Read(lambda first: len(first.session) == 500)),
    ("duplicate row", SESSIONS, b"s1,b", b"s1,b\ns1,b", Dropped("REPEATED_ITEM", "line 4")),
    ("duplicate bundle row", BUNDLES, b"x,b", b"x,b\nx,b", Dropped("REPEATED_ROW", "line 4")),
    ("contradicting row", TITLES, b"a,Lamp", b"a,Lamp\na,Torch", Dropped("CONFLICTING_ROW", "line 3")),
    ("NUL byte", TITLES, b"Bulb", b"Bu\0lb", Error("line 3: holds a NUL byte")),
    ("wrong encoding", TITLES, b"Bulb", LATIN_1, Error("line 3: is not UTF-8 (byte 0xfc)")),
    ("UTF-16", TITLES, WHOLE, "item ID,titles\n".encode("utf-16"), Error("line 1: ")),
    ("CRLF", TITLES, b"\n", b"\r\n", SAME),
    ("byte-order mark", TITLES, b"item ID", b"\xef\xbb\xbfitem ID", SAME),
    ("1 MB title", TITLES, b"Bulb", MEGABYTE, Error("line 3: is no well-formed CSV record")),
    ("unclosed quote", TITLES, b"Bulb", b'"Bulb', Error("line 3: is no well-formed CSV record")),
    ("title None", TITLES, b"Bulb", b"None", Read(lambda first: titles(first)[1] == "None")),
    ("missing file", BUNDLES, WHOLE, None, Error(": there is no such file")),
]  # fmt: skip

ATOMIC = [
    # input, file, what is replaced there, by what, outcome
    ("missing column", ITEM, b"title:token", b"name:token", Error("line 1: needs the column 'title:token'")),
    ("missing type", ITEM, b"title:token", b"title", Error("line 1: needs the column 'title:token'")),
    ("unknown item", TRAIN, b"s1\tc", b"s1\tq", Error("line 4: item 'q' has no row")),
    ("bundle outside its session", BUNDLE, b"a b", b"a d", Error("line 2: item 'd' is not in session 's1'")),
    ("bundle of unknown session", BUNDLE, b"\ts1\t", b"\ts8\t", Error("line 2: session 's8' is in none")),
    ("one-item session", TRAIN, b"s1\ta\t0", b"s4\ta\t0\ns1\ta\t0", Read(lambda first: len(first.session) == 1)),
    ("one-item bundle", BUNDLE, b"a b", b"a", Error("line 2: bundle 'a' needs two or more items")),
    ("empty file", TRAIN, WHOLE, b"", Error("line 1: needs the column 'session_id:token'")),
    ("duplicate row", TRAIN, b"s1\tb\t1", b"s1\tb\t1\ns1\tb\t1", Error("line 4: session 's1' has position 1 twice")),
    ("duplicate item", ITEM, b"b\tBulb", b"a\tBulb", Error("line 3: item 'a' is listed a second time")),
    ("session in two splits", VALID, b"s2", b"s1", Error(": session 's1' is in toy.train.inter too")),
    ("NUL byte", ITEM, b"Bulb", b"Bu\0lb", Error("line 3: holds a NUL byte")),
    ("wrong encoding", ITEM, b"Bulb", LATIN_1, Error("line 3: is not UTF-8 (byte 0xfc)")),
    ("CRLF", ITEM, b"\n", b"\r\n", SAME),
    ("byte-order mark", ITEM, b"item_id", b"\xef\xbb\xbfitem_id", SAME),
    ("1 MB title", ITEM, b"Bulb", MEGABYTE, Read(lambda first: len(titles(first)[1]) == 10**6)),
    ("quote at the beginning", ITEM, b"Bulb", b'"Bulb', Read(lambda first: titles(first)[1] == '"Bulb')),
    ("title None", ITEM, b"Bulb", b"None", Read(lambda first: titles(first)[1] == "None")),
    ("missing file", BUNDLE, WHOLE, None, Error(": there is no such file")),
]  # fmt: skip


def put(path: Path, old: bytes, new: bytes | None) -> None:
    """Put ``new`` in place of ``old`` in a file; None removes it."""
    if new is None:
        path.unlink()
    else:
        raw = path.read_bytes()
        assert old in raw
        path.write_bytes(new if old == WHOLE else raw.replace(old, new))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The CSV files of a clean data set."""
    folder = tmp_path / "camping"
    folder.mkdir()
    for name, text in CSV.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def atomic(source: Path) -> Path:
    """The atomic files of the same data set."""
    folder = source.parent / "data" / "toy"
    write_atomic(folder, "toy", read_public(source)[0])
    return folder


def told(error: pytest.ExceptionInfo[UserError], file: Path) -> str:
    """The message from the name of the file on, and behind a ", " what is told of a line."""
    return str(error.value).replace(str(file), "").removeprefix(", ")


@pytest.mark.parametrize(("what", "file", "old", "new", "outcome"), CONVERTER, ids=[row[0] for row in CONVERTER])
def test_what_the_converter_makes_of(
    source: Path, what: str, file: str, old: bytes, new: bytes | None, outcome: Error | Dropped | Read
) -> None:
    untouched, report = read_public(source)
    assert not report.counts, "the clean data set is clean"
    put(source / file, old, new)

    if isinstance(outcome, Error):
        with pytest.raises(UserError) as error:
            read_public(source)
        assert told(error, source / file).startswith(outcome.told.format(folder=source))
        return
    splits, report = read_public(source)
    if isinstance(outcome, Dropped):
        reason = Reason[outcome.reason]
        assert dict(report.counts) == {reason: 1}
        assert outcome.place in report.places[reason][0]
        assert splits == untouched
        assert any(reason.value in line for line in report.lines()), "and the report tells it"
    else:
        assert outcome.holds(splits.train[0])


@pytest.mark.parametrize(("what", "file", "old", "new", "outcome"), ATOMIC, ids=[row[0] for row in ATOMIC])
def test_what_the_reader_of_atomic_files_makes_of(
    atomic: Path, what: str, file: str, old: bytes, new: bytes | None, outcome: Error | Read
) -> None:
    put(atomic / file, old, new)

    if isinstance(outcome, Error):
        with pytest.raises(UserError) as error:
            read_atomic(atomic, "toy")
        assert told(error, atomic / file).startswith(outcome.told)
    else:
        assert outcome.holds(read_atomic(atomic, "toy").train[0])


ODD_IDS = ["1", "01", "1.0", "1e5", "-0", "None", "nan", "NA", "null", "True", "inf", "[]", "0x1", "é", "😀"]


def test_ids_that_look_like_numbers_or_none_stay_the_text_that_they_are(source: Path) -> None:
    rows = "".join(f"{key},{item}\n" for key in ODD_IDS for item in ODD_IDS)
    (source / "session_item.csv").write_text(f"session ID,item ID\n{rows}", encoding="utf-8")
    bundles = "".join(f"{key},{key}\n" for key in ODD_IDS)
    (source / "session_bundle.csv").write_text(f"session ID,bundle ID\n{bundles}", encoding="utf-8")
    members = "".join(f"{key},None\n{key},1.0\n" for key in ODD_IDS)
    (source / "bundle_item.csv").write_text(f"bundle ID,item ID\n{members}", encoding="utf-8")
    (source / "split.json").unlink()

    splits, _ = read_public(source)
    write_atomic(source.parent / "odd", "odd", splits)
    again = read_atomic(source.parent / "odd", "odd")

    assert again == splits
    assert sorted(each.session.session_id for each in again.all()) == sorted(ODD_IDS)
    for each in again.all():
        assert ids(each) == ODD_IDS
        assert each.bundles == (frozenset({ODD_IDS.index("None"), ODD_IDS.index("1.0")}),)


def run(atomic: Path, model: str = "WholeSession", **settings: Any) -> dict[str, Any]:
    """Train and evaluate a model on the data set."""
    places = {"data_path": str(atomic.parent), "output_dir": str(atomic.parent / "out"), "show_progress": False}
    return run_recbole_routedk(model, "toy", config_dict=places | settings)


def test_a_split_without_sessions_is_named_before_anything_is_trained(atomic: Path) -> None:
    put(atomic / "toy.valid.inter", WHOLE, b"session_id:token\titem_id:token\tposition:float\n")
    put(atomic / "toy.bundle", b"1\ts2\ta d\theat\n", b"")

    with pytest.raises(UserError, match="the valid split has no session"):
        run(atomic)


def test_a_run_takes_sessions_of_one_item_and_of_500_and_a_title_of_a_megabyte(
    atomic: Path, tiny_student_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    splits = read_atomic(atomic, "toy")
    items = [Item(f"i{number}", f"Lamp number {number}") for number in range(500)]
    items[3] = Item("i3", "y" * 10**6)
    one = LabelledSession(Session("one", tuple(items[:1])), ())
    long = LabelledSession(Session("long", tuple(items)), (frozenset({0, 1}), frozenset({2, 499})), ("", ""))
    write_atomic(atomic, "toy", SplitSessions((*splits.train, long), splits.valid, (*splits.test, one)))

    student = {"student": str(tiny_student_folder), "epochs": 1, "consensus_samples": 1, "max_items": 40}
    result = run(atomic, "SFT", **student)

    assert 0 <= result["test_result"]["matchedf1"] <= 1
    # What is not read is told, not dropped in silence.
    assert "session long: only the first 40 of 500 items (max_items)" in caplog.text
