"""A file of plain JSON lines becomes a data set, or a message with file and line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from recbole_routedk.cli import convert
from recbole_routedk.data.atomic import read_atomic
from recbole_routedk.data.from_jsonl import read_jsonl
from recbole_routedk.data.report import Reason
from recbole_routedk.errors import UserError

KETTLE = {"item_id": "9", "title": "薬缶", "categories": ["Kitchen"]}
SESSIONS: list[Any] = [
    {
        "session_id": "a",
        "items": ["Tea", "Cup", "Rope"],
        "bundles": [[0, 1]],
        "intents": ["tea"],
        "split": "train",
    },
    {"session_id": "b", "items": ["Kettle", "Tea", "Tea"], "bundles": [[0, 2], [1]], "split": "valid"},
    {
        "items": [{"item_id": "9", "title": "薬缶", "categories": ["Kitchen"]}, "Cup"],
        "bundles": [["9", "Cup"]],
        "split": "test",
    },
    ["Rope", "Tent"],
]


def write(path: Path, sessions: list[Any]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in sessions), encoding="utf-8")
    return path


def test_lines_become_labelled_sessions(tmp_path: Path) -> None:
    splits, report = read_jsonl(write(tmp_path / "shop.jsonl", SESSIONS))

    (first,), (second,), (third,) = splits.train, splits.valid, splits.test
    assert [item.title for item in first.session.items] == ["Tea", "Cup", "Rope"]
    assert (first.bundles, first.intents) == ((frozenset({0, 1}),), ("tea",))
    assert second.bundles == (frozenset({0, 1}),)  # its two teas are one item
    assert third.session.session_id == "session-3"
    assert third.session.items[0].categories == ("Kitchen",)
    # The same title is the same item in all sessions.
    assert first.session.items[1] == third.session.items[1]
    assert report.counts[Reason.SESSION_WITHOUT_BUNDLE] == 1
    assert report.counts[Reason.REPEATED_ITEM] == 1
    assert report.counts[Reason.BUNDLE_TOO_SMALL] == 1
    assert report.sessions == {"train": 1, "valid": 1, "test": 1}
    assert report.items == 5


def test_without_named_splits_sessions_are_split_by_the_seed(tmp_path: Path) -> None:
    sessions = [{"items": [f"Tea {n}", f"Cup {n}"], "bundles": [[0, 1]]} for n in range(20)]
    splits, report = read_jsonl(write(tmp_path / "shop.jsonl", sessions), seed=3)

    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [14, 2, 4]
    assert "seed 3" in report.split_rule


def test_the_command_takes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    convert.add_arguments(parser)
    source = write(tmp_path / "shop.jsonl", SESSIONS)

    assert convert.main(parser.parse_args([f"--input={source}", f"--output={tmp_path / 'dataset'}"])) == 0

    assert read_atomic(tmp_path / "dataset" / "shop", "shop") == read_jsonl(source)[0]
    assert "shop.jsonl: 3 sessions, 3 bundles, 5 items" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line, message",
    [
        ("[", "shop.jsonl, line 2: is not JSON"),
        ('[{"items": ["a"]},', "line 2: is not JSON .*; a line has to hold one session"),
        ('["a", 3]', "shop.jsonl, line 2: item 1 is no text"),
        ('{"items": ["a", "b"], "bundles": [[0, 5]]}', "line 2: the bundle member 5"),
        (
            '{"items": ["a", {"item_id": "c", "title": "a"}], "bundles": [["a", "c"]]}',
            "the bundle member 'a' is no place",
        ),
        ('{"items": ["a", "b"], "bundles": [[0, 1]], "split": "dev"}', 'line 2: "split" has to be one of'),
        ('{"session_id": "a", "items": ["a"]}', "line 2: session 'a' is given a second time"),
        (
            '{"items": ["a", "b"], "bundles": [[0, 1]], "session_id": "session-3"}\n["c", "d"]',
            "line 3: has no session_id",
        ),
        ('{"items": [{"item_id": "has space", "title": "a"}]}', "line 2: item id 'has space'"),
        ('{"items": ["a", "b"], "bundles": [[0, 1]]}', 'every session with a bundle needs "split"'),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    source = tmp_path / "shop.jsonl"
    source.write_text(json.dumps(SESSIONS[0]) + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_jsonl(source)


def test_an_item_has_one_title(tmp_path: Path) -> None:
    other = {"items": [{"item_id": "9", "title": "Kettle"}, "Cup"]}
    with pytest.raises(UserError, match=r"line 5: item '9' had another title"):
        read_jsonl(write(tmp_path / "shop.jsonl", [*SESSIONS, other]))


def test_a_file_without_bundles_is_for_generation(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r'no line has "bundles" of two items or more, .*answered by a trained model: generate'
    ):
        read_jsonl(write(tmp_path / "shop.jsonl", [["Tea", "Cup"]]))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.jsonl.*cannot be read"):
        read_jsonl(tmp_path / "none.jsonl")
