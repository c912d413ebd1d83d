"""Names of models, teachers and data sets: each is registered by its file in ``properties/<kind>``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_routedk.config_schema import did_you_mean
from recbole_routedk.errors import UserError
from recbole_routedk.plugins import plugin_class, plugin_names, plugin_settings

DEFAULT_DATA_PATH = Path("dataset")


def model_names() -> list[str]:
    """The models that ``--model`` takes."""
    return plugin_names("model")


def model_settings(name: str) -> dict[str, Any]:
    """The settings of a model's YAML file without its class; UserError for an unknown model."""
    return plugin_settings("model", name)


def resolve_model(name: str) -> type:
    """Import the class of a model; UserError, with the nearest name, where there is none."""
    return plugin_class("model", name)


def teacher_names() -> list[str]:
    """The teachers that ``--teacher`` takes."""
    return plugin_names("teacher")


def teacher_settings(name: str) -> dict[str, Any]:
    """The settings of a teacher's YAML file without its class; UserError, with the nearest name, for an unknown one."""
    return plugin_settings("teacher", name)


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
