"""Running models from a script."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import Counting, Threshold

from recbole_routedk.data.session import Generation, Session
from recbole_routedk.errors import UserError
from recbole_routedk.quick_start import (
    evaluate_saved,
    load_data_and_model,
    objective_function,
    run_recbole_routedk,
)
from recbole_routedk.trainer import BundleTrainer

QUICK = {"train_batch_size": 4, "learning_rate": 0.5, "epochs": 4, "show_progress": False, "state": "ERROR"}


def run(data_path: Path, model: type = Threshold, saved: bool = True, **settings: Any) -> dict[str, Any]:
    given = QUICK | {"data_path": str(data_path)} | settings
    return run_recbole_routedk(model, "toy", config_dict=given, saved=saved)


def test_a_run_returns_what_recbole_returns_and_what_it_cost(toy_data: Path) -> None:
    result = run(toy_data)

    assert result["best_valid_score"] == 1.0
    assert result["valid_score_bigger"] is True
    assert result["best_valid_result"]["matchedf1"] == 1.0
    assert result["test_result"]["matchedf1"] == 1.0
    assert result["train_seconds"] > 0
    assert result["sessions_per_second"] > 0
    assert (result["trained_parameters"], result["parameters"]) == (1, 1001)


def test_a_run_tells_what_it_was_made_with(toy_data: Path) -> None:
    result = run(toy_data, saved=False)

    assert set(result["code"]) == {"version", "commit", "digest"}
    assert result["libraries"]["torch"] == torch.__version__
    assert result["machine"]["cores"] >= 1
    assert datetime.fromisoformat(result["finished"]).utcoffset() == timedelta(0)


def test_without_test_no_test_session_is_answered(toy_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered: set[str] = set()
    whole = Counting.predict_bundles

    def watched(model: Counting, sessions: Sequence[Session]) -> list[Generation]:
        answered.update(session.session_id for session in sessions)
        return whole(model, sessions)

    monkeypatch.setattr(Counting, "predict_bundles", watched)
    given = QUICK | {"data_path": str(toy_data)}
    result = run_recbole_routedk(Counting, "toy", config_dict=given, saved=False, test=False)

    assert result["test_result"] == {}
    assert result["best_valid_result"]["matchedf1"] > 0
    assert answered == {"s10", "s11", "s12"}


def test_the_run_folder_tells_everything(toy_data: Path) -> None:
    result = run(toy_data)
    folder = Path(result["run_folder"])

    assert json.loads((folder / "result.json").read_text(encoding="utf-8")) == result
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["settings"]["epochs"] == 4
    predictions = json.loads((folder / "predictions_test.json").read_text(encoding="utf-8"))
    assert predictions == {"s13": [[1, 2, 3]], "s14": [[1, 2, 3, 4]], "s15": [[1, 2]]}
    assert (folder / "run.log").is_file()


def test_the_same_seed_gives_the_same_run(toy_data: Path) -> None:
    first, second = run(toy_data, output_dir="one"), run(toy_data, output_dir="two")

    assert first["test_result"] == second["test_result"]
    assert first["best_valid_result"] == second["best_valid_result"]
    weights = [next(Path(r["run_folder"]).glob("best-*.safetensors")).read_bytes() for r in (first, second)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("model", [Threshold, Counting])
def test_a_saved_run_loads_and_scores_the_same(toy_data: Path, model: type) -> None:
    result = run(toy_data, model)

    config, loaded, _, train_data, _, test_data = load_data_and_model(
        result["run_folder"], {"show_progress": "False"}, model_class=model
    )

    assert type(loaded) is model
    assert not loaded.training  # no dropout in the answers
    assert len(train_data.bundle_dataset.labelled_sessions) == 10
    again = BundleTrainer(config, loaded).evaluate(test_data, load_best_model=False)
    assert dict(again) == result["test_result"]
    assert evaluate_saved(result["run_folder"], model_class=model)["test_result"] == result["test_result"]


def test_a_moved_run_still_loads(toy_data: Path, tmp_path: Path) -> None:
    result = run(toy_data)
    Path(result["run_folder"]).rename(tmp_path / "moved")

    assert evaluate_saved(tmp_path / "moved", model_class=Threshold)["test_result"] == result["test_result"]


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give the folder of a saved run"):
        load_data_and_model(tmp_path)


def test_one_run_has_one_model(toy_data: Path) -> None:
    with pytest.raises(UserError, match="one run has one model, not Freq, KD"):
        run_recbole_routedk(None, "toy", config_dict={"data_path": str(toy_data), "model": ["Freq", "KD"]})


def test_the_objective_of_a_search_has_recboles_keys(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data), "model": "Threshold", "dataset": "toy"}

    result = objective_function(given, saved=False)

    expected = {"model", "best_valid_score", "valid_score_bigger", "best_valid_result", "test_result"}
    assert set(result) == expected
    assert not Path("output").exists()


def test_an_output_folder_that_cannot_be_written_is_named(toy_data: Path) -> None:
    Path("taken").write_text("a file", encoding="utf-8")

    with pytest.raises(UserError, match=r"cannot be made \(.*give another --output_dir"):
        run(toy_data, output_dir="taken")


def test_an_empty_split_is_named(toy_data: Path) -> None:
    (toy_data / "toy" / "toy.valid.inter").write_text(
        "session_id:token\titem_id:token\tposition:float\n", encoding="utf-8"
    )
    bundles = toy_data / "toy" / "toy.bundle"
    kept = [line for line in bundles.read_text(encoding="utf-8").splitlines() if not _of_valid(line)]
    bundles.write_text("\n".join(kept) + "\n", encoding="utf-8")

    with pytest.raises(UserError, match="the valid split has no session"):
        run(toy_data)


def _of_valid(line: str) -> bool:
    return line.split("\t")[1] in ("s10", "s11", "s12")
