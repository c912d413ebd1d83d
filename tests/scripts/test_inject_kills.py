"""Killed at a hundred random writes and started again: see ``scripts/inject_kills.py``, which says what must hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "inject_kills.py"


def test_a_hundred_kills_lose_nothing(tmp_path: Path) -> None:
    # A process of its own, because it forks: the suite's has threads by now.
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--kills=100", "--seed=3"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )

    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["faults"] == []
    assert sum(case["killed"] for case in told["cases"]) == 100
    assert all(case["runs"] >= 1 for case in told["cases"])
