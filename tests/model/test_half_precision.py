"""The frozen student in bfloat16, as on a GPU: experts stay precise, and a run goes from one precision to the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import predictions, run, small_splits, weights

from recbole_routedk.model.routedk import RouteDK
from recbole_routedk.student.backbone import load_student, student_dtype


@pytest.mark.parametrize("router", ["softmax", "arrow"])
def test_a_run_in_bfloat16_trains_precise_experts_and_repeats(
    small_data: Path, tiny_student_folder: Path, router: str
) -> None:
    settings: dict[str, Any] = {"student_dtype": "bfloat16", "router": router}

    first = run(small_data, tiny_student_folder, output_dir="one", **settings)
    again = run(small_data, tiny_student_folder, output_dir="two", **settings)

    trained = weights(first)
    assert {value.dtype for value in trained.values()} == {torch.float32}
    assert all(value.abs().sum() > 0 for name, value in trained.items() if name.endswith("lora_b"))
    assert predictions(first) == predictions(again)
    assert all(torch.equal(value, weights(again)[name]) for name, value in trained.items())
    assert first["test_result"]["invalidrate"] == 0


def test_what_was_trained_in_float32_answers_in_bfloat16(finished: dict[str, Any]) -> None:
    sessions = [labelled.session for labelled in small_splits().test]
    folder = finished["run_folder"]

    halved = RouteDK.from_pretrained(folder, student_dtype="bfloat16")
    whole = RouteDK.from_pretrained(folder)

    assert (halved.student.model.dtype, whole.student.model.dtype) == (torch.bfloat16, torch.float32)
    assert len(list(halved.generate(sessions))) == len(sessions)
    for name, value in whole.trainable_state().items():
        assert torch.equal(halved.trainable_state()[name], value)


def test_the_memory_that_is_free_says_how_many_are_answered_at_once(
    finished: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sessions = [labelled.session for labelled in small_splits().test]
    model = RouteDK.from_pretrained(finished["run_folder"])
    together: list[int] = []
    read = model.student.read_prefix
    monkeypatch.setattr(model.student, "read_prefix", lambda rows: together.append(len(rows)) or read(rows))

    monkeypatch.setattr("recbole_routedk.model.language.student_model.free_memory", lambda device: 2**40)
    at_once = model.predict_bundles(sessions)
    monkeypatch.setattr("recbole_routedk.model.language.student_model.free_memory", lambda device: 0)
    one_by_one = model.predict_bundles(sessions)

    assert together == [4, 1, 1, 1, 1]
    assert "no room for 4 sessions at once" in caplog.text
    assert [answer.bundles for answer in one_by_one] == [answer.bundles for answer in at_once]


def test_a_cpu_keeps_to_float32_unless_told_otherwise(tiny_student_folder: Path) -> None:
    cpu = torch.device("cpu")

    assert student_dtype("auto", cpu) == torch.float32
    assert student_dtype("bfloat16", cpu) == torch.bfloat16
    assert load_student(str(tiny_student_folder), dtype=torch.bfloat16).model.dtype == torch.bfloat16
