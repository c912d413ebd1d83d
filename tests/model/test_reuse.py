"""What is trained alike is trained once: weights taken over from a finished run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import predictions, run, small_splits, weights, write_small

from recbole_routedk.data.atomic import SplitSessions, write_atomic
from recbole_routedk.provenance import code


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small(tmp_path_factory.mktemp("reused"), small_splits())


@pytest.fixture(scope="module")
def routed(data: Path, tiny_student_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A finished run of RouteDK, which the others lie beside."""
    return run(data, tiny_student_folder, output_dir=str(tmp_path_factory.mktemp("runs")))


def beside(
    finished: dict[str, Any], data: Path, student: Path, model: str = "RouteDK", **settings: Any
) -> dict[str, Any]:
    """A run with other settings in the same output folder."""
    home = Path(finished["run_folder"]).parents[2]
    return run(data, student, model, **{"output_dir": str(home)} | settings)


def anew(data: Path, student: Path, folder: Path, **settings: Any) -> dict[str, Any]:
    """The same run where nothing lies beside it."""
    return run(data, student, output_dir=str(folder), **settings)


def same_weights(one: dict[str, Any], two: dict[str, Any]) -> bool:
    left, right = weights(one), weights(two)
    return left.keys() == right.keys() and all(torch.equal(value, right[name]) for name, value in left.items())


@pytest.mark.parametrize(
    "settings",
    [
        {"consensus_samples": 5, "temperature": 0.7},
        {"fusion": "thought"},
        {"router_gates": "layer", "router_learning_rate": 0.02},
    ],
    ids=["answers", "one expert", "another router"],
)
def test_it_comes_to_the_same_as_training_anew(
    routed: dict[str, Any], data: Path, tiny_student_folder: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    reused = beside(routed, data, tiny_student_folder, **settings)
    trained = anew(data, tiny_student_folder, tmp_path, **settings)

    assert (reused["weights_from"], trained["weights_from"]) == (Path(routed["run_folder"]).name, "")
    assert reused["best_valid_result"] == trained["best_valid_result"]
    assert reused["test_result"] == trained["test_result"]
    assert predictions(reused) == predictions(trained)
    assert same_weights(reused, trained)


def test_other_domains_are_answered_by_the_same_weights(
    routed: dict[str, Any], data: Path, tiny_student_folder: Path
) -> None:
    splits = small_splits()
    write_atomic(data / "other", "other", SplitSessions(splits.train[:2], splits.valid, splits.test[:2]))

    away = beside(routed, data, tiny_student_folder, test_on="other")

    assert "(test_on=other, " in away["name"]
    assert away["weights_from"] == Path(routed["run_folder"]).name
    home = predictions(routed)
    assert predictions(away) == {
        f"other:{own.session.session_id}": home[own.session.session_id] for own in splits.test[:2]
    }


def test_the_seconds_of_training_are_those_of_the_stages_that_count(
    routed: dict[str, Any], data: Path, tiny_student_folder: Path
) -> None:
    last = json.loads((Path(routed["run_folder"]) / "last.json").read_text(encoding="utf-8"))["progress"]

    greedy = beside(routed, data, tiny_student_folder, consensus_samples=1)
    alone = beside(routed, data, tiny_student_folder, fusion="base")

    assert greedy["train_seconds"] >= last["stage_seconds"][1] > last["stage_seconds"][0]
    assert last["stage_seconds"][0] <= alone["train_seconds"]
    assert last["stage_epochs"] == [1, 2]


def test_what_was_the_best_of_several_epochs_by_other_answers_is_trained(
    data: Path, tiny_student_folder: Path, tmp_path: Path
) -> None:
    alone = anew(data, tiny_student_folder, tmp_path, fusion="base", epochs=2)

    routed = beside(alone, data, tiny_student_folder, epochs=2)
    greedy = beside(alone, data, tiny_student_folder, fusion="base", epochs=2, consensus_samples=1)
    small_batches = beside(alone, data, tiny_student_folder, fusion="base", epochs=2, eval_batch_size=3)

    assert (routed["weights_from"], greedy["weights_from"]) == ("", "")
    # With other batches it answers alike, so that the same epoch would be the best.
    assert small_batches["weights_from"] == Path(alone["run_folder"]).name


def test_what_was_the_best_of_several_epochs_on_other_valid_sessions_is_trained(
    data: Path, tiny_student_folder: Path, tmp_path: Path
) -> None:
    first = anew(data, tiny_student_folder, tmp_path / "runs", fusion="base", epochs=2)
    splits = small_splits()
    other = write_small(tmp_path, SplitSessions(splits.train, splits.valid[:2], splits.test))

    second = beside(first, other, tiny_student_folder, fusion="base", epochs=2, run_name="second")

    assert second["weights_from"] == ""


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 7},
        {"learning_rate": 0.0005},
        {"train_share": 0.6},
        {"reuse": False, "temperature": 0.9},
    ],
    ids=["seed", "setting of training", "training sessions", "not wanted"],
)
def test_what_is_trained_otherwise_is_trained(
    routed: dict[str, Any], data: Path, tiny_student_folder: Path, settings: dict[str, Any]
) -> None:
    assert beside(routed, data, tiny_student_folder, **settings)["weights_from"] == ""


def test_weights_of_other_code_or_of_an_unfinished_run_are_not_taken(
    data: Path, tiny_student_folder: Path, tmp_path: Path
) -> None:
    first = anew(data, tiny_student_folder, tmp_path)
    best, result = (Path(first["run_folder"]) / name for name in ("best.json", "result.json"))
    record = json.loads(best.read_text(encoding="utf-8"))
    assert record["made_with"]["digest"] == code()["digest"]

    best.write_text(json.dumps(record | {"made_with": record["made_with"] | {"digest": "another"}}), encoding="utf-8")
    assert beside(first, data, tiny_student_folder, temperature=0.9)["weights_from"] == ""
    result.unlink()
    assert beside(first, data, tiny_student_folder, temperature=0.8)["weights_from"] != Path(first["run_folder"]).name
