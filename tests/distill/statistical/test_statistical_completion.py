"""The embedded teacher behind the protocol: the same knowledge through JSON text as without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from small_store import small_split

from recbole_routedk.data.session import Bundle, LabelledSession
from recbole_routedk.distill.formats.parsing import parse_bundles, parse_rules, parse_thought
from recbole_routedk.distill.knowledge import Thought
from recbole_routedk.distill.teachers.protocol import Case, Request, Task
from recbole_routedk.distill.teachers.statistical import StatisticalCompletion

TRAIN, TEST = small_split(0, 30), small_split(100, 5)


@pytest.fixture(scope="module")
def teacher() -> StatisticalCompletion:
    return StatisticalCompletion(TRAIN, seed=1)


def unlabelled(labelled: LabelledSession) -> LabelledSession:
    return LabelledSession(labelled.session, ())


def asked(
    task: Task, *labelled: LabelledSession, gold_shown: bool = False, answers: tuple[tuple[Bundle, ...], ...] = ()
) -> Request:
    return Request(task, (), case=Case(labelled, gold_shown, answers))


def answers(teacher: StatisticalCompletion, requests: list[Request]) -> list[str]:
    responses = list(teacher.complete(iter(requests)))
    assert [response.request for response in responses] == requests
    assert all(not response.cached and response.usage.output_tokens == 0 for response in responses)
    return [response.text or response.failure for response in responses]


def same(text: str, expected: Thought) -> bool:
    thought = parse_thought(text, len(expected.affinities)).value
    assert thought is not None
    return (
        np.array_equal(thought.affinities, expected.affinities)
        and thought.groups == expected.groups
        and thought.intents == expected.intents
    )


def test_thoughts_are_those_of_the_statistics_digit_by_digit(teacher: StatisticalCompletion) -> None:
    requests = [asked(Task.THOUGHT, unlabelled(own)) for own in (*TEST, *TRAIN)]
    direct = teacher.statistics.think([own.session for own in TEST]) + teacher.statistics.think_training()
    assert all(map(same, answers(teacher, requests), direct))


def test_a_training_session_is_known_by_id_and_titles_even_without_categories(teacher: StatisticalCompletion) -> None:
    own = TRAIN[3].session
    bare = replace(own, items=tuple(replace(item, categories=()) for item in own.items))
    renamed = replace(own, session_id="another")
    first, second = answers(teacher, [asked(Task.THOUGHT, LabelledSession(one, ())) for one in (bare, renamed)])
    assert same(first, teacher.training_thoughts[3])
    assert same(second, teacher.statistics.think([renamed])[0])


def test_its_own_label_gives_nothing_away_of_a_training_session(teacher: StatisticalCompletion) -> None:
    relabelled = [replace(TRAIN[0], bundles=(frozenset({0, 1, 2, 3, 4}),), intents=("odd",)), *TRAIN[1:]]
    other = StatisticalCompletion(relabelled, seed=1)
    before, after = teacher.training_thoughts[0], other.training_thoughts[0]
    # Not to the last digit: the rows that the other folds learn from were described with its label too.
    assert np.allclose(before.affinities, after.affinities, atol=0.01)
    assert (before.groups, before.intents) == (after.groups, after.intents)
    assert other.identity != teacher.identity


def test_shown_gold_is_explained(teacher: StatisticalCompletion) -> None:
    for own in (TRAIN[0], TEST[0]):
        thought = parse_thought(answers(teacher, [asked(Task.THOUGHT, own, gold_shown=True)])[0], 5).value
        assert thought is not None
        assert thought.groups == own.bundles
        assert all(thought.intents)


def test_bundles_are_the_groups_of_the_thought(teacher: StatisticalCompletion) -> None:
    (text,) = answers(teacher, [asked(Task.BUNDLES, unlabelled(TRAIN[5]))])
    assert parse_bundles(text, 5).value == teacher.training_thoughts[5].groups


def test_rules_come_from_the_sessions_shown(teacher: StatisticalCompletion) -> None:
    (text,) = answers(teacher, [asked(Task.RULES, TRAIN[0], gold_shown=True, answers=((),))])
    said = parse_rules(text)
    assert said.value
    assert not said.rejected
    titles = " ".join(item.title for item in TRAIN[0].session.items).lower()
    words = [rule.left for rule in said.value if rule.text.startswith("titles")]
    assert all(word in titles for word in words)
    departments = set(TRAIN[0].intents)
    same_department = {rule.left for rule in said.value if rule.left and rule.left == rule.right}
    assert departments <= same_department


def test_causes_are_sentences_about_its_answers(teacher: StatisticalCompletion) -> None:
    (text,) = answers(teacher, [asked(Task.CAUSES, TRAIN[0], gold_shown=True, answers=((frozenset(range(5)),),))])
    assert json.loads(text) == {"causes": ["In 1 of 1 bundles items of other intents were added to a bundle."]}


def test_many_requests_are_read_chunk_by_chunk(teacher: StatisticalCompletion) -> None:
    read = 0

    def requests() -> Iterator[Request]:
        nonlocal read
        for _ in range(200):
            read += 1
            yield asked(Task.BUNDLES, unlabelled(TRAIN[0]))

    responses = teacher.complete(requests())
    next(responses)
    assert read < 100
    assert len(list(responses)) == 199


def test_a_request_without_a_case_fails_in_words(teacher: StatisticalCompletion) -> None:
    assert answers(teacher, [asked(Task.THOUGHT)]) == ["the statistical teacher needs the case of a request"]


def test_what_only_a_talk_can_ask_for_fails_in_words(teacher: StatisticalCompletion) -> None:
    assert answers(teacher, [asked(Task.INTENTS, TEST[0]), asked(Task.ADVICE, TEST[0])]) == [
        "the statistical teacher answers no intents",
        "the statistical teacher answers no advice",
    ]


def test_the_identity_names_what_was_learnt(teacher: StatisticalCompletion) -> None:
    assert StatisticalCompletion(TRAIN, seed=1).identity == teacher.identity
    assert StatisticalCompletion(TRAIN, seed=2).identity != teacher.identity
    assert StatisticalCompletion(TRAIN[:-1], seed=1).identity != teacher.identity
