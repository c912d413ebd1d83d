"""The two guesses answer from positions alone."""

from __future__ import annotations

from recbole_routedk.data.session import Item, Session
from recbole_routedk.model.statistical.guesses import FirstTwo, WholeSession


def session(size: int) -> Session:
    return Session("s", tuple(Item(f"i{place}", f"title {place}") for place in range(size)))


def test_the_whole_session_is_one_bundle_and_a_single_item_is_none() -> None:
    model = WholeSession({"device": "cpu"}, None)
    answers = [generation.bundles for generation in model.predict_bundles([session(4), session(2), session(1)])]
    assert answers == [(frozenset({0, 1, 2, 3}),), (frozenset({0, 1}),), ()]


def test_the_first_two_items_are_the_bundle_and_a_single_item_is_none() -> None:
    model = FirstTwo({"device": "cpu"}, None)
    answers = [generation.bundles for generation in model.predict_bundles([session(4), session(2), session(1)])]
    assert answers == [(frozenset({0, 1}),), (frozenset({0, 1}),), ()]


def test_neither_guess_is_trained_by_gradient() -> None:
    assert not WholeSession.gradient_trained
    assert not FirstTwo.gradient_trained
