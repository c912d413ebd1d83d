"""OpenMP settings that have to be made before torch is imported."""

from __future__ import annotations

import os


def calm_openmp() -> None:
    """Let idle OpenMP threads sleep, and on two cores or fewer use one thread; what the user has set stays.

    Spinning threads take the cores from the ones at work: with one core busy elsewhere, a training step that
    spins takes up to twenty times as long. Threads that sleep cost their waking at each of thousands of small
    products a step, so that two gain nothing over one: 5.6 to 8.3 s against 5.5 s a step on two cores of an AMD EPYC.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if _cores() <= 2:
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def _cores() -> int:
    # The cores of this process, where the system tells; a container may have fewer than the machine.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
