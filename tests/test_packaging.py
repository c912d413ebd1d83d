"""The package as a user gets it: what the wheel holds, and which ranges and commands it declares."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import import_module, metadata
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import recbole_routedk

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    # Built from a copy, so that the checkout gets no build folder.
    source = tmp_path_factory.mktemp("source")
    for folder in ("recbole_routedk", "properties"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("setup.cfg", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / file, source / file)
    command = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "built", "."]
    subprocess.run([sys.executable, "-m", "pip", *command], cwd=source, check=True)
    (built,) = (source / "built").glob("*.whl")
    return zipfile.ZipFile(built)


@pytest.fixture(scope="module")
def options() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def requirements(text: str) -> dict[str, str]:
    """`name -> version range` of the lines that name a package."""
    lines = (line.strip() for line in text.splitlines())
    named = r"([A-Za-z0-9_-]+)(?:\[\w+\])?([<>=].*)"
    found = (re.fullmatch(named, line) for line in lines if not line.startswith("#"))
    return {match[1].lower(): match[2] for match in found if match}


def test_the_wheel_holds_every_yaml(wheel: zipfile.ZipFile) -> None:
    properties = ROOT / "properties"
    paths = (path.relative_to(properties).as_posix() for path in properties.rglob("*.yaml"))
    expected = {f"recbole_routedk/properties/{path}" for path in paths}
    assert "recbole_routedk/properties/overall.yaml" in expected
    assert {name for name in wheel.namelist() if name.endswith(".yaml")} == expected


def test_the_wheel_holds_every_module(wheel: zipfile.ZipFile) -> None:
    expected = {path.relative_to(ROOT).as_posix() for path in (ROOT / "recbole_routedk").rglob("*.py")}
    assert {name for name in wheel.namelist() if name.endswith(".py")} == expected


def test_the_version_is_the_same_everywhere(wheel: zipfile.ZipFile) -> None:
    version = recbole_routedk.__version__
    assert metadata.version("recbole_routedk") == version
    assert f"recbole_routedk-{version}.dist-info/METADATA" in wheel.namelist()


def test_the_console_script_is_a_function(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    entry_points = configparser.ConfigParser()
    entry_points.read_string(wheel.read(name).decode())
    module, function = entry_points["console_scripts"]["recbole_routedk"].split(":")
    assert callable(getattr(import_module(module), function))


def test_oldest_and_newest_are_the_ends_of_the_ranges(options: configparser.ConfigParser) -> None:
    extras = options["options.extras_require"]
    ranges = requirements("\n".join([options["options"]["install_requires"], extras["openai"], extras["ray"]]))
    oldest = requirements((ROOT / "constraints" / "oldest.txt").read_text(encoding="utf-8"))
    newest = requirements((ROOT / "constraints" / "newest.txt").read_text(encoding="utf-8"))
    assert ranges.keys() == oldest.keys() == newest.keys()
    for name, bounds in ranges.items():
        lower, upper = re.fullmatch(r">=([\d.]+),<([\d.]+)", bounds).groups()
        assert oldest[name] == f"=={lower}", name
        newest_parts = numbers(newest[name].removeprefix("==").removesuffix(".*"))
        upper_parts = numbers(upper)
        assert newest_parts < upper_parts, name
        # No untested minor version lies between the newest tested one and the bound.
        step = len(upper_parts) - 1
        assert (*newest_parts[:step], newest_parts[step] + 1) == upper_parts, name


def test_ci_installs_by_hash_what_the_ranges_allow_on_every_python(options: configparser.ConfigParser) -> None:
    texts = [options["options"]["install_requires"], options["options.extras_require"]["dev"]]  # with openai and test
    texts.append((ROOT / "requirements" / "no-deps.txt").read_text(encoding="utf-8"))
    wanted = [Requirement(line) for line in re.findall(r"^\s*([^\s#].*)", "\n".join(texts), re.M)]
    for kind in ("cpu", "cuda"):
        for python in ("3.10", "3.11", "3.12", "3.13"):
            machine = {"python_version": python, "python_full_version": f"{python}.5", "sys_platform": "linux"}
            pinned = pins("ci.txt", machine) | pins(f"ci-torch-{kind}.txt", machine)
            for each in wanted:
                version = pinned[canonicalize_name(each.name)]
                assert each.specifier.contains(version), f"{each}: pin {version}, run scripts/pin_requirements.py"


def pins(file: str, machine: dict[str, str]) -> dict[str, str]:
    """The version of every package that a list with hashes gives to a machine."""
    text = (ROOT / "requirements" / file).read_text(encoding="utf-8")
    found = {}
    for requirement, hashes in re.findall(r"^([a-z].*?) \\\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", text, re.M):
        name, _, version = requirement.partition(";")[0].strip().partition("==")
        marker = requirement.partition(";")[2]
        if not marker or Marker(marker).evaluate(machine):
            assert name not in found, f"{file} has two versions of {name}"
            found[name] = version
            assert hashes
    assert len(found) > 0
    assert all(line.startswith(("#", "    --hash=")) or line.endswith("\\") for line in text.splitlines())
    return found


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
