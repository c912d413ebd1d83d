"""Progress bars with the time left, for everything that takes longer than two seconds."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(total: int, title: str, unit: str, shown: bool = True) -> tqdm[Any]:
    """A bar with the time left, gone when done; refreshed seldom where it ends up in a log file."""
    return tqdm(
        total=total,
        desc=title,
        unit=unit,
        disable=not shown,
        leave=False,
        delay=1,
        mininterval=0.5 if sys.stderr.isatty() else 30,
        dynamic_ncols=True,
    )
