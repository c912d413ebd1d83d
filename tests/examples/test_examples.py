"""Every example runs as its first line says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_bundles_for_sessions(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "bundles_for_sessions.py")]
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES.parent)}

    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, env=environment)

    assert ran.returncode == 0, ran.stderr
    first, *_ = ran.stdout.splitlines()
    assert first.startswith("session-1 (agreement ")
    assert "visit-7 (agreement " in ran.stdout
    assert "French press coffee pot, 1 litre + Coffee scale with timer" in ran.stdout
