"""Curves of a run for tensorboard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from recbole_routedk.errors import UserError


class CurveWriter:
    """Writes curves for tensorboard into a folder; UserError where that cannot be done, also of what it wrote late."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with self._explained():
            self._writer = SummaryWriter(str(folder))

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Add a point of a curve."""
        with self._explained():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left."""
        with self._explained():
            self._writer.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(f"{self._folder}: cannot be written ({error.strerror}); --resume goes on") from None
