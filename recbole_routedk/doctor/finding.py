"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad it is: a warning may change results or speed, an error stops a run."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor: what was looked at, how it is, and how to mend it where it is not well."""

    level: Level
    what: str
    told: str
    mend: str = ""

    def line(self) -> str:
        """The finding on one line, without control characters: names of files and servers are not to be trusted."""
        told = f"{self.level.value:<9}{self.what:<14}{self.told}"
        if self.mend:
            told = f"{told.rstrip('.')}; to mend: {self.mend}"
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(told.split("\n")))
