"""Paired tests over sessions."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from recbole_routedk.comparison.significance import holm, mean_interval, paired_difference


def test_the_permutation_test_counts_the_swaps_that_differ_as_much() -> None:
    scores, others = [0.9, 0.7, 0.8, 0.6, 0.9], [0.5, 0.6, 0.4, 0.7, 0.3]
    gaps = np.subtract(scores, others)
    means = [np.dot(signs, gaps) / 5 for signs in product((1, -1), repeat=5)]
    expected = sum(abs(mean) >= gaps.mean() - 1e-12 for mean in means) / len(means)

    difference = paired_difference(scores, others, seed=1)

    assert difference.mean == pytest.approx(0.28)
    assert difference.p == pytest.approx(expected)
    assert difference.low < difference.mean < difference.high


def test_the_better_model_has_the_positive_difference_and_swapping_changes_the_sign_alone() -> None:
    generator = np.random.default_rng(0)
    worse = generator.uniform(size=200)
    better = worse + 0.05 + 0.1 * generator.normal(size=200)

    lead, lag = paired_difference(better, worse, seed=3), paired_difference(worse, better, seed=3)

    assert lead.low > 0 > lag.high
    assert lead.p == pytest.approx(lag.p)
    assert lead.p < 0.001


def test_the_bootstrap_interval_is_that_of_the_normal_law_where_sessions_are_many() -> None:
    gaps = np.random.default_rng(5).normal(0.02, 0.3, size=2000)

    difference = paired_difference(gaps, np.zeros(2000), seed=1)

    error = gaps.std(ddof=1) / np.sqrt(2000)
    assert difference.low == pytest.approx(gaps.mean() - 1.96 * error, abs=0.1 * error)
    assert difference.high == pytest.approx(gaps.mean() + 1.96 * error, abs=0.1 * error)
    assert mean_interval(gaps, seed=1) == pytest.approx((difference.low, difference.high))


def test_models_that_answer_alike_do_not_differ() -> None:
    assert paired_difference([0.2, 1.0], [0.2, 1.0], seed=1).p == 1.0
    assert mean_interval([0.5, 0.5], seed=1) == (0.5, 0.5)


@pytest.mark.parametrize("scores, others", [([], []), ([1.0], [1.0, 0.0])])
def test_scores_that_cannot_be_paired_are_refused(scores: list[float], others: list[float]) -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_difference(scores, others, seed=1)


def test_holm_is_that_of_the_textbook() -> None:
    # Four tests at once: .01 x 4, .02 x 3, then .03 x 2 and .05 x 1, none below the one before.
    assert holm([0.03, 0.01, 0.05, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []
