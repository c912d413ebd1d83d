"""Words of item titles, for overlap features, patterns and intent phrases."""

from __future__ import annotations

import html
import re

_WORD = re.compile(r"[^\W_]+")
_STOPWORDS = frozenset(
    [
        "the",
        "and",
        "for",
        "with",
        "from",
        "new",
        "your",
        "pack",
        "set",
        "all",
        "you",
        "one",
        "this",
        "that",
        "are",
        "not",
        "its",
        "our",
        "two",
        "plus",
        "item",
        "size",
    ]
)
_LONGEST_TITLE = 400


def title_words(title: str) -> list[str]:
    """Return the lower-cased content words of a title in order (two characters or more, entities undone)."""
    text = html.unescape(title[:_LONGEST_TITLE]).lower()
    return [word for word in _WORD.findall(text) if len(word) > 1 and word not in _STOPWORDS]
