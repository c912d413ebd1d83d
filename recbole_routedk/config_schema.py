"""The schema of settings: the comment beside each key of a YAML file says its type, its limits and its meaning.

``key: value   # (TYPE[, LIMITS]) meaning``, where TYPE is int, float, str, bool, list or dict, several with "or"
between, and LIMITS is one of ``0 to 1``, ``from 1``, ``above 0``, ``a|b|c`` (of a list: its parts, of a dict: its keys)
and ``one or more of a|b|c``. RecBole's own files have the same form without limits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from recbole_routedk.errors import UserError, did_you_mean, nearest
from recbole_routedk.literals import load_yaml, parse_literal

TYPES = {"bool": bool, "int": int, "float": float, "str": str, "list": list, "dict": dict}
TYPE_NAMES = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list such as [a, b]",
    dict: "a mapping such as {a: 1}",
}
_LINE = re.compile(r"(?P<key>\w+):.*?\s#\s*\((?P<type>[^,()]+)(?:, (?P<limits>[^()]+))?\)\s*(?P<meaning>.*)")
_LIMITS = re.compile(r"(?P<low>[\d.]+) to (?P<high>[\d.]+)|from (?P<least>[\d.]+)|above (?P<above>[\d.]+)")
_SOME = "one or more of "


@dataclass(frozen=True)
class Limits:
    """What a value may be beside its type: a range whose ends belong to it unless ``open_low``, or some words."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False
    choices: tuple[str, ...] = ()
    some: bool = False

    @classmethod
    def read(cls, text: str) -> Limits:
        """Read the limits of a comment; raises ValueError for another text."""
        if "|" in text:
            return cls(choices=tuple(text.removeprefix(_SOME).split("|")), some=text.startswith(_SOME))
        found = _LIMITS.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} are no limits such as '0 to 1', 'from 1', 'above 0' or 'a|b|c'")
        low, high, least, above = (None if each is None else float(each) for each in found.groups())
        lowest = next(each for each in (low, least, above) if each is not None)
        return cls(lowest, high, open_low=above is not None)

    def holds(self, value: Any) -> bool:
        """Whether a value of the right type is within the limits; NaN and infinity are in none."""
        if self.choices:
            parts = value if isinstance(value, (list, dict)) else [value]
            return all(part in self.choices for part in parts) and not (self.some and not parts)
        if type(value) not in (int, float):
            return True
        above = self.low is None or (value > self.low if self.open_low else value >= self.low)
        return math.isfinite(value) and above and (self.high is None or value <= self.high)

    def told(self) -> str:
        """The limits in words, to be put behind the name of the type."""
        if self.choices:
            return f"of {', '.join(self.choices)}"
        if self.low is None:
            return ""
        if self.high is not None:
            return f"from {self.low:.15g} to {self.high:.15g}"
        return f"above {self.low:.15g}" if self.open_low else f"at least {self.low:.15g}"


@dataclass(frozen=True)
class Setting:
    """A key with its documented types, limits and meaning, and its default.

    ``types`` is empty for a key of RecBole whose comment names none that we know: it has the type of its default.
    """

    key: str
    default: Any
    types: tuple[type, ...] = ()
    limits: Limits = Limits()
    meaning: str = ""

    def refined(self, by: Setting) -> Setting:
        """``by``, with the limits and the meaning of this one where it has none."""
        limits = by.limits if by.limits != Limits() else self.limits
        return replace(by, types=by.types or self.types, limits=limits, meaning=by.meaning or self.meaning)

    def allowed(self) -> str:
        """What a value has to be, in words, such as "a number from 0 to 1"."""
        told, kinds = self.limits.told(), self._kinds()
        if self.limits.choices:
            how_many = "one or more" if self.limits.some else "some"
            return f"{'one' if kinds == (str,) else 'a mapping with keys' if dict in kinds else how_many} {told}"
        names = " or ".join(TYPE_NAMES[kind] for kind in kinds)
        return f"{names}{',' if told.startswith(('at', 'above')) else ''} {told}" if told else names

    def check(self, value: Any, source: str) -> Any:
        """Return ``value`` in the documented type; UserError where it has another type or is out of its limits.

        Text is read as a literal unless the setting is text; a list takes a single value or a comma list. None stands
        for "not set" where that is the default, and for an empty mapping.
        """
        kinds = self._kinds()
        given = value
        if isinstance(value, str) and str not in kinds:
            value = self._from_text(value)
        if value is None and (self.default is None or dict in kinds):
            return None
        value = _in_types(value, kinds)
        if (kinds and type(value) not in kinds) or not self.limits.holds(value):
            raise UserError(f"{source}: {self.key} has to be {self.allowed()}, not {given!r}{self._hint(value)}")
        return value

    def _kinds(self) -> tuple[type, ...]:
        return self.types or (() if self.default is None else (type(self.default),))

    def _from_text(self, text: str) -> Any:
        if list in self._kinds() and not text.lstrip().startswith("["):
            # Commas within brackets belong to a part: KD:knowledge_format=[rules,thoughts],Freq are two models.
            return [part.strip() for part in re.split(r",(?![^\[\]]*\])", text) if part.strip()]
        return parse_literal(self.key, text)

    def _hint(self, value: Any) -> str:
        if type(value) is float and self._kinds() == (str,):
            return "; put it into quotes"
        parts = value if isinstance(value, (list, dict)) else [value]
        wrong = [part for part in parts if isinstance(part, str) and part not in self.limits.choices]
        near = nearest(wrong[0], self.limits.choices) if wrong and self.limits.choices else None
        return "" if near is None else f". Did you mean {near!r}?"


