"""Running models from a script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from toy import Counting, Threshold

from recbole_routedk import plugins
from recbole_routedk.config import shared_setting
from recbole_routedk.errors import UserError
from recbole_routedk.quick_start import (
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
