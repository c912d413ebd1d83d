"""Ends a process at its n-th write: right before it, right after it, or in its middle.

Python tells a profile function of every call of a C function, so the product needs no change: files, folders,
renames, SQLite and safetensors are all written by C functions. The middle of a write is reached by a limit on the
size of files: the system writes up to there and ends the process at the next byte.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sqlite3
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedRandom, BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Any

BEFORE, AFTER, TORN = MODES = ("before", "after", "torn")
FAILED = 70
"""The exit status of a child whose work raised an exception."""
_SYSTEM = {"fsync", "fdatasync", "replace", "rename", "unlink", "remove", "rmdir", "mkdir", "truncate", "ftruncate"}
_STREAM = {"write", "writelines", "flush", "truncate", "close"}
_NAMES = frozenset(_SYSTEM | _STREAM | {"execute", "commit", "serialize_file"})
_STREAMS = (BufferedRandom, BufferedWriter, FileIO, TextIOWrapper)


@dataclass(frozen=True)
class KillPoint:
    """Where a process ends: its ``number``-th write, from 1; ``size`` bytes is where a torn write is torn."""

    number: int
    mode: str
    size: int = 0


def drawn_point(draw: random.Random, writes: int) -> KillPoint:
    """Draw a point among the first ``writes`` writes."""
    return KillPoint(draw.randint(1, max(1, writes)), draw.choice(MODES), int(2 ** draw.uniform(0, 16)))


class _Counter:
    """Counts the writes of this process, and ends it at the wanted one."""

    def __init__(self, point: KillPoint | None) -> None:
        self.writes = 0
        self._point = point

    def profile(self) -> Callable[[FrameType, str, Any], None]:
        """The function that Python is to tell of every call; most calls leave it at once, for it doubles their time."""
        late = self._point is not None and self._point.mode == AFTER

        def told(frame: FrameType, event: str, called: Any) -> None:
            if event == "c_call":
                if called.__name__ in _NAMES and _writes(called):
                    self._before()
            elif late and event == "c_return" and called.__name__ in _NAMES and _writes(called):
                self._after()

        return told

    def _before(self) -> None:
        self.writes += 1
        point = self._point
        if point is not None and self.writes == point.number and point.mode == TORN:
            resource.setrlimit(resource.RLIMIT_FSIZE, (point.size, point.size))
        elif point is not None and self.writes == point.number and point.mode == BEFORE:
            _end()

    def _after(self) -> None:
        if self._point is not None and self.writes >= self._point.number:
            _end()  # ">": another thread may have counted on since


def run_in_child(work: Callable[[], int], point: KillPoint | None, told: Path, counted: Path | None = None) -> int:
    """Run ``work`` in a fork of this process, up to ``point``; returns its exit status, negative for a signal.

    What it prints goes to ``told``, how often it wrote to ``counted``.
    """
    child = os.fork()
    if child == 0:
        status = FAILED
        try:
            stream = told.open("w", encoding="utf-8")
            sys.stdout = sys.stderr = stream
            # Python ignores this signal, and gets an error instead.
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            counter = _Counter(point)
            threading.setprofile(counter.profile())
            sys.setprofile(counter.profile())
            status = work()
            sys.setprofile(None)
            if counted is not None:
                counted.write_text(str(counter.writes), encoding="utf-8")
        except BaseException:
            sys.setprofile(None)
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _writes(called: Any) -> bool:
    owner = getattr(called, "__self__", None)
    if owner is sys.stdout:
        return False
    if isinstance(owner, _STREAMS):
        return called.__name__ in _STREAM and not owner.closed and owner.writable()
    if isinstance(owner, sqlite3.Connection):
        return True
    return called.__name__ == "serialize_file" or (called.__name__ in _SYSTEM and owner is sys.modules[os.name])


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
