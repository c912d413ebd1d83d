"""Peak memory of this process, or of its GPU; what is free, and giving it back."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
from functools import cache
from pathlib import Path

import psutil
import torch


def reset_peak_memory(device: torch.device) -> None:
    """Start a new peak, where the system can (CUDA and Linux); elsewhere it stays the process's."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    # Linux only: 5 resets VmHWM. Without it, a model would show the memory of one that ran before.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_mib(device: torch.device) -> float:
    """The peak since ``reset_peak_memory``: allocated on the GPU, resident in RAM otherwise, in MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def free_memory(device: torch.device) -> int:
    """Bytes that a GPU has free, those included that torch keeps for itself; or the RAM, within a container's limit."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return min(int(psutil.virtual_memory().available), _left_to_container(Path("/sys/fs/cgroup")))


def _left_to_container(folder: Path) -> int:
    # Control groups of version 2 alone; "max" stands for no limit. Files that were read count as used until another
    # needs the room.
    with contextlib.suppress(OSError, ValueError):
        limit, used, parts = (
            (folder / name).read_text(encoding="ascii") for name in ("memory.max", "memory.current", "memory.stat")
        )
        files = dict(line.split() for line in parts.splitlines()).get("inactive_file", "0")
        return max(0, int(limit) - int(used) + int(files))
    return sys.maxsize


def give_back_freed_memory() -> None:
    """Hand memory that is free back to the system where the C library would keep it (glibc, on Linux).

    Tensors of ever other sizes leave holes between them: over thousands of batches of new titles a process grew by 60
    KiB a session; with this after every window it does not.
    """
    if sys.platform == "linux" and hasattr(_c_library(), "malloc_trim"):
        _c_library().malloc_trim(0)


@cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)
