"""Running models from a script."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import toy
from toy import Counting, Threshold

from recbole_routedk import plugins
from recbole_routedk.config import shared_setting
from recbole_routedk.data.session import Generation, Session
from recbole_routedk.errors import UserError
from recbole_routedk.quick_start import (
    SomeFailed,
    compare_models,
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


@pytest.fixture
def toy_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy models under their names, each with a setting of its own."""
    folder = tmp_path / "properties" / "model"
    folder.mkdir(parents=True)
    for name, setting in {"Threshold": "start", "Counting": "fingers"}.items():
        text = f"model_class: toy:{name}\n{setting}: 1\n"
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(plugins, "properties_folder", lambda: folder.parent)


def test_models_and_baselines_share_one_leaderboard(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data), "baselines": ["Counting"]}

    results = compare_models(["Threshold"], "toy", config_dict=given, command_line={"start": "2"})

    assert [result["name"] for result in results] == ["Counting", "Threshold (start=2)"]
    table = Path("output/toy/leaderboard.md").read_text(encoding="utf-8").splitlines()
    assert "Threshold (start=2)" in table[4]
    assert "Counting" in table[5]


def test_one_model_runs_beside_its_own_variants(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data), "baselines": []}

    results = compare_models(["Threshold", "Threshold:start=3:epochs=0"], "toy", config_dict=given)

    assert [result["name"] for result in results] == ["Threshold", "Threshold (start=3)"]
    assert [result["test_result"]["bundlef1"] for result in results] == [1.0, 0.0]
    with pytest.raises(UserError, match="'Threshold:start' is no model; write Name or Name:key=value"):
        compare_models(["Threshold:start"], "toy", config_dict=given)


def test_models_may_be_a_yaml_list_whose_settings_hold_commas(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data), "baselines": []}
    Path("grid.yaml").write_text("model: [Counting, 'Threshold:metrics=MatchedF1,PairF1:start=3']\n", encoding="utf-8")

    results = compare_models(None, "toy", ["grid.yaml"], config_dict=given)

    assert [result["name"] for result in results] == ["Counting", "Threshold (start=3)"]
    assert list(results[1]["test_result"]) == ["matchedf1", "pairf1"]


def test_a_comma_within_brackets_separates_no_models() -> None:
    text = "KD:knowledge_format=[rules,thoughts]:knowledge_use=icl+sft, Freq"

    assert shared_setting("model", command_line={"model": text}) == [
        "KD:knowledge_format=[rules,thoughts]:knowledge_use=icl+sft",
        "Freq",
    ]


def test_one_run_has_one_model(toy_data: Path) -> None:
    with pytest.raises(UserError, match="one run has one model, not Freq, KD"):
        run_recbole_routedk(None, "toy", config_dict={"data_path": str(toy_data), "model": ["Freq", "KD"]})


class Failing(Counting):
    """Counts until it is asked."""

    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """Fail as a model with a fault does."""
        raise RuntimeError("out of fingers")


def test_a_model_that_fails_takes_no_other_with_it(
    toy_data: Path, toy_models: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toy.Counting", Failing)
    given = QUICK | {"data_path": str(toy_data), "baselines": []}

    with pytest.raises(SomeFailed, match=r"1 of 2 runs failed.*\n  Counting-seed2020-.*: out of fingers") as error:
        compare_models(["Counting", "Threshold"], "toy", config_dict=given)

    assert [result["name"] for result in error.value.results] == ["Threshold"]
    assert "Threshold" in Path("output/toy/leaderboard.md").read_text(encoding="utf-8")


def test_a_stopped_comparison_repeats_no_finished_run(
    toy_data: Path, toy_models: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = QUICK | {"data_path": str(toy_data), "baselines": [], "resume": True}
    whole = toy.Counting
    with monkeypatch.context() as patch:
        patch.setattr("toy.Counting", Failing)
        with pytest.raises(SomeFailed):
            compare_models(["Counting", "Threshold"], "toy", config_dict=given)
    assert toy.Counting is whole

    first = compare_models(["Counting", "Threshold"], "toy", config_dict=given)
    again = compare_models(["Counting", "Threshold"], "toy", config_dict=given)
    anew = compare_models(["Counting", "Threshold"], "toy", config_dict=given | {"resume": False})

    assert again == first
    assert [result["test_result"] for result in anew] == [result["test_result"] for result in first]
    seconds = [[result["train_seconds"] for result in results] for results in (first, anew)]
    assert seconds[0] != seconds[1]


def test_a_finished_run_of_other_code_is_trained_again(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data), "baselines": [], "resume": True}
    (first,) = compare_models(["Threshold"], "toy", config_dict=given)
    path = Path(first["run_folder"]) / "result.json"
    path.write_text(json.dumps(first | {"code": {"digest": "of other files"}}), encoding="utf-8")
    next(path.parent.glob("best-*.safetensors")).unlink()

    (again,) = compare_models(["Threshold"], "toy", config_dict=given)

    assert again["test_result"] == first["test_result"]
    assert again["code"] == first["code"]
    assert len(list(path.parent.glob("best-*.safetensors"))) == 1


def test_two_models_never_share_a_run_folder(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data), "baselines": [], "run_name": "mine"}

    with pytest.raises(UserError, match="leave out --run_name"):
        compare_models(["Threshold", "Threshold:start=3"], "toy", config_dict=given)


def test_a_setting_of_a_model_that_does_not_run_is_refused(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data), "baselines": []}

    with pytest.raises(UserError, match="fingers is a setting of Counting, not of Threshold"):
        compare_models(["Threshold"], "toy", config_dict=given, command_line={"fingers": "2"})
    assert not Path("output").exists()


def test_the_objective_of_a_search_has_recboles_keys(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data), "model": "Threshold", "dataset": "toy"}

    result = objective_function(given, saved=False)

    expected = {"model", "best_valid_score", "valid_score_bigger", "best_valid_result", "test_result"}
    assert set(result) == expected
    assert not Path("output").exists()


def test_an_output_folder_that_cannot_be_written_is_named(toy_data: Path) -> None:
    Path("taken").write_text("a file", encoding="utf-8")

    with pytest.raises(UserError, match=r"run\.log: cannot be written .*set --output_dir"):
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
