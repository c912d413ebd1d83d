"""Installs torch into the running Python's environment, without gigabytes of CUDA where there is no GPU.

On Linux, the package index's default torch brings several GB of CUDA libraries. This script, run before
anything that depends on torch, takes a CPU wheel instead when the machine has no NVIDIA GPU, and stops with
advice rather than fall back to the CUDA build. The version range is the one in setup.cfg. Only the standard
library is used, for this runs in a bare venv.
"""

from __future__ import annotations

import argparse
import configparser
import importlib.metadata
import platform
import shutil
import subprocess  # nosec B404  # pip and nvidia-smi, with words of ours
import sys
from pathlib import Path

SETUP_CFG = Path(__file__).resolve().parent.parent / "setup.cfg"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
ADVICE = """\
No CPU build of {requirement} was found for Python {python} on {system} {machine}:
neither in pip's find-links folders nor at {index}.
This machine has no NVIDIA GPU, so the CUDA build (several GB) was not taken. Any one of these mends it:
  - put a CPU wheel of torch into a folder and name that folder:  PIP_FIND_LINKS=/path/to/wheels make install
  - use another Python, for which there is a CPU wheel:           make clean; PYTHON=python3.11 make install
  - let this machine reach {index} and run again
  - take the CUDA build all the same (it runs on the CPU too):    TORCH=cuda make install"""


def torch_requirement(setup_cfg: Path = SETUP_CFG) -> str:
    """The line of setup.cfg's install_requires that names torch, such as `torch>=2.4.0,<2.14`."""
    parser = configparser.ConfigParser()
    parser.read_string(setup_cfg.read_text(encoding="utf-8"))
    for line in parser.get("options", "install_requires").splitlines():
        if line.startswith("torch") and not line[5:6].isalnum():
            return line.strip()
    raise SystemExit(f"{setup_cfg}: install_requires names no torch")


def has_nvidia_gpu() -> bool:
    """Whether nvidia-smi is there and lists a GPU."""
    if shutil.which("nvidia-smi") is None:
        return False
    # Whichever nvidia-smi comes first is the one that this machine's user trusts.
    listing = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True)  # nosec B603 B607
    return listing.returncode == 0 and "GPU" in listing.stdout


def pip(*arguments: str) -> bool:
    """Runs this interpreter's pip; True when it succeeded."""
    # No shell; the words are options of ours and paths that the caller gave.
    return subprocess.run([sys.executable, "-m", "pip", *arguments]).returncode == 0  # nosec B603


def installed_version() -> str | None:
    """The version of torch in this environment, None without one."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def needs_cuda_packages() -> bool:
    """Whether the installed torch requires NVIDIA's packages, which pip would then fetch."""
    names = importlib.metadata.requires("torch") or []
    return any(name.startswith(("nvidia-", "cuda-")) for name in names)


def install_cpu_wheel(wanted: list[str]) -> bool:
    """Installs a CPU wheel from pip's find-links, else PyTorch's CPU index; False when neither has the wanted one."""
    before = installed_version()
    for source in (["--no-index"], ["--index-url", CPU_INDEX]):
        print(f"looking for a CPU wheel: pip install {' '.join((*source, *wanted))}", flush=True)
        # --no-deps: a CUDA wheel that lies in such a folder is refused before it pulls its gigabytes in.
        # --no-compile: Python compiles the few modules that are used, on their first import.
        if not pip("install", "--no-compile", "--no-deps", *source, *wanted):
            continue
        if installed_version() == before or not needs_cuda_packages():
            return True
        pip("uninstall", "--yes", "torch")
    return False


def main(argv: list[str] | None = None) -> int:
    """Installs torch, or keeps one that is in range; returns 1 when no fitting build was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    build_help = "auto: cuda with an NVIDIA GPU, else cpu"
    parser.add_argument("--build", choices=("auto", "cpu", "cuda"), default="auto", help=build_help)
    parser.add_argument("--constraint", metavar="FILE", help="a pip constraints file")
    parser.add_argument("--pinned", metavar="FOLDER", help="only what ci-torch-BUILD.txt in there has hashes of")
    options = parser.parse_args(argv)
    requirement = torch_requirement()
    wanted = [*(["--constraint", options.constraint] if options.constraint else []), requirement]
    build = options.build
    if build == "auto":
        # Only on Linux does the index's default build carry CUDA.
        build = "cuda" if platform.system() != "Linux" or has_nvidia_gpu() else "cpu"
    if options.pinned:
        wanted = ["--no-deps", "--require-hashes", "--requirement", f"{options.pinned}/ci-torch-{build}.txt"]
    if build == "cuda":
        return 0 if pip("install", "--no-compile", *wanted) else 1
    if install_cpu_wheel(wanted):
        return 0
    facts = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    print(ADVICE.format(requirement=requirement, index=CPU_INDEX, **facts), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
