"""The public CSV layout is read as it stands; what is left out is counted, what is broken is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recbole_routedk.cli import dispatch
from recbole_routedk.data.atomic import SplitSessions, read_atomic, write_atomic
from recbole_routedk.data.public import parse_categories, read_public
from recbole_routedk.data.report import ConversionReport, Reason
from recbole_routedk.data.session import Item
from recbole_routedk.errors import UserError

FILES = {
    "session_item.csv": "session ID,item ID\n3,30\n3,10\n3,20\n1,40\n1,10\n7,20\n7,30\n9,10\n9,20\n",
    "session_bundle.csv": "session ID,bundle ID\n3,0\n3,1\n1,2\n7,3\n",
    "bundle_item.csv": "bundle ID,item ID\n0,20\n0,30\n1,10\n1,30\n1,20\n2,40\n2,10\n3,20\n3,30\n",
    "bundle_intent.csv": 'bundle ID,intent\n0,night light\n1,"camp\nand cook"\n2,None\n3,NA\n',
    "item_titles.csv": ('item ID,titles\n30,"Lamp, ""bright"" &amp; small"\n10,None\n20,Tab\there\n40,🔥 stove\n'),
    "item_categories.csv": (
        'item ID,categories\n30,"[[Home, Garden & Tools,Light],[Sports]]"\n10,[[Sports]]\n'
        "20,[[Sports]]\n40,[[Sports]]\n"
    ),
    "split.json": '{"train": [7, 3], "valid": [1], "test": []}',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three sessions with bundles (3, 1, 7) and one without (9), in the public layout."""
    source = tmp_path / "camping"
    source.mkdir()
    for name, text in FILES.items():
        (source / name).write_text(text, encoding="utf-8")
    return source


def ids(splits: SplitSessions) -> dict[str, list[str]]:
    return {
        name: [labelled.session.session_id for labelled in splits.split(name)] for name in ("train", "valid", "test")
    }


def counts(report: ConversionReport) -> dict[Reason, int]:
    """The counts without the two that the untouched folder already has."""
    usual = {Reason.SESSION_WITHOUT_BUNDLE: 1, Reason.TITLE_WITH_ENTITY: 1, Reason.REDUNDANT_BUNDLE: 1}
    return {
        reason: number - usual.get(reason, 0)
        for reason, number in report.counts.items()
        if number != usual.get(reason, 0)
    }


