"""The doctor knows which versions are tested, and says by which command a wrong one is mended."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from recbole_routedk.doctor.finding import Level
from recbole_routedk.doctor.installation import WITHOUT_THEIR_OWN, compared, installation, requirements

ROOT = Path(__file__).parents[2]


def test_this_environment_is_a_tested_one() -> None:
    assert [finding.level for finding in installation()] == [Level.OK, Level.OK]


def test_what_is_wanted_is_what_setup_cfg_says() -> None:
    python, packages = requirements()

    assert list(python.filter(["3.9.9", "3.10.0", "3.13.9", "3.14.0"])) == ["3.10.0", "3.13.9"]
    assert "torch" in {each.name for each in packages}


@pytest.mark.parametrize(
    "wanted, options, level, told",
    [
        ("numpy>=1,<99", "", None, ""),
        ("numpy>=98,<99", "", Level.WARNING, "pip install 'numpy<99,>=98'"),
        ("no-such-package==1.2", "--no-deps ", Level.ERROR, "pip install --no-deps 'no-such-package==1.2'"),
    ],
)
def test_a_missing_or_untested_package_is_named_with_its_command(
    wanted: str, options: str, level: Level | None, told: str
) -> None:
    found = list(compared(Requirement(wanted), options))

    assert [finding.level for finding in found] == ([] if level is None else [level])
    assert told in "".join(finding.line() for finding in found)


def test_packages_without_their_dependencies_are_those_of_the_file() -> None:
    lines = (ROOT / "requirements" / "no-deps.txt").read_text(encoding="utf-8").splitlines()
    listed = [Requirement(line) for line in lines if line and not line.startswith("#")]

    assert {each.name: str(each.specifier) for each in listed} == WITHOUT_THEIR_OWN
    assert all(metadata.version(name) for name in WITHOUT_THEIR_OWN)
