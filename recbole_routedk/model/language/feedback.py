"""Auto-feedback (AICL, arXiv 2312.16262): what is wrong with each bundle of an answer, by the six error types."""

from __future__ import annotations

from collections.abc import Sequence

from recbole_routedk.data.session import Bundle, RejectionReason
from recbole_routedk.distill.formats.prompts import ERROR_WORDS
from recbole_routedk.evaluation.error_types import ErrorType, error_type
from recbole_routedk.evaluation.metrics import jaccard
from recbole_routedk.model.language.talk import Part, Reply

_UNREADABLE = "A part of your answer"


def is_right(reply: Reply, gold: Sequence[Bundle]) -> bool:
    """Whether an answer is the right bundles and nothing else."""
    return not reply.rejected and set(reply.bundles) == set(gold)


def feedback(reply: Reply, gold: Sequence[Bundle]) -> tuple[Part, ...]:
    """Return the verdict on each bundle of an answer, a line each, and how many right bundles it misses whole."""
    parts: list[Part] = []
    for bundle in (*reply.bundles, *reply.lone_items):
        parts += ["Bundle", bundle, f": {ERROR_WORDS[error_type(bundle, gold)]}.\n"]
    unread = sum(each.reason is not RejectionReason.TOO_FEW_ITEMS for each in reply.rejected)
    parts += [f"{_UNREADABLE} {ERROR_WORDS[ErrorType.UNPARSABLE]}.\n"] * unread
    missed = len(gold) - len({_nearest(bundle, gold) for bundle in reply.bundles if any(bundle & own for own in gold)})
    if missed:
        parts.append(f"Right bundles that none of yours is near to: {missed}.\n")
    return tuple(parts)


def _nearest(bundle: Bundle, gold: Sequence[Bundle]) -> Bundle:
    return max(gold, key=lambda own: jaccard(bundle, own))
