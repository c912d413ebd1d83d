"""The verdict on one predicted bundle."""

from __future__ import annotations

import pytest

from recbole_routedk.evaluation.error_types import ErrorType, error_type

GOLD = [frozenset({0, 1, 2}), frozenset({3, 4})]


@pytest.mark.parametrize(
    ("predicted", "verdict", "number"),
    [
        ({3, 4}, ErrorType.EXACT, 0),
        ({5, 6}, ErrorType.INVALID, 1),
        ({3, 4, 5}, ErrorType.IRRELEVANT_ITEMS, 2),
        ({0, 3}, ErrorType.IRRELEVANT_ITEMS, 2),
        ({0, 1}, ErrorType.MISSING_ITEMS, 3),
        ({3}, ErrorType.TOO_SMALL, 4),
    ],
)
def test_each_verdict(predicted: set[int], verdict: ErrorType, number: int) -> None:
    assert error_type(frozenset(predicted), GOLD) is verdict
    assert verdict == number


def test_what_could_not_be_parsed_has_its_own_verdict() -> None:
    assert error_type(None, GOLD) is ErrorType.UNPARSABLE == 5


def test_a_tie_goes_to_the_first_gold_bundle() -> None:
    # {0, 1} has Jaccard 1/2 with both: missing items of the first, irrelevant ones to the second.
    subset_first = [frozenset({0, 1, 2, 3}), frozenset({0})]
    assert error_type(frozenset({0, 1}), subset_first) is ErrorType.MISSING_ITEMS
    assert error_type(frozenset({0, 1}), subset_first[::-1]) is ErrorType.IRRELEVANT_ITEMS


def test_without_a_gold_bundle_every_prediction_is_invalid() -> None:
    assert error_type(frozenset({0, 1}), []) is ErrorType.INVALID
