"""One process at a time works in a run folder: two would train the same, and write over each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recbole_routedk.errors import UserError

try:
    import fcntl
except ImportError:  # not on this system: there is no lock then
    fcntl = None  # type: ignore[assignment]


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; UserError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}); give another --output_dir") from None


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Within the block no other process gets here with the same folder, which is made; a killed one holds nothing.

    Raises UserError where another process is at work in it, or it cannot be made.
    """
    make_folder(folder)
    if fcntl is None or not hasattr(os, "O_DIRECTORY"):
        yield
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another process is at work in {folder}; wait for it, or give another --output_dir or --run_name"
            ) from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)
