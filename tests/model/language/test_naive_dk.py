"""NaiveDK: RouteDK's knowledge in one LoRA, to the last digit what ``fusion: naive`` is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import knowledge_file, predictions, run, weights

from recbole_routedk.errors import UserError
from recbole_routedk.quick_start import load_data_and_model

OTHER: dict[str, Any] = {
    "knowledge_format": ["patterns", "rules", "thoughts"],
    "inference_view": ["rules", "thoughts"],
    "thought_source": "target",
    "knowledge_weight": 0.5,
    "lora_rank": 4,
    "seed": 7,
}


@pytest.mark.parametrize("settings", [{}, OTHER], ids=["default", "other settings"])
def test_it_gives_the_numbers_of_routedk_with_naive_fusion_and_no_votes_of_the_teacher(
    small_data: Path, tiny_student_folder: Path, settings: dict[str, Any]
) -> None:
    alone = run(small_data, tiny_student_folder, "NaiveDK", **settings)
    ablation = run(small_data, tiny_student_folder, "RouteDK", fusion="naive", teacher_votes=0.0, **settings)

    assert alone["test_result"] == ablation["test_result"]
    assert alone["best_valid_result"] == ablation["best_valid_result"]
    assert predictions(alone) == predictions(ablation)
    assert knowledge_file(alone) == knowledge_file(ablation)
    trained = {name.removeprefix("tuned."): value for name, value in weights(alone).items()}
    assert trained.keys() == weights(ablation).keys()
    assert all(torch.equal(value, trained[name]) for name, value in weights(ablation).items())


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
