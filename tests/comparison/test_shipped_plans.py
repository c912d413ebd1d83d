"""Every benchmark and study that is shipped can be planned: its models, settings and data sets are known."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy import toy_splits

import recbole_routedk
from recbole_routedk.comparison.plan import Given, make_plan
from recbole_routedk.data.atomic import write_atomic

PROPERTIES = Path(recbole_routedk.__file__).parents[1] / "properties"
FILES = sorted([*(PROPERTIES / "benchmark").glob("*.yaml"), *(PROPERTIES / "study").glob("*.yaml")])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_run_of_a_plan_has_settings_that_fit_and_a_folder_of_its_own(file: Path, tmp_path: Path) -> None:
    for name in ("electronic", "clothing", "bundle-mini"):
        write_atomic(tmp_path / name, name, toy_splits())

    plan = make_plan(Given([file], {"data_path": str(tmp_path)}, {"seed": "1"}), None, None)

    configs = [run.config() for run in plan.runs]
    assert len({config.run_folder for config in configs}) == len(configs) > 1
    assert plan.board.name == ("leaderboard" if file.parent.name == "benchmark" else file.stem)
