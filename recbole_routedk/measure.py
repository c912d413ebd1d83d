"""Peak memory of this process, or of its GPU; giving back what is free."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
from functools import cache
from pathlib import Path

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
