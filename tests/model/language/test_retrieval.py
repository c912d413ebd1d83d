"""The most similar training sessions, told in a line."""

from __future__ import annotations

import pytest

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.distill.encoder import SentenceEncoder
from recbole_routedk.model.language.retrieval import SimilarSessions

CAMPING = ("Dome tent for two", "Gas camping stove", "Warm sleeping bag")
KITCHEN = ("Cast iron frying pan", "Chef kitchen knife", "Steel cooking pot")


def labelled(name: str, titles: tuple[str, ...], intent: str = "") -> LabelledSession:
    """The first two items are the bundle."""
    items = tuple(Item(f"{name}{place}", title) for place, title in enumerate(titles))
    return LabelledSession(Session(name, items), (frozenset({0, 1}),), (intent,) if intent else ())


TRAIN = [
    labelled("camp", CAMPING, "sleep outside"),
    labelled("camp again", CAMPING[::-1], "sleep in the wild"),
    labelled("cook", KITCHEN, "fry"),
    labelled("cook again", KITCHEN[::-1]),
]


@pytest.fixture(scope="module")
def similar() -> SimilarSessions:
    return SimilarSessions(TRAIN, SentenceEncoder(), 1)


def test_the_line_tells_intent_and_first_words_of_the_bundled_items(similar: SimilarSessions) -> None:
    unseen = labelled("new", ("Family tent", "Camping lantern"), "").session

    assert similar.for_sessions([unseen])[0] in (
        "sleep outside: dome tent + gas camping stove;",
        "sleep in the wild: warm sleeping bag + gas camping stove;",
    )


def test_a_training_session_is_never_told_about_itself(similar: SimilarSessions) -> None:
    # Each session has a twin with the same titles: the twin is the nearest, though the session itself is as near.
    assert similar.for_training() == [
        "sleep in the wild: warm sleeping bag + gas camping stove;",
        "sleep outside: dome tent + gas camping stove;",
        "steel cooking pot + chef kitchen knife;",
        "fry: cast iron frying + chef kitchen knife;",
    ]


def test_its_own_label_changes_nothing_for_a_training_session(similar: SimilarSessions) -> None:
    changed = [LabelledSession(TRAIN[0].session, (frozenset({1, 2}),), ("else",)), *TRAIN[1:]]

    lines = SimilarSessions(changed, SentenceEncoder(), 1).for_training()

    assert lines[0] == similar.for_training()[0]
    assert lines[1] == "else: gas camping stove + warm sleeping bag;"


def test_several_sessions_are_told_nearest_first_and_no_more_than_there_are() -> None:
    lines = SimilarSessions(TRAIN[:2], SentenceEncoder(), 5).for_training()

    assert lines[0] == "sleep in the wild: warm sleeping bag + gas camping stove;"
    alone = SimilarSessions(TRAIN[:1], SentenceEncoder(), 5)
    assert alone.for_training() == [""]
    assert alone.for_sessions([TRAIN[2].session]) == ["sleep outside: dome tent + gas camping stove;"]


def test_titles_and_intents_are_cut() -> None:
    long = "word " * 100_000
    talk = SimilarSessions([labelled("a", (long,) * 8, long), TRAIN[0]], SentenceEncoder(), 1)

    assert len(talk.for_training()[1]) < 150
