"""The benchmarks that ship as YAML."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from recbole_routedk.comparison.plan import Given, make_plan
from recbole_routedk.literals import load_yaml, properties_folder
from recbole_routedk.registry import model_names

BENCHMARKS = sorted((properties_folder() / "benchmark").glob("*.yaml"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_has_settings_that_all_its_models_take(path: Path) -> None:
    for run in make_plan(Given([path]), None, None).runs:
        # The public data sets are not in the checkout.
        assert replace(run, dataset="bundle-mini").config()["model"] == run.model


@pytest.mark.parametrize("domain", ["electronic", "clothing"])
def test_the_field_is_every_model_with_three_seeds(domain: str) -> None:
    path = properties_folder() / "benchmark" / f"{domain}.yaml"

    plan = make_plan(Given([path]), None, None)

    assert {run.model for run in plan.runs} == set(model_names())
    assert {run.dataset for run in plan.runs} == {domain}
    assert Counter(run.own["seed"] for run in plan.runs) == dict.fromkeys((2020, 2021, 2022), len(plan.runs) // 3)
    assert load_yaml(path)["resume"] is True
