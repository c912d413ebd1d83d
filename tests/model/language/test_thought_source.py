"""Where thoughts come from at test time: the thought expert with each source, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import knowledge_file, predictions, relabelled, run, small_splits, weights, write_small

from recbole_routedk.data.atomic import SplitSessions
from recbole_routedk.data.session import Session
from recbole_routedk.errors import UserError
from recbole_routedk.model.language.student_model import StudentModel
from recbole_routedk.quick_start import load_data_and_model
from recbole_routedk.student.decoding import decode_free


def run_with(source: str, data: Path, student: Path, output: Path) -> dict[str, Any]:
    settings = {"fusion": "thought", "knowledge_format": ["thoughts"], "thought_source": source, "thought_tokens": 7}
    return run(data, student, output_dir=str(output), **settings)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, tiny_student_folder: Path) -> dict[str, dict[str, Any]]:
    """A run with each source."""
    folder = tmp_path_factory.mktemp("honest")
    data = write_small(folder / "data", small_splits())
    sources = ("retrieved", "target", "written")
    return {source: run_with(source, data, tiny_student_folder, folder / "output") for source in sources}


@pytest.mark.parametrize("source, read", [("retrieved", "similar"), ("target", "thoughts"), ("written", "thoughts")])
def test_no_label_of_a_valid_or_test_session_is_used(
    honest: dict[str, dict[str, Any]], tiny_student_folder: Path, tmp_path: Path, source: str, read: str
) -> None:
    splits = small_splits()
    changed = SplitSessions(splits.train, tuple(map(relabelled, splits.valid)), tuple(map(relabelled, splits.test)))
    other_data = write_small(tmp_path / "changed", changed)
    seeing = honest[source]

    blind = run_with(source, other_data, tiny_student_folder, tmp_path / "blind")

    assert f"thought_source={source}" in seeing["name"]
    assert set(predictions(seeing)) == {labelled.session.session_id for labelled in splits.test}
    assert knowledge_file(seeing) == knowledge_file(blind)
    assert all(torch.equal(value, weights(blind)[name]) for name, value in weights(seeing).items())
    assert predictions(seeing) == predictions(blind)
    assert all(set(texts) == {read} for texts in knowledge_file(seeing)["training_sessions"].values())


def loaded(result: dict[str, Any]) -> tuple[StudentModel, list[Session]]:
    _, model, _, _, _, test_data = load_data_and_model(result["run_folder"])
    assert isinstance(model, StudentModel)
    return model, [labelled.session for labelled in test_data.bundle_dataset.labelled_sessions]


def test_the_answer_follows_from_the_thought_that_the_student_wrote(honest: dict[str, dict[str, Any]]) -> None:
    model, sessions = loaded(honest["written"])
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


def test_a_target_is_learnt_by_the_same_expert_and_not_read(honest: dict[str, dict[str, Any]]) -> None:
    model, sessions = loaded(honest["target"])

    assert [(expert, lesson.writes) for expert, lesson in model.lessons] == [(0, None), (1, None), (1, "thoughts")]
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
