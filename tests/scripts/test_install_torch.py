"""The choice of a torch build, with the real pip in an empty environment and hand-made wheels named torch."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pip
import pytest

SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "install_torch.py"


class Environment:
    """A virtual environment without torch, whose pip sees one folder of wheels and no network."""

    def __init__(self, folder: Path) -> None:
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        self.python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        # Our own pip, borrowed: to install another one would take most of the test's time.
        (folder / "borrowed").mkdir()
        (folder / "borrowed" / "pip").symlink_to(Path(pip.__file__).parent)
        self.variables = {
            **os.environ,
            "PYTHONPATH": str(folder / "borrowed"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_PROXY": "http://127.0.0.1:9",
            "PIP_RETRIES": "0",
        }

    def add_wheel(self, version: str, requires: str = "") -> None:
        """Puts a wheel of torch with nothing in it into the folder of wheels."""
        info = f"torch-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n"
        metadata += f"Requires-Dist: {requires}\n" if requires else ""
        with zipfile.ZipFile(self.wheels / f"torch-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{info}/METADATA", metadata)
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")

    def install_torch(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the script in the environment."""
        command = [self.python, SCRIPT, "--build", "cpu", *arguments]
        return subprocess.run(command, env=self.variables, capture_output=True, text=True, check=False)

    def torch_version(self) -> str:
        """The installed version, empty without one."""
        code = "import importlib.metadata as m; print(*(d.version for d in m.distributions(name='torch')))"
        command = [self.python, "-c", code]
        return subprocess.run(command, env=self.variables, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path)


def test_a_cpu_wheel_in_find_links_is_taken_and_kept(environment: Environment) -> None:
    environment.add_wheel("2.13.0+cpu")
    assert environment.install_torch().returncode == 0
    assert environment.torch_version() == "2.13.0+cpu"

    environment.add_wheel("2.13.1+cpu")
    assert environment.install_torch().returncode == 0
    assert environment.torch_version() == "2.13.0+cpu"


def test_a_wheel_outside_the_range_of_setup_cfg_is_left(environment: Environment) -> None:
    environment.add_wheel("99.0+cpu")
    environment.add_wheel("2.12.1+cpu")
    assert environment.install_torch().returncode == 0
    assert environment.torch_version() == "2.12.1+cpu"


def test_a_cuda_wheel_is_refused_with_advice(environment: Environment) -> None:
    environment.add_wheel("2.13.0", requires='nvidia-cublas==13.1.0; platform_system == "Linux"')
    answer = environment.install_torch()
    assert answer.returncode == 1
    assert environment.torch_version() == ""
    assert "No CPU build of torch>=" in answer.stderr
    assert "TORCH=cuda make install" in answer.stderr


def test_only_a_wheel_with_the_pinned_hash_is_taken(environment: Environment, tmp_path: Path) -> None:
    environment.add_wheel("2.13.0+cpu")
    raw = next(environment.wheels.iterdir()).read_bytes()
    pins = tmp_path / "ci-torch-cpu.txt"

    pins.write_text(f"torch==2.13.0+cpu --hash=sha256:{hashlib.sha256(raw + b'.').hexdigest()}\n", encoding="utf-8")
    answer = environment.install_torch("--pinned", str(tmp_path))
    assert answer.returncode == 1
    assert "No CPU build of torch>=" in answer.stderr

    pins.write_text(f"torch==2.13.0+cpu --hash=sha256:{hashlib.sha256(raw).hexdigest()}\n", encoding="utf-8")
    assert environment.install_torch("--pinned", str(tmp_path)).returncode == 0
    assert environment.torch_version() == "2.13.0+cpu"


def test_a_constraint_picks_the_version(environment: Environment, tmp_path: Path) -> None:
    environment.add_wheel("2.13.0+cpu")
    environment.add_wheel("2.10.0+cpu")
    (tmp_path / "constraints.txt").write_text("torch==2.10.0\n", encoding="utf-8")
    assert environment.install_torch("--constraint", str(tmp_path / "constraints.txt")).returncode == 0
    assert environment.torch_version() == "2.10.0+cpu"
