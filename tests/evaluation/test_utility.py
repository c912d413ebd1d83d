"""Utilities of answers on hand-computed cases."""

from __future__ import annotations

import pytest

from recbole_routedk.evaluation.utility import mean_utility

ABC, DE, AB, BC = (frozenset(items) for items in ((0, 1, 2), (3, 4), (0, 1), (1, 2)))


@pytest.mark.parametrize(
    ("metric", "worth"),
    [
        # Of the answer AB, DE to the reference ABC, DE: both hit, AB covers two thirds and DE all, DE alone is exact,
        # Jaccards 2/3 and 1, pairs ab and de of ab, ac, bc and de.
        ("precision", 1),
        ("recall", 1),
        ("coverage", (2 / 3 + 1) / 2),
        ("bundlef1", 1 / 2),
        ("matchedf1", 2 * (2 / 3 + 1) / 4),
        ("pairf1", 2 * 2 / (2 + 4)),
    ],
)
def test_one_metric_is_that_of_a_session(metric: str, worth: float) -> None:
    assert mean_utility([metric])([ABC, DE], [AB, DE]) == pytest.approx(worth)


def test_several_count_alike() -> None:
    utility = mean_utility(["matchedf1", "precision", "coverage"])
    assert utility([ABC, DE], [AB, DE]) == pytest.approx((5 / 6 + 1 + 5 / 6) / 3)


def test_more_hits_than_bundles_are_worth_no_more_than_all() -> None:
    assert mean_utility(["recall"])([ABC], [AB, BC]) == 1.0


def test_no_hit_is_worth_nothing() -> None:
    for metric in ("precision", "recall", "coverage"):
        assert mean_utility([metric])([AB], [DE]) == 0.0


def test_a_metric_over_all_sessions_is_none_of_one() -> None:
    with pytest.raises(KeyError, match="emptyrate"):
        mean_utility(["emptyrate"])
