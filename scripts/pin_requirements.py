"""Writes the hashes that CI installs by: requirements/ci.txt, and ci-torch-cuda.txt for a machine with an NVIDIA GPU.

    pip install uv && python scripts/pin_requirements.py

uv resolves setup.cfg's ranges (with its dev extra) for Python 3.10 to 3.13 at once, and names every file that the
package index has for a version, so that one list serves all machines. requirements/ci-torch-cpu.txt is kept by hand,
for PyTorch's own index does not mix with the other.
"""

from __future__ import annotations

import re
import shutil
import subprocess  # nosec B404  # uv, with words of ours
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
CUDA = re.compile(r"(torch|triton|nvidia-\S+|cuda-\S+)==")
HEAD = "# Written by scripts/pin_requirements.py; `make install` needs none of it.\n"


def compiled(*words: str) -> list[str]:
    """The requirements that uv makes of an input, each with its version, its marker and its hashes."""
    uv = shutil.which("uv") or "uv"
    settings = ["--universal", "--python-version=3.10", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    command = [uv, "pip", "compile", *settings, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)  # nosec B603  # no shell
    if done.returncode:
        raise SystemExit(done.stderr)
    return re.findall(r"^\S.*\n(?:[ \t].*\n)*", done.stdout, flags=re.MULTILINE)


def main() -> int:
    """Resolve and write; returns 0."""
    everything = compiled("setup.cfg", "--extra=dev")
    cuda = [each for each in everything if CUDA.match(each)]
    others = [each for each in everything if each not in cuda]
    others += compiled("requirements/no-deps.txt", "--no-deps")
    (FOLDER / "ci.txt").write_text(HEAD + "".join(sorted(others)), encoding="utf-8")
    (FOLDER / "ci-torch-cuda.txt").write_text(HEAD + "".join(cuda), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
