"""Search spaces of settings, in RecBole's words: choice, uniform, quniform, loguniform."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from recbole_routedk.config_schema import Schema, check_keys
from recbole_routedk.data.files import fault, read_text
from recbole_routedk.errors import UserError
from recbole_routedk.literals import load_yaml, parse_literal, properties_folder

Space = dict[str, dict[str, list[Any]]]
"""RecBole's ``params_dict``: kind of range -> setting -> values, or the ends of the range."""

NUMBERS = {"uniform": 2, "quniform": 3, "loguniform": 2}
"""How many numbers a range has: low and high, and the step of quniform; loguniform has powers of e."""

KINDS = ("choice", *NUMBERS)


def read_space(model: str, path: Path | None = None) -> tuple[Space, Path]:
    """Read a model's search space from ``path``, by default ``properties/tuning/<model>.yaml``; returns its file too.

    A YAML file has settings below each kind of range; any other is in RecBole's form, "learning_rate loguniform -8,0"
    a line. Raises UserError.
    """
    if path is None:
        path = properties_folder() / "tuning" / f"{model}.yaml"
        if not path.is_file():
            raise UserError(f"{model} has no search space: write {path}, or give --params_file")
    space = load_yaml(path) if path.suffix in (".yaml", ".yml") else _lines(path)
    for kind, ranges in space.items():
        if kind not in KINDS or not isinstance(ranges, dict):
            raise UserError(f"{path}: has to hold settings below {', '.join(KINDS)}, not {kind!r}")
        for key, values in ranges.items():
            _check_range(path, kind, str(key), values)
    named = [key for ranges in space.values() for key in ranges]
    doubled = [key for key in named if named.count(key) > 1]
    if doubled:
        raise UserError(f"{path}: {doubled[0]} stands there twice")
    return space, path


def check_space(space: Space, schema: Schema, fixed: Collection[str], source: Path) -> None:
    """Raise UserError for a key or a value that the model's settings do not take, or that changes no answer."""
    for kind, ranges in space.items():
        check_keys(ranges, schema, str(source))
        for key, values in ranges.items():
            if key in fixed or key in ("dataset", "seed", "valid_metric", "metrics"):
                raise UserError(f"{source}: {key} is not to be searched")
            for value in values if kind == "choice" else ():
                schema[key].check(value, str(source))


def _lines(path: Path) -> Space:
    space: Space = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 3 or words[1] not in KINDS:
            raise fault(path, number, f"has to read 'setting kind values', the kind one of {', '.join(KINDS)}")
        key, kind, text = words[0], words[1], "".join(words[2:])
        if any(key in ranges for ranges in space.values()):
            raise fault(path, number, f"{key} stands there twice")
        space.setdefault(kind, {})[key] = parse_literal(key, text if kind == "choice" else f"[{text}]")
    return space


def _check_range(path: Path, kind: str, key: str, values: Any) -> None:
    if not isinstance(values, list) or not values:
        raise UserError(f"{path}: {key} has to be a list, not {values!r}")
    if kind == "choice":
        return
    numbers = all(type(value) in (int, float) for value in values)
    if not numbers or len(values) != NUMBERS[kind] or not values[0] < values[1] or (values[2:] and values[2] <= 0):
        step = ", step" if kind == "quniform" else ""
        raise UserError(f"{path}: {key} has to be [low, high{step}] with low < high, not {values!r}")
