"""Groups from affinities."""

from __future__ import annotations

import numpy as np

from recbole_routedk.distill.statistical.grouping import group_items

AFFINITIES = np.array(
    [
        [0.0, 0.9, 0.5, 0.1],
        [0.9, 0.0, 0.3, 0.1],
        [0.5, 0.3, 0.0, 0.2],
        [0.1, 0.1, 0.2, 0.0],
    ]
)


def test_items_join_while_their_mean_affinity_reaches_the_threshold() -> None:
    # Item 2 joins {0, 1} at (0.5 + 0.3) / 2 = 0.4, item 3 the three at (0.1 + 0.1 + 0.2) / 3.
    assert group_items(AFFINITIES, 0.5) == (frozenset({0, 1}),)
    assert group_items(AFFINITIES, 0.4) == (frozenset({0, 1, 2}),)
    assert group_items(AFFINITIES, 0.1) == (frozenset({0, 1, 2, 3}),)


def test_the_best_pair_is_answered_where_nothing_reaches_the_threshold() -> None:
    assert group_items(AFFINITIES, 0.95) == (frozenset({0, 1}),)


def test_several_groups_and_too_short_sessions() -> None:
    apart = np.kron(np.eye(2), np.array([[0.0, 0.8], [0.8, 0.0]]))
    assert group_items(apart, 0.5) == (frozenset({0, 1}), frozenset({2, 3}))
    assert group_items(np.zeros((1, 1)), 0.5) == ()
    assert group_items(np.zeros((0, 0)), 0.5) == ()
