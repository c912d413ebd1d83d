"""Comparing models: what runs, in which folders, what a failure costs, and the leaderboards that are written."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import toy
from toy import Counting, toy_splits

from recbole_routedk.comparison.runner import SomeFailed, compare_models
from recbole_routedk.config import shared_setting
from recbole_routedk.data.atomic import write_atomic
from recbole_routedk.data.session import Generation, Session
from recbole_routedk.errors import UserError
from recbole_routedk.provenance import code, library_versions
from recbole_routedk.run_lock import only_process

QUICK = {"show_progress": False, "state": "ERROR"}


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

    assert [result["name"] for result in results] == ["Threshold", "Threshold (start=3, epochs=0)"]
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

    with pytest.raises(
        SomeFailed, match=r"1 of 2 runs failed.*\n  toy/Counting/Counting-seed2020-.*: out of fingers"
    ) as error:
        compare_models(["Counting", "Threshold"], "toy", config_dict=given)

    assert [result["name"] for result in error.value.results] == ["Threshold"]
    assert "Threshold" in Path("output/toy/leaderboard.md").read_text(encoding="utf-8")


def test_failed_runs_of_one_name_are_told_apart(
    toy_data: Path, toy_models: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise UserError("has no fingers")

    monkeypatch.setattr("toy.Counting.fit_sessions", fail)
    monkeypatch.setattr("toy.Threshold.calculate_loss", fail)
    given = QUICK | {"data_path": str(toy_data), "baselines": [], "run_name": "mine"}

    with pytest.raises(SomeFailed, match=r"2 of 2 runs failed.*\n  toy/Counting/mine: .*\n  toy/Threshold/mine: "):
        compare_models(["Counting", "Threshold"], "toy", config_dict=given)


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


@pytest.mark.parametrize(
    ("what", "other"),
    [
        ("_code", lambda plugins: {"version": "0", "commit": None, "digest": "of other files"}),
        ("platform.python_version", lambda: "3.0"),
    ],
    ids=["code", "libraries"],
)
def test_a_finished_run_of_other_code_or_libraries_is_trained_again(
    toy_data: Path, toy_models: None, monkeypatch: pytest.MonkeyPatch, what: str, other: Any
) -> None:
    given = QUICK | {"data_path": str(toy_data), "baselines": [], "resume": True}
    with monkeypatch.context() as before:
        before.setattr(f"recbole_routedk.provenance.{what}", other)
        (first,) = compare_models(["Threshold"], "toy", config_dict=given)

    (again,) = compare_models(["Threshold"], "toy", config_dict=given)

    assert again["test_result"] == first["test_result"]
    assert again["train_seconds"] != first["train_seconds"]
    assert (again["code"], again["libraries"]) == (code(), library_versions())


def test_two_models_never_share_a_run_folder(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data), "baselines": [], "run_name": "mine"}

    with pytest.raises(UserError, match="leave out --run_name"):
        compare_models(["Threshold", "Threshold:start=3"], "toy", config_dict=given)


def test_a_setting_of_a_model_that_does_not_run_is_refused(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data), "baselines": []}

    with pytest.raises(UserError, match="fingers is a setting of Counting, not of Threshold"):
        compare_models(["Threshold"], "toy", config_dict=given, command_line={"fingers": "2"})
    assert not Path("output").exists()


def benchmark(**parts: Any) -> dict[str, Any]:
    return {"benchmark": {"models": ["Counting", "Threshold"], "datasets": ["toy"], "seeds": [1, 2, 3]} | parts}


def test_a_benchmark_runs_models_times_seeds_and_sums_them_up(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data)} | benchmark()

    results = compare_models(config_dict=given)

    assert sorted((result["name"], result["seed"]) for result in results) == [
        (name, seed) for name in ("Counting", "Threshold") for seed in (1, 2, 3)
    ]
    exact = json.loads(Path("output/toy/leaderboard.json").read_text(encoding="utf-8"))
    best = exact["leaderboard"][0]
    assert (best["model"], best["seeds"]) == ("Threshold", [1, 2, 3])
    own = [each["test_result"]["matchedf1"] for each in results if each["name"] == "Threshold"]
    assert best["matchedf1"]["mean"] == pytest.approx(sum(own) / 3)
    assert len(exact["results"]) == 6
    rows = list(csv.DictReader(Path("output/toy/leaderboard.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["matchedf1_mean"]) for row in rows] == [row["matchedf1"]["mean"] for row in exact["leaderboard"]]
    latex = Path("output/toy/leaderboard.tex").read_text(encoding="utf-8")
    assert r"\textbf" in latex
    assert "against Threshold" in latex


def test_a_benchmark_with_one_more_seed_repeats_no_finished_run(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data), "resume": True}

    first = compare_models(config_dict=given | benchmark(seeds=[1]))
    both = compare_models(config_dict=given | benchmark(seeds=[1, 2]))

    assert [result for result in both if result["seed"] == 1] == first
    assert len(both) == 4


def test_overrides_are_for_all_models_or_for_one(toy_data: Path, toy_models: None) -> None:
    parts = benchmark(seeds=[7], overrides={"epochs": 0, "Threshold": {"start": 3}})

    results = compare_models(config_dict=QUICK | {"data_path": str(toy_data)} | parts)

    assert [result["name"] for result in results] == ["Counting", "Threshold (start=3, epochs=0)"]
    assert results[1]["test_result"]["bundlef1"] == 0.0


def test_what_is_given_on_the_command_line_beats_the_benchmark(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data)} | benchmark()

    results = compare_models(["Threshold"], "toy", config_dict=given, command_line={"seed": "9"})

    assert [(result["name"], result["seed"]) for result in results] == [("Threshold", 9)]


def benchmark_on(split: str, **parts: Any) -> dict[str, Any]:
    benchmark = {
        "models": ["Counting", "Threshold"],
        "datasets": ["toy"],
        "seeds": [1],
        "name": "study",
        "split": split,
    }
    return {"benchmark": benchmark | parts, "resume": True}


def test_a_study_on_the_valid_split_answers_no_test_session(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data)}

    studied = compare_models(config_dict=given | benchmark_on("valid"))

    assert [result["test_result"] for result in studied] == [{}, {}]
    assert not list(Path("output").rglob("*_test.json"))
    exact = json.loads(Path("output/toy/study.json").read_text(encoding="utf-8"))
    assert exact["split"] == "valid"
    valid = {result["name"]: result["best_valid_result"]["matchedf1"] for result in studied}
    assert {row["model"]: row["matchedf1"]["mean"] for row in exact["leaderboard"]} == valid
    kept = json.loads((Path(studied[1]["run_folder"]) / "sessions_valid.json").read_text(encoding="utf-8"))
    assert sum(session["matchedf1"] for session in kept.values()) / len(kept) == pytest.approx(valid["Threshold"])
    assert "against" in Path("output/toy/study.md").read_text(encoding="utf-8")


def test_a_run_of_a_study_is_tested_when_it_is_asked_for(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data)}

    studied = compare_models(config_dict=given | benchmark_on("valid"))
    tested = compare_models(config_dict=given | benchmark_on("test"))
    again = compare_models(config_dict=given | benchmark_on("valid"))

    assert all(result["test_result"] for result in tested)
    assert [result["best_valid_result"] for result in tested] == [result["best_valid_result"] for result in studied]
    assert again == tested


@pytest.mark.parametrize(
    "part",
    [
        {"models": "Threshold"},
        {"models": []},
        {"models": [{"Threshold": {"start": 3}}]},
        {"datasets": [None]},
        {"seeds": 3},
        {"seeds": ["a"]},
        {"overrides": ["epochs"]},
        {"overrides": {1: 2}},
        {"split": "train"},
        {"name": "../elsewhere"},
    ],
)
def test_a_benchmark_that_is_written_otherwise_is_told_how(toy_data: Path, toy_models: None, part: Any) -> None:
    with pytest.raises(UserError, match=r"benchmark: .* is .*benchmark is written as \{models: "):
        compare_models(config_dict=QUICK | {"data_path": str(toy_data)} | benchmark(**part))


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"seeds": [1, 1]}, "seeds is .* 1 is in it twice"),
        ({"models": ["Counting", "Threshold:start=1", "Threshold"]}, "two of the runs would share the folder"),
        ({"overrides": {"Threshold": "start=3"}}, "overrides of Threshold is 'start=3'.*write Threshold: {key: value}"),
        ({"overrides": {"Threshold": {"seed": 3}}}, "overrides has seed, which the benchmark itself says"),
        ({"proposed": ["Treshold"]}, "no model is named 'Treshold'. Did you mean 'Threshold'"),
    ],
)
def test_a_slip_in_a_benchmark_is_told(toy_data: Path, toy_models: None, part: Any, told: str) -> None:
    with pytest.raises(UserError, match=told):
        compare_models(config_dict=QUICK | {"data_path": str(toy_data)} | benchmark(**part))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("result.json", "[]"),
        ("result.json", "{}"),
        ("sessions_test.json", "no JSON"),
        ("sessions_test.json", "{}"),
        ("sessions_test.json", '{"s1": 1}'),
        ("config.json", "{"),
    ],
)
def test_a_damaged_finished_run_is_told_and_run_again(
    toy_data: Path, toy_models: None, caplog: pytest.LogCaptureFixture, file: str, text: str
) -> None:
    given = QUICK | {"data_path": str(toy_data), "resume": True, "state": "WARNING"} | benchmark(seeds=[1])
    before = compare_models(config_dict=given)
    (Path(before[1]["run_folder"]) / file).write_text(text, encoding="utf-8")

    after = compare_models(config_dict=given)

    assert [result["test_result"] for result in after] == [result["test_result"] for result in before]
    assert "is damaged and is run again" in caplog.text
    assert compare_models(config_dict=given) == after


def test_two_processes_do_not_work_in_one_run_folder(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data), "baselines": [], "run_name": "mine"}
    with only_process(Path("output/toy/Threshold/mine")), pytest.raises(UserError, match="another process is at work"):
        compare_models(["Threshold"], "toy", config_dict=given)
    assert compare_models(["Threshold"], "toy", config_dict=given)


def test_an_output_folder_that_cannot_be_made_is_told_before_the_first_run(toy_data: Path, toy_models: None) -> None:
    Path("taken").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match=r"^taken/toy cannot be made \(.*give another --output_dir"):
        compare_models(config_dict=QUICK | {"data_path": str(toy_data), "output_dir": "taken"} | benchmark())


def test_every_run_keeps_the_scores_of_its_test_sessions(toy_data: Path, toy_models: None) -> None:
    (result,) = compare_models(["Threshold"], "toy", config_dict=QUICK | {"data_path": str(toy_data), "baselines": []})

    kept = json.loads((Path(result["run_folder"]) / "sessions_test.json").read_text(encoding="utf-8"))
    for key in ("matchedf1", "bundlef1", "pairf1", "precision", "recall"):
        mean = sum(session[key] for session in kept.values()) / len(kept)
        assert mean == pytest.approx(result["test_result"][key])


def test_a_finished_run_of_other_settings_under_the_same_name_is_not_taken_for_this_one(
    toy_data: Path, toy_models: None
) -> None:
    given = QUICK | {"data_path": str(toy_data), "baselines": [], "resume": True, "run_name": "mine"}
    compare_models(["Threshold"], "toy", config_dict=given)

    with pytest.raises(UserError, match="had other settings: learning_rate="):
        compare_models(["Threshold"], "toy", config_dict=given | {"learning_rate": 0.123})


def changed_split(data: Path, name: str) -> None:
    """Let the toy data set's split hold its first session alone."""
    splits = toy_splits()
    write_atomic(data / "toy", "toy", replace(splits, **{name: splits.split(name)[:1]}))


