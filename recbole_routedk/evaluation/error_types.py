"""What is wrong with one predicted bundle, judged by the nearest gold bundle (AICL, self-reflection)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from recbole_routedk.data.session import Bundle
from recbole_routedk.evaluation.metrics import jaccard


class ErrorType(IntEnum):
    """The six verdicts on a predicted bundle; the numbers are those of the reference code."""

    EXACT = 0
    INVALID = 1
    IRRELEVANT_ITEMS = 2
    MISSING_ITEMS = 3
    TOO_SMALL = 4
    UNPARSABLE = 5


def error_type(predicted: Bundle | None, gold: Sequence[Bundle]) -> ErrorType:
    """Return the verdict on one predicted bundle; ``None`` stands for one that could not be parsed or
    that names an unknown item.

    The nearest gold bundle has the largest Jaccard, ties go to the first. A bundle that touches none
    (also where the session has no gold bundle) is INVALID.
    """
    if predicted is None:
        return ErrorType.UNPARSABLE
    nearest = max(gold, key=lambda bundle: jaccard(predicted, bundle), default=frozenset())
    if not predicted & nearest:
        return ErrorType.INVALID
    if predicted == nearest:
        return ErrorType.EXACT
    if not predicted < nearest:
        return ErrorType.IRRELEVANT_ITEMS
    return ErrorType.MISSING_ITEMS if len(predicted) > 1 else ErrorType.TOO_SMALL
