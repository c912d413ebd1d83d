"""Where thoughts come from at test time: the thought expert with each source, end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_run import knowledge_file, predictions, relabelled, run, small_splits, weights, write_small

from recbole_routedk.data.atomic import SplitSessions
from recbole_routedk.data.session import Session
from recbole_routedk.errors import UserError
from recbole_routedk.model.language.student_model import StudentModel
from recbole_routedk.quick_start import load_data_and_model
from recbole_routedk.student.decoding import decode_free


@pytest.mark.parametrize("source", ["retrieved", "target", "written"])
def test_no_label_of_a_valid_or_test_session_is_used(
    small_data: Path, tiny_student_folder: Path, tmp_path: Path, source: str
) -> None:
    splits = small_splits()
    changed = SplitSessions(splits.train, tuple(map(relabelled, splits.valid)), tuple(map(relabelled, splits.test)))
    other_data = write_small(tmp_path / "changed", changed)
    settings = {"fusion": "thought", "thought_source": source}

    honest = run(small_data, tiny_student_folder, output_dir="honest", **settings)
    blind = run(other_data, tiny_student_folder, output_dir="blind", **settings)

    assert f"thought_source={source}" in honest["name"]
    assert set(predictions(honest)) == {labelled.session.session_id for labelled in splits.test}
    assert knowledge_file(honest) == knowledge_file(blind)
    assert all(torch.equal(value, weights(blind)[name]) for name, value in weights(honest).items())
    assert predictions(honest) == predictions(blind)
    read = {"retrieved": {"similar"}, "target": {"thoughts"}, "written": {"thoughts"}}[source]
    assert all(set(texts) == read for texts in knowledge_file(honest)["training_sessions"].values())


def loaded(small_data: Path, student: Path, **settings: object) -> tuple[StudentModel, list[Session]]:
    result = run(small_data, student, fusion="thought", **settings)
    _, model, _, _, _, test_data = load_data_and_model(result["run_folder"])
    assert isinstance(model, StudentModel)
    return model, [labelled.session for labelled in test_data.bundle_dataset.labelled_sessions]


def test_the_answer_follows_from_the_thought_that_the_student_wrote(
    small_data: Path, tiny_student_folder: Path
) -> None:
    model, sessions = loaded(small_data, tiny_student_folder, thought_source="written", thought_tokens=7)
    answers = model.predict_bundles(sessions)

    # By hand: the student thinks, and the thought becomes a part of the prompt.
    with torch.no_grad():
        student, prompts = model.student, model.prompts
        items = [prompts.prefix(session) for session in sessions]
        ask = prompts.suffix(ask="\nThought:")
        prefill = student.read_prefix(items)
        gates = model.gates(prefill)
        last_hidden = student.extend(prefill, *student.pad_left([ask] * len(items)), gates)[:, -1]
        thoughts = decode_free(student, prefill, last_hidden, gates, prompts.ask_ids[0], budget=7)
        whole = [
            [*ask, *(token for token in thought if token != prompts.end_id), *prompts.ask_ids] for thought in thoughts
        ]
        by_hand = model.answerer.answer(sessions, student.read_prefix(items), whole, gates, model.sampling())

    assert any(thoughts)
    assert [answer.bundles for answer in answers] == [answer.bundles for answer in by_hand]


def test_a_target_is_learnt_by_the_same_expert_and_not_read(small_data: Path, tiny_student_folder: Path) -> None:
    model, sessions = loaded(small_data, tiny_student_folder, thought_source="target")

    assert [expert for expert, _ in model.lessons] == [0, 0]
    assert model.inference.needs == ()
    assert len(model.predict_bundles(sessions)) == len(sessions)


def test_all_experts_and_the_router_train_with_a_written_thought(small_data: Path, tiny_student_folder: Path) -> None:
    result = run(
        small_data,
        tiny_student_folder,
        thought_source="written",
        inference_view=["rules", "thoughts"],
        thought_tokens=5,
        output_dir="routed",
    )

    assert weights(result)["router.linear.weight"].abs().sum() > 0
    assert len(predictions(result)) == 4


def test_an_unknown_source_is_named(small_data: Path) -> None:
    with pytest.raises(UserError, match="thought_source has to be one of teacher, retrieved, target, written"):
        run(small_data, "no-student-is-loaded", thought_source="oracle")
