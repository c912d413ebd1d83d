"""The benchmarks that ship as YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_routedk.config import Config, shared_setting
from recbole_routedk.literals import load_yaml, properties_folder
from recbole_routedk.comparison.plan import parse_model
from recbole_routedk.registry import model_names

BENCHMARKS = sorted((properties_folder() / "benchmark").glob("*.yaml"))


def names(path: Path) -> list[str]:
    return [parse_model(spec)[0] for spec in shared_setting("model", [path])]


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_has_settings_that_all_its_models_take(path: Path) -> None:
    for name in names(path):
        Config(name, "bundle-mini", [path], companions=names(path))


@pytest.mark.parametrize("domain", ["electronic", "clothing"])
def test_the_field_is_every_model(domain: str) -> None:
    path = properties_folder() / "benchmark" / f"{domain}.yaml"

    assert sorted(names(path)) == model_names()
    assert load_yaml(path)["dataset"] == domain
    assert load_yaml(path)["resume"] is True
