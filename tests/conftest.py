"""Fixtures of the whole suite: a small data set whose right answers are known."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy import toy_splits

from recbole_routedk.data.atomic import write_atomic


@pytest.fixture
def toy_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data path that holds the data set "toy"; what the test writes beside it stays out of the checkout."""
    write_atomic(tmp_path / "data" / "toy", "toy", toy_splits())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"
