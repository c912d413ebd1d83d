"""The base of our RecBole metrics.

It lives apart from them because RecBole registers every class of the module that it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import ClassVar

from recbole.evaluator.base_metric import AbstractMetric
from recbole.evaluator.collector import DataStruct

from recbole_routedk.evaluation.encoding import EVALUATION_KEYS, decode_sessions
from recbole_routedk.evaluation.metrics import SCORES, Bundles


class BundleEvaluatorType(Enum):
    """The evaluator type of bundle metrics: neither RANKING nor VALUE, so RecBole refuses to mix them."""

    BUNDLE = "bundle"


class BundleMetric(AbstractMetric):
    """A RecBole metric over generated bundles; ``result_key`` names the score it reports, ``smaller`` is better or not.

    Values are not rounded (``metric_decimal_place`` is left to whoever displays them), so that early
    stopping compares exact scores.
    """

    metric_type: ClassVar[BundleEvaluatorType] = BundleEvaluatorType.BUNDLE
    metric_need: ClassVar[list[str]] = list(EVALUATION_KEYS)
    result_key: ClassVar[str]

    @classmethod
    def score(cls, gold: Sequence[Bundles], predictions: Sequence[Bundles], rejected_counts: Sequence[int]) -> float:
        """Return the score over sessions given in parallel: one of ``SCORES``; a metric of your own overrides it."""
        return SCORES[cls.result_key](gold, predictions, rejected_counts)

    def calculate_metric(self, dataobject: DataStruct) -> dict[str, float]:
        """Return ``{result_key: score}`` over the sessions that a ``BundleCollector`` gathered."""
        gold, predictions, rejected = decode_sessions(dataobject)
        return {self.result_key: self.score(gold, predictions, rejected)}
