"""The scores of single sessions: what tests of significance and pictures are made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from recbole_routedk.data.session import Bundle
from recbole_routedk.evaluation.metrics import bundle_f1, matched_f1, pair_f1, session_precision, session_recall

SESSION_SCORES: dict[str, Callable[[Sequence[Bundle], Sequence[Bundle]], float]] = {
    "matchedf1": matched_f1,
    "bundlef1": bundle_f1,
    "pairf1": pair_f1,
    "precision": session_precision,
    "recall": session_recall,
}
"""The metrics that are a mean over sessions, by their result key (coverage is one over bundles)."""


def session_scores(gold: Sequence[Bundle], predicted: Sequence[Bundle]) -> dict[str, float]:
    """Return every score of one session by its key, unrounded."""
    return {key: score(gold, predicted) for key, score in SESSION_SCORES.items()}
