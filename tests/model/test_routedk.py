"""RouteDK end to end through RecBole's trainer: stages, ablations, leaks, saved runs, the real student."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from recbole_routedk.data.atomic import SplitSessions, read_atomic, write_atomic
from recbole_routedk.data.session import LabelledSession
from recbole_routedk.errors import UserError
from recbole_routedk.quick_start import load_data_and_model, run_recbole_routedk
from recbole_routedk.registry import shipped_datasets

QUICK = {
    "epochs": 1,
    "train_batch_size": 3,
    "eval_batch_size": 4,
    "consensus_samples": 3,
    "first_adapted_layer": 0,
    "show_progress": False,
    "state": "ERROR",
}


def small_splits() -> SplitSessions:
    whole = read_atomic(shipped_datasets() / "bundle-mini", "bundle-mini")
    return SplitSessions(whole.train[:9], whole.valid[:3], whole.test[:4])


def write_small(folder: Path, splits: SplitSessions) -> Path:
    write_atomic(folder / "small", "small", splits)
    return folder


@pytest.fixture
def small_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_small(tmp_path / "data", small_splits())


def run(data: Path, student: str | Path, **settings: Any) -> dict[str, Any]:
    given = QUICK | {"data_path": str(data), "student": str(student)} | settings
    return run_recbole_routedk("RouteDK", "small", config_dict=given)


def predictions(result: dict[str, Any]) -> dict[str, list[list[int]]]:
    answers: dict[str, list[list[int]]] = json.loads(
        (Path(result["run_folder"]) / "predictions_test.json").read_text(encoding="utf-8")
    )
    return answers


def weights(result: dict[str, Any]) -> dict[str, torch.Tensor]:
    return load_file(next(Path(result["run_folder"]).glob("best-*.safetensors")))


def test_a_run_trains_experts_then_router_and_answers_every_session(
    small_data: Path, tiny_student_folder: Path
) -> None:
    result = run(small_data, tiny_student_folder)

    trained = weights(result)
    experts_b = [value for name, value in trained.items() if name.endswith("lora_b")]
    assert experts_b
    assert all(value.abs().sum() > 0 for value in experts_b)  # zero before training
    assert trained["router.linear.weight"].abs().sum() > 0
    answers = predictions(result)
    assert set(answers) == {labelled.session.session_id for labelled in small_splits().test}
    assert all(len(bundle) >= 2 for bundles in answers.values() for bundle in bundles)
    assert result["test_result"]["invalidrate"] == 0


def test_the_same_seed_gives_the_same_metrics_and_another_seed_other_weights(
    small_data: Path, tiny_student_folder: Path
) -> None:
    first, again = (run(small_data, tiny_student_folder, output_dir=name) for name in ("one", "two"))
    other = run(small_data, tiny_student_folder, output_dir="three", seed=7)

    assert first["test_result"] == again["test_result"]
    assert predictions(first) == predictions(again)
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(first).items())
    assert any(not torch.equal(value, weights(other)[name]) for name, value in weights(first).items())


def knowledge(result: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((Path(result["run_folder"]) / "knowledge.json").read_text(encoding="utf-8"))
    return told


def relabelled(labelled: LabelledSession) -> LabelledSession:
    """The same session with a wrong answer: its last two items under another intent."""
    last = len(labelled.session) - 1
    return replace(labelled, bundles=(frozenset({last - 1, last}),), intents=("something else",))


def test_labels_of_valid_and_test_sessions_reach_no_artefact(
    small_data: Path, tiny_student_folder: Path, tmp_path: Path
) -> None:
    splits = small_splits()
    changed = SplitSessions(splits.train, tuple(map(relabelled, splits.valid)), tuple(map(relabelled, splits.test)))
    other_data = write_small(tmp_path / "changed", changed)

    honest = run(small_data, tiny_student_folder, output_dir="honest")
    blind = run(other_data, tiny_student_folder, output_dir="blind")

    assert knowledge(honest) == knowledge(blind)
    assert all(torch.equal(value, weights(blind)[name]) for name, value in weights(honest).items())
    assert predictions(honest) == predictions(blind)
    assert honest["test_result"] != blind["test_result"]  # only the score knows the labels


def test_training_labels_do_reach_the_artefacts(small_data: Path, tiny_student_folder: Path, tmp_path: Path) -> None:
    splits = small_splits()
    changed = SplitSessions(tuple(map(relabelled, splits.train)), splits.valid, splits.test)
    other_data = write_small(tmp_path / "changed", changed)

    honest = run(small_data, tiny_student_folder, output_dir="honest")
    other = run(other_data, tiny_student_folder, output_dir="other")

    assert any(not torch.equal(value, weights(other)[name]) for name, value in weights(honest).items())
    assert knowledge(honest) != knowledge(other)


@pytest.mark.parametrize("fusion", ["uniform", "base", "rule", "thought", "naive"])
def test_every_ablation_runs_and_says_so_in_its_name(small_data: Path, tiny_student_folder: Path, fusion: str) -> None:
    result = run(small_data, tiny_student_folder, fusion=fusion)

    assert f"fusion={fusion}" in result["name"]
    assert "router.linear.weight" not in weights(result)
    experts = 3 if fusion in ("uniform", "naive") else 1
    width = next(value for name, value in weights(result).items() if name.endswith("lora_a")).shape[0]
    assert width == 8 * experts  # naive: one LoRA of the same total rank


@pytest.mark.parametrize(
    "settings", [{"consensus": "vote"}, {"inference_view": ["rules", "thoughts"]}, {"decoding": "free"}]
)
def test_ways_of_answering(small_data: Path, tiny_student_folder: Path, settings: dict[str, Any]) -> None:
    result = run(small_data, tiny_student_folder, **settings)

    assert len(predictions(result)) == 4


def test_a_saved_run_answers_the_same_with_gates_and_agreement(small_data: Path, tiny_student_folder: Path) -> None:
    result = run(small_data, tiny_student_folder)
    _, model, _, _, _, test_data = load_data_and_model(result["run_folder"])
    sessions = [labelled.session for labelled in test_data.bundle_dataset.labelled_sessions]

    generations = model.predict_bundles(sessions)

    answers = {s.session_id: [sorted(b) for b in g.bundles] for s, g in zip(sessions, generations, strict=True)}
    assert answers == predictions(result)
    for generation in generations:
        assert sum(generation.gates) == pytest.approx(1.0, abs=1e-5)
        assert 0 <= generation.score <= 1


def test_the_run_folder_tells_what_the_teacher_said(small_data: Path, tiny_student_folder: Path) -> None:
    told = knowledge(run(small_data, tiny_student_folder))

    assert all(rule["text"] and rule["support"] > 0 for rule in told["rules"])
    trained = {labelled.session.session_id for labelled in small_splits().train}
    assert set(told["training_sessions"]) == trained
    for texts in told["training_sessions"].values():
        assert texts["rules"].startswith("Rules:")
        assert texts["thoughts"].startswith("Related:")


def test_each_expert_is_a_folder_that_plain_peft_loads(small_data: Path, tiny_student_folder: Path) -> None:
    result = run(small_data, tiny_student_folder)
    folder = Path(result["run_folder"]) / "experts"

    assert sorted(path.name for path in folder.iterdir()) == ["base", "rule", "thought"]
    for expert in folder.iterdir():
        student = AutoModelForCausalLM.from_pretrained(tiny_student_folder)
        adapter = PeftModel.from_pretrained(student, expert)
        assert adapter.peft_config["default"].r == 8


def test_sessions_of_one_item_or_none_have_no_bundle(small_data: Path, tiny_student_folder: Path) -> None:
    result = run(small_data, tiny_student_folder)
    _, model, _, _, _, test_data = load_data_and_model(result["run_folder"])
    session = test_data.bundle_dataset.labelled_sessions[0].session
    single = replace(session, session_id="single", items=session.items[:1])
    empty = replace(session, session_id="empty", items=())

    alone, whole, nothing = model.predict_bundles([single, session, empty])

    assert alone.bundles == nothing.bundles == ()
    assert whole.bundles


def test_a_session_with_more_items_than_labels_is_answered_from_its_first(
    small_data: Path, tiny_student_folder: Path
) -> None:
    result = run(small_data, tiny_student_folder, max_items=4)

    assert all(position < 4 for bundles in predictions(result).values() for bundle in bundles for position in bundle)


def test_a_run_knows_the_sessions_it_was_trained_on(small_data: Path, tiny_student_folder: Path) -> None:
    result = run(small_data, tiny_student_folder)
    splits = small_splits()
    write_small(small_data, SplitSessions(splits.train[:-1], splits.valid, (*splits.test, splits.train[-1])))

    with pytest.raises(UserError, match="not those that the run was trained on"):
        load_data_and_model(result["run_folder"])


@pytest.mark.parametrize("settings", [{"fusion": "mixed"}, {"decoding": "beam"}, {"consensus": "mean"}])
def test_an_unknown_choice_is_named_with_the_known_ones(small_data: Path, settings: dict[str, str]) -> None:
    ((key, value),) = settings.items()
    with pytest.raises(UserError, match=f"{key} has to be one of .*{value}"):
        run(small_data, "no-student-is-loaded", **settings)


def test_the_embedded_student_learns_to_answer(small_data: Path) -> None:
    result = run(small_data, "smollm2-135m-instruct", first_adapted_layer=20, consensus_samples=2, learning_rate=0.002)

    assert len(predictions(result)) == 4
    assert result["test_result"]["matchedf1"] > 0.2
