"""The answer that expects the best score."""

from __future__ import annotations

import pytest

from recbole_routedk.evaluation.bayes_risk import best_expected
from recbole_routedk.evaluation.metrics import pair_f1

AB, ABC, CD = frozenset({0, 1}), frozenset({0, 1, 2}), frozenset({2, 3})


def test_the_candidate_with_the_best_mean_is_answered() -> None:
    votes = {(AB,): 0.5, (AB, CD): 0.3, (ABC,): 0.2}
    # Pairs: AB against AB + CD is 2/3, against ABC (three pairs) 1/2.
    expected = 0.5 * 1 + 0.3 * 2 / 3 + 0.2 * 1 / 2

    answer, mean = best_expected([(ABC,), (AB,), (AB, CD)], votes, pair_f1)

    assert answer == (AB,)
    assert mean == pytest.approx(expected)


def test_ties_go_to_the_earlier_and_no_candidate_is_an_error() -> None:
    votes = {(AB,): 0.5, (CD,): 0.5}

    assert best_expected([(CD,), (AB,)], votes, pair_f1)[0] == (CD,)
    with pytest.raises(ValueError, match="empty"):
        best_expected([], votes, pair_f1)
