"""Puts the benchmarks' folder on the path, as Python does for a script in it; a small data set to run them on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recbole_routedk.data.atomic import SplitSessions, read_atomic, write_atomic
from recbole_routedk.registry import shipped_datasets

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data path that holds the data set "small": nine train, three valid and four test sessions."""
    whole = read_atomic(shipped_datasets() / "bundle-mini", "bundle-mini")
    folder = tmp_path_factory.mktemp("benchmark-data")
    write_atomic(folder / "small", "small", SplitSessions(whole.train[:9], whole.valid[:3], whole.test[:4]))
    return folder
