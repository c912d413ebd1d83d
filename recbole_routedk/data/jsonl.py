"""JSON lines, read one at a time from a file that may be larger than memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from recbole_routedk.data.plain import BadSessionError

LONGEST_LINE = 1 << 24
"""Bytes; a line that is longer is not read into memory."""


def byte_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers from 1; of too long a line the beginning."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        rest = line
        while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST_LINE + 1)
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield number, line


def parse_json(line: bytes) -> Any:
    """Return what a line says; raises BadSessionError with the reason where it is no JSON."""
    if len(line) > LONGEST_LINE:
        raise BadSessionError(f"is longer than {LONGEST_LINE >> 20} MiB")
    try:
        return json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise BadSessionError(f"is not UTF-8 (byte 0x{line[error.start]:02x})") from None
    except RecursionError:
        raise BadSessionError("is nested too deeply") from None
    except ValueError as error:
        raise BadSessionError(f"is not JSON ({error}); a line has to hold one session") from None
