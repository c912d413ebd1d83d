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
    found = (re.fullmatch(r"([A-Za-z0-9_-]+)([<>=].*)", line) for line in lines if not line.startswith("#"))
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
    ranges = requirements(options["options"]["install_requires"] + options["options.extras_require"]["openai"])
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


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
