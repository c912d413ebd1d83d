"""The runs that the tests of the contract share."""

from __future__ import annotations

from pathlib import Path

import pytest
from contract_runs import Runs


@pytest.fixture(autouse=True)
def everywhere(one_teacher: None) -> None:
    """Every test here has the shared teacher."""


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_student_folder: Path) -> Runs:
    """All runs of this session."""
    return Runs(tmp_path_factory.mktemp("contract"), tiny_student_folder)
