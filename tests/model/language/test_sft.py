"""SFT: one LoRA that reads the session alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_run import predictions, run, weights

from recbole_routedk.distill.teachers import statistical
from recbole_routedk.model.language.lessons import Lesson
from recbole_routedk.model.language.sft import SFT
from recbole_routedk.model.language.student_model import StudentModel
from recbole_routedk.quick_start import load_data_and_model


def test_the_student_learns_from_sessions_alone(
    small_data: Path, tiny_student_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(statistical, "fitted_teacher")  # no teacher is asked

    result = run(small_data, tiny_student_folder, "SFT")

    assert all(value.abs().sum() > 0 for name, value in weights(result).items() if name.endswith("lora_b"))
    widths = {value.shape[0] for name, value in weights(result).items() if name.endswith("lora_a")}
    assert widths == {24}  # three times the rank of an expert of RouteDK
    assert (Path(result["run_folder"]) / "experts" / "student" / "adapter_config.json").is_file()
    _, model, _, _, _, test_data = load_data_and_model(result["run_folder"])
    assert isinstance(model, SFT)
    assert isinstance(model.tuned, StudentModel)
    assert [lesson for _, lesson in model.tuned.lessons] == [model.tuned.inference] == [Lesson()]
    sessions = [labelled.session for labelled in test_data.bundle_dataset.labelled_sessions]
    answers = model.predict_bundles(sessions)
    assert predictions(result) == {
        session.session_id: [sorted(bundle) for bundle in answer.bundles]
        for session, answer in zip(sessions, answers, strict=True)
    }


def test_routedk_with_the_base_expert_alone_is_the_same_model(small_data: Path, tiny_student_folder: Path) -> None:
    sft = run(small_data, tiny_student_folder, "SFT", lora_rank=8, lora_alpha=16)
    alone: dict[str, Any] = {"knowledge_format": [], "inference_view": [], "fusion": "base"}
    base = run(small_data, tiny_student_folder, "RouteDK", **alone)

    assert sft["test_result"] == base["test_result"]
    assert predictions(sft) == predictions(base)
