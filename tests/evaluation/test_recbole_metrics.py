"""Our metrics run inside RecBole's own registries, Evaluator and Config checks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recbole.config import configurator
from recbole.evaluator import Evaluator, register

from recbole_routedk.data.session import (
    Bundle,
    Generation,
    LabelledSession,
    Rejection,
    RejectionReason,
    Session,
)
from recbole_routedk.evaluation.collector import BundleCollector
from recbole_routedk.evaluation.metrics import SCORES, score_sessions
from recbole_routedk.evaluation.recbole_metrics import register_metrics, result_keys

NAMES = [
    "MatchedF1",
    "BundleF1",
    "PairF1",
    "BundlePrecision",
    "BundleRecall",
    "BundleCoverage",
    "BundlePrecisionDropEmpty",
    "BundleRecallDropEmpty",
    "BundleCoverageDropEmpty",
    "EmptyRate",
    "InvalidRate",
]
CONFIG: dict[str, Any] = {"metrics": NAMES, "metric_decimal_place": 1}
BUNDLES = st.lists(st.frozensets(st.integers(0, 499), min_size=2, max_size=4), max_size=4)
REFUSED = Rejection("[7]", RejectionReason.TOO_FEW_ITEMS)

register_metrics()


def labelled(*gold: Bundle) -> LabelledSession:
    return LabelledSession(Session("s", ()), gold)


def test_registering_twice_changes_nothing_and_keeps_the_stock_metrics() -> None:
    stock = register.metrics_dict["precision"]
    before = (list(register.smaller_metrics), dict(register.metrics_dict))
    register_metrics()
    assert (register.smaller_metrics, register.metrics_dict) == before
    assert register.metrics_dict["precision"] is stock
    assert set(result_keys()) == {name.lower() for name in NAMES} <= set(register.metrics_dict)
    assert set(result_keys().values()) == set(SCORES)


def test_the_config_of_recbole_sees_our_metrics_and_which_are_better_small() -> None:
    ours = set(result_keys())
    assert {name for name in configurator.smaller_metrics if name in ours} == {"emptyrate", "invalidrate"}
    assert len({configurator.metric_types[name] for name in ours}) == 1
    assert configurator.metric_types["matchedf1"] not in {
        configurator.metric_types["ndcg"],
        configurator.metric_types["auc"],
    }


def test_the_evaluator_reports_every_key_unrounded() -> None:
    collector = BundleCollector(CONFIG)
    first, second = frozenset({0, 1, 2}), frozenset({3, 4})
    collector.eval_batch_collect([labelled(first, second)], [Generation((frozenset({0, 1}),), (REFUSED,))])
    collector.eval_batch_collect([labelled(second), labelled(first)], [Generation(()), Generation((first,))])
    result = Evaluator(CONFIG).evaluate(collector.get_data_struct())
    assert result == pytest.approx(
        {
            "matchedf1": ((2 * 2 / 3) / 3 + 0 + 1) / 3,
            "bundlef1": (0 + 0 + 1) / 3,
            "pairf1": (2 * 1 / 5 + 0 + 1) / 3,
            "precision": 2 / 3,
            "recall": (1 / 2 + 0 + 1) / 3,
            "coverage": (2 / 3 + 1) / 2,
            "precision_drop_empty": 1,
            "recall_drop_empty": 3 / 4,
            "coverage_drop_empty": (2 / 3 + 1) / 2,
            "emptyrate": 1 / 3,
            "invalidrate": 1 / 3,
        }
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(BUNDLES, BUNDLES, st.integers(0, 2)), max_size=6), st.integers(1, 3))
def test_recbole_computes_what_the_pure_functions_do_whatever_the_batches(
    sessions: list[tuple[list[Bundle], list[Bundle], int]], batch: int
) -> None:
    gold = [labelled(*bundles) for bundles, _, _ in sessions]
    generations = [Generation(tuple(predicted), (REFUSED,) * count) for _, predicted, count in sessions]
    collector = BundleCollector(CONFIG)
    for start in range(0, len(sessions), batch):
        collector.eval_batch_collect(gold[start : start + batch], generations[start : start + batch])
    result = Evaluator(CONFIG).evaluate(collector.get_data_struct())
    kept = [
        [b for i, b in enumerate(bundles) if b not in bundles[:i] and not any(o < b for o in bundles)]
        for bundles, _, _ in sessions
    ]
    assert result == score_sessions(
        kept, [predicted for _, predicted, _ in sessions], [count for *_, count in sessions]
    )


def test_one_huge_session_does_not_blow_up_the_others() -> None:
    everything = frozenset(range(500))
    pairs = tuple(frozenset({i, j}) for i in range(100) for j in range(i))
    collector = BundleCollector(CONFIG)
    collector.eval_batch_collect([labelled(everything)] * 2, [Generation(pairs), Generation((everything,))])
    data = collector.get_data_struct()
    assert sum(data[key].numel() for key in ("bundle.gold", "bundle.predicted")) == 3 * (2 * 500 + 2 * 4950 + 500)
    assert Evaluator(CONFIG).evaluate(data)["recall"] == (4950 + 1) / 2


def test_the_collector_starts_afresh_after_each_evaluation() -> None:
    collector = BundleCollector(CONFIG)
    bundle = frozenset({0, 1})
    for predicted, expected in [((bundle,), 1.0), ((), 0.0)]:
        collector.eval_batch_collect([labelled(bundle)], [Generation(predicted)])
        result = Evaluator(CONFIG).evaluate(collector.get_data_struct())
        assert result["matchedf1"] == expected


def test_the_collector_refuses_what_does_not_line_up_or_holds_no_item() -> None:
    collector = BundleCollector(CONFIG)
    with pytest.raises(ValueError, match="0 generations were given for 1 sessions"):
        collector.eval_batch_collect([labelled()], [])
    with pytest.raises(ValueError, match="holds no items"):
        collector.eval_batch_collect([labelled()], [Generation((frozenset(),))])
