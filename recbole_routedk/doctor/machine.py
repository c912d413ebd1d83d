"""Is there a GPU to be used, and room on the disk?"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from recbole_routedk.cache import CACHE_VARIABLE, cache_folder
from recbole_routedk.doctor.finding import Finding, Level
from recbole_routedk.provenance import machine

_GIB = 2**30
LEAST_ROOM, ENOUGH_ROOM = 0.2 * _GIB, 2 * _GIB
"""Below the first a run may not be saved; below the second a few runs of a larger student fill the disk."""


def processor(config: Any) -> Finding:
    """What the run would compute on."""
    about = machine()
    cpu = f"{about['cpu']}, {about['cores']} cores, {torch.get_num_threads()} threads"
    if not config["use_gpu"]:
        return Finding(Level.OK, "GPU", f"not to be used (use_gpu: False); {cpu}")
    if config["device"].type == "cuda":
        properties = torch.cuda.get_device_properties(config["device"])
        return Finding(Level.OK, "GPU", f"{properties.name}, {properties.total_memory / _GIB:.0f} GiB")
    if torch.version.cuda is not None and Path("/proc/driver/nvidia").exists():
        mend = "compare the driver with that CUDA version, and gpu_id with nvidia-smi; or --use_gpu=False"
        return Finding(Level.WARNING, "GPU", f"torch for CUDA {torch.version.cuda} sees no GPU; the CPU is used", mend)
    return Finding(Level.OK, "GPU", f"none; the CPU is used: {cpu}")


def disk(config: Any) -> Iterator[Finding]:
    """Room and right to write where runs and prepared students are kept."""
    yield _room("disk", Path(config["output_dir"]), "--output_dir=FOLDER on a larger disk")
    yield _room("cache", cache_folder(), f"the environment variable {CACHE_VARIABLE} names another folder")


def _room(what: str, folder: Path, elsewhere: str) -> Finding:
    folder = folder.expanduser().resolve()
    place = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"\0" * 4096)
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Finding(Level.ERROR, what, f"{folder} cannot be written ({error.strerror})", elsewhere)
    level = Level.OK if free >= ENOUGH_ROOM else Level.WARNING if free >= LEAST_ROOM else Level.ERROR
    mend = "" if level is Level.OK else f"make room, or {elsewhere}"
    return Finding(level, what, f"{free / _GIB:.1f} GiB free for {folder}", mend)
