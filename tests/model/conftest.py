"""A few sessions to run a model on, and one finished run of RouteDK that tests may read but not change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_run import run, small_splits, write_small


@pytest.fixture(autouse=True)
def everywhere(one_teacher: None) -> None:
    """Every test here has the shared teacher."""


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
