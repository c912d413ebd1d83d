"""The SHA-256 of each file of an exported folder, in a manifest beside the files."""

from __future__ import annotations

from pathlib import Path

from recbole_routedk.checkpoint import read_json
from recbole_routedk.data.files import fault, file_digest, write_json

MANIFEST = "manifest.json"


def write_manifest(folder: Path) -> None:
    """Write down the digests of the files that lie in the folder now, its own folders aside."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    write_json(folder / MANIFEST, {"sha256": {path.name: file_digest(path) for path in files}})


def check_manifest(folder: Path) -> None:
    """Raise UserError for a file that is not the one the manifest names; a folder of others has none, and passes.

    This finds damage and files that do not belong together; whoever can change the manifest too is not found.
    """
    path = folder / MANIFEST
    if not path.exists():
        return
    digests = read_json(path).get("sha256")
    if not isinstance(digests, dict):
        raise fault(path, None, "has no digests under sha256; export again")
    for name, digest in digests.items():
        file = folder / Path(name).name
        if not file.is_file():
            raise fault(file, None, f"is missing, though {MANIFEST} names it; export again")
        if file_digest(file) != digest:
            raise fault(file, None, f"is damaged, or not the file that {MANIFEST} was written with; export again")
