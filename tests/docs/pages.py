"""The pages that users read, and the commands on them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """The fenced blocks of a page: language and text."""
    return [(language, text) for language, text in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def commands(page: Path) -> list[str]:
    """The commands of a page's ``bash`` blocks, without comments."""
    lines = "".join(text for language, text in blocks(page) if language == "bash").replace("\\\n", "").splitlines()
    return [re.sub(r"\s+#.*", "", line).strip() for line in lines if line.strip()]