def append(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(FILES[name] + text, encoding="utf-8")


def test_sessions_keep_order_titles_categories_bundles_and_intents(folder: Path) -> None:
    splits, _ = read_public(folder)
    assert ids(splits) == {"train": ["7", "3"], "valid": ["1"], "test": []}
    session = splits.train[1]
    assert session.session.items == (
        Item("30", 'Lamp, "bright" &amp; small', ("Home, Garden & Tools > Light", "Sports")),
        Item("10", "None", ("Sports",)),
        Item("20", "Tab\there", ("Sports",)),
    )
    # Bundle 0 is items 20 and 30: the third and the first place of session 3.
    assert session.bundles == (frozenset({0, 2}), frozenset({0, 1, 2}))
    assert session.intents == ("night light", "camp\nand cook")
    assert splits.train[0].intents == ("NA",)
    assert splits.valid[0].intents == ("None",)


def test_the_atomic_files_hold_the_same(folder: Path, tmp_path: Path) -> None:
    splits, _ = read_public(folder)
    write_atomic(tmp_path / "camping-atomic", "camping", splits)
    assert read_atomic(tmp_path / "camping-atomic", "camping") == splits


def test_the_report_counts_what_there_is(folder: Path) -> None:
    _, report = read_public(folder)
    assert report.sessions == {"train": 2, "valid": 1, "test": 0}
    assert report.bundles == {"train": 3, "valid": 1, "test": 0}
    assert report.items == 4
    assert report.split_rule == "as published in split.json"
    assert dict(report.counts) == {
        Reason.SESSION_WITHOUT_BUNDLE: 1,  # session 9
        Reason.TITLE_WITH_ENTITY: 1,  # item 30
        Reason.REDUNDANT_BUNDLE: 1,  # bundle 1 of session 3 is around bundle 0
    }
    text = "\n".join(report.lines())
    assert "camping: 3 sessions, 4 bundles, 4 items" in text
    assert "1  sessions without a bundle: left out (session 9)" in text


def test_a_clean_folder_has_nothing_to_report(folder: Path) -> None:
    (folder / "session_item.csv").write_text("session ID,item ID\n3,10\n3,20\n1,40\n1,10\n7,20\n7,40\n")
    (folder / "session_bundle.csv").write_text("session ID,bundle ID\n3,0\n1,1\n7,2\n")
    (folder / "bundle_item.csv").write_text("bundle ID,item ID\n0,10\n0,20\n1,40\n1,10\n2,20\n2,40\n")
    (folder / "bundle_intent.csv").write_text("bundle ID,intent\n0,a\n1,b\n2,c\n")
    (folder / "item_titles.csv").write_text("item ID,titles\n10,Pot\n20,Rope\n40,Stove\n")
    (folder / "item_categories.csv").write_text("item ID,categories\n10,[[S]]\n20,[[S]]\n40,[[S]]\n")
    _, report = read_public(folder)
    assert report.lines()[-1] == "  none"


COUNTED = [
    ("session_item.csv", "3,10\n", {Reason.REPEATED_ITEM: 1}, "session_item.csv, line 11"),
    ("session_bundle.csv", "3,1\n", {Reason.REPEATED_ROW: 1}, "session_bundle.csv, line 6"),
    ("session_bundle.csv", "8,2\n", {Reason.BUNDLE_OF_UNKNOWN_SESSION: 1}, "session_bundle.csv, line 6"),
    ("bundle_item.csv", "2,40\n", {Reason.REPEATED_ROW: 1}, "bundle_item.csv, line 11"),
    ("bundle_item.csv", "2,20\n", {Reason.ITEM_OUTSIDE_SESSION: 1}, "bundle_item.csv, line 11"),
    ("bundle_item.csv", "5,20\n5,30\n", {Reason.BUNDLE_WITHOUT_SESSION: 2}, "bundle_item.csv, line 11"),
    ("session_bundle.csv", "3,6\n", {Reason.BUNDLE_TOO_SMALL: 1}, "bundle 6"),
    ("bundle_intent.csv", "8,gift\n", {Reason.UNUSED_INTENT: 1}, "bundle_intent.csv, line 7"),
    ("bundle_intent.csv", "2,gift\n", {Reason.CONFLICTING_ROW: 1}, "bundle_intent.csv, line 7"),
    ("item_titles.csv", "10,None\n", {Reason.REPEATED_ROW: 1}, "item_titles.csv, line 6"),
    ("item_titles.csv", "10,Pot\n", {Reason.CONFLICTING_ROW: 1}, "item_titles.csv, line 6"),
    ("item_titles.csv", "55,Pot\n", {Reason.UNUSED_TITLE: 1}, "item_titles.csv, line 6"),
    ("item_categories.csv", "55,[[S]]\n", {Reason.UNUSED_CATEGORIES: 1}, "item_categories.csv, line 6"),
    (
        "bundle_item.csv",
        " 2 ,40\n",
        {Reason.SPACED_ID: 1, Reason.REPEATED_ROW: 1},
        "bundle_item.csv, line 11",
    ),
]


@pytest.mark.parametrize(("name", "rows", "expected", "place"), COUNTED)
def test_a_row_left_out_or_mended_is_counted(
    folder: Path, name: str, rows: str, expected: dict[Reason, int], place: str
) -> None:
    untouched, _ = read_public(folder)
    append(folder, name, rows)
    splits, report = read_public(folder)
    assert splits == untouched
    assert counts(report) == expected
    assert report.places[next(iter(expected))][0] == place


def test_missing_titles_categories_and_intents_are_kept_empty(folder: Path) -> None:
    (folder / "item_titles.csv").write_text("item ID,titles\n30,Lamp\n20,\n", encoding="utf-8")
    (folder / "item_categories.csv").write_text('item ID,categories\n30,""\n20,[[]]\n', encoding="utf-8")
    (folder / "bundle_intent.csv").unlink()
    splits, report = read_public(folder)
    assert splits.valid[0].session.items == (Item("40", ""), Item("10", ""))
    assert splits.valid[0].intents == ("",)
    assert report.counts[Reason.TITLE_MISSING] == 3
    assert report.counts[Reason.CATEGORIES_MISSING] == 4
    assert report.counts[Reason.INTENT_MISSING] == 4
    (folder / "item_categories.csv").unlink()
    assert read_public(folder)[0] == splits


def test_a_text_that_only_bundled_items_have_is_warned_of(folder: Path) -> None:
    assert read_public(folder)[1].warnings == []
    # Item 50 is in no bundle; 10, 20, 30 and 40 are.
    append(folder, "session_item.csv", "7,50\n")
    append(folder, "item_titles.csv", "50,Rope\n")
    _, report = read_public(folder)
    (warning,) = report.warnings
    assert "1 of 1 items in no bundle have no category, and 0 of 4 items in bundles" in warning
    assert report.lines()[-1] == f"Warning: {warning}"
    append(folder, "item_titles.csv", "")
    assert "no title" in read_public(folder)[1].warnings[0]


def test_a_session_whose_bundles_all_fall_away_falls_away_too(folder: Path) -> None:
    text = FILES["bundle_item.csv"].replace("3,30\n", "3,40\n")
    (folder / "bundle_item.csv").write_text(text)
    splits, report = read_public(folder)
    assert ids(splits) == {"train": ["3"], "valid": ["1"], "test": []}
    assert counts(report) == {
        Reason.ITEM_OUTSIDE_SESSION: 1,
        Reason.BUNDLE_TOO_SMALL: 1,
        Reason.SESSION_WITHOUT_USABLE_BUNDLE: 1,
        Reason.SPLIT_SESSION_WITHOUT_BUNDLE: 1,
        Reason.UNUSED_INTENT: 1,
    }


def test_sessions_that_the_split_does_not_match_are_counted(folder: Path) -> None:
    (folder / "split.json").write_text('{"train": ["3"], "valid": [9], "test": [1]}')
    splits, report = read_public(folder)
    assert ids(splits) == {"train": ["3"], "valid": [], "test": ["1"]}
    assert counts(report) == {
        Reason.SESSION_NOT_IN_SPLIT: 1,  # session 7
        Reason.SPLIT_SESSION_WITHOUT_BUNDLE: 1,  # session 9
        Reason.UNUSED_INTENT: 1,  # that of session 7's bundle
    }


def test_the_command_says_which_split_is_empty(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch.main(["convert", f"--input={folder}", f"--output={tmp_path / 'dataset'}"]) == 0
    assert "No session in test: a run on these data needs one in each of train, valid, test" in capsys.readouterr().out


def test_a_bundle_of_two_sessions_keeps_the_items_of_each(folder: Path) -> None:
    append(folder, "session_bundle.csv", "7,0\n")
    splits, _ = read_public(folder)
    assert splits.train[0].bundles == (frozenset({0, 1}), frozenset({0, 1}))
    assert splits.train[0].intents == ("NA", "night light")


def test_without_a_published_split_a_seed_decides(folder: Path) -> None:
    (folder / "split.json").unlink()
    items = "".join(f"{n},10\n{n},20\n" for n in range(100, 137))
    (folder / "session_item.csv").write_text(FILES["session_item.csv"] + items)
    append(folder, "session_bundle.csv", "".join(f"{n},{n}\n" for n in range(100, 137)))
    append(folder, "bundle_item.csv", "".join(f"{n},10\n{n},20\n" for n in range(100, 137)))
    splits, report = read_public(folder, seed=5)
    assert report.split_rule == "7:1:2 by session with seed 5, as there is no split.json"
    assert report.sessions == {"train": 28, "valid": 4, "test": 8}
    assert sorted(int(key) for part in ids(splits).values() for key in part) == [1, 3, 7, *range(100, 137)]
    assert read_public(folder, seed=5)[0] == splits
    assert ids(read_public(folder, seed=6)[0]) != ids(splits)


def test_headers_marks_and_windows_line_ends_do_not_matter(folder: Path) -> None:
    untouched, _ = read_public(folder)
    for name in FILES:
        raw = (folder / name).read_bytes().replace(b"session ID", b" SESSION id ").replace(b"titles", b"Titles")
        # A line end inside a quoted text is data, so that file keeps its own.
        raw = raw if name == "bundle_intent.csv" else raw.replace(b"\n", b"\r\n")
        (folder / name).write_bytes(b"\xef\xbb\xbf" + raw)
    assert read_public(folder)[0] == untouched


def test_further_columns_and_blank_lines_are_passed_over(folder: Path) -> None:
    untouched, _ = read_public(folder)
    lamp = ',"Lamp, ""bright"" &amp; small",30\n'
    text = f"note,titles,item ID\n{lamp}\nx,None,10\n,Tab\there,20\n,🔥 stove,40\n\n"
    (folder / "item_titles.csv").write_text(text, encoding="utf-8")
    assert read_public(folder)[0] == untouched


BROKEN = [
    ("session_item.csv", None, r"session_item\.csv: there is no such file"),
    ("session_bundle.csv", None, r"session_bundle\.csv: there is no such file"),
    ("bundle_item.csv", None, r"bundle_item\.csv: there is no such file"),
    ("item_titles.csv", None, r"item_titles\.csv: there is no such file"),
    ("session_item.csv", b"", r"session_item\.csv, line 1: needs the column 'session ID'"),
    ("session_item.csv", b"session ID;item ID\n1;2\n", r"line 1: needs the column 'session ID' once; its"),
    ("bundle_item.csv", b"bundle ID,bundle ID\n0,10\n", r"bundle_item\.csv, line 1: needs the column"),
    ("session_item.csv", b"session ID,item ID\n1,2\n1\n", r"session_item\.csv, line 3: has 1 fields"),
    (
        "item_titles.csv",
        b"item ID,titles\n10,Pot\n20,Pan, small\n",
        r"item_titles\.csv, line 3: has 3 fields",
    ),
    (
        "item_titles.csv",
        b'item ID,titles\n10,"Pot\nset"\n20,"Pan\n',
        r"titles\.csv, line 4: is no well-formed",
    ),
    ("item_titles.csv", b'item ID,titles\n10,"Pot" set\n', r"titles\.csv, line 2: is no well-formed"),
    ("item_titles.csv", b'item ID,titles\n10,"Pot\nset"\n20,Pan,3\n', r"titles\.csv, line 4: has 3 fields"),
    ("item_titles.csv", b"item ID,titles\n10,Caf\xe9\n", r"titles\.csv, line 2: is not UTF-8 \(byte 0xe9\)"),
    ("item_titles.csv", b"item ID,titles\n10,Po\0t\n", r"titles\.csv, line 2: holds a NUL byte"),
    ("item_titles.csv", b"item ID,titles\n,Pot\n", r"titles\.csv, line 2: item id '' cannot stand"),
    ("session_item.csv", b"session ID,item ID\n1,2 3\n", r"line 2: item id '2 3' cannot stand"),
    ("item_categories.csv", b"item ID,categories\n10,Sports\n", r"line 2: categories 'Sports' are no nested"),
    ("split.json", b'{"train": [3],\n "valid": [1,]}', r"split\.json, line 2: is not JSON"),
    ("split.json", b"[3, 1, 7]", r"split\.json: must be one object with the keys train, valid, test"),
    ("split.json", b'{"train": [3], "test": [1]}', r"split\.json: must be one object with the keys"),
    ("split.json", b'{"train": 3, "valid": [], "test": []}', r"split\.json: 'train' must be a list"),
    ("split.json", b'{"train": [true], "valid": [], "test": []}', r"split\.json: 'train' must be a list"),
    ("split.json", b'{"train": [3], "valid": [88], "test": []}', r"session '88' of 'valid' is not in"),
    ("split.json", b'{"train": [3], "valid": [3], "test": []}', r"'3' is in 'train' and again in 'valid'"),
    ("split.json", b'{"train": [3, 3], "valid": [], "test": []}', r"'3' is in 'train' and again in 'train'"),
    ("session_bundle.csv", b"session ID,bundle ID\n", r"camping: has no session with a bundle"),
]


@pytest.mark.parametrize(("name", "raw", "message"), BROKEN)
def test_a_broken_file_is_named_with_its_line(folder: Path, name: str, raw: bytes | None, message: str) -> None:
    if raw is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(raw)
    with pytest.raises(UserError, match=message):
        read_public(folder)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere: is no folder"):
        read_public(tmp_path / "nowhere")


def test_two_sessions_cannot_be_split_in_three(folder: Path) -> None:
    (folder / "split.json").unlink()
    (folder / "session_bundle.csv").write_text("session ID,bundle ID\n3,0\n1,2\n")
    with pytest.raises(UserError, match=r"has 2 sessions with a bundle; a split needs three or more"):
        read_public(folder)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("[[A,B,C],[A,D]]", ("A > B > C", "A > D")),
        ("[[Clothing, Shoes & Jewelry,Women]]", ("Clothing, Shoes & Jewelry > Women",)),
        ("[[Electronics]]", ("Electronics",)),
        (" [ [A,B], [C] ] ", ("A > B", "C")),
        ("[[]]", ()),
    ],
)
def test_nested_lists_become_paths(text: str, paths: tuple[str, ...]) -> None:
    assert parse_categories(text) == paths


def test_the_report_is_json_with_every_reason(folder: Path) -> None:
    report = json.loads(json.dumps(read_public(folder)[1].as_dict()))
    assert set(report["rows"]) == {reason.name.lower() for reason in Reason}
    assert report["rows"]["session_without_bundle"]["count"] == 1
    assert report["rows"]["repeated_item"]["count"] == 0
    assert report["sessions"] == {"train": 2, "valid": 1, "test": 0}
