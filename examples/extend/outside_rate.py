"""A metric: how many of the bundled items no annotator bundled."""

from __future__ import annotations

from collections.abc import Sequence

from recbole_routedk.evaluation.metric_base import BundleMetric
from recbole_routedk.evaluation.metrics import Bundles


class OutsideRate(BundleMetric):
    """Items in predicted bundles that are in no gold bundle / items in predicted bundles, over all sessions."""

    result_key = "outsiderate"
    smaller = True

    @classmethod
    def score(cls, gold: Sequence[Bundles], predictions: Sequence[Bundles], rejected_counts: Sequence[int]) -> float:
        outside = bundled = 0
        for right, answered in zip(gold, predictions, strict=True):
            items: set[int] = set().union(*answered)
            bundled += len(items)
            outside += len(items.difference(*right))
        return outside / bundled if bundled else 0.0
