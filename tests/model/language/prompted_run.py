"""Models that are asked in words, on a few sessions of bundle-mini or on sessions that a test writes down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripted_teacher import ScriptedTeacher

from recbole_routedk.config import Config
from recbole_routedk.data.dataset import BundleDataset
from recbole_routedk.data.session import Bundle, Item, LabelledSession, Session
from recbole_routedk.distill.teachers.protocol import Request
from recbole_routedk.model.language.prompted import PromptedModel
from recbole_routedk.model.language.teacher_respondent import TeacherRespondent
from recbole_routedk.quick_start import run_recbole_routedk

QUIET = {"show_progress": False, "state": "ERROR"}


def session(name: str, *titles: str) -> Session:
    """A session with these titles."""
    return Session(name, tuple(Item(f"{name}.{place}", title) for place, title in enumerate(titles)))


def labelled(own: Session, *bundles: Bundle) -> LabelledSession:
    """A session with its bundles."""
    return LabelledSession(own, bundles, tuple("an intent" for _ in bundles))


def run_prompted(model: str, data: Path, **settings: Any) -> dict[str, Any]:
    """Run a model on the data set "small"."""
    return run_recbole_routedk(model, "small", config_dict=QUIET | {"data_path": str(data)} | settings)


def built(model: str, data: Path, **settings: Any) -> PromptedModel:
    """A model that knows the training sessions of "small", before any run."""
    config = Config(model, "small", config_dict=QUIET | {"data_path": str(data)} | settings)
    made = config.model_class(config, BundleDataset(config).build()[0])
    assert isinstance(made, PromptedModel)
    return made


def scripted(
    model: str, data: Path, script: Callable[[Request], str | None], **settings: Any
) -> tuple[PromptedModel, ScriptedTeacher]:
    """The same asking a teacher that answers as a test tells it to."""
    made, teacher = built(model, data, answered_by="local", **settings), ScriptedTeacher(script)
    made.respondent = TeacherRespondent(made.config, teacher)
    return made, teacher
