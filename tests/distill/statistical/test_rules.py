"""Patterns counted by hand and the rules that they become."""

from __future__ import annotations

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.distill.statistical.pair_patterns import (
    ItemTraits,
    Pattern,
    PatternCounts,
    PatternKind,
    Tally,
    frequent_words,
    item_traits,
    patterns_of_pair,
)
from recbole_routedk.distill.statistical.rules import RuleBook, general_rules

TENTS = Pattern(PatternKind.CATEGORIES, "Tents", "Tents")
TENT_AND_STOVE = Pattern(PatternKind.CATEGORIES, "Stoves", "Tents")


def session_of(*bundles: frozenset[int], size: int = 3) -> LabelledSession:
    items = tuple(Item(str(place), f"title {place}") for place in range(size))
    return LabelledSession(Session("s", items), bundles)


def traits(*categories: str) -> ItemTraits:
    nothing: tuple[frozenset[str], ...] = (frozenset(),) * len(categories)
    return ItemTraits(categories, nothing, nothing)


def test_a_pair_shows_its_categories_shared_words_and_crossed_words() -> None:
    session = Session("s", (Item("0", "red camping tent"), Item("1", "camping stove")))
    found = set(patterns_of_pair(item_traits(session, ("B", "A"), ("camping", "tent", "stove")), 0, 1))
    assert found == {
        Pattern(PatternKind.CATEGORIES, "A", "B"),
        Pattern(PatternKind.SHARED_WORD, "camping", "camping"),
        Pattern(PatternKind.WORDS, "stove", "tent"),
    }


def test_words_count_once_a_title_and_need_five_titles() -> None:
    titles = ["tent tent", "tent b1", "tent b2", "tent b3", "tent b4", "stove", "stove b5"]
    sessions = [Session(str(row), (Item(str(row), title),)) for row, title in enumerate(titles)]
    assert frequent_words(sessions) == ("tent",)


def test_a_session_counts_once_and_a_fold_can_be_left_out() -> None:
    train = [session_of(frozenset({0, 1})), session_of(frozenset({0, 2})), session_of(frozenset({1, 2}))]
    own = [traits("Tents", "Tents", "Tents"), traits("Tents", "Tents", "Stoves"), traits("Tents", "Stoves", "Lamps")]
    counts = PatternCounts(train, own, [0, 0, 1])
    assert counts.tallies() == {TENTS: Tally(2, 1), TENT_AND_STOVE: Tally(2, 1)}
    assert counts.tallies(without_fold=1) == {TENTS: Tally(2, 1)}
    assert counts.base_rate() == 3 / 9
    assert counts.base_rate(without_fold=0) == 1 / 3


def test_a_rule_says_its_support_and_confidence() -> None:
    tallies = {TENT_AND_STOVE: Tally(15, 12), TENTS: Tally(20, 0), Pattern(PatternKind.WORDS, "a", "b"): Tally(9, 3)}
    book = RuleBook(tallies, 0.3, 3, {"Tents": "Tents", "Stoves": "Camp stoves"})
    together, apart = book.all_rules()
    assert together.text == "'Camp stoves' and 'Tents' go together (support 12, 80%)"
    assert (together.support, together.confidence) == (12, 0.8)
    assert (together.left, together.right) == ("Camp stoves", "Tents")
    assert apart.text == "items of 'Tents' rarely go together (0 of 20 sessions)"


def test_rules_fire_on_the_pairs_that_show_their_pattern() -> None:
    book = RuleBook({TENT_AND_STOVE: Tally(15, 12)}, 0.3, 3, {"Tents": "Tents", "Stoves": "Stoves"})
    (match,) = book.matches(traits("Tents", "Lamps", "Stoves", "Tents"))
    assert match.pairs == ((0, 2), (2, 3))
    assert book.matches(traits("Tents", "Tents")) == ()


def test_a_pattern_with_too_little_support_is_no_rule() -> None:
    assert RuleBook({TENTS: Tally(2, 2)}, 0.1, 3, {"Tents": "Tents"}).all_rules() == ()


def test_general_rules_count_sizes_bundles_and_leftovers() -> None:
    train = [session_of(frozenset({0, 1})), session_of(frozenset({0, 1, 2})), session_of(frozenset({1, 2}))]
    texts = [rule.text for rule in general_rules(train)]
    assert "most often a bundle has exactly 2 items (support 2, 67%)" in texts
    assert "most often a session has 1 bundle (support 3, 100%)" in texts
    assert "an item may belong to no bundle (support 2, 22%)" in texts
