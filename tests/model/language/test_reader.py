"""What is asked for about which session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from small_store import small_split

from recbole_routedk.distill.knowledge import SessionKnowledge
from recbole_routedk.distill.teachers.protocol import Request, Response
from recbole_routedk.distill.teachers.statistical import StatisticalCompletion
from recbole_routedk.model.language.lessons import Lesson
from recbole_routedk.model.language.reader import Reader

TRAIN = small_split(0, 12)
UNSEEN = [labelled.session for labelled in small_split(100, 2)]
SETTINGS: dict[str, Any] = {"seed": 1, "similar_sessions": 1, "show_progress": False}


def test_a_thought_that_is_only_learnt_is_not_asked_for_at_inference() -> None:
    reader = Reader(SETTINGS, TRAIN, [Lesson(), Lesson(writes="thoughts", answers=False)], Lesson())

    assert all(example.known.thought is not None for example in reader.for_training())
    assert [example.known for example in reader.for_sessions(UNSEEN)] == [SessionKnowledge()] * 2


def test_a_thought_that_is_only_read_is_not_asked_for_in_training() -> None:
    reader = Reader(SETTINGS, TRAIN, [], Lesson(("thoughts",)))

    assert [example.known for example in reader.for_training()] == [SessionKnowledge()] * 12
    assert all(example.known.thought is not None for example in reader.for_sessions(UNSEEN))


@pytest.mark.parametrize("view", [("rules",), ("patterns", "rules")])
def test_what_is_read_in_training_is_read_at_inference(view: tuple[Any, ...]) -> None:
    reader = Reader(SETTINGS, TRAIN, [Lesson(view), Lesson(view, writes="thoughts", answers=False)], Lesson(view))

    for example in reader.for_training():
        assert example.known.rules
        assert bool(example.known.patterns) == ("patterns" in view)
    for example in reader.for_sessions(UNSEEN):
        assert example.known.rules
        assert bool(example.known.patterns) == ("patterns" in view)
        assert example.known.thought is None
    told = reader.general()
    assert told["rules"]
    assert bool(told["patterns"]) == ("patterns" in view)


def test_rules_that_are_learnt_and_read_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answer = StatisticalCompletion.complete

    def counted(self: StatisticalCompletion, requests: Iterable[Request]) -> Iterator[Response]:
        listed = list(requests)
        asked.extend(request.task.value for request in listed)
        return answer(self, listed)

    monkeypatch.setattr(StatisticalCompletion, "complete", counted)
    reader = Reader(SETTINGS, TRAIN, [Lesson(("rules",)), Lesson(("thoughts",))], Lesson(("rules",)))
    reader.for_training()
    once = Counter(asked)

    reader.for_sessions(UNSEEN)

    assert once["rules"] > 0
    assert Counter(asked) == once  # nothing is asked about a test session whose thought nobody reads


def test_similar_sessions_need_no_teacher() -> None:
    lesson = Lesson(("similar",))
    reader = Reader(SETTINGS, TRAIN, [lesson], lesson)

    examples = reader.for_training() + reader.for_sessions(UNSEEN)
    assert all(example.similar for example in examples)
    assert all(example.known == SessionKnowledge() for example in examples)
    assert reader.general() == {"patterns": [], "rules": []}


def test_of_a_long_stream_the_latest_sessions_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recbole_routedk.model.language.reader.REMEMBERED", 1)
    reader = Reader(SETTINGS, TRAIN, [], Lesson(("thoughts",)))

    together = reader.for_sessions(UNSEEN)
    (last,) = reader.for_sessions(UNSEEN[1:])
    (first,) = reader.for_sessions(UNSEEN[:1])

    assert last is together[1]  # not thought about again
    assert first is not together[0]
    assert first.known.thought is not None
    assert together[0].known.thought is not None
    assert first.known.thought.groups == together[0].known.thought.groups
