"""Ends one of the workers of a Ray cluster on this machine while it works."""

from __future__ import annotations

import time

import psutil

PATIENCE = 240
"""Seconds until a worker has to be at work; on an idle machine it takes about ten."""


def kill_a_busy_worker() -> int:
    """End the process of one of Ray Data's actors (SIGKILL) within a call; returns its id."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for process in psutil.Process().children(recursive=True):
            # Ray calls a process after its actor and the method that it is in.
            if "ray::MapWorker" in (name := _name(process)) and name.endswith(".submit"):
                process.kill()
                return process.pid
        time.sleep(0.02)
    raise AssertionError("no worker is at work")


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:  # it has ended meanwhile
        return ""
