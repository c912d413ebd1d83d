"""The teacher on a small store: what it learns, and what it must not know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_store import small_split, without_categories

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.distill.encoder import SentenceEncoder
from recbole_routedk.distill.knowledge import Thought
from recbole_routedk.distill.statistical.affinity import pooled
from recbole_routedk.distill.statistical.teacher import StatisticalTeacher, TeacherConfig, fitted_teacher
from recbole_routedk.distill.statistical.tuned_titles import TitleTuning
from recbole_routedk.errors import UserError
from recbole_routedk.evaluation.metrics import score_sessions

TRAIN, TEST = small_split(0, 40), small_split(100, 12)


def fitted_on(train: list[LabelledSession]) -> StatisticalTeacher:
    teacher = StatisticalTeacher(TeacherConfig(category_depth=2, folds=4, seed=1), SentenceEncoder())
    teacher.fit(train)
    return teacher


@pytest.fixture(scope="module")
def teacher() -> StatisticalTeacher:
    return fitted_on(TRAIN)


def sessions_of(split: list[LabelledSession]) -> list[Session]:
    return [labelled.session for labelled in split]


def same(one: list[Thought], two: list[Thought]) -> bool:
    return all(
        np.array_equal(left.affinities, right.affinities)
        and (left.groups, left.intents) == (right.groups, right.intents)
        for left, right in zip(one, two, strict=True)
    )


def test_groups_of_unseen_and_of_training_sessions_find_the_bundles(teacher: StatisticalTeacher) -> None:
    unseen = score_sessions([own.bundles for own in TEST], [own.groups for own in teacher.think(sessions_of(TEST))])
    inside = score_sessions([own.bundles for own in TRAIN], [own.groups for own in teacher.think_training()])
    whole = score_sessions([own.bundles for own in TEST], [[frozenset(range(5))] for _ in TEST])
    assert unseen["matchedf1"] > whole["matchedf1"] + 0.2
    assert inside["matchedf1"] > whole["matchedf1"] + 0.2


def test_affinities_are_symmetric_probabilities_with_one_intent_a_group(teacher: StatisticalTeacher) -> None:
    for thought in [*teacher.think(sessions_of(TEST)), *teacher.think_training()]:
        matrix = thought.affinities
        assert np.array_equal(matrix, matrix.T)
        assert not matrix.diagonal().any()
        assert matrix.min() >= 0.0
        assert matrix.max() <= 1.0
        assert len(thought.intents) == len(thought.groups) >= 1
        assert all(thought.intents)


def test_given_categories_of_asked_sessions_change_nothing(teacher: StatisticalTeacher) -> None:
    bare = [without_categories(session) for session in sessions_of(TEST)]
    assert same(teacher.think(bare), teacher.think(sessions_of(TEST)))
    assert teacher.traits_of(bare) == teacher.traits_of(sessions_of(TEST))


def test_labels_of_asked_sessions_change_nothing(teacher: StatisticalTeacher) -> None:
    relabelled = [replace(own, bundles=(frozenset({0, 1, 2}),), intents=("other",)) for own in TEST]
    assert same(teacher.think(sessions_of(relabelled)), teacher.think(sessions_of(TEST)))


def test_fitting_twice_gives_the_same_knowledge(teacher: StatisticalTeacher) -> None:
    again = fitted_on(TRAIN)
    assert same(again.think_training(), teacher.think_training())
    assert same(again.think(sessions_of(TEST)), teacher.think(sessions_of(TEST)))
    assert again.traits.training == teacher.traits.training


def test_thoughts_follow_the_items_when_their_order_changes(teacher: StatisticalTeacher) -> None:
    session = TEST[0].session
    order = [3, 1, 4, 0, 2]
    turned = Session("turned", tuple(session.items[place] for place in order))
    plain, moved = teacher.think([session, turned])
    assert np.allclose(moved.affinities, plain.affinities[np.ix_(order, order)], atol=2e-4)


def test_an_unseen_bundle_gets_the_intent_of_one_like_it(teacher: StatisticalTeacher) -> None:
    session = Session("q", (Item("a", "Gas camping stove No. 7"), Item("b", "Dome tent for two No. 8")))
    assert teacher.think([session])[0].intents == ("Camping",)


def test_sessions_of_any_length_can_be_thought_about(teacher: StatisticalTeacher) -> None:
    many = Session("long", tuple(Item(str(place), f"Thing number {place}") for place in range(14)))
    none, one, empty_titles, long = teacher.think(
        [
            Session("none", ()),
            Session("one", (Item("a", "Tent"),)),
            Session("two", (Item("a", ""), Item("b", ""))),
            many,
        ]
    )
    assert none.groups == one.groups == ()
    assert empty_titles.groups == (frozenset({0, 1}),)
    assert long.affinities.shape == (14, 14)
    assert teacher.think([]) == []


def test_the_same_sessions_and_seed_are_learnt_from_once_in_a_process() -> None:
    few = TRAIN[:8]
    first = fitted_teacher(few, seed=1)

    assert fitted_teacher(list(few), seed=1) is first
    other = fitted_teacher([replace(few[0], bundles=few[0].bundles[:1], intents=few[0].intents[:1]), *few[1:]], seed=1)
    assert other is not first
    again = fitted_teacher(few, seed=1)
    assert again is not first  # only the last is remembered
    assert same(again.think(sessions_of(TEST)), first.think(sessions_of(TEST)))
    assert fitted_teacher(few, seed=2) is not again


def test_too_little_to_learn_from_is_an_error() -> None:
    teacher = StatisticalTeacher(TeacherConfig(), SentenceEncoder())
    with pytest.raises(UserError, match="at least two training sessions"):
        teacher.fit(TRAIN[:1])
    with pytest.raises(UserError, match="no training session holds a bundle"):
        teacher.fit([replace(own, bundles=()) for own in TRAIN[:3]])
    with pytest.raises(UserError, match="at least two folds"):
        StatisticalTeacher(TeacherConfig(folds=1), SentenceEncoder())


def test_with_enough_sessions_it_reads_titles_by_an_encoder_that_it_tuned(teacher: StatisticalTeacher) -> None:
    tuning = TitleTuning(layers=1, epochs=1, least_sessions=len(TRAIN))
    tuned = StatisticalTeacher(TeacherConfig(category_depth=2, folds=4, seed=1, tuning=tuning), SentenceEncoder())
    tuned.fit(TRAIN)
    sessions = sessions_of(TEST)

    thoughts = tuned.think(sessions)

    assert not same(thoughts, teacher.think(sessions))
    assert not same(tuned.think_training(), teacher.think_training())
    whole = score_sessions([own.bundles for own in TEST], [[frozenset(range(5))] for _ in TEST])
    found = score_sessions([own.bundles for own in TEST], [own.groups for own in thoughts])
    assert found["matchedf1"] > whole["matchedf1"] + 0.2


def test_a_tuned_encoder_has_its_share_of_the_log_odds() -> None:
    own, tuned = np.array([0.5, 0.9, 0.0]), np.array([[1.0], [-2.0], [0.0]])
    odds = [0.6 * 0.0 + 0.4 * 1.0, 0.6 * np.log(9.0) - 0.4 * 2.0, 0.6 * np.log(0.002 / 0.998)]
    assert pooled(own, tuned) == pytest.approx([1 / (1 + np.exp(-each)) for each in odds])
    assert np.array_equal(pooled(own, np.zeros((3, 0))), own)
