"""RecBole's log, to the terminal and to a file of each run, and progress bars."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import colorlog
from recbole.utils.logger import RemoveColorFilter, log_colors_config
from tqdm import tqdm

from recbole_routedk.errors import UserError

_DATE = "%d %b %H:%M:%S"


class _AroundBars(logging.Handler):
    """Writes to standard error without tearing a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record above the bars."""
        tqdm.write(self.format(record), file=sys.stderr)


@contextmanager
def logging_to(path: Path | None, state: str) -> Iterator[None]:
    """Show log lines of level ``state`` and above, and write them to ``path``, within the block.

    RecBole's own ``init_logger`` writes to the working directory and does nothing the second time.
    """
    root, level = logging.getLogger(), getattr(logging, state)
    terminal = _AroundBars()
    if sys.stderr.isatty():
        form = "%(log_color)s%(asctime)s  %(message)s"
        terminal.setFormatter(colorlog.ColoredFormatter(form, _DATE, log_colors=log_colors_config))
    else:
        terminal.setFormatter(logging.Formatter("%(asctime)s  %(message)s", _DATE))
    handlers: list[logging.Handler] = [terminal]
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = logging.FileHandler(path, encoding="utf-8")
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror}); set --output_dir") from None
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s  %(message)s", "%Y-%m-%d %H:%M:%S"))
        file.addFilter(RemoveColorFilter())
        handlers.append(file)
    before = root.level
    root.setLevel(level)
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        root.setLevel(before)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


def progress_bar(total: int, title: str, unit: str, shown: bool) -> tqdm[Any]:
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


class NoWriter:
    """Takes what tensorboard would write and drops it."""

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Drop a value."""

    def close(self) -> None:
        """Have nothing to close."""
