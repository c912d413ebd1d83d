"""Groupings drawn from affinities, and the one that agrees with them."""

from __future__ import annotations

import numpy as np

from recbole_routedk.data.session import Item, Session
from recbole_routedk.distill.statistical.drawing import Grouping, best_grouping, draw_groupings
from recbole_routedk.distill.statistical.grouping import group_items

SESSION = Session("s", tuple(Item(f"i{place}", title) for place, title in enumerate(("tent", "stove", "lamp", "pan"))))
PAIRS = np.kron(np.eye(2), np.array([[0.0, 1.0], [1.0, 0.0]]))
DOUBTFUL = np.array(
    [
        [0.0, 0.7, 0.4, 0.2],
        [0.7, 0.0, 0.4, 0.1],
        [0.4, 0.4, 0.0, 0.4],
        [0.2, 0.1, 0.4, 0.0],
    ]
)


def test_what_is_sure_is_drawn_every_time() -> None:
    pairs = (frozenset({0, 1}), frozenset({2, 3}))
    assert draw_groupings(SESSION, PAIRS, 5, seed=1) == [pairs] * 5
    assert best_grouping(SESSION, PAIRS, seed=1) == pairs


def test_what_is_doubtful_is_drawn_in_several_ways_the_same_for_the_same_seed() -> None:
    drawn = draw_groupings(SESSION, DOUBTFUL, 40, seed=1)
    assert len(set(drawn)) > 2
    assert all(len(group) > 1 for groups in drawn for group in groups)
    # The pair of the highest affinity is together more often than not.
    assert sum(any({0, 1} <= group for group in groups) for groups in drawn) > 30
    assert draw_groupings(SESSION, DOUBTFUL, 40, seed=1) == drawn
    assert draw_groupings(SESSION, DOUBTFUL, 40, seed=2) != drawn
    # Fewer draws are the first of more.
    assert draw_groupings(SESSION, DOUBTFUL, 7, seed=1) == drawn[:7]


def test_the_order_of_items_changes_no_group() -> None:
    order = [2, 0, 3, 1]
    turned = Session("other", tuple(SESSION.items[place] for place in order))
    affinities = DOUBTFUL[np.ix_(order, order)]

    def as_titles(session: Session, groups: Grouping) -> set[frozenset[str]]:
        return {frozenset(session.items[place].title for place in group) for group in groups}

    drawn = zip(draw_groupings(SESSION, DOUBTFUL, 9, 1), draw_groupings(turned, affinities, 9, 1), strict=True)
    assert all(as_titles(SESSION, one) == as_titles(turned, other) for one, other in drawn)
    best, moved = best_grouping(SESSION, DOUBTFUL, 1), best_grouping(turned, affinities, 1)
    assert as_titles(SESSION, best) == as_titles(turned, moved)


def test_the_best_grouping_is_a_compromise_between_the_draws() -> None:
    # Cut at 0.3 all four are one group; a sure triple beside a far item is not joined by it.
    triple = np.array([[0.0, 0.8, 0.8, 0.05], [0.8, 0.0, 0.8, 0.05], [0.8, 0.8, 0.0, 0.05], [0.05, 0.05, 0.05, 0.0]])
    assert best_grouping(SESSION, triple, seed=3) == group_items(triple, 0.5) == (frozenset({0, 1, 2}),)


def test_sessions_of_no_or_one_item_have_no_group_and_two_always_one() -> None:
    none, one = Session("none", ()), Session("one", SESSION.items[:1])
    assert best_grouping(none, np.zeros((0, 0)), 1) == best_grouping(one, np.zeros((1, 1)), 1) == ()
    assert draw_groupings(one, np.zeros((1, 1)), 2, 1) == [(), ()]
    assert best_grouping(Session("two", SESSION.items[:2]), np.zeros((2, 2)), 1) == (frozenset({0, 1}),)
