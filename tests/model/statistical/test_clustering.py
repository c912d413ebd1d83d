"""Clusters of similar items, and the cut that is chosen on labelled sessions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_routedk.data.session import Bundle
from recbole_routedk.evaluation.metrics import matched_f1
from recbole_routedk.model.statistical.clustering import LINKAGES, Cut, CutChooser

# A chain: 0 and 1 are close, 1 and 2 less so, 0 and 2 not at all; 3 is far from all.
CHAIN = np.array(
    [
        [1.0, 0.9, 0.1, 0.0],
        [0.9, 1.0, 0.7, 0.0],
        [0.1, 0.7, 1.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
PAIR, TRIPLE, WHOLE = frozenset({0, 1}), frozenset({0, 1, 2}), frozenset({0, 1, 2, 3})


@pytest.mark.parametrize(
    ("linkage", "joins_at"),
    [("single", 0.7), ("average", (0.7 + 0.1) / 2), ("complete", 0.1)],
)
def test_the_linkage_says_which_similarity_of_two_clusters_counts(linkage: str, joins_at: float) -> None:
    assert Cut(linkage, joins_at + 0.01).bundles(CHAIN) == (PAIR,)
    assert Cut(linkage, joins_at - 0.01).bundles(CHAIN) == (TRIPLE,)


def test_the_most_similar_pair_is_answered_where_no_two_items_reach_the_threshold() -> None:
    assert Cut(threshold=0.99).bundles(CHAIN) == (PAIR,)
    assert Cut().bundles(np.ones((1, 1))) == ()
    assert Cut().bundles(np.zeros((0, 0))) == ()


@pytest.mark.parametrize(("gold", "linkage"), [(PAIR, "average"), (TRIPLE, "single"), (WHOLE, "complete")])
def test_the_chosen_cut_finds_the_gold_bundle(gold: Bundle, linkage: str) -> None:
    cut, score = CutChooser([[gold]]).choose([CHAIN], [linkage])
    assert cut.bundles(CHAIN) == (gold,)
    assert score == 1.0


def test_the_threshold_lies_between_what_is_joined_and_what_is_not() -> None:
    cut, _ = CutChooser([[TRIPLE]]).choose([CHAIN], ["average"])
    assert 0.0 < cut.threshold < 0.4
    assert cut.threshold == pytest.approx(0.2)


def test_the_linkage_is_chosen_too() -> None:
    # At one threshold single linkage finds both: the second session's pair is closer than its third item.
    other = np.array([[1.0, 0.8, 0.5], [0.8, 1.0, 0.6], [0.5, 0.6, 1.0]])
    cut, score = CutChooser([[TRIPLE], [PAIR]]).choose([CHAIN, other])
    assert (cut.linkage, score) == ("single", 1.0)
    assert 0.6 < cut.threshold <= 0.7


def test_sessions_without_two_items_choose_nothing() -> None:
    assert CutChooser([]).choose([]) == (Cut(), 0.0)
    assert CutChooser([[]]).choose([np.ones((1, 1))]) == (Cut(), 0.0)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_no_threshold_is_better_than_the_chosen_one(data: st.DataObject) -> None:
    # Few different values, so that many merges happen at the same similarity.
    values = st.sampled_from([0.0, 0.2, 0.5, 0.8])
    matrices, gold = [], []
    for _ in range(data.draw(st.integers(1, 4))):
        size = data.draw(st.integers(2, 6))
        upper = np.triu(np.array(data.draw(st.lists(values, min_size=size**2, max_size=size**2))).reshape(size, size))
        matrices.append(np.maximum(upper, upper.T))
        gold.append([frozenset(data.draw(st.sets(st.integers(0, size - 1), min_size=2)))])
    for linkage in LINKAGES:
        cut, score = CutChooser(gold).choose(matrices, [linkage])

        def mean_at(threshold: float, kind: str = linkage) -> float:
            answers = [Cut(kind, threshold).bundles(matrix) for matrix in matrices]
            return float(np.mean([matched_f1(g, answer) for g, answer in zip(gold, answers, strict=True)]))

        assert mean_at(cut.threshold) == pytest.approx(score)
        assert score >= max(mean_at(step / 20) for step in range(21)) - 1e-9
