"""What a comparison runs: models x data sets x seeds, from a YAML mapping ``benchmark`` or from the arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recbole_routedk.config import Config, shared_setting
from recbole_routedk.errors import UserError, did_you_mean
from recbole_routedk.registry import model_names

PROPOSED = ("RouteDK",)
SPLITS = ("test", "valid")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PARTS: dict[str, type | tuple[type, ...]] = {"models": str, "datasets": str, "seeds": int, "proposed": str}
_OF_THE_PLAN = {"benchmark", "dataset", "model", "seed"}
_LAYOUT = (
    "benchmark is written as {models: [...], datasets: [...], seeds: [...], overrides: {...}, proposed: [...], "
    "name: leaderboard, split: test}"
)


@dataclass(frozen=True)
class Given:
    """Settings as they are given to ``Config``, from the weakest: files, a mapping, the command line."""

    files: Sequence[str | Path] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    command_line: Mapping[str, Any] = field(default_factory=dict)

    def shared(self, key: str) -> Any:
        """The value of a key of ``properties/overall.yaml`` before any model is chosen."""
        return shared_setting(key, self.files, self.settings, self.command_line)


@dataclass(frozen=True)
class PlannedRun:
    """One run: a model by name with settings of its own, which beat all others, on a data set."""

    model: str
    dataset: str | None
    own: Mapping[str, Any]
    given: Given
    companions: tuple[str, ...]

    def config(self) -> Config:
        """The checked settings of the run; UserError where they are wrong."""
        return Config(self.model, self.dataset, self.given.files, self.given.settings, self.own, self.companions)


@dataclass(frozen=True)
class Board:
    """What is written of a comparison: files of this name, on this split; ``proposed`` are classes, no baselines.

    On the valid split no test session is answered: for studies that choose something.
    """

    proposed: tuple[str, ...] = PROPOSED
    name: str = "leaderboard"
    split: str = "test"


@dataclass(frozen=True)
class Plan:
    """All runs of a comparison, and what is written of them.

    ``beside`` are the other runs of the setting ``benchmark``, where only some are asked for: those of them that are
    finished stand on the board too.
    """

    runs: tuple[PlannedRun, ...]
    board: Board
    beside: tuple[PlannedRun, ...] = ()


def make_plan(given: Given, models: Sequence[str] | None, dataset: str | None) -> Plan:
    """Plan the runs of the setting ``benchmark``, or of ``models`` and the ``baselines`` on one data set and seed.

    Arguments beat the setting. A seed on the command line runs that seed alone.

    Raises:
        UserError: the setting is not as it should be, or a model is not written as ``Name:key=value``.
    """
    setting = dict(given.shared("benchmark"))
    runs, board = _runs(given, setting, models, dataset), _board(setting)
    if not setting.get("models"):
        return Plan(runs, board)
    any_seed = {key: value for key, value in given.command_line.items() if key != "seed"}
    whole = _runs(replace(given, command_line=any_seed), setting, None, None)
    return Plan(runs, board, tuple(run for run in whole if run not in runs))


def _runs(
    given: Given, setting: Mapping[str, Any], models: Sequence[str] | None, dataset: str | None
) -> tuple[PlannedRun, ...]:
    asked = models or _listed(setting, "models") or given.shared("model")
    beside = [] if setting.get("models") else given.shared("baselines")
    parsed = [parse_model(spec) for spec in _once([*asked, *beside])]
    names = tuple(name for name, _ in parsed)
    datasets = [dataset] if dataset is not None else _listed(setting, "datasets") or [None]
    seeds = [None] if "seed" in given.command_line else _listed(setting, "seeds") or [None]
    overrides = _checked_overrides(setting.get("overrides") or {})
    runs = []
    for place in datasets:
        for name, own in parsed:
            for seed in seeds:
                seeded = {} if seed is None else {"seed": seed}
                settings = Given(given.files, {**given.settings, **_overrides(overrides, name)})
                runs.append(PlannedRun(name, place, {**given.command_line, **seeded, **own}, settings, names))
    return tuple(runs)


def parse_model(spec: object) -> tuple[str, dict[str, str]]:
    """Split ``Name:key=value:key=value`` into the name and the settings; UserError where a part is no setting."""
    if not isinstance(spec, str):
        raise UserError(f"{spec!r} is no model; write Name or Name:key=value, without a space behind the colon")
    name, *parts = spec.strip().split(":")
    pairs = [part.partition("=") for part in parts]
    if not name or not all(key and equals for key, equals, _ in pairs):
        raise UserError(f"{spec!r} is no model; write Name or Name:key=value")
    return name, {key: value for key, _, value in pairs}


def _listed(setting: Mapping[str, Any], key: str) -> list[Any]:
    value = setting.get(key)
    if key not in setting:
        return []
    if not isinstance(value, list) or not value:
        raise UserError(f"benchmark: {key} is {value!r}, not a list of at least one; {_LAYOUT}")
    wrong = [each for each in value if not isinstance(each, _PARTS.get(key, object)) or isinstance(each, bool)]
    if wrong:
        raise UserError(f"benchmark: {key} is {value!r}, and {wrong[0]!r} is none of {key}; {_LAYOUT}")
    twice = [each for place, each in enumerate(value) if each in value[:place]]
    if twice:
        raise UserError(f"benchmark: {key} is {value!r}, and {twice[0]!r} is in it twice; leave one out")
    return list(value)


def _once(specs: Sequence[Any]) -> list[Any]:
    return [spec for place, spec in enumerate(specs) if spec not in specs[:place]]


def _board(setting: Mapping[str, Any]) -> Board:
    name, split = str(setting.get("name", Board.name)), setting.get("split", Board.split)
    if split not in SPLITS:
        raise UserError(f"benchmark: split is {split!r}, not {' or '.join(SPLITS)}; {_LAYOUT}")
    if not _NAME.fullmatch(name):
        raise UserError(f"benchmark: name is {name!r}, not letters, digits, - and _; {_LAYOUT}")
    proposed = _listed(setting, "proposed")
    for model in proposed:
        if model not in model_names():
            told = did_you_mean(model, model_names())
            raise UserError(f"benchmark: proposed is {proposed!r}, and no model is named {model!r}.{told}")
    return Board(tuple(proposed) or PROPOSED, name, split)


def _checked_overrides(overrides: object) -> Mapping[str, Any]:
    if not isinstance(overrides, dict) or not all(isinstance(key, str) for key in overrides):
        raise UserError(f"benchmark: overrides is {overrides!r}, not settings by their names; {_LAYOUT}")
    known = set(model_names())
    for model, own in overrides.items():
        if model in known and own is not None and not isinstance(own, dict):
            raise UserError(
                f"benchmark: overrides of {model} is {own!r}, not settings by their names; "
                f"write {model}: {{key: value}}"
            )
        of_plan = _OF_THE_PLAN & (own.keys() if model in known and own else {model})
        if of_plan:
            raise UserError(f"benchmark: overrides has {', '.join(sorted(of_plan))}, which the benchmark itself says")
    return overrides


def _overrides(overrides: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Settings for every model, then those under the model's own name."""
    known = set(model_names())
    shared = {key: value for key, value in overrides.items() if key not in known}
    return {**shared, **(overrides.get(model) or {})}
