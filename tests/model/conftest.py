"""A few sessions to run a model on, and one finished run of RouteDK that tests may read but not change."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from small_run import run, small_splits, write_small

from recbole_routedk.data.session import LabelledSession
from recbole_routedk.distill.statistical.teacher import StatisticalTeacher, fitted_teacher
from recbole_routedk.distill.teachers import statistical

_fitted = lru_cache(maxsize=8)(fitted_teacher)


@pytest.fixture(autouse=True)
def fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the embedded teacher learn once from the same sessions: nearly all runs here share their training split."""

    def fitted(train: Sequence[LabelledSession], seed: int) -> StatisticalTeacher:
        return _fitted(tuple(train), seed)

    monkeypatch.setattr(statistical, "fitted_teacher", fitted)


@pytest.fixture
def small_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data path that holds the data set "small"; what the test writes beside it stays out of the checkout."""
    monkeypatch.chdir(tmp_path)
    return write_small(tmp_path / "data", small_splits())


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_student_folder: Path) -> dict[str, Any]:
    """The result of a run of RouteDK as it is configured."""
    folder = tmp_path_factory.mktemp("finished")
    data = write_small(folder / "data", small_splits())
    return run(data, tiny_student_folder, output_dir=str(folder / "output"))
