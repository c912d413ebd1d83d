"""Freq: patterns counted by hand, matching without common items, and a fit on a small store."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.distill.statistical.category import UNKNOWN
from recbole_routedk.model.statistical.freq import Freq, match_patterns, mine_patterns, ordered_patterns

SETTINGS = {
    "device": "cpu",
    "seed": 1,
    "category_depth": 2,
    "min_support": 0.001,
    "min_confidence": 0.001,
    "max_pattern_size": 5,
}
TENT, STOVE, PHONE, CASE = "Camping > Tents", "Camping > Stoves", "Phones > Smartphones", "Phones > Cases"
TITLES = {
    TENT: ["Two person camping tent", "Family camping tent", "Dome tent for camping", "Light hiking tent"],
    STOVE: ["Gas camping stove", "Camping stove with burner", "Compact hiking stove", "Folding gas stove"],
    PHONE: [
        "Android smartphone 64GB",
        "Smartphone dual SIM",
        "Unlocked smartphone 5 inch",
        "Smartphone 128GB black",
    ],
    CASE: ["Phone case clear", "Leather phone case", "Silicone phone case", "Slim phone case black"],
}


def camping_and_phone(number: int) -> LabelledSession:
    """Tent and stove are a bundle, phone and case another one; the titles take turns."""
    kinds = (TENT, PHONE, STOVE, CASE)
    items = tuple(
        Item(f"{number}-{place}", TITLES[kind][(number + place) % 4] + f" model {number}", (kind,))
        for place, kind in enumerate(kinds)
    )
    return LabelledSession(Session(f"s{number}", items), (frozenset({0, 2}), frozenset({1, 3})), ("camp", "phone"))


def test_patterns_are_multisets_with_their_counts() -> None:
    bundles = [["b", "a", "a"], ["a", "b"], ["c", "c"]]
    assert mine_patterns(bundles, 0.001, 0.001, 5) == {
        ("a", "a"): 1,
        ("a", "b"): 2,
        ("a", "a", "b"): 1,
        ("c", "c"): 1,
    }


def test_support_confidence_and_size_leave_patterns_out() -> None:
    bundles = [["a", "b"], ["a", "b"], ["a", "c", "d"], ["a", "e"]]
    assert mine_patterns(bundles, 0.5, 0.0, 5) == {("a", "b"): 2}
    # a -> e holds in 1 of 4 bundles, but e -> a in 1 of 1: the best rule counts.
    assert ("a", "e") in mine_patterns(bundles, 0.0, 1.0, 5)
    assert all(len(pattern) == 2 for pattern in mine_patterns(bundles, 0.0, 0.0, 2))


def test_an_unknown_category_is_in_no_pattern() -> None:
    assert mine_patterns([[UNKNOWN, "a"], [UNKNOWN, UNKNOWN]], 0.0, 0.0, 5) == {}


def test_matches_share_no_item_and_stop_at_the_limit() -> None:
    ordered = [("a", "b"), ("a", "a"), ("b", "c")]
    session = ["b", "a", "c", "a", "a", "b"]
    assert match_patterns(session, ordered, 5) == [frozenset({1, 0}), frozenset({3, 5})]
    assert match_patterns(["a", "a", "a", "b", "c"], ordered, 5) == [frozenset({0, 3}), frozenset({1, 2})]
    assert match_patterns(session, ordered, 1) == [frozenset({0, 1})]
    assert match_patterns(["d", "a"], ordered, 5) == []


def test_data_without_categories_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    bare = [
        replace(
            own, session=replace(own.session, items=tuple(replace(item, categories=()) for item in own.session.items))
        )
        for own in map(camping_and_phone, range(6))
    ]
    Freq(SETTINGS, None).fit_sessions(bare, bare[:1])
    assert "no item of a training bundle has a category" in caplog.text


def test_order_is_by_support_or_by_size() -> None:
    patterns = {("a", "b"): 3, ("a", "b", "c"): 1, ("b", "c"): 1}
    assert ordered_patterns(patterns, "support") == [("a", "b"), ("a", "b", "c"), ("b", "c")]
    assert ordered_patterns(patterns, "size") == [("a", "b", "c"), ("a", "b"), ("b", "c")]


@pytest.fixture(scope="module")
def fitted() -> Freq:
    model = Freq(SETTINGS, None)
    model.fit_sessions([camping_and_phone(number) for number in range(10)], [camping_and_phone(20)])
    return model


def test_sessions_of_the_same_store_are_answered_with_both_bundles(fitted: Freq) -> None:
    unlabelled = camping_and_phone(30).session
    answer = fitted.predict_bundles([unlabelled])[0]
    assert set(answer.bundles) == {frozenset({0, 2}), frozenset({1, 3})}


def test_given_categories_are_not_read(fitted: Freq) -> None:
    session = camping_and_phone(31).session
    bare = Session(session.session_id, tuple(Item(item.item_id, item.title) for item in session.items))
    assert fitted.predict_bundles([bare]) == fitted.predict_bundles([session])


def test_a_checkpoint_gives_the_same_answers(fitted: Freq) -> None:
    class Train:
        labelled_sessions = tuple(camping_and_phone(number) for number in range(10))

    restored = Freq(SETTINGS, Train())
    restored.load_extra_state(json.loads(json.dumps(fitted.extra_state())))
    sessions = [camping_and_phone(number).session for number in (40, 41)]
    assert restored.predict_bundles(sessions) == fitted.predict_bundles(sessions)
