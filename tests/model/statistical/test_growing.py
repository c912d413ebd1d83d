"""Bundles grown from candidate scores: hand-made scores with answers worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_routedk.data.session import Bundle
from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.model.statistical.growing import CandidateScorer, Growth, GrowthThresholds, Partial

TWO_AND_THREE = np.array(  # items 0 and 1 belong together, so do 2, 3 and 4; 5 belongs to none
    [
        [0.0, 0.9, 0.1, 0.1, 0.1, 0.0],
        [0.9, 0.0, 0.2, 0.1, 0.1, 0.0],
        [0.1, 0.2, 0.0, 0.8, 0.7, 0.1],
        [0.1, 0.1, 0.8, 0.0, 0.6, 0.0],
        [0.1, 0.1, 0.7, 0.6, 0.0, 0.0],
        [0.0, 0.0, 0.1, 0.0, 0.0, 0.0],
    ]
)


def mean_affinity(*matrices: Floats) -> CandidateScorer:
    """Score an item by its mean affinity to the bundle."""
    return lambda partials: [matrices[number][:, sorted(bundle)].mean(1) for number, bundle in partials]


def growth(*matrices: Floats) -> Growth:
    return Growth([len(matrix) for matrix in matrices], mean_affinity(*matrices))


def groups(*bundles: Sequence[int]) -> tuple[Bundle, ...]:
    return tuple(map(frozenset, bundles))


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    [
        (GrowthThresholds(seed=0.5, grow=0.5), groups([0, 1], [2, 3, 4])),
        (GrowthThresholds(seed=0.5, grow=0.7), groups([0, 1], [2, 3])),  # 4 joins 2 and 3 with 0.65
        (GrowthThresholds(seed=0.85, grow=0.5), groups([0, 1])),
        (GrowthThresholds(seed=9.0, grow=9.0), groups([0, 1])),  # the best pair needs no threshold
        (GrowthThresholds(seed=0.0, grow=-1.0), groups(range(6))),
        (GrowthThresholds(seed=0.0, grow=0.7), groups([0, 1], [2, 3], [4, 5])),
    ],
)
def test_bundles_grow_from_the_best_pair_and_share_no_item(
    thresholds: GrowthThresholds, expected: tuple[Bundle, ...]
) -> None:
    assert growth(TWO_AND_THREE).bundles(thresholds) == [expected]


def test_a_pair_counts_by_both_directions() -> None:
    one_sided = np.array([[0.0, 0.0, 0.0], [0.9, 0.0, 0.6], [0.0, 0.6, 0.0]])  # 0.45 for 0 and 1, 0.6 for 1 and 2
    assert growth(one_sided).bundles(GrowthThresholds(0.5, 0.95)) == [groups([1, 2])]


def test_sessions_without_a_pair_have_no_bundle() -> None:
    grown = growth(np.zeros((0, 0)), np.zeros((1, 1)), np.eye(2)[::-1])
    assert grown.bundles(GrowthThresholds()) == [(), (), groups([0, 1])]


def test_sessions_are_grown_together_and_each_partial_bundle_is_scored_once() -> None:
    calls: list[list[Partial]] = []
    score = mean_affinity(TWO_AND_THREE, TWO_AND_THREE[:3, :3])

    def recorded(partials: Sequence[Partial]) -> Sequence[Floats]:
        calls.append(list(partials))
        return score(partials)

    grown = Growth([6, 3], recorded)
    alone = [Growth([n], mean_affinity(TWO_AND_THREE[:n, :n])).bundles(GrowthThresholds(0.5, 0.5))[0] for n in (6, 3)]
    assert grown.bundles(GrowthThresholds(0.5, 0.5)) == alone
    assert len(calls) == 1 + 3  # the single items; {0, 1} of both; {2, 3} of the first; {2, 3, 4} of the first
    grown.choose([groups([0, 1]), groups([0, 1])])
    asked = [partial for call in calls for partial in call]
    assert len(asked) == len(set(asked))


def test_the_chosen_thresholds_answer_best() -> None:
    gold = [groups([0, 1], [2, 3, 4])] * 3
    grown = growth(*[TWO_AND_THREE] * 3)
    thresholds = grown.choose(gold)
    assert grown.bundles(thresholds) == gold
    assert 0.15 < thresholds.grow <= 0.65  # 2 joins 0 and 1 with 0.15, 4 joins 2 and 3 with 0.65


def test_whole_sessions_are_among_the_choices() -> None:
    grown = growth(TWO_AND_THREE, TWO_AND_THREE)
    whole = groups(range(6))
    assert grown.bundles(grown.choose([whole, whole])) == [whole, whole]


def test_without_scores_the_thresholds_stay() -> None:
    assert growth(np.zeros((1, 1))).choose([groups([0])]) == GrowthThresholds()
    assert growth().choose([]) == GrowthThresholds()


@given(st.integers(2, 9), st.integers(0, 1000))
def test_answers_are_disjoint_and_never_empty(length: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    grown = growth(generator.random((length, length)))
    gold = [groups(generator.choice(length, 2, replace=False).tolist())]
    for thresholds in (GrowthThresholds(0.4, 0.5), grown.choose(gold)):
        answer = grown.bundles(thresholds)[0]
        assert 2 <= sum(map(len, answer)) == len(frozenset().union(*answer)) <= length
        assert all(len(bundle) > 1 for bundle in answer)
