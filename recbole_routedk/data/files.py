"""Text files that are read whole with the place of every fault known, and written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_routedk.errors import UserError


def fault(path: Path, line: int | None, what: str) -> UserError:
    """Build the error for a fault in a file; ``line`` counts from 1, None means the file as a whole."""
    where = f"{path}" if line is None else f"{path}, line {line}"
    return UserError(f"{where}: {what}")


def read_text(path: Path) -> str:
    """Return a UTF-8 file's text without its byte order mark; line ends are left as they are.

    Raises UserError for a file that is missing, unreadable, not UTF-8, or that holds a NUL byte.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise fault(path, None, "there is no such file") from None
    except OSError as error:
        raise fault(path, None, f"cannot be read ({error.strerror})") from None
    nul = raw.find(b"\0")
    if nul >= 0:
        line = raw.count(b"\n", 0, nul) + 1
        raise fault(path, line, "holds a NUL byte; save the file as plain UTF-8 text")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Count in the bytes that the codec saw: utf-8-sig strips the mark before it counts.
        line = error.object.count(b"\n", 0, error.start) + 1
        bad = error.object[error.start]
        raise fault(path, line, f"is not UTF-8 (byte 0x{bad:02x}); save the file as UTF-8") from None


def write_texts(texts: Mapping[Path, str], unfinished: Path | None = None) -> None:
    """Write UTF-8 files, each whole or not at all.

    Every text goes to a temporary name beside its target and is synced before the first rename, so a
    full disk or an interruption leaves the old files. Killed between two renames it leaves new files beside old ones;
    the empty file ``unfinished`` then lies in the folder, as it does from before the first rename to after the last.
    Raises UserError where a folder cannot be written or a text cannot be encoded.
    """
    staged = {path.with_name(f".{path.name}.{os.getpid()}.tmp"): path for path in texts}
    try:
        for temporary, path in staged.items():
            _write_synced(temporary, _encode(path, texts[path]))
        if unfinished is not None:
            _write_synced(unfinished, b"")
            _sync_folder(unfinished.parent)
        for temporary, path in staged.items():
            os.replace(temporary, path)
        for folder in {path.parent for path in texts}:
            _sync_folder(folder)
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        # Writing to a full disk names no file; the files of one call lie together.
        raise fault(Path(error.filename or next(iter(texts))), None, f"cannot be written ({error.strerror})") from None
    finally:
        for temporary in staged:
            remove_temporary(temporary)


def write_json(path: Path, content: Any) -> None:
    """Write one JSON file, whole or not at all; UserError as for ``write_texts``."""
    write_texts({path: json_text(content)})


def json_text(content: Any) -> str:
    """JSON as our files hold it: readable, and every letter as it is."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def file_digest(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal, read in pieces; raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _encode(path: Path, text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise fault(path, None, f"cannot hold the lone surrogate U+{code:04X}; remove it") from None


def _write_synced(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(raw)
        stream.flush()
        os.fsync(stream.fileno())


def remove_temporary(temporary: Path) -> None:
    """Remove what was written before its rename, where anything was."""
    # A folder that could not be made holds no temporary file either.
    if temporary.parent.is_dir():
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the renames last; a platform that cannot open a folder needs no such step."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