Schema = Mapping[str, Setting]
"""Settings by key."""


@cache
def read_schema(path: Path) -> Schema:
    """Read the keys of a YAML file with their documented types; a file is read once a process."""
    documented = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        found = _LINE.match(line)
        if found is not None:
            documented[found["key"]] = found
    try:
        return {key: _setting(key, value, documented.get(key)) for key, value in load_yaml(path).items()}
    except ValueError as error:
        raise UserError(f"{path}: in a comment, {error}") from None


def joined(*schemas: Schema) -> dict[str, Setting]:
    """One schema of several: a later file's default, type and limits count, and what it leaves out is an earlier's."""
    found: dict[str, Setting] = {}
    for schema in schemas:
        for key, setting in schema.items():
            found[key] = found[key].refined(setting) if key in found else setting
    return found


def with_defaults(schema: Schema, values: Mapping[str, Any], source: str) -> dict[str, Setting]:
    """The schema with other defaults, checked; UserError as for ``check_keys`` and ``Setting.check``."""
    check_keys(values, schema, source)
    checked = {key: replace(schema[key], default=schema[key].check(value, source)) for key, value in values.items()}
    return {**schema, **checked}


def check_keys(given: Mapping[str, Any], schema: Schema, source: str) -> None:
    """Raise UserError, naming the nearest known key and what it may be, for a key that nothing reads."""
    for key in given:
        if key not in schema:
            _refuse_secret(key, source)
            # Its value is not repeated: it may be a secret under a name that we do not know as one's.
            near = nearest(key, schema)
            told = did_you_mean(key, schema) if near is None else f" Did you mean {near!r} ({schema[near].allowed()})?"
            raise UserError(f"{source}: there is no setting {key!r}.{told}")


def _refuse_secret(key: str, source: str) -> None:
    plain = key.lower().replace("-", "_")
    if any(part in plain for part in ("api_key", "apikey", "api_token", "password", "secret")):
        raise UserError(
            f"{source}: {key} is no setting, since settings are printed and saved; put the key into an environment "
            "variable: properties/teacher/<teacher>.yaml names it (OPENAI_API_KEY for openai)"
        )


def _setting(key: str, default: Any, comment: re.Match[str] | None) -> Setting:
    if comment is None:
        return Setting(key, default)
    words = [word.removesuffix(" of int").removesuffix(" of str") for word in comment["type"].split(" or ")]
    # RecBole's comments name things that are no types, such as "string": those are left to the default.
    types = tuple(TYPES[word] for word in words if word in TYPES) if set(words) <= {*TYPES, "None"} else ()
    limits = Limits() if comment["limits"] is None or not types else Limits.read(comment["limits"])
    return Setting(key, default, types, limits, comment["meaning"])


def _in_types(value: Any, kinds: tuple[type, ...]) -> Any:
    """A value of a near type as the documented one: 2 as 2.0 or as "2", one part as a list of it."""
    if not kinds or type(value) in kinds:
        return value
    if float in kinds and type(value) is int:
        return float(value)
    if str in kinds and type(value) is int:
        return str(value)
    if list in kinds and type(value) in (tuple, int, float, str):
        return list(value) if isinstance(value, tuple) else [value]
    return value
