"""RecBole's log, to the terminal and to a file of each run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

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


class NoWriter:
    """Takes what tensorboard or Weights and Biases would write and drops it."""

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Drop a value."""

    def log_metrics(self, metrics: Mapping[str, float], head: str) -> None:
        """Drop values."""

    def close(self) -> None:
        """Have nothing to close."""
