"""Patterns that pairs of items show."""

from __future__ import annotations

from recbole_routedk.data.session import Item, Session
from recbole_routedk.distill.statistical.pair_patterns import PairPattern, PairPatterns, PatternKind, frequent_words
from recbole_routedk.distill.statistical.traits import ItemTraits


def traits(*items: tuple[str, set[str]]) -> ItemTraits:
    return ItemTraits(tuple(name for name, _ in items), tuple(frozenset(words) for _, words in items))


def test_a_pair_shows_its_categories_shared_words_and_crossed_words() -> None:
    seen = traits(("B", {"red", "camping", "tent"}), ("A", {"camping", "stove"}))
    patterns = PairPatterns(["camping", "tent", "stove"])
    assert set(patterns.of_pair(seen, 0, 1)) == {
        PairPattern(PatternKind.CATEGORIES, "A", "B"),
        PairPattern(PatternKind.SHARED_WORD, "camping", "camping"),
        PairPattern(PatternKind.WORDS, "stove", "tent"),
    }


def test_an_unknown_category_is_no_pattern() -> None:
    assert list(PairPatterns([]).of_pair(traits(("", {"x1"}), ("A", {"x1"})), 0, 1)) == []


def test_words_count_once_a_title_and_need_five_titles() -> None:
    titles = ["tent tent", "tent b1", "tent b2", "tent b3", "tent b4", "stove", "stove b5"]
    sessions = [Session(str(row), (Item(str(row), title),)) for row, title in enumerate(titles)]
    assert frequent_words(sessions) == ("tent",)
