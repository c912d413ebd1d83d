"""What a result was made with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recbole_routedk import __version__
from recbole_routedk.provenance import LIBRARIES, code, library_versions, machine


def test_the_code_is_told_by_version_commit_and_digest() -> None:
    found = code()

    assert found["version"] == __version__
    assert re.fullmatch("[0-9a-f]{16}", found["digest"] or "")
    assert found["commit"] is None or re.fullmatch(r"[0-9a-f]{12}(\+changes)?|.*-g[0-9a-f]{12}.*", found["commit"])
    assert code() == found


def test_libraries_and_machine_are_named() -> None:
    assert set(library_versions()) == {"python", "torch", *LIBRARIES}
    assert set(machine()) == {"system", "cpu", "cores", "gpu"}
    assert machine()["cpu"]


def test_code_of_plug_ins_is_in_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = code()["digest"]
    (tmp_path / "mine.py").write_text("ANSWER = 42\n", encoding="utf-8")

    monkeypatch.setenv("RECBOLE_ROUTEDK_PLUGINS", str(tmp_path))
    with_mine = code()["digest"]
    monkeypatch.delenv("RECBOLE_ROUTEDK_PLUGINS")

    assert with_mine != ours
    assert code()["digest"] == ours
