"""NaiveDK: RouteDK's knowledge in one LoRA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import predictions, run, weights

from recbole_routedk.errors import UserError
from recbole_routedk.model.language.naive_dk import NaiveDK
from recbole_routedk.model.language.student_model import StudentModel
from recbole_routedk.quick_start import load_data_and_model

OTHER: dict[str, Any] = {
    "knowledge_format": ["patterns", "rules", "thoughts"],
    "inference_view": ["rules", "thoughts"],
    "thought_source": "target",
    "knowledge_weight": 0.5,
    "lora_rank": 4,
    "seed": 7,
}


def test_one_lora_as_wide_as_all_experts_learns_every_view(small_data: Path, tiny_student_folder: Path) -> None:
    result = run(small_data, tiny_student_folder, "NaiveDK", **OTHER)

    _, model, *_ = load_data_and_model(result["run_folder"])
    assert isinstance(model, NaiveDK)
    assert isinstance(model.tuned, StudentModel)
    learnt = [lesson for _, lesson in model.tuned.lessons]
    assert [number for number, _ in model.tuned.lessons] == [0] * len(learnt)
    assert [lesson.reads for lesson in learnt] == [(), ("patterns",), ("rules",), (), ()]
    assert [lesson.writes for lesson in learnt] == [None, None, None, None, "thoughts"]
    assert next(value for name, value in weights(result).items() if name.endswith("lora_a")).shape[0] == 4 * 4


def test_without_knowledge_it_is_sft(small_data: Path, tiny_student_folder: Path) -> None:
    alone: dict[str, Any] = {"knowledge_format": [], "inference_view": []}
    naive = run(small_data, tiny_student_folder, "NaiveDK", **alone)
    sft = run(small_data, tiny_student_folder, "SFT", lora_rank=8, lora_alpha=16)

    assert naive["best_valid_result"] == sft["best_valid_result"]
    assert predictions(naive) == predictions(sft)
    assert all(torch.equal(one, two) for one, two in zip(weights(naive).values(), weights(sft).values(), strict=True))


def test_a_saved_run_answers_the_same(small_data: Path, tiny_student_folder: Path) -> None:
    result = run(small_data, tiny_student_folder, "NaiveDK")

    _, model, _, _, _, test_data = load_data_and_model(result["run_folder"])

    sessions = [labelled.session for labelled in test_data.bundle_dataset.labelled_sessions]
    generations = model.predict_bundles(sessions)
    answers = {s.session_id: [sorted(b) for b in g.bundles] for s, g in zip(sessions, generations, strict=True)}
    assert answers == predictions(result)
    assert [path.name for path in (Path(result["run_folder"]) / "experts").iterdir()] == ["naive"]


def test_what_is_read_has_to_be_learnt(small_data: Path) -> None:
    with pytest.raises(UserError, match="knowledge_format: thoughts is read at inference and has to be in it"):
        run(small_data, "no-student-is-loaded", "NaiveDK", knowledge_format=["rules"])
