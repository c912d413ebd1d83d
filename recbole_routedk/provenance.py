"""What a result was made with: the code, the libraries and the machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import subprocess  # nosec B404  # one command, all of whose words are ours
from functools import cache
from importlib import metadata
from pathlib import Path

import torch

from recbole_routedk import __version__
from recbole_routedk.plugins import own_folders

LIBRARIES = ("transformers", "peft", "recbole", "numpy", "scipy", "scikit-learn")


def code() -> dict[str, str | None]:
    """The package as this process found it: its version, its git commit, and a digest of its Python files.

    The commit is None outside a checkout, and ends in "+changes" where files differ from it; the digest tells any two
    states of the code apart, that of plug-ins (``$RECBOLE_ROUTEDK_PLUGINS``) included.
    """
    return dict(_code(tuple(own_folders())))


@cache
def _code(plugins: tuple[Path, ...]) -> dict[str, str | None]:
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for folder in (package, *plugins):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return {"version": __version__, "commit": _commit(package.parent), "digest": digest.hexdigest()[:16]}


def made_with() -> dict[str, object]:
    """What has to be the same for weights to be what training would come to now: digest of the code, libraries."""
    return {"digest": code()["digest"], "libraries": library_versions()}


def library_versions() -> dict[str, str]:
    """The versions of Python and of the libraries that results depend on."""
    # torch's own version names its build (+cpu, +cu130), which its package's version may leave out.
    known = {"python": platform.python_version(), "torch": str(torch.__version__)}
    return known | {name: metadata.version(name) for name in LIBRARIES}


def machine() -> dict[str, str | int | None]:
    """The system, the processor, the cores that this process may use, and the GPU (None where there is none)."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"system": platform.system(), "cpu": _cpu_name(), "cores": _usable_cores(), "gpu": gpu}


def _commit(checkout: Path) -> str | None:
    if not (checkout / ".git").exists():  # an installed package may lie within somebody else's repository
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--abbrev=12", "--dirty=+changes"]
    try:
        # No shell, and a path that is no option.
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # nosec B603
    except (OSError, subprocess.SubprocessError):  # no git, or a checkout that it refuses to read
        return None
    return found.stdout.strip()


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_name() -> str:
    with contextlib.suppress(OSError):  # Linux only; platform.processor() is mostly empty there
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
