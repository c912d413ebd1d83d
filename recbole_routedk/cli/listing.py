"""What can be chosen and set, in words: models, data sets, teachers and every key with its meaning."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recbole_routedk.config import shared_schema, shared_setting
from recbole_routedk.config_schema import Schema, Setting, read_schema
from recbole_routedk.literals import properties_folder
from recbole_routedk.plugins import first_comment, plugin_about, plugin_files, plugin_names, plugin_schema
from recbole_routedk.registry import (
    about_model,
    about_teacher,
    dataset_names,
    model_names,
    model_schema,
    teacher_names,
    teacher_schema,
)

_WIDTH, _COLUMN = 118, 28


def model_lines() -> list[str]:
    """Every model and what it is."""
    return [_entry(name, about_model(name)) for name in model_names()]


def dataset_lines() -> list[str]:
    """Every data set that is there, and those whose settings file says how to get them."""
    found = dataset_names(Path(shared_setting("data_path")))
    files = plugin_files("dataset")
    lines = []
    for name in sorted({*found, *files}):
        about = first_comment(files[name], name) if name in files else ""
        absent = "" if name in found else f" Not here yet: {files[name]} says how to get it."
        lines.append(_entry(name, f"{about}{absent}"))
    return lines


def setting_lines(model: str | None = None) -> list[str]:
    """Every setting with its default, what it may be and its meaning; with ``model`` those of that model alone.

    Raises UserError for an unknown model.
    """
    names = model_names() if model is None else [model]
    ours = {key: shared_schema()[key] for key in read_schema(properties_folder() / "overall.yaml")}
    owners = {name: model_schema(name) for name in names}
    lines = ["Settings of every model"]
    told_below = {key for own in owners.values() for key in own} if model else set()
    lines += [_line(setting) for key, setting in ours.items() if key not in told_below]
    lines += ["", "Settings of models" if model is None else f"Settings of {model}"]
    lines += _of_several({name: _refined(own) for name, own in owners.items()}, model is None, ours)
    teachers = {name: teacher_schema(name) for name in teacher_names()}
    lines += ["", "Settings of teachers (--teacher, --answered_by)"]
    lines += [_entry(name, about_teacher(name)) for name in teachers]
    lines += _of_several(teachers, True, {})
    routers = {name: plugin_schema("router", name) for name in plugin_names("router")}
    lines += ["", "Routers of RouteDK (--router)", *(_entry(name, plugin_about("router", name)) for name in routers)]
    lines += _of_several(routers, True, {})
    others = [key for key in shared_schema() if key not in ours]
    told = ", ".join(others)
    lines += ["", "RecBole's other settings, which keep their meaning and default there", *_wrapped(told, "  ")]
    return lines


def _refined(own: Schema) -> dict[str, Setting]:
    shared = shared_schema()
    return {key: shared[key].refined(each) if key in shared else each for key, each in own.items()}


def _of_several(schemas: Mapping[str, Schema], named: bool, shared: Schema) -> list[str]:
    """A line for each key of any of the schemas, with the names of those that have it."""
    owners: dict[tuple[str, str], list[str]] = {}
    for name, schema in schemas.items():
        for key, setting in schema.items():
            if not (named and key in shared):  # else another default of a setting that every model has
                owners.setdefault((key, setting.meaning), []).append(name)
    return [_line(schemas[names[0]][key], names if named else ()) for (key, _), names in sorted(owners.items())]


def _line(setting: Setting, owners: Iterable[str] = ()) -> str:
    names = ", ".join(owners)
    told = f"{setting.allowed()}: {setting.meaning}" + (f" [{names}]" if names else "")
    return _entry(f"--{setting.key}={_text(setting.default)}", told)


def _text(value: Any) -> str:
    """A default as it is given on the command line."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return "{...}" if value else "{}"
    if isinstance(value, list) and len(value) > 4:
        return "[...]"
    return ",".join(map(str, value)) or "[]" if isinstance(value, list) else json.dumps(value).strip('"')


def _entry(head: str, told: str) -> str:
    lines = _wrapped(told, " " * _COLUMN)
    first = f"  {head}".ljust(_COLUMN)
    if first[-1] != " ":
        return "\n".join([first, *lines])
    return "\n".join([first + lines[0].lstrip(), *lines[1:]]) if lines else first.rstrip()


def _wrapped(told: str, indent: str) -> list[str]:
    return textwrap.wrap(told, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
