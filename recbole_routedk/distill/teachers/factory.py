"""Makes the teacher that the setting ``teacher`` names, from its file in ``properties/teacher``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recbole_routedk.data.session import LabelledSession
from recbole_routedk.distill.teachers.protocol import Teacher
from recbole_routedk.plugins import plugin_class


def make_teacher(settings: Any, train: Sequence[LabelledSession], name: str | None = None) -> Teacher:
    """Make the teacher of a run, or the one of that name; ``settings`` is anything indexable by key.

    A class with ``from_settings`` is made by it; any other learns from the training sessions: ``Class(train, seed)``.

    Raises:
        UserError: there is no such teacher, or its package, model or key is missing.
    """
    teacher_class: Any = plugin_class("teacher", settings["teacher"] if name is None else name)
    from_settings = getattr(teacher_class, "from_settings", None)
    made: Teacher = from_settings(settings) if from_settings else teacher_class(train, settings["seed"])
    return made
