"""Thoughts: who is shown the gold, and what becomes of thoughts that contradict it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted_teacher import interview

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.distill.formats.report import ThoughtCounts
from recbole_routedk.distill.formats.thoughts import ThoughtFormat, ThoughtSettings
from recbole_routedk.distill.teachers.protocol import Request, Sampling

SESSION = Session("s", tuple(Item(title, title) for title in ("tent", "stove", "lamp", "bulb")))
LABELLED = LabelledSession(SESSION, (frozenset({0, 1}), frozenset({2, 3})))
RIGHT = '{"intents": [{"intent": "camp", "items": [0, 1]}, {"intent": "light", "items": [2, 3]}]}'
HALF = '{"intents": [{"intent": "camp", "items": [0, 1]}]}'
WRONG = '{"intents": [{"intent": "all", "items": [0, 2]}]}'
GREEDY = Sampling(0.0, 100)


def by_sample(*answers: str | None) -> Callable[[Request], str | None]:
    """Answer the first, second, ... sample with these texts."""

    def script(request: Request) -> str | None:
        return answers[request.sample]

    return script


@pytest.mark.parametrize("gold", [False, True])
def test_gold_is_in_the_case_only_where_it_is_shown(gold: bool) -> None:
    teacher, interviewer, _ = interview(lambda _: RIGHT)
    ThoughtFormat(interviewer, ThoughtSettings(GREEDY, gold=gold), ThoughtCounts()).for_training([LABELLED])
    (request,) = teacher.asked
    assert request.case.gold_shown is gold
    assert request.case.labelled[0].bundles == (LABELLED.bundles if gold else ())
    assert ("Right bundles: [[0, 1], [2, 3]]" in request.messages[-1].content) is gold


def test_other_sessions_are_asked_about_without_gold_and_once() -> None:
    teacher, interviewer, _ = interview(lambda _: WRONG)
    settings = ThoughtSettings(GREEDY, gold=True, check="regenerate")
    (thought,) = ThoughtFormat(interviewer, settings, ThoughtCounts()).for_sessions([SESSION])
    assert thought is not None
    assert [request.case.gold_shown for request in teacher.asked] == [False]


@pytest.mark.parametrize(
    ("check", "gold", "answer", "kept"),
    [
        ("keep", False, WRONG, True),
        ("drop", False, WRONG, False),
        ("drop", False, HALF, True),  # MatchedF1 2/3
        ("drop", True, HALF, True),
        ("drop", True, '{"intents": [{"intent": "camp", "items": [0, 1, 2]}]}', False),
        ("drop", False, '{"intents": [{"intent": "camp", "items": [0, 1, 2]}]}', True),  # MatchedF1 4/9
    ],
)
def test_what_contradicts_the_gold_is_dropped_where_asked(check: str, gold: bool, answer: str, kept: bool) -> None:
    _, interviewer, _ = interview(lambda _: answer)
    counts = ThoughtCounts()
    (thought,) = ThoughtFormat(interviewer, ThoughtSettings(GREEDY, gold, check), counts).for_training([LABELLED])
    assert (thought is not None) is kept
    assert (counts.kept, counts.dropped) == (int(kept), int(not kept))


def test_a_refused_thought_is_asked_for_again_until_one_stands() -> None:
    teacher, interviewer, report = interview(by_sample(WRONG, "no JSON", RIGHT, WRONG))
    counts = ThoughtCounts()
    settings = ThoughtSettings(GREEDY, check="regenerate", attempts=4)
    (thought,) = ThoughtFormat(interviewer, settings, counts).for_training([LABELLED])
    assert thought is not None
    assert thought.groups == LABELLED.bundles
    assert counts == ThoughtCounts(kept=1, regenerated=2, dropped=0, invalid=1)
    assert [request.sample for request in teacher.asked] == [0, 1, 2]
    # A greedy teacher would say the same again, so later samples are drawn.
    assert [request.sampling.temperature for request in teacher.asked] == [0.0, 0.7, 0.7]
    assert report.requests == 3


def test_after_the_last_attempt_it_is_dropped() -> None:
    _, interviewer, _ = interview(lambda _: WRONG)
    counts = ThoughtCounts()
    settings = ThoughtSettings(GREEDY, check="regenerate", attempts=3)
    assert ThoughtFormat(interviewer, settings, counts).for_training([LABELLED]) == [None]
    assert counts == ThoughtCounts(kept=0, regenerated=2, dropped=1, invalid=0)


def test_failures_and_answers_out_of_order_find_their_session() -> None:
    other = Session("t", (Item("a", "cup"), Item("b", "tea")))
    _, interviewer, report = interview(
        lambda request: None if "cup" in request.messages[-1].content else RIGHT,
    )
    counts = ThoughtCounts()
    first, second, third = ThoughtFormat(interviewer, ThoughtSettings(GREEDY), counts).for_sessions(
        [SESSION, other, SESSION]
    )
    assert first is not None
    assert second is None
    assert third is not None
    assert (report.failures, report.last_failure) == (1, "no answer")
    assert (report.input_tokens, report.output_tokens) == (30, 15)


def test_nobody_is_asked_about_a_single_item() -> None:
    teacher, interviewer, _ = interview(lambda _: RIGHT)
    thoughts = ThoughtFormat(interviewer, ThoughtSettings(GREEDY), ThoughtCounts())
    (thought,) = thoughts.for_sessions([Session("one", (Item("a", "tent"),))])
    assert thought is not None
    assert thought.groups == ()
    assert thought.affinities.shape == (1, 1)
    assert teacher.asked == []
