"""OpenMP is calmed before torch is imported, and what the user has set stays."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from recbole_routedk.threads import calm_openmp


@pytest.mark.parametrize("cores, threads", [({0}, "1"), ({0, 1}, "1"), ({0, 1, 2, 3}, None)])
def test_few_cores_get_one_thread(monkeypatch: pytest.MonkeyPatch, cores: set[int], threads: str | None) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores, raising=False)
    monkeypatch.setattr(os, "environ", {})

    calm_openmp()

    assert os.environ.get("OMP_NUM_THREADS") == threads
    assert os.environ["OMP_WAIT_POLICY"] == "passive"


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"OMP_NUM_THREADS": "7", "OMP_WAIT_POLICY": "active"})

    calm_openmp()

    assert os.environ == {"OMP_NUM_THREADS": "7", "OMP_WAIT_POLICY": "active"}


def test_the_dispatcher_imports_no_torch() -> None:
    code = "import sys, recbole_routedk.cli.dispatch; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
