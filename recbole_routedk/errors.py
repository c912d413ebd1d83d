"""Errors that a user can mend: the command line prints their text and no traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user gave is wrong; the message says what, where and how to mend it."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that ``word`` may have been meant to be, in any case; None where none is near."""
    by_lower = {each.lower(): each for each in sorted(known)}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence naming the nearest known word, or all of a few, or nothing."""
    words = sorted(known)
    near = nearest(word, words)
    if near is not None:
        return f" Did you mean {near!r}?"
    return f" There are: {', '.join(words)}." if 0 < len(words) <= 20 else ""
