"""Classes registered by YAML: ``properties/<kind>/<Name>.yaml`` names its class under the key ``<kind>_class``.

Files of your own lie in a folder of the same layout, with the Python files beside: ``model/Mine.yaml`` and ``mine.py``
in a folder that ``$RECBOLE_ROUTEDK_PLUGINS`` names (several as in ``$PATH``). Nothing of this package is changed then.
"""

from __future__ import annotations

import importlib
import os
import sys
from itertools import takewhile
from pathlib import Path

from recbole_routedk.config_schema import Schema, read_schema
from recbole_routedk.errors import UserError, did_you_mean
from recbole_routedk.literals import load_yaml, properties_folder

PLUGINS_VARIABLE = "RECBOLE_ROUTEDK_PLUGINS"


def plugin_names(kind: str) -> list[str]:
    """The names of a kind: "model", "teacher", "router" or "metric"."""
    return sorted(plugin_files(kind))


def plugin_files(kind: str) -> dict[str, Path]:
    """The YAML file of each name of a kind, ours and your own; UserError where a name is given to two."""
    found: dict[str, Path] = {}
    for folder in (properties_folder(), *own_folders()):
        for path in (folder / kind).glob("*.yaml"):
            if found.setdefault(path.stem, path) != path:
                raise UserError(f"{path}: there is a {kind} of this name already, {found[path.stem]}; rename yours")
    return found


def own_folders() -> list[Path]:
    """The folders of your own that ``$RECBOLE_ROUTEDK_PLUGINS`` names; UserError for one that is none."""
    given = os.environ.get(PLUGINS_VARIABLE, "")
    folders = [Path(part).expanduser().resolve() for part in given.split(os.pathsep) if part]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{PLUGINS_VARIABLE}: there is no folder {folder}")
    return folders


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
    file, key = _file(kind, name), _class_key(kind)
    module, _, class_name = str(load_yaml(file).get(key, "")).partition(":")
    if not module or not class_name:
        raise UserError(f"{file} needs a line '{key}: package.module:Class'")
    # Last, so that a file of your own never takes the place of a library.
    sys.path += [str(folder) for folder in own_folders() if str(folder) not in sys.path]
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
    files = plugin_files(kind)
    if name not in files:
        raise UserError(f"There is no {kind} {name!r}.{did_you_mean(str(name), files)}")
    return files[name]
