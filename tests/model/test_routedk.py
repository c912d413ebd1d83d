"""RouteDK end to end through RecBole's trainer: stages, ablations, leaks, saved runs, the real student."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from small_run import knowledge_file, predictions, relabelled, run, small_splits, weights, write_small
from transformers import AutoModelForCausalLM

from recbole_routedk.data.atomic import SplitSessions
from recbole_routedk.distill.knowledge import SessionKnowledge
from recbole_routedk.distill.statistical.drawing import DRAWS, draw_groupings
from recbole_routedk.errors import UserError
from recbole_routedk.evaluation.metrics import matched_f1
from recbole_routedk.model.routedk import RouteDK
from recbole_routedk.quick_start import load_data_and_model
from recbole_routedk.report.curves import TENSORBOARD, read_scalars


def test_a_run_trains_experts_then_router_and_answers_every_session(finished: dict[str, Any]) -> None:
    trained = weights(finished)
    experts_b = [value for name, value in trained.items() if name.endswith("lora_b")]
    assert experts_b
    assert all(value.abs().sum() > 0 for value in experts_b)  # zero before training
    assert trained["router.linear.weight"].abs().sum() > 0
    answers = predictions(finished)
    assert set(answers) == {labelled.session.session_id for labelled in small_splits().test}
    assert all(len(bundle) >= 2 for bundles in answers.values() for bundle in bundles)
    assert finished["test_result"]["invalidrate"] == 0
    assert read_scalars(Path(finished["run_folder"]) / TENSORBOARD)["stage"] == ((1, 1.0), (2, 2.0))


def test_the_same_seed_gives_the_same_metrics_and_another_seed_other_weights(
    finished: dict[str, Any], small_data: Path, tiny_student_folder: Path
) -> None:
    first, again = finished, run(small_data, tiny_student_folder, output_dir="two")
    other = run(small_data, tiny_student_folder, output_dir="three", seed=7)

    assert first["test_result"] == again["test_result"]
    assert predictions(first) == predictions(again)
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(first).items())
    assert any(not torch.equal(value, weights(other)[name]) for name, value in weights(first).items())


def test_labels_of_valid_and_test_sessions_reach_no_artefact(
    finished: dict[str, Any], tiny_student_folder: Path, tmp_path: Path
) -> None:
    splits = small_splits()
    changed = SplitSessions(splits.train, tuple(map(relabelled, splits.valid)), tuple(map(relabelled, splits.test)))
    other_data = write_small(tmp_path / "changed", changed)

    honest = finished
    blind = run(other_data, tiny_student_folder, output_dir=str(tmp_path / "blind"))

    assert knowledge_file(honest) == knowledge_file(blind)
    assert all(torch.equal(value, weights(blind)[name]) for name, value in weights(honest).items())
    assert predictions(honest) == predictions(blind)
    assert honest["test_result"] != blind["test_result"]  # only the score knows the labels


def test_training_labels_do_reach_the_artefacts(
    finished: dict[str, Any], tiny_student_folder: Path, tmp_path: Path
) -> None:
    splits = small_splits()
    changed = SplitSessions(tuple(map(relabelled, splits.train)), splits.valid, splits.test)
    other_data = write_small(tmp_path / "changed", changed)

    honest = finished
    other = run(other_data, tiny_student_folder, output_dir=str(tmp_path / "other"))

    assert any(not torch.equal(value, weights(other)[name]) for name, value in weights(honest).items())
    assert knowledge_file(honest) != knowledge_file(other)


@pytest.mark.parametrize("fusion", ["uniform", "base", "rule", "thought"])
def test_every_ablation_runs_and_says_so_in_its_name(small_data: Path, tiny_student_folder: Path, fusion: str) -> None:
    result = run(small_data, tiny_student_folder, fusion=fusion)

    assert f"fusion={fusion}" in result["name"]
    assert "router.linear.weight" not in weights(result)
    width = next(value for name, value in weights(result).items() if name.endswith("lora_a")).shape[0]
    assert width == 8 * 3  # the same experts, whichever of them answer


@pytest.mark.parametrize(
    "settings", [{"consensus": "vote"}, {"inference_view": ["rules", "thoughts"]}, {"decoding": "free"}]
)
def test_ways_of_answering(finished: dict[str, Any], settings: dict[str, Any]) -> None:
    _, model, _, _, _, test_data = load_data_and_model(finished["run_folder"], settings)

    generations = model.predict_bundles([own.session for own in test_data.bundle_dataset.labelled_sessions])

    assert len(generations) == 4
    if settings.get("decoding") != "free":
        assert all(generation.bundles for generation in generations)


def test_the_teachers_draws_vote_with_their_share(finished: dict[str, Any]) -> None:
    answers = {}
    for share in (0.0, 0.5, 1.0):
        _, model, _, _, _, test = load_data_and_model(finished["run_folder"], {"teacher_votes": share})
        sessions = [labelled.session for labelled in test.bundle_dataset.labelled_sessions]
        answers[share] = [generation.bundles for generation in model.predict_bundles(sessions)]

    # With all votes, the answer is what the drawn groupings agree on best, whatever the student writes.
    assert isinstance(model, RouteDK)
    assert model.reader is not None
    for session, example, answer in zip(sessions, model.reader.for_sessions(sessions), answers[1.0], strict=True):
        assert example.known.thought is not None
        drawn = draw_groupings(session, example.known.thought.affinities, DRAWS, model.config["seed"])
        means = {each: sum(matched_f1(vote, each) for vote in drawn) / len(drawn) for each in (*drawn, answer)}
        assert means[answer] == pytest.approx(max(means.values()))
    assert answers[0.0] != answers[1.0]


def test_two_formats_are_read_in_training_too(small_data: Path, tiny_student_folder: Path) -> None:
    result = run(small_data, tiny_student_folder, inference_view=["rules", "thoughts"])

    assert len(predictions(result)) == 4


def test_a_saved_run_answers_the_same_with_gates_and_agreement(finished: dict[str, Any]) -> None:
    _, model, _, _, _, test_data = load_data_and_model(finished["run_folder"])
    sessions = [labelled.session for labelled in test_data.bundle_dataset.labelled_sessions]

    generations = model.predict_bundles(sessions)

    answers = {s.session_id: [sorted(b) for b in g.bundles] for s, g in zip(sessions, generations, strict=True)}
    assert answers == predictions(finished)
    for generation in generations:
        assert sum(generation.gates) == pytest.approx(1.0, abs=1e-5)
        assert 0 <= generation.score <= 1


def test_the_run_folder_tells_what_the_teacher_said(finished: dict[str, Any]) -> None:
    told = knowledge_file(finished)

    assert all(rule["text"] and rule["support"] > 0 for rule in told["rules"])
    trained = {labelled.session.session_id for labelled in small_splits().train}
    assert set(told["training_sessions"]) == trained
    for texts in told["training_sessions"].values():
        assert texts["rules"].startswith("Rules:")
        assert texts["thoughts"].startswith("Related:")


def test_each_expert_is_a_folder_that_plain_peft_loads(finished: dict[str, Any], tiny_student_folder: Path) -> None:
    folder = Path(finished["run_folder"]) / "experts"

    assert sorted(path.name for path in folder.iterdir()) == ["base", "rule", "thought"]
    for expert in folder.iterdir():
        student = AutoModelForCausalLM.from_pretrained(tiny_student_folder)
        adapter = PeftModel.from_pretrained(student, expert)
        assert adapter.peft_config["default"].r == 8


def test_sessions_of_one_item_or_none_have_no_bundle(finished: dict[str, Any]) -> None:
    _, model, _, _, _, test_data = load_data_and_model(finished["run_folder"])
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


def test_an_expert_trains_on_no_session_that_lacks_its_knowledge(finished: dict[str, Any]) -> None:
    _, model, _, train_data, _, _ = load_data_and_model(finished["run_folder"])
    model.prepare(train_data.bundle_dataset.labelled_sessions)
    model.examples = [replace(example, known=SessionKnowledge()) for example in model.examples]

    model.calculate_loss({"session_index": torch.tensor([0, 1])}).backward()

    (layer, *_) = model.student.fused.values()
    trained = [bool(layer.lora_b.grad[:, layer.expert_slice(expert)].any()) for expert in range(3)]
    assert dict(zip(model.student.experts, trained, strict=True)) == {"base": True, "rule": True, "thought": False}


def test_a_run_knows_the_sessions_it_was_trained_on(finished: dict[str, Any], tmp_path: Path) -> None:
    splits = small_splits()
    moved = SplitSessions(splits.train[:-1], splits.valid, (*splits.test, splits.train[-1]))

    with pytest.raises(UserError, match="not those that the run was trained on"):
        load_data_and_model(finished["run_folder"], {"data_path": str(write_small(tmp_path, moved))})


def test_what_is_read_at_inference_has_to_be_known(small_data: Path) -> None:
    with pytest.raises(UserError, match="knowledge_format: thoughts is read at inference"):
        run(small_data, "no-student-is-loaded", knowledge_format=["rules"])


def test_each_format_has_an_expert(small_data: Path, tiny_student_folder: Path) -> None:
    result = run(
        small_data, tiny_student_folder, knowledge_format=["patterns", "thoughts"], inference_view=["patterns"]
    )

    folders = (Path(result["run_folder"]) / "experts").iterdir()
    assert sorted(path.name for path in folders) == ["base", "pattern", "thought"]
    told = knowledge_file(result)["training_sessions"]
    assert all(set(texts) == {"patterns", "thoughts"} for texts in told.values())


@pytest.mark.parametrize("settings", [{"fusion": "mixed"}, {"decoding": "beam"}, {"consensus": "mean"}])
def test_an_unknown_choice_is_named_with_the_known_ones(small_data: Path, settings: dict[str, str]) -> None:
    ((key, value),) = settings.items()
    with pytest.raises(UserError, match=f"{key} has to be one of .*{value}"):
        run(small_data, "no-student-is-loaded", **settings)


def test_the_embedded_student_learns_to_answer(small_data: Path) -> None:
    settings = {"fusion": "thought", "first_adapted_layer": 20, "consensus_samples": 1, "learning_rate": 0.002}
    result = run(small_data, "smollm2-135m-instruct", **settings)

    assert len(predictions(result)) == 4
    assert result["test_result"]["matchedf1"] > 0.2
