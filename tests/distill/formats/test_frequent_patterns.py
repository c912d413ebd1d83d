"""Frequent patterns counted by hand, with a brute-force count beside the library's."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from recbole_routedk.data.session import Bundle, Item, LabelledSession, Session
from recbole_routedk.distill.formats.patterns import PatternMiner, PatternThresholds
from recbole_routedk.distill.knowledge import Pattern
from recbole_routedk.distill.statistical.traits import ItemTraits

Rows = list[tuple[tuple[str, ...], Bundle]]


def miner(rows: Rows, **thresholds: float) -> PatternMiner:
    """One session a row, with the categories of its items and its bundle, in folds 0 and 1 by turns."""
    sessions, traits = [], []
    for number, (categories, bundle) in enumerate(rows):
        items = tuple(Item(str(place), "") for place in range(len(categories)))
        sessions.append(LabelledSession(Session(str(number), items), (bundle,)))
        traits.append(ItemTraits(categories, (frozenset(),) * len(categories)))
    return PatternMiner(sessions, traits, np.arange(len(rows)) % 2, PatternThresholds(**thresholds))


def word_miner(titles: list[str], bundles: list[Bundle]) -> PatternMiner:
    """One session a bundle, all of them with items of these titles."""
    # The number tells titles apart: a word counts from five different titles on.
    sessions = [
        Session(str(row), tuple(Item(str(place), f"{title} n{row}") for place, title in enumerate(titles)))
        for row in range(len(bundles))
    ]
    train = [LabelledSession(session, (bundle,)) for session, bundle in zip(sessions, bundles, strict=True)]
    traits = ItemTraits(("",) * len(titles), tuple(frozenset(title.split()) for title in titles))
    return PatternMiner(train, [traits] * len(train), np.zeros(len(train), dtype=np.int64), PatternThresholds())


ROWS: Rows = [
    (("Tents", "Tents", "Stoves", "Lamps"), frozenset({0, 1, 2})),
    (("Tents", "Tents", "Stoves", "Lamps"), frozenset({0, 1, 2})),
    (("Tents", "Tents", "Lamps", ""), frozenset({0, 1, 3})),
    (("Lamps", "Stoves", "Tents", ""), frozenset({0, 1, 2})),
]


def as_dict(patterns: tuple[Pattern, ...]) -> dict[tuple[str, ...], tuple[float, float]]:
    return {pattern.parts: (pattern.support, round(pattern.confidence, 4)) for pattern in patterns}


def test_categories_form_multisets_with_support_and_best_confidence() -> None:
    assert as_dict(miner(ROWS).book().patterns) == {
        ("Tents", "Tents"): (0.75, 0.75),  # three of the four bundles with a tent
        ("Stoves", "Tents"): (0.75, 1.0),
        ("Stoves", "Tents", "Tents"): (0.5, 0.6667),  # of the three bundles with two tents or with stove and tent
    }


def test_patterns_are_those_that_counting_every_subset_finds() -> None:
    draw = np.random.default_rng(5)
    rows: Rows = [(tuple(draw.choice(list("ABCD"), 5)), frozenset(range(int(draw.integers(2, 6))))) for _ in range(40)]
    counts: Counter[tuple[str, ...]] = Counter()
    for categories, bundle in rows:
        kinds = sorted(categories[place] for place in bundle)
        counts.update({own for size in range(2, 5) for own in combinations(kinds, size)})
    frequent = {parts: count / 40 for parts, count in counts.items() if count >= 4}
    found = miner(rows, support=0.1).book().patterns
    assert {pattern.parts: pattern.support for pattern in found} == pytest.approx(frequent)


def test_thresholds_and_two_bundles_at_least() -> None:
    assert set(as_dict(miner(ROWS, support=0.6).book().patterns)) == {("Tents", "Tents"), ("Stoves", "Tents")}
    assert set(as_dict(miner(ROWS, confidence=0.9).book().patterns)) == {("Stoves", "Tents")}
    assert miner(ROWS[:1]).book().patterns == ()
    assert miner([]).book().patterns == ()


def test_a_fold_left_out_counts_for_nothing() -> None:
    # Sessions 0 and 2 are fold 0, 1 and 3 fold 1.
    assert as_dict(miner(ROWS).book(without_fold=1).patterns) == {("Tents", "Tents"): (1.0, 1.0)}
    relabelled: Rows = [(("X", "X", "X", "X"), frozenset({2, 3})) if row % 2 else ROWS[row] for row in range(4)]
    assert miner(relabelled).book(without_fold=1).patterns == miner(ROWS).book(without_fold=1).patterns


def test_words_of_two_titles_make_a_pattern_and_words_of_one_do_not() -> None:
    bundles = [frozenset({0, 1})] * 3 + [frozenset({1, 2})] * 3
    book = word_miner(["red tent", "red stove", "lamp"], bundles).book()
    assert {(pattern.kind, pattern.parts): pattern.support for pattern in book.patterns} == {
        ("words", ("red", "red")): 0.5,
        ("words", ("red", "stove")): 0.5,
        ("words", ("red", "tent")): 0.5,
        ("words", ("stove", "tent")): 0.5,
        ("words", ("lamp", "red")): 0.5,
        ("words", ("lamp", "stove")): 0.5,
    }


def test_a_session_matches_with_distinct_items_strongest_first() -> None:
    book = miner(ROWS).book()
    nothing = frozenset[str]()
    traits = ItemTraits(("Lamps", "Tents", "Stoves", "Tents"), (nothing,) * 4)
    matches = [(match.pattern.parts, match.items) for match in book.matches(traits)]
    assert matches == [
        (("Stoves", "Tents"), (1, 2)),
        (("Tents", "Tents"), (1, 3)),
        (("Stoves", "Tents", "Tents"), (1, 2, 3)),
    ]
    assert book.matches(ItemTraits(("Tents", "Lamps"), (nothing, nothing))) == ()
    assert book.matches(ItemTraits((), ())) == ()


def test_a_title_that_holds_both_words_needs_another_item() -> None:
    book = word_miner(["red", "tent"], [frozenset({0, 1})] * 5).book()
    alone = ItemTraits(("", ""), (frozenset({"red", "tent"}), frozenset({"lamp"})))
    paired = ItemTraits(("", ""), (frozenset({"red", "tent"}), frozenset({"red"})))
    assert book.matches(alone) == ()
    assert [match.items for match in book.matches(paired)] == [(0, 1)]
