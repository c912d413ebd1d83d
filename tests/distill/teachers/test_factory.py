"""A teacher is what the file of its name in properties/teacher says, with the settings of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recbole_routedk.distill.teachers.factory import make_teacher
from recbole_routedk.errors import UserError
from recbole_routedk.literals import load_yaml, properties_folder


def settings_of(name: str, **given: Any) -> dict[str, Any]:
    defaults = load_yaml(properties_folder() / "teacher" / f"{name}.yaml")
    return {"teacher": name, "seed": 1, "device": "cpu"} | defaults | given


def test_openai_with_its_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    teacher = make_teacher(
        settings_of("openai", teacher_model="llama3", teacher_base_url="http://localhost:11434/v1"), []
    )
    assert teacher.identity.model == "llama3"
    assert teacher.identity.endpoint == "http://localhost:11434/v1"
    with pytest.raises(UserError, match="MY_KEY"):
        make_teacher(settings_of("openai", teacher_key_variable="MY_KEY"), [])


def test_local_with_its_own_settings(tiny_student_folder: Path) -> None:
    teacher = make_teacher(settings_of("local", teacher_model=str(tiny_student_folder)), [])
    assert teacher.identity.teacher == "local"
    assert teacher.identity.model == tiny_student_folder.name
    with pytest.raises(UserError, match="teacher_dtype"):
        make_teacher(settings_of("local", teacher_dtype="float8"), [])


def test_statistical_learns_from_the_training_sessions() -> None:
    from toy import toy_splits

    train = toy_splits().train
    teacher = make_teacher(settings_of("statistical"), train)
    assert teacher.identity.teacher == "statistical"
    assert make_teacher(settings_of("statistical"), train[:-1]).identity != teacher.identity


def test_an_unknown_teacher_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"no teacher 'statistics'. Did you mean 'statistical'"):
        make_teacher({"teacher": "statistics"}, [])


@pytest.mark.parametrize(
    "line, why",
    [
        ("", "needs a line 'teacher_class: package.module:Class'"),
        ("teacher_class: recbole_routedk.distill.teachers.local:Missing", "does not exist"),
        ("teacher_class: recbole_routedk.distill.missing:Teacher", "does not exist"),
    ],
)
def test_a_file_that_names_no_class_is_refused(
    line: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "mine.yaml").write_text(line)
    monkeypatch.setattr("recbole_routedk.plugins.properties_folder", lambda: tmp_path)
    with pytest.raises(UserError, match=why):
        make_teacher({"teacher": "mine", "seed": 1}, [])
