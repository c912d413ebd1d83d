"""Parses what a model wrote as an answer. Total: any text gives bundles and refusals, never an exception."""

from __future__ import annotations

import re
from collections.abc import Sequence

from recbole_routedk.data.session import Bundle, Rejection, RejectionReason

_CHUNKS = re.compile(r"[;\n]")
_LABEL = re.compile(r"[A-Za-z]{1,2}")
_LONGEST_QUOTE = 80


def parse_answer(text: str, labels: Sequence[str]) -> tuple[tuple[Bundle, ...], tuple[Rejection, ...]]:
    """Return the bundles of an answer such as ``A C; B D`` and what was refused.

    ``labels`` are the labels of the session's items in order. A bundle with an unknown, repeated or
    single item is refused as a whole; nothing is repaired.
    """
    positions = {label: position for position, label in enumerate(labels)}
    bundles: list[Bundle] = []
    rejected = []
    for chunk in _CHUNKS.split(text):
        words = chunk.replace(",", " ").split()
        if not words:
            continue
        reason = _refuse(words, positions)
        bundle = frozenset(positions[word] for word in words) if reason is None else frozenset()
        if reason is None and bundle in bundles:
            reason = RejectionReason.DUPLICATE_BUNDLE
        if reason is None:
            bundles.append(bundle)
        else:
            rejected.append(Rejection(text=" ".join(words)[:_LONGEST_QUOTE], reason=reason))
    return tuple(bundles), tuple(rejected)


def _refuse(words: Sequence[str], positions: dict[str, int]) -> RejectionReason | None:
    if not all(_LABEL.fullmatch(word) for word in words):
        return RejectionReason.UNPARSABLE
    if not all(word in positions for word in words):
        return RejectionReason.UNKNOWN_ITEM
    if len(set(words)) < len(words):
        return RejectionReason.DUPLICATE_ITEM
    if len(words) < 2:
        return RejectionReason.TOO_FEW_ITEMS
    return None
