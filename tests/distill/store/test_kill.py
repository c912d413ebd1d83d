"""Killed with SIGKILL at any point and started again: nothing answered is lost or asked again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from recorded_teacher import RecordedTeacher, a_request

from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.store.rows import plain_row
from recbole_routedk.distill.store.stored_teacher import StoredTeacher

COUNT = 400
KILLS = 32
AHEAD = 3
"""Requests that the program has open at once, so that at most these are asked again after a kill."""


def contents(path: Path) -> list[dict[str, object]]:
    with RequestStore(path) as store:
        rows = [plain_row(row) for row in store.rows()]
    return [{name: value for name, value in row.items() if name not in ("created", "attempts")} for row in rows]


def answered(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    with RequestStore(path) as store:
        return {row.request.messages[-1].content for row in store.rows()}


def start(runs: subprocess.Popen[str]) -> int:
    """Start a run; returns its process id."""
    assert runs.stdin is not None
    assert runs.stdout is not None
    print("go", file=runs.stdin, flush=True)
    return int(runs.stdout.readline())


def ended(runs: subprocess.Popen[str]) -> int:
    """Wait for the run; returns its exit status."""
    assert runs.stdout is not None
    return int(runs.stdout.readline())


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def test_killed_at_random_points_and_restarted_it_ends_like_an_unkilled_run(tmp_path: Path) -> None:
    store, log = tmp_path / "killed.sqlite", tmp_path / "asked.txt"
    program = [sys.executable, str(Path(__file__).with_name("recorded_teacher.py")), str(store), str(log), str(COUNT)]
    draw = random.Random(5)
    with subprocess.Popen([*program, "--again"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as runs:
        for round_number in range(KILLS):
            before, asked_before = answered(store), len(lines(log))
            child = start(runs)
            # After so many new requests, and then at any moment of opening, reading, writing and syncing.
            wanted = asked_before + draw.randrange(5)
            limit = time.monotonic() + 20
            while len(lines(log)) < wanted and time.monotonic() < limit:
                time.sleep(0.0005)
            time.sleep(draw.uniform(0, 0.01))
            os.kill(child, signal.SIGKILL)
            assert ended(runs) == -signal.SIGKILL
            assert before <= answered(store), f"round {round_number} lost an answer"
            asked = lines(log)[asked_before:]
            assert not before.intersection(asked), f"round {round_number} asked what it knew"
        assert len(answered(store)) < COUNT
        start(runs)
        assert ended(runs) == 0

    with RequestStore(tmp_path / "unkilled.sqlite") as unkilled:
        list(StoredTeacher(RecordedTeacher(), unkilled).complete([a_request(f"request {n}") for n in range(COUNT)]))
    assert contents(store) == contents(tmp_path / "unkilled.sqlite")
    times = Counter(lines(log))
    assert set(times) == {f"request {number}" for number in range(COUNT)}
    assert sum(times.values()) <= COUNT + KILLS * AHEAD  # those that were open, not yet answered


def test_the_store_is_started_without_torch() -> None:
    code = "import sys, recbole_routedk.distill.store.stored_teacher as s; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