def test_a_finished_run_is_tested_anew_when_the_test_sessions_are_others(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data), "baselines": [], "resume": True}
    (first,) = compare_models(["Threshold"], "toy", config_dict=given)
    changed_split(toy_data, "test")

    (again,) = compare_models(["Threshold"], "toy", config_dict=given)

    kept = json.loads((Path(again["run_folder"]) / "sessions_test.json").read_text(encoding="utf-8"))
    assert len(kept) == 1
    assert again["train_seconds"] == pytest.approx(first["train_seconds"], abs=0.5)
    assert again["data"]["train"] == first["data"]["train"]
    assert again["data"]["test"] != first["data"]["test"]


def test_a_finished_run_is_not_taken_for_one_on_other_training_sessions(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data), "baselines": [], "resume": True}
    compare_models(["Threshold"], "toy", config_dict=given)
    changed_split(toy_data, "train")

    with pytest.raises(UserError, match="are not those that the run was trained on"):
        compare_models(["Threshold"], "toy", config_dict=given)


def test_a_study_keeps_the_answers_to_the_valid_sessions_of_a_run_that_was_best_before_it_was_stopped(
    toy_data: Path, toy_models: None
) -> None:
    given = QUICK | {"data_path": str(toy_data)}
    (_, whole) = compare_models(config_dict=given | benchmark_on("valid"))
    folder = Path(whole["run_folder"])
    kept = ("sessions_valid.json", "predictions_valid.json")
    told = [(folder / name).read_text(encoding="utf-8") for name in kept]
    for name in (*kept, "result.json"):  # as a kill after the last epoch leaves it
        (folder / name).unlink()

    (_, again) = compare_models(config_dict=given | benchmark_on("valid"))

    assert again["best_valid_result"] == whole["best_valid_result"]
    assert [(folder / name).read_text(encoding="utf-8") for name in kept] == told


def test_one_row_of_a_benchmark_leaves_the_finished_others_on_its_board(toy_data: Path, toy_models: None) -> None:
    given = QUICK | {"data_path": str(toy_data), "resume": True} | benchmark(seeds=[1, 2])
    compare_models(config_dict=given)

    # Data that are not here are no matter to who does not ask for them.
    given["benchmark"]["datasets"].append("elsewhere")

    (only,) = compare_models(["Threshold"], "toy", config_dict=given, command_line={"seed": "2"})

    assert (only["name"], only["seed"]) == ("Threshold", 2)
    exact = json.loads(Path("output/toy/leaderboard.json").read_text(encoding="utf-8"))
    assert {row["model"]: sorted(row["seeds"]) for row in exact["leaderboard"]} == {
        "Threshold": [1, 2],
        "Counting": [1, 2],
    }
