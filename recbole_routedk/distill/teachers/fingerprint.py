"""A cheap fingerprint of a model's files: the same files give the same answers."""

from __future__ import annotations

import hashlib
from pathlib import Path

_READ_BY_MODELS = (".json", ".jinja", ".model", ".txt", ".safetensors", ".bin", ".gguf")
_WHOLE = 1 << 20
_BLOCK = 1 << 14
_BLOCKS = 256


def files_fingerprint(place: Path) -> str:
    """Return a hash of a model's file, or of the files in its folder that a loader reads.

    Files up to 1 MiB count whole; of larger ones the size and 256 evenly spread blocks of 16 KiB, the first (a
    safetensors header) and the last among them: training changes nearly all weights, so a few of them tell.
    """
    digest = hashlib.sha256()
    files = [place] if place.is_file() else sorted(p for p in place.iterdir() if p.suffix in _READ_BY_MODELS)
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name if place.is_dir() else ''}\0{size}\0".encode("utf-8", "surrogateescape"))
        with path.open("rb") as file:
            if size <= _WHOLE:
                digest.update(file.read())
                continue
            for block in range(_BLOCKS):
                file.seek(block * (size - _BLOCK) // (_BLOCKS - 1))
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()[:16]
