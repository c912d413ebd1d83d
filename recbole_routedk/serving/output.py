"""Where answers go: standard output, or a file that appears when it is complete and is gone on with after a kill."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from recbole_routedk.checkpoint import read_json
from recbole_routedk.data.files import fault, write_json
from recbole_routedk.errors import UserError


@dataclass(frozen=True)
class Done:
    """How far a stream is answered: entries read, sessions answered, bad entries, bytes written.

    ``digest`` is that of the entries, so that a resumed run knows that it reads the same ones again.
    """

    entries: int = 0
    sessions: int = 0
    bad: int = 0
    size: int = 0
    digest: str = ""


class Output(Protocol):
    """Takes answers as lines."""

    done: Done

    def add(self, lines: Iterable[str], entries: int, bad: int, digest: str) -> None:
        """Write the lines of one window; what is written counts as done."""

    def finish(self) -> None:
        """Complete the output."""


class StandardOutput:
    """Lines go to standard output as soon as a window is answered; nothing can be resumed."""

    def __init__(self) -> None:
        self.done = Done()
        self._stream = sys.stdout.buffer  # as it is now: Ray's own words are kept out of it later

    def add(self, lines: Iterable[str], entries: int, bad: int, digest: str) -> None:
        """Write and flush."""
        written = _encoded(lines)
        self._stream.write(b"".join(written))
        self._stream.flush()
        self.done = _after(self.done, written, entries, bad, digest)

    def finish(self) -> None:
        """Have nothing to complete."""


class OutputFile:
    """Answers go to ``FILE.part``, and how far it is good to ``FILE.part.json``; ``FILE`` itself is always whole.

    The second file is replaced after each window, once the first is on the disk. After a kill the first one is cut back
    to where the second says, and no session is answered twice.
    """

    def __init__(self, path: Path, asked: dict[str, Any], overwrite: bool = False) -> None:
        """``asked`` says what the answers depend on; what was begun with another is not gone on with.

        ``overwrite`` starts anew, whatever is there. Raises UserError.
        """
        self.path = path
        self._part = path.with_name(f"{path.name}.part")
        self._state = path.with_name(f"{path.name}.part.json")
        self._asked = asked
        self.done = Done() if overwrite else self._taken_up()
        if path.exists() and not overwrite and not self.done.entries:
            raise fault(path, None, "is there already; give another --output, or --overwrite")
        try:
            if not self.done.entries:
                self._state.unlink(missing_ok=True)  # first: it must never speak of what comes now
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._part.open("r+b" if self.done.size else "wb")
            self._stream.truncate(self.done.size)
            self._stream.seek(self.done.size)
        except OSError as error:
            raise fault(self._part, None, f"cannot be written ({error.strerror})") from None

    def _taken_up(self) -> Done:
        """What an unfinished run has done; nothing where there is none."""
        self._undo_half_a_finish()
        if not self._part.is_file() or not self._state.is_file():
            return Done()
        state = read_json(self._state)
        asked, done = dict(state.get("asked") or {}), Done(**state.get("done") or {})
        before = {key: value for key, value in asked.items() if self._asked.get(key) != value}
        if before or self._part.stat().st_size < done.size:
            raise UserError(
                f"{self._part}: was begun otherwise ({before or 'and is shorter now'}); go on with the same command, "
                "or start anew with --overwrite"
            )
        return done

    def _undo_half_a_finish(self) -> None:
        """A run that was killed within ``finish`` has named its file but left the state: go on from before that."""
        if self._part.exists() or not self._state.is_file() or not self.path.is_file():
            return
        if self.path.stat().st_size == read_json(self._state).get("done", {}).get("size"):
            os.replace(self.path, self._part)

    def add(self, lines: Iterable[str], entries: int, bad: int, digest: str) -> None:
        """Write lines to the disk, then say that they are good; UserError on a full disk."""
        written = _encoded(lines)
        try:
            self._stream.write(b"".join(written))
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise fault(self._part, None, f"cannot be written ({error.strerror}); the same command goes on") from None
        self.done = _after(self.done, written, entries, bad, digest)
        write_json(self._state, {"asked": self._asked, "done": asdict(self.done)})

    def finish(self) -> None:
        """Give the file its name; UserError where that cannot be done."""
        try:
            self._stream.close()
            os.replace(self._part, self.path)
            self._state.unlink(missing_ok=True)
        except OSError as error:
            raise fault(self.path, None, f"cannot be written ({error.strerror}); the same command goes on") from None


def _encoded(lines: Iterable[str]) -> list[bytes]:
    return [f"{line}\n".encode() for line in lines]


def _after(done: Done, written: list[bytes], entries: int, bad: int, digest: str) -> Done:
    size = done.size + sum(map(len, written))
    return Done(done.entries + entries, done.sessions + len(written), done.bad + bad, size, digest)
