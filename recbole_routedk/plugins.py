"""Classes registered by YAML: ``properties/<kind>/<Name>.yaml`` names its class under the key ``<kind>_class``."""

from __future__ import annotations

import importlib
from itertools import takewhile
from pathlib import Path

from recbole_routedk.config_schema import Schema, read_schema
from recbole_routedk.errors import UserError, did_you_mean
from recbole_routedk.literals import load_yaml, properties_folder


def plugin_names(kind: str) -> list[str]:
    """The names of a kind, "model" or "teacher"."""
    return sorted(path.stem for path in (properties_folder() / kind).glob("*.yaml"))


def plugin_schema(kind: str, name: str) -> Schema:
    """The settings of a name's YAML file without its class; UserError, with the nearest name, for an unknown one."""
    schema = read_schema(_file(kind, name))
    return {key: setting for key, setting in schema.items() if key != _class_key(kind)}


def plugin_about(kind: str, name: str) -> str:
    """What the comment that a name's YAML file begins with says of it."""
    return first_comment(_file(kind, name), name)


def first_comment(file: Path, name: str) -> str:
    """The comment that a settings file begins with, up to its first empty line, without the name before it."""
    lines = takewhile(lambda line: line.startswith("# "), file.read_text(encoding="utf-8").splitlines())
    told = " ".join(line.removeprefix("# ") for line in lines)
    return told[len(name) :].lstrip(": ") if told.lower().startswith(name.lower()) else told


def plugin_class(kind: str, name: str) -> type:
    """Import the class of a name; UserError, with the nearest name, where there is none."""
    file, key = f"properties/{kind}/{name}.yaml", _class_key(kind)
    module, _, class_name = str(load_yaml(_file(kind, name)).get(key, "")).partition(":")
    if not module or not class_name:
        raise UserError(f"{file} needs a line '{key}: package.module:Class'")
    try:
        found = getattr(importlib.import_module(module), class_name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise  # a dependency of the class is missing: its own message names it
        found = None
    if not isinstance(found, type):
        raise UserError(f"{file} names {module}:{class_name}, which does not exist")
    return found


def _class_key(kind: str) -> str:
    return f"{kind}_class"


def _file(kind: str, name: str) -> Path:
    known = plugin_names(kind)
    if name not in known:
        raise UserError(f"There is no {kind} {name!r}.{did_you_mean(str(name), known)}")
    return properties_folder() / kind / f"{name}.yaml"
