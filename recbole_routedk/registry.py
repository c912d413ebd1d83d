"""Names of models, teachers and data sets: each is registered by its file in ``properties/<kind>``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_routedk.config_schema import Schema
from recbole_routedk.errors import UserError, did_you_mean
from recbole_routedk.plugins import plugin_about, plugin_class, plugin_names, plugin_schema

DEFAULT_DATA_PATH = Path("dataset")


def model_names() -> list[str]:
    """The models that ``--model`` takes."""
    return plugin_names("model")


def model_settings(name: str) -> dict[str, Any]:
    """The settings of a model's YAML file without its class; UserError for an unknown model."""
    return {key: setting.default for key, setting in model_schema(name).items()}


def model_schema(name: str) -> Schema:
    """The documented settings of a model's YAML file without its class; UserError for an unknown model."""
    return plugin_schema("model", name)


def about_model(name: str) -> str:
    """What a model is, in a line."""
    return plugin_about("model", name)


def resolve_model(name: str) -> type:
    """Import the class of a model; UserError, with the nearest name, where there is none."""
    return plugin_class("model", name)


def teacher_names() -> list[str]:
    """The teachers that ``--teacher`` takes."""
    return plugin_names("teacher")


def teacher_settings(name: str) -> dict[str, Any]:
    """The settings of a teacher's YAML file without its class; UserError, with the nearest name, for an unknown one."""
    return {key: setting.default for key, setting in teacher_schema(name).items()}


def teacher_schema(name: str) -> Schema:
    """The documented settings of a teacher's YAML file without its class; UserError for an unknown teacher."""
    return plugin_schema("teacher", name)


def about_teacher(name: str) -> str:
    """What a teacher is, in a line."""
    return plugin_about("teacher", name)


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
    known = dataset_names(data_path)
    hint = " It ships with the source: leave out --data_path." if name in known else did_you_mean(name, known)
    raise UserError(
        f"There is no data set {name!r}: {data_path / name / (name + '.item')} does not exist.{hint} "
        "Make one from CSV files with 'python -m recbole_routedk convert', or set --data_path."
    )


def dataset_names(data_path: Path) -> list[str]:
    """The data sets that lie in ``data_path`` or ship with the source."""
    roots = {data_path.resolve(), shipped_datasets().resolve()}
    return sorted({path.parent.name for root in roots for path in root.glob("*/*.item")})


def shipped_datasets() -> Path:
    """The ``dataset`` folder of the source checkout (absent from an installed package)."""
    return Path(__file__).parent.parent / "dataset"
