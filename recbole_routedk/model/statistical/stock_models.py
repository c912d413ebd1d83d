"""Which of RecBole's own recommenders can stand under StockBundler, by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import recbole
from recbole import model as recbole_models

from recbole_routedk.config_schema import check_keys, joined, read_schema
from recbole_routedk.errors import UserError, did_you_mean

_FAMILY = "general_recommender"
_WHY_NOT = {
    "sequential_recommender": "it predicts the next item of a history in time, and the items of a bundle have no order",
    "context_aware_recommender": "it scores features of users and clicks, and sessions and bundles have none",
    "knowledge_aware_recommender": "it reads a knowledge graph of items, and these data sets have none",
    "exlib_recommender": "it scores features of users and clicks, and sessions and bundles have none",
}
_FOLDER = Path(recbole.__file__).parent


def stock_model_class(name: str) -> type:
    """Return RecBole's recommender ``name``, in any case.

    Raises UserError for an unknown name, naming the nearest, and for one of a family that cannot learn from bundles
    of items alone, with the reason.
    """
    for family, reason in _WHY_NOT.items():
        if name.lower() in _modules(family):
            raise UserError(f"base_model: {name} cannot be used: {reason}. Take a general one, such as ItemKNN or BPR")
    if name.lower() not in _modules(_FAMILY):
        raise UserError(f"base_model: RecBole has no recommender {name!r}.{did_you_mean(name, stock_model_names())}")
    module = importlib.import_module(f"recbole.model.{_FAMILY}.{name.lower()}")
    classes = {key.lower(): value for key, value in vars(module).items() if isinstance(value, type)}
    return classes[name.lower()]


def stock_model_names() -> list[str]:
    """The names of RecBole's general recommenders."""
    known = _modules(_FAMILY)
    return sorted(path.stem for path in (_FOLDER / "properties" / "model").glob("*.yaml") if path.stem.lower() in known)


def stock_settings(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings ``given`` for a recommender, checked; UserError for one that it does not know.

    ``name`` is that of its class.
    """
    file = _FOLDER / "properties" / "model" / f"{name}.yaml"
    known = joined(read_schema(_FOLDER / "properties" / "overall.yaml"), read_schema(file) if file.is_file() else {})
    check_keys(given, known, f"base_settings of {name}")
    return {key: known[key].check(value, f"base_settings of {name}") for key, value in given.items()}


def _modules(family: str) -> set[str]:
    folder = Path(str(recbole_models.__path__[0])) / family
    return {module.name for module in pkgutil.iter_modules([str(folder)])}
