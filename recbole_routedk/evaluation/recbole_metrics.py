"""Our metrics as RecBole metrics: name them in ``metrics: [...]`` of a YAML file.

The published three carry the prefix Bundle there, since Precision and Recall are RecBole's top-k metrics;
the results show them as precision, recall and coverage. Only metrics may be defined in this module; one of your own is
registered by ``properties/metric/<Name>.yaml``, or such a file in a folder of your own (``plugins``).
"""

from __future__ import annotations

from recbole.evaluator import register

from recbole_routedk.errors import UserError
from recbole_routedk.evaluation.metric_base import BundleMetric
from recbole_routedk.plugins import plugin_class, plugin_names


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
    """Add our metrics and your own to RecBole's registries, in place since RecBole imports them by name.

    Calling it again changes nothing. UserError for a metric of your own that cannot be one.
    """
    for name, metric in _metrics().items():
        register.metrics_dict[name] = metric
        register.metric_information[name] = metric.metric_need
        register.metric_types[name] = metric.metric_type
        if metric.smaller and name not in register.smaller_metrics:
            register.smaller_metrics.append(name)


def result_keys() -> dict[str, str]:
    """Return the result key of each of our metrics and your own by its lower-cased RecBole name.

    ``valid_metric`` must be a result key (or a name that equals one): RecBole looks it up in the results.
    """
    return {name: metric.result_key for name, metric in _metrics().items()}


def own_metrics() -> dict[str, type[BundleMetric]]:
    """Return the metrics that files in ``properties/metric`` or in a folder of your own register, by result key."""
    ours = {name: metric.result_key for name, metric in register.cluster_info(__name__)[3].items()}
    found: dict[str, type[BundleMetric]] = {}
    for name in plugin_names("metric"):
        metric, known = plugin_class("metric", name), register.metrics_dict.get(name.lower())
        if not issubclass(metric, BundleMetric) or metric.__name__ != name:
            raise UserError(f"metric {name}: its class has to be a BundleMetric called {name}, not {metric.__name__}")
        if known not in (None, metric) or metric.result_key in {*ours.values(), *found}:
            raise UserError(f"metric {name}: there is one of this name, or of its result_key, already; rename yours")
        found[metric.result_key] = metric
    return found


def _metrics() -> dict[str, type[BundleMetric]]:
    ours: dict[str, type[BundleMetric]] = register.cluster_info(__name__)[3]
    return ours | {metric.__name__.lower(): metric for metric in own_metrics().values()}
