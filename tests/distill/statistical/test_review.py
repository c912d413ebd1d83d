"""What the embedded teacher says of its errors, and the rules it proposes of the sessions it is shown."""

from __future__ import annotations

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.distill.statistical.pair_patterns import PairPatterns
from recbole_routedk.distill.statistical.review import causes, proposed_rules
from recbole_routedk.distill.statistical.traits import ItemTraits

# A tent and a stove (gold), a lamp that was joined with the tent.
SESSION = Session("s", tuple(Item(title, title) for title in ("tent", "stove", "lamp")))
GOLD = LabelledSession(SESSION, (frozenset({0, 1}),))
SEEN = ItemTraits(("Tents", "Stoves", "Lamps"), (frozenset({"tent"}), frozenset({"stove"}), frozenset({"lamp"})))
NO_WORDS = PairPatterns([])


def test_causes_count_the_kinds_of_errors() -> None:
    three = LabelledSession(SESSION, (frozenset({0, 1, 2}),))
    found = causes([GOLD, GOLD, three], [[frozenset({0, 2})], [frozenset({0, 1, 2})], [frozenset({0, 1})]])
    assert found == [
        "In 2 of 3 bundles items of other intents were added to a bundle.",
        "In 1 of 3 bundles items that serve the same intent were left out of a bundle.",
    ]


def test_right_answers_have_no_cause() -> None:
    assert causes([GOLD], [GOLD.bundles]) == []


def test_gold_pairs_go_together_and_wrongly_joined_ones_stay_apart() -> None:
    rules = proposed_rules([GOLD], [[frozenset({0, 2})]], [SEEN], NO_WORDS)
    sided = [tuple(rule.values()) for rule in rules if rule["verdict"] != "general"]
    assert sided == [
        ("'Stoves' and 'Tents' go together", "together", "Stoves", "Tents"),
        ("'Lamps' and 'Tents' rarely go together", "apart", "Lamps", "Tents"),
    ]


def test_general_statements_are_those_of_the_sessions_shown() -> None:
    rules = proposed_rules([GOLD], [[]], [SEEN], NO_WORDS)
    assert [rule["rule"] for rule in rules if rule["verdict"] == "general"] == [
        "a bundle has at least two items",
        "most often a bundle has exactly 2 items",
        "most often a session has 1 bundle",
        "an item may belong to no bundle",
        "seldom is the whole session one bundle",
    ]


def test_sessions_without_bundles_state_nothing() -> None:
    assert proposed_rules([LabelledSession(SESSION, ())], [[]], [SEEN], NO_WORDS) == []
