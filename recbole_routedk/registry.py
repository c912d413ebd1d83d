"""Names of models, teachers and data sets: each is registered by its file in ``properties/<kind>``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from recbole_routedk.config_schema import did_you_mean, load_yaml, properties_folder
from recbole_routedk.errors import UserError

MODEL_CLASS = "model_class"
"""The key of a model's YAML that says where its class is: ``package.module:ClassName``."""

TEACHER_CLASS = "teacher_class"
"""The key of a teacher's YAML that says where its class is: ``package.module:ClassName``."""

DEFAULT_DATA_PATH = Path("dataset")


def model_names() -> list[str]:
    """The models that ``--model`` takes."""
    return sorted(path.stem for path in (properties_folder() / "model").glob("*.yaml"))


def model_settings(name: str) -> dict[str, Any]:
    """The settings of a model's YAML file without its class; UserError for an unknown model."""
    settings = _model_yaml(name)
    settings.pop(MODEL_CLASS, None)
    return settings


def resolve_model(name: str) -> type:
    """Import the class of a model; UserError, with the nearest name, where there is none."""
    settings = _model_yaml(name)
    module, _, class_name = str(settings.get(MODEL_CLASS, "")).partition(":")
    if not module or not class_name:
        raise UserError(f"properties/model/{name}.yaml needs a line '{MODEL_CLASS}: package.module:Class'")
    try:
        model_class = getattr(importlib.import_module(module), class_name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise  # a dependency of the model is missing: its own message names it
        model_class = None
    if not isinstance(model_class, type):
        raise UserError(f"properties/model/{name}.yaml names {module}:{class_name}, which does not exist")
    return model_class


def teacher_names() -> list[str]:
    """The teachers that ``--teacher`` takes."""
    return sorted(path.stem for path in (properties_folder() / "teacher").glob("*.yaml"))


def teacher_settings(name: str) -> dict[str, Any]:
    """The settings of a teacher's YAML file without its class; UserError, with the nearest name, for an unknown one."""
    known = teacher_names()
    if name not in known:
        raise UserError(f"teacher: there is no teacher {name!r}.{did_you_mean(name, known)}")
    settings = load_yaml(properties_folder() / "teacher" / f"{name}.yaml")
    settings.pop(TEACHER_CLASS, None)
    return settings


def dataset_folder(name: str, data_path: Path) -> Path:
    """The folder with a data set's atomic files: in ``data_path``, ``data_path`` itself, or what ships with the source.

    Only the default ``data_path`` falls back on the shipped data sets: a mistyped folder is never silently another.
    """
    data_path = data_path.expanduser()
    roots = [data_path / name, data_path]
    if data_path == DEFAULT_DATA_PATH:
        roots.append(shipped_datasets() / name)
    for root in roots:
        if (root / f"{name}.item").is_file():
            return root
    raise UserError(
        f"There is no data set {name!r}: {data_path / name / (name + '.item')} does not exist."
        f"{did_you_mean(name, dataset_names(data_path))} "
        "Make one from CSV files with 'python -m recbole_routedk convert', or set --data_path."
    )


def dataset_names(data_path: Path) -> list[str]:
    """The data sets that lie in ``data_path`` or ship with the source."""
    roots = {data_path.resolve(), shipped_datasets().resolve()}
    return sorted({path.parent.name for root in roots for path in root.glob("*/*.item")})


def shipped_datasets() -> Path:
    """The ``dataset`` folder of the source checkout (absent from an installed package)."""
    return Path(__file__).parent.parent / "dataset"


def _model_yaml(name: str) -> dict[str, Any]:
    known = model_names()
    if name not in known:
        raise UserError(f"There is no model {name!r}.{did_you_mean(name, known)}")
    return load_yaml(properties_folder() / "model" / f"{name}.yaml")
