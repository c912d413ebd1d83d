"""Makes the teacher that the setting ``teacher`` names, from its file in ``properties/teacher``."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from recbole_routedk.config_schema import did_you_mean, load_yaml, properties_folder
from recbole_routedk.data.session import LabelledSession
from recbole_routedk.distill.teachers.protocol import Teacher
from recbole_routedk.errors import UserError

TEACHER_CLASS = "teacher_class"


def make_teacher(settings: Any, train: Sequence[LabelledSession]) -> Teacher:
    """Make the teacher of a run; ``settings`` is anything indexable by key.

    A class with ``from_settings`` is made by it; any other learns from the training sessions: ``Class(train, seed)``.

    Raises:
        UserError: there is no such teacher, or its package, model or key is missing.
    """
    teacher_class = _resolve(settings["teacher"])
    from_settings = getattr(teacher_class, "from_settings", None)
    made: Teacher = from_settings(settings) if from_settings else teacher_class(train, settings["seed"])
    return made


def _resolve(name: str) -> Any:
    folder = properties_folder() / "teacher"
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise UserError(f"teacher: there is no teacher {name!r}.{did_you_mean(str(name), known)}")
    module, _, class_name = str(load_yaml(folder / f"{name}.yaml").get(TEACHER_CLASS, "")).partition(":")
    if not module or not class_name:
        raise UserError(f"properties/teacher/{name}.yaml needs a line '{TEACHER_CLASS}: package.module:Class'")
    try:
        teacher_class = getattr(importlib.import_module(module), class_name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise  # a dependency of the teacher is missing: its own message names it
        teacher_class = None
    if not isinstance(teacher_class, type):
        raise UserError(f"properties/teacher/{name}.yaml names {module}:{class_name}, which does not exist")
    return teacher_class
