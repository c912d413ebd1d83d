"""A page of which a program writes the part between two marks, and people the rest."""

from __future__ import annotations


def marks(script: str) -> tuple[str, str]:
    """Return the two marks of a script: what stands between them is its own."""
    return f"<!-- {script} begins -->", f"<!-- {script} ends -->"


def with_part(page: str, script: str, part: str) -> str:
    """Return the page with ``part`` between the marks of ``script``; raises ValueError where they are missing."""
    begin, end = marks(script)
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(end) < page.index(begin):
        raise ValueError(f"the page needs two lines, once and in this order: {begin} and {end}")
    before, after = page[: page.index(begin)], page[page.index(end) + len(end) :]
    return f"{before}{begin}\n\n{part.strip()}\n\n{end}{after}"
