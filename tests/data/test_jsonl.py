"""Lines are read one at a time; of a line that cannot be used the number and the reason are known."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_routedk.data import jsonl
from recbole_routedk.data.jsonl import byte_lines, parse_json
from recbole_routedk.data.plain import BadSessionError


def numbered(content: bytes) -> list[tuple[int, bytes]]:
    return [(number, line.strip()) for number, line in byte_lines(io.BytesIO(content))]


def test_blank_lines_count_and_a_byte_order_mark_does_not() -> None:
    assert numbered(b'\xef\xbb\xbf["a"]\r\n\n  \n["b"]') == [(1, b'["a"]'), (4, b'["b"]')]


def test_a_line_that_is_too_long_is_one_bad_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "LONGEST_LINE", 32)
    content = b'["a"]\n["' + b"x" * 100 + b'"]\n["b"]\n'

    lines = list(byte_lines(io.BytesIO(content)))

    assert [number for number, _ in lines] == [1, 2, 3]
    assert len(lines[1][1]) == 33
    with pytest.raises(BadSessionError, match="is longer than"):
        parse_json(lines[1][1])


@pytest.mark.parametrize(
    "line, reason",
    [
        (b"{", "is not JSON"),
        (b'"\xff"', "is not UTF-8"),
        (b"[" * 100_000, "nested too deeply|not JSON"),
    ],
)
def test_what_is_no_json_is_refused(line: bytes, reason: str) -> None:
    with pytest.raises(BadSessionError, match=reason):
        parse_json(line)


@given(st.lists(st.text()))
def test_every_json_line_comes_back(texts: list[str]) -> None:
    content = "".join(json.dumps([text]) + "\n" for text in texts).encode()

    assert [parse_json(line) for _, line in byte_lines(io.BytesIO(content))] == [[text] for text in texts]
