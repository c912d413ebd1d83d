"""KD: one student, three uses of knowledge."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_run import knowledge_file, predictions, run, weights

from recbole_routedk.errors import UserError
from recbole_routedk.model.language.kd import KD
from recbole_routedk.model.language.lessons import Lesson
from recbole_routedk.quick_start import load_data_and_model

EVERYTHING = ["patterns", "rules", "thoughts"]


def loaded(folder: str) -> KD:
    _, model, *_ = load_data_and_model(folder)
    assert isinstance(model, KD)
    return model


def test_icl_reads_and_trains_nothing(small_data: Path, tiny_student_folder: Path) -> None:
    result = run(small_data, tiny_student_folder, "KD", knowledge_use="icl", knowledge_format=EVERYTHING)

    assert weights(result) == {}
    assert "knowledge_format=patterns+rules+thoughts, knowledge_use=icl" in result["name"]
    assert not (Path(result["run_folder"]) / "experts").exists()
    told = knowledge_file(result)
    assert told["rules"]
    assert told["training_sessions"] == {}  # no thought is asked for about a session that nothing is learnt from
    assert len(predictions(result)) == 4
    model = loaded(result["run_folder"])
    assert model.inference == Lesson(("patterns", "rules", "thoughts"))
    answered = model.predict_bundles([labelled.session for labelled in model.dataset.labelled_sessions])
    assert all(generation.bundles for generation in answered)


def test_sft_learns_to_write_what_it_does_not_read(small_data: Path, tiny_student_folder: Path) -> None:
    result = run(small_data, tiny_student_folder, "KD", knowledge_use="sft", knowledge_format=EVERYTHING)

    assert any(value.abs().sum() > 0 for name, value in weights(result).items() if name.endswith("lora_b"))
    model = loaded(result["run_folder"])
    assert model.inference == Lesson()
    assert [(lesson.reads, lesson.writes) for _, lesson in model.lessons] == [
        ((), None),
        ((), "patterns"),
        ((), "rules"),
        ((), "thoughts"),
    ]
    told = knowledge_file(result)["training_sessions"]
    assert all(set(texts) == set(EVERYTHING) for texts in told.values())


def test_icl_and_sft_train_on_the_prompt_that_is_asked(small_data: Path, tiny_student_folder: Path) -> None:
    result = run(small_data, tiny_student_folder, "KD", knowledge_use="icl+sft", knowledge_format="rules")

    assert result["name"].startswith("KD (knowledge_format=rules, knowledge_use=icl+sft, ")
    assert [path.name for path in (Path(result["run_folder"]) / "experts").iterdir()] == ["student"]
    model = loaded(result["run_folder"])
    assert [lesson for _, lesson in model.lessons] == [model.inference] == [Lesson(("rules",))]


def test_thoughts_of_similar_sessions_may_be_read_without_training(small_data: Path, tiny_student_folder: Path) -> None:
    result = run(small_data, tiny_student_folder, "KD", knowledge_use="icl", thought_source="retrieved")

    model = loaded(result["run_folder"])
    assert model.inference == Lesson(("similar",))
    assert len(predictions(result)) == 4


@pytest.mark.parametrize("use, source", [("icl", "target"), ("sft", "retrieved"), ("sft", "written")])
def test_a_source_that_does_not_go_with_the_use_is_refused(small_data: Path, use: str, source: str) -> None:
    with pytest.raises(UserError, match=f"thought_source: {source} does not go with knowledge_use={use}; take one of"):
        run(small_data, "no-student-is-loaded", "KD", knowledge_use=use, thought_source=source)
