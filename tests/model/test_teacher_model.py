"""The teacher as a model of its own, run through RecBole on the embedded data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recbole_routedk.data.atomic import SplitSessions, read_atomic, write_atomic
from recbole_routedk.distill.statistical.teacher import fitted_teacher
from recbole_routedk.quick_start import evaluate_saved, run_recbole_routedk
from recbole_routedk.registry import shipped_datasets


def test_it_answers_the_groups_of_the_teachers_thoughts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = read_atomic(shipped_datasets() / "bundle-mini", "bundle-mini")
    splits = SplitSessions(whole.train[:12], whole.valid[:2], whole.test[:5])
    write_atomic(tmp_path / "data" / "small", "small", splits)
    settings = {"data_path": str(tmp_path / "data"), "show_progress": False, "state": "ERROR", "seed": 3}

    result = run_recbole_routedk("Teacher", "small", config_dict=settings)

    answers = json.loads((Path(result["run_folder"]) / "predictions_test.json").read_text(encoding="utf-8"))
    sessions = [labelled.session for labelled in splits.test]
    thoughts = fitted_teacher(splits.train, seed=3).think(sessions)
    expected = {s.session_id: [sorted(group) for group in t.groups] for s, t in zip(sessions, thoughts, strict=True)}
    assert answers == expected
    assert evaluate_saved(result["run_folder"])["test_result"] == result["test_result"]
