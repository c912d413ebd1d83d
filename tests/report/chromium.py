"""Finds the Chromium that the report is looked at with; run as a script, it installs one where there is none.

``$CHROMIUM`` names another one. Playwright's own download is tried last: where only package registries can be reached,
Debian's package is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

COMMANDS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PACKAGE = "chromium-headless-shell"


def find_chromium() -> str | None:
    """The path of a Chromium that can be started, None where there is none."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    installed = next(filter(None, map(shutil.which, COMMANDS)), None)
    if installed is not None:
        return installed
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache" / "ms-playwright"))
    shells = sorted(cache.glob("chromium_headless_shell-*/*/*headless*shell*"))
    if shells:
        return str(shells[-1])
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).is_file() else None


def install_chromium() -> str | None:
    """Install one, with apt-get where this process may, else with playwright; returns its path."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        for command in (["update", "-q"], ["install", "-qy", "--no-install-recommends", PACKAGE]):
            subprocess.run(["apt-get", *command], check=False)
    if find_chromium() is None:
        subprocess.run([sys.executable, "-m", "playwright", "install", PACKAGE], check=False)
    return find_chromium()


if __name__ == "__main__":
    path = find_chromium() or install_chromium()
    if path is None:
        sys.exit(f"no Chromium could be installed: install the package {PACKAGE} or name one in $CHROMIUM")
    print(f"Chromium: {path}")
