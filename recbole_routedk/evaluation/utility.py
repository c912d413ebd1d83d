"""What an answer is worth if another were the gold: the mean of metrics of one session, for minimum Bayes risk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum

from recbole_routedk.evaluation.bayes_risk import Utility
from recbole_routedk.evaluation.metrics import (
    Bundles,
    bundle_f1,
    hit_coverages,
    matched_f1,
    pair_f1,
    session_precision,
    session_recall,
)


def _recall(gold: Bundles, predicted: Bundles) -> float:
    # Recall counts predictions: unbounded, it would be worth most to answer every pair.
    return min(1.0, session_recall(gold, predicted))


def _coverage(gold: Bundles, predicted: Bundles) -> float:
    coverages = hit_coverages(gold, predicted)
    return fsum(coverages) / len(coverages) if coverages else 0.0


_WORTH: dict[str, Callable[[Bundles, Bundles], float]] = {
    "matchedf1": matched_f1,
    "bundlef1": bundle_f1,
    "pairf1": pair_f1,
    "precision": session_precision,
    "recall": _recall,
    "coverage": _coverage,
}


def mean_utility(metrics: Sequence[str]) -> Utility:
    """Return the mean of ``metrics`` as a utility in [0, 1]; recall counts for at most 1, coverage within the session.

    Raises KeyError for a metric that is none of a session.
    """
    parts = [_WORTH[metric] for metric in metrics]
    if len(parts) == 1:
        return parts[0]
    return lambda reference, answer: fsum(part(reference, answer) for part in parts) / len(parts)
