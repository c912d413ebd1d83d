"""Progress bars with the time left, for everything that takes longer than two seconds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

_SHOWN = ContextVar("progress_shown", default=True)


@contextmanager
def progress_shown(shown: bool) -> Iterator[None]:
    """Hide every bar within where ``shown`` is False, also those of parts that know no settings."""
    before = _SHOWN.set(shown)
    try:
        yield
    finally:
        _SHOWN.reset(before)


def progress_bar(total: int, title: str, unit: str, shown: bool = True) -> tqdm[Any]:
    """A bar with the time left, gone when done; refreshed seldom where it ends up in a log file."""
    return tqdm(
        total=total,
        desc=title,
        unit=unit,
        disable=not (shown and _SHOWN.get()),
        leave=False,
        delay=1,
        mininterval=0.5 if sys.stderr.isatty() else 30,
        dynamic_ncols=True,
    )
