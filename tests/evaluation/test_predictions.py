"""Prediction files: what is read, what is rejected, and what is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_routedk.data.session import Generation, Item, RejectionReason, Session
from recbole_routedk.errors import UserError
from recbole_routedk.evaluation.predictions import read_predictions

SESSIONS = [Session(name, tuple(Item(f"{name}{i}", "") for i in range(4))) for name in ("a", "b")]


def read(folder: Path, text: str | bytes) -> list[Generation]:
    path = folder / "predictions.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_predictions(path, SESSIONS, {"t": "train"})


def test_bundles_are_read_in_session_order_and_a_missing_session_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path, '{"b": [[3, 0], [1, 2, 3], [0, 3]]}') == [
        Generation(()),
        Generation((frozenset({0, 3}), frozenset({1, 2, 3}), frozenset({0, 3}))),
    ]


def test_what_a_parser_would_refuse_is_rejected_with_its_reason(tmp_path: Path) -> None:
    generation = read(tmp_path, '{"a": [[0], [], [1, 1], [0, 1, 0], [2, 3]]}')[0]
    assert generation.bundles == (frozenset({2, 3}),)
    few, repeated = RejectionReason.TOO_FEW_ITEMS, RejectionReason.DUPLICATE_ITEM
    assert [(r.text, r.reason) for r in generation.rejected] == [
        ("[0]", few),
        ("[]", few),
        ("[1, 1]", repeated),
        ("[0, 1, 0]", repeated),
    ]


@pytest.mark.parametrize("position", ["4", "-1", "1.0", "true", '"1"', "null", "[1]", "1e3"])
def test_a_position_outside_the_session_names_session_and_value(tmp_path: Path, position: str) -> None:
    with pytest.raises(UserError, match=r"session 'a': position .* is not one of its 4 items") as error:
        read(tmp_path, f'{{"a": [[0, 1], [2, {position}]]}}')
    value = {"true": "True", "null": "None", "1e3": "1000.0", '"1"': "'1'"}.get(position, position)
    assert f"position {value} " in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"z": []}', "session 'z' is in no split"),
        ('{"t": [[0, 1]]}', "session 't' is in the train split, not in the one scored"),
        ('{"a": [[0, 1]], "a": []}', "the key 'a' is given twice"),
        ('{"a": {"x": 1}}', "session 'a': {'x': 1} is not a list of bundles"),
        ('{"a": [0, 1]}', "session 'a': bundle 0 is no list of positions"),
        ('{"a": [[0, NaN]]}', "NaN is not a position"),
        ('{"a": [[0, -Infinity]]}', "-Infinity is not a position"),
        ('{"a": [[0, 1]', "is not JSON"),
        ("", "is not JSON"),
        ("[[0, 1]]", "holds no JSON object"),
        ("null", "holds no JSON object"),
        (b'{"\xff": []}', "is not UTF-8"),
        ('{"a": ' + "[" * 200_000, "is nested too deeply"),
        ('{"a": [[0, ' + "9" * 5000 + "]]}", "session 'a': position|is not JSON"),
    ],
)
def test_a_bad_file_is_a_clear_error_that_names_the_file(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=rf"predictions\.json.*({message})") as error:
        read(tmp_path, text)
    assert len(str(error.value)) < 500


def test_a_missing_file_and_a_folder_are_clear_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UserError, match=path.name):
            read_predictions(path, SESSIONS)
