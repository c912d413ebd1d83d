"""The training sessions that a language model is shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompted_run import labelled, session

from recbole_routedk.data.session import LabelledSession
from recbole_routedk.model.language.demonstrations import RETRIEVERS, Demonstrations
from recbole_routedk.registry import model_schema

CAMP = labelled(session("camp", "Dome tent", "Sleeping bag"), frozenset({0, 1}))
COOK = labelled(session("cook", "Frying pan", "Chef knife"), frozenset({0, 1}))
CALL = labelled(session("call", "Phone case", "Phone charger"), frozenset({0, 1}))
LONELY = labelled(session("lonely", "Dome tent", "Sleeping bag"))
TRAIN = (COOK, LONELY, CAMP, CALL)


def names(found: list[list[LabelledSession]]) -> list[list[str]]:
    return [[own.session.session_id for own in row] for row in found]


def test_retrievers_are_what_the_setting_may_be() -> None:
    assert set(model_schema("ICL")["retriever"].limits.choices) == set(RETRIEVERS)


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_the_nearest_have_titles_of_the_same_kind_and_a_bundle(retriever: str) -> None:
    near = Demonstrations(TRAIN, retriever, 1)

    asked = [session("a", "Trekking tent", "Tent bag"), session("b", "Steel pan", "Kitchen knife")]

    assert names(near.nearest(asked)) == [["camp"], ["cook"]]


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_a_session_is_never_its_own_neighbour(retriever: str) -> None:
    near = Demonstrations(TRAIN, retriever, 9)

    (found,) = names(near.nearest([CAMP.session]))

    assert sorted(found) == ["call", "cook"]


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_of_equally_near_ones_the_earlier_comes_first(retriever: str) -> None:
    twins = [labelled(session(name, "Dome tent", "Sleeping bag"), frozenset({0, 1})) for name in ("y", "x", "z")]
    near = Demonstrations((COOK, *twins), retriever, 3)

    # The batch that a session is asked about in has no part in it.
    tent, knife = session("a", "Dome tent", "Mat"), session("b", "Chef knife", "Apron")
    assert names(near.nearest([tent])) == [["y", "x", "z"]]
    assert names(near.nearest([knife, tent, knife]))[1] == ["y", "x", "z"]


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_without_any_word_or_session_there_is_still_an_answer(retriever: str) -> None:
    silent = [labelled(session(name, "", "!"), frozenset({0, 1})) for name in ("one", "two")]

    assert names(Demonstrations(silent, retriever, 1).nearest([session("a", "", "?")])) == [["one"]]
    assert Demonstrations([LONELY], retriever, 1).nearest([CAMP.session, COOK.session]) == [[], []]
    assert Demonstrations(TRAIN, retriever, 1).nearest([]) == []


def test_bm25_counts_rare_words_more_than_frequent_ones() -> None:
    # "phone" is in both, "charger" in one: whoever shares the rare word is nearer.
    both = [
        labelled(session("cases", "Phone case", "Phone cover"), frozenset({0, 1})),
        labelled(session("power", "Phone charger", "Wall plug"), frozenset({0, 1})),
    ]

    assert names(Demonstrations(both, "bm25", 1).nearest([session("a", "Phone charger", "Cable")])) == [["power"]]


@given(st.lists(st.text(max_size=20), min_size=2, max_size=4))
@settings(max_examples=40, deadline=None)
def test_any_title_finds_as_many_as_are_asked_for(titles: list[str]) -> None:
    (found,) = Demonstrations(TRAIN, "bm25", 2).nearest([session("any", *titles)])

    assert len(found) == 2
