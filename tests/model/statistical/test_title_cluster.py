"""Clusters of similar titles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.model.content import EncoderContent
from recbole_routedk.model.statistical.title_cluster import TitleCluster, title_similarities

SETTINGS = {
    "device": "cpu",
    "seed": 1,
    "content": "encoder",
    "content_width": 8,
    "linkages": ["average", "complete", "single"],
}
SHOES = ("red running shoes", "blue running shoes", "trail running shoes")
GARDEN = ("garden hose 10 m", "green garden hose 20 m", "watering can for the garden")


def session(name: str, *titles: str) -> Session:
    """A session of these titles."""
    return Session(name, tuple(Item(f"{name}-{place}", title) for place, title in enumerate(titles)))


def shoes_and_garden(name: str) -> LabelledSession:
    """Shoes are one bundle and garden things another."""
    titles = (SHOES[0], GARDEN[0], SHOES[1], GARDEN[1], SHOES[2], GARDEN[2])
    return LabelledSession(session(name, *titles), (frozenset({0, 2, 4}), frozenset({1, 3, 5})))


@pytest.fixture(scope="module")
def fitted() -> TitleCluster:
    model = TitleCluster(SETTINGS, None)
    model.fit_sessions([], [shoes_and_garden("v")])
    return model


def test_alike_titles_are_bundles(fitted: TitleCluster) -> None:
    titles = ("garden sprinkler hose", "white running shoes", "leather running shoes", "hose reel for the garden")
    [answer] = fitted.predict_bundles([session("new", *titles)])
    assert set(answer.bundles) == {frozenset({0, 3}), frozenset({1, 2})}


def test_sessions_keep_their_own_titles_when_answered_together(fitted: TitleCluster) -> None:
    sessions = [shoes_and_garden("a").session, session("one", "a lamp"), session("none"), session("b", *SHOES)]
    together = fitted.predict_bundles(sessions)
    assert together == [fitted.predict_bundles([each])[0] for each in sessions]
    assert together[1].bundles == together[2].bundles == ()
    assert together[3].bundles == (frozenset({0, 1, 2}),)


def test_empty_and_equal_titles_are_no_error(fitted: TitleCluster) -> None:
    [answer] = fitted.predict_bundles([session("s", "", "", "same", "same")])
    assert any({2, 3} <= bundle for bundle in answer.bundles)


def test_a_hundred_items_are_answered(fitted: TitleCluster) -> None:
    [answer] = fitted.predict_bundles([session("long", *(f"{SHOES[n % 3]} {n}" for n in range(100)))])
    assert frozenset().union(*answer.bundles) <= frozenset(range(100))


def test_the_threshold_is_that_of_the_labelled_sessions(fitted: TitleCluster) -> None:
    whole = LabelledSession(shoes_and_garden("w").session, (frozenset(range(6)),))
    lenient = TitleCluster(SETTINGS, None)
    lenient.fit_sessions([], [whole])
    assert lenient.predict_bundles([whole.session])[0].bundles == whole.bundles
    # Where there are no valid sessions, the training sessions stand in.
    without = TitleCluster(SETTINGS, None)
    without.fit_sessions([whole], [])
    assert without.extra_state() == lenient.extra_state()


def test_before_it_is_fitted_only_the_best_pair_is_answered() -> None:
    class Train:
        labelled_sessions = (shoes_and_garden("t"),)

    [answer] = TitleCluster(SETTINGS, Train()).predict_bundles([shoes_and_garden("x").session])
    assert [len(bundle) for bundle in answer.bundles] == [2]


@pytest.mark.parametrize("content", ["encoder", "tfidf"])
def test_a_checkpoint_gives_the_same_answers(content: str) -> None:
    class Train:
        labelled_sessions = (shoes_and_garden("t"), shoes_and_garden("u"))

    settings = SETTINGS | {"content": content}
    model, restored = TitleCluster(settings, Train()), TitleCluster(settings, Train())
    model.fit_sessions(Train.labelled_sessions, [shoes_and_garden("v")])
    restored.load_extra_state(json.loads(json.dumps(model.extra_state())))
    sessions = [shoes_and_garden("x").session, session("y", *GARDEN, SHOES[0])]
    assert restored.predict_bundles(sessions) == model.predict_bundles(sessions)


def test_the_student_may_read_the_titles(tiny_student_folder: Path) -> None:
    settings = SETTINGS | {"content": "student", "student": str(tiny_student_folder), "student_revision": None}
    model = TitleCluster(settings, None)
    model.fit_sessions([], [shoes_and_garden("v")])
    assert model.predict_bundles([shoes_and_garden("x").session])[0].bundles


def test_similarities_are_cosines_within_each_session() -> None:
    first, second = title_similarities(EncoderContent(), [session("a", *SHOES[:2]), session("b", SHOES[0], GARDEN[0])])
    assert np.allclose(np.diag(first), 1)
    assert first[0, 1] == pytest.approx(first[1, 0])
    assert first[0, 1] > second[0, 1]
