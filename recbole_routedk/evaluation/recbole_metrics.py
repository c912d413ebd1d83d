"""Our metrics as RecBole metrics: name them in ``metrics: [...]`` of a YAML file.

The published three carry the prefix Bundle there, since Precision and Recall are RecBole's top-k metrics;
the results show them as precision, recall and coverage. Only metrics may be defined in this module.
"""

from __future__ import annotations

from recbole.evaluator import register

from recbole_routedk.evaluation.metric_base import BundleMetric


class BundlePrecision(BundleMetric):
    """Mean precision; a session without a valid prediction counts as zero."""

    result_key = "precision"


class BundleRecall(BundleMetric):
    """Mean recall; a session without a valid prediction counts as zero."""

    result_key = "recall"


class BundleCoverage(BundleMetric):
    """Mean coverage of the hits of all sessions."""

    result_key = "coverage"


class BundlePrecisionDropEmpty(BundleMetric):
    """Mean precision over the sessions with a valid prediction, as the reference code has it."""

    result_key = "precision_drop_empty"


class BundleRecallDropEmpty(BundleMetric):
    """Mean recall over the sessions with a valid prediction, as the reference code has it."""

    result_key = "recall_drop_empty"


class BundleCoverageDropEmpty(BundleMetric):
    """Coverage as the reference code has it; the same as BundleCoverage, it is pooled over hits."""

    result_key = "coverage_drop_empty"


class BundleF1(BundleMetric):
    """Mean exact-match F1."""

    result_key = "bundlef1"


class MatchedF1(BundleMetric):
    """Mean F1 under the best one-to-one assignment by Jaccard: the headline metric."""

    result_key = "matchedf1"


class PairF1(BundleMetric):
    """Mean F1 over pairs of items that share a bundle."""

    result_key = "pairf1"


class EmptyRate(BundleMetric):
    """Share of sessions without a valid prediction; smaller is better."""

    result_key = "emptyrate"
    smaller = True


class InvalidRate(BundleMetric):
    """Rejected bundles / generated bundles; smaller is better."""

    result_key = "invalidrate"
    smaller = True


def register_metrics() -> None:
    """Add our metrics to RecBole's registries, in place since RecBole imports them by name.

    Calling it again changes nothing.
    """
    smaller, needs, types, classes = register.cluster_info(__name__)
    register.smaller_metrics.extend(name for name in smaller if name not in register.smaller_metrics)
    register.metric_information.update(needs)
    register.metric_types.update(types)
    register.metrics_dict.update(classes)


def result_keys() -> dict[str, str]:
    """Return the result key of each of our metrics by its lower-cased RecBole name.

    ``valid_metric`` must be a result key (or a name that equals one): RecBole looks it up in the results.
    """
    classes = register.cluster_info(__name__)[3]
    return {name: metric.result_key for name, metric in classes.items()}
