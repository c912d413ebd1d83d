"""The evaluate command on a small data set, from files to printed figures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from recbole_routedk.cli import evaluate
from recbole_routedk.data.atomic import SplitSessions, write_atomic
from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.errors import UserError


def labelled(session_id: str, items: int, *gold: set[int]) -> LabelledSession:
    session = Session(session_id, tuple(Item(f"{session_id}-{i}", f"title {i}") for i in range(items)))
    return LabelledSession(session, tuple(map(frozenset, gold)), ("",) * len(gold))


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    splits = SplitSessions(
        train=(labelled("t", 3, {0, 1}),),
        valid=(labelled("v", 3, {1, 2}),),
        # The superset of another gold bundle of session 1 does not count.
        test=(labelled("1", 5, {0, 1, 2}, {0, 1, 2, 3}, {3, 4}), labelled("2", 4, {0, 3})),
    )
    (tmp_path / "dataset" / "tiny").mkdir(parents=True)
    write_atomic(tmp_path / "dataset" / "tiny", "tiny", splits)
    return tmp_path / "dataset"


def run(data_path: Path, predictions: object, *options: str) -> int:
    path = data_path / "predictions.json"
    path.write_text(json.dumps(predictions), encoding="utf-8")
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    arguments = ["--dataset=tiny", f"--predictions={path}", f"--data_path={data_path}", *options]
    return evaluate.main(parser.parse_args(arguments))


def scored(data_path: Path, capsys: pytest.CaptureFixture[str], predictions: object, *options: str) -> Any:
    assert run(data_path, predictions, "--json", *options) == 0
    return json.loads(capsys.readouterr().out)


def test_one_json_object_holds_every_metric(data_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = scored(data_path, capsys, {"1": [[0, 1], [2, 3], [4]]})
    both = {"precision": 1 / 4, "recall": 1 / 4, "coverage": 2 / 3}
    kept = {"precision": 1 / 2, "recall": 1 / 2, "coverage": 2 / 3}
    assert result.pop("count_empty") == pytest.approx(both)
    assert result.pop("drop_empty") == pytest.approx(kept)
    assert result.pop("sessions_per_second") is result.pop("peak_memory_mib") is None
    assert result == pytest.approx(
        {
            "sessions": 2,
            "empty_sessions": 1,
            **both,
            **{f"{key}_drop_empty": value for key, value in kept.items()},
            "bundlef1": 0,
            # 01~012 (2/3) and 23~34 (1/3): 2*1/4, halved by the empty session.
            "matchedf1": 1 / 4,
            # One common pair of two predicted and four gold ones.
            "pairf1": (2 * 1 / 6) / 2,
            "emptyrate": 1 / 2,
            "invalidrate": 1 / 3,
        }
    )


def test_another_split_is_scored_by_name(data_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scored(data_path, capsys, {"v": [[1, 2]]}, "--split=valid")["matchedf1"] == 1
    assert scored(data_path, capsys, {}, "--split=train")["emptyrate"] == 1


def test_without_json_a_table_is_printed(data_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data_path, {"1": [[0, 1, 2], [3, 4]]}) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["precision", "0.5000", "1.0000"] in lines
    assert ["matchedf1", "0.5000"] in lines


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ({"3": [[0, 1]]}, "session '3' is in no split"),
        ({"t": [[0, 1]]}, "session 't' is in the train split"),
        ({"2": [[0, 4]]}, "session '2': position 4 is not one of its 4 items"),
    ],
)
def test_a_wrong_prediction_is_an_error_and_prints_nothing(
    data_path: Path, capsys: pytest.CaptureFixture[str], predictions: object, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run(data_path, predictions, "--json")
    assert capsys.readouterr().out == ""
