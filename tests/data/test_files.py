"""Text files are read whole with their faults placed, and written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recbole_routedk.data.files import read_text, write_json, write_texts
from recbole_routedk.errors import UserError


def test_text_is_read_without_its_mark_and_with_its_line_ends(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfone\r\ntwo \xe2\x98\x95\n")
    assert read_text(tmp_path / "a") == "one\r\ntwo ☕\n"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"one\ntwo\nth\xffree", r"a, line 3: is not UTF-8 \(byte 0xff\)"),
        (b"\xef\xbb\xbfone\ncut \xe2\x98", r"a, line 2: is not UTF-8 \(byte 0xe2\)"),
        (b"one\0", r"a, line 1: holds a NUL byte"),
    ],
)
def test_a_bad_byte_is_named_with_its_line(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(raw)
    with pytest.raises(UserError, match=message):
        read_text(tmp_path / "a")


def test_a_folder_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\)"):
        read_text(tmp_path)


def test_folders_are_made_and_old_files_replaced(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a"
    write_texts({path: "old\n"})
    write_texts({path: "new ☕\r\n"})
    assert path.read_bytes() == "new ☕\r\n".encode()
    assert os.listdir(path.parent) == ["a"]


def test_one_text_that_cannot_be_written_stops_all(tmp_path: Path) -> None:
    write_texts({tmp_path / "a": "old"})
    (tmp_path / "wall").write_text("a file where a folder is needed")
    with pytest.raises(UserError, match=r"wall.*cannot be written"):
        write_texts({tmp_path / "a": "new", tmp_path / "wall" / "b": "new"})
    with pytest.raises(UserError, match=r"b: cannot hold the lone surrogate U\+DC80"):
        write_texts({tmp_path / "a": "new", tmp_path / "b": "\udc80"})
    assert (tmp_path / "a").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["a", "wall"]


def test_json_is_written_to_be_read_by_people_too(tmp_path: Path) -> None:
    write_json(tmp_path / "run" / "a.json", {"title": "café", "score": [0.5]})

    assert (tmp_path / "run" / "a.json").read_text(encoding="utf-8") == (
        '{\n  "title": "café",\n  "score": [\n    0.5\n  ]\n}\n'
    )
