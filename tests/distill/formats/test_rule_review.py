"""The loop that makes rules: bundles, causes and rules, in batches of one fold."""

from __future__ import annotations

import json

import numpy as np
from scripted_teacher import interview

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.distill.formats.rules import ReviewSettings, RuleReview
from recbole_routedk.distill.teachers.protocol import Request, Sampling, Task

RULE = {"rule": "Cups and tea go together.", "verdict": "together", "left": "cup", "right": "tea"}
ANSWERS = {
    Task.BUNDLES: '{"bundles": [[0, 2]]}',
    Task.CAUSES: '{"causes": ["The lamp is no tea."]}',
    Task.RULES: json.dumps({"rules": [RULE]}),
}
FOLDS = np.array([0, 0, 0, 1, 1])


def labelled(number: int) -> LabelledSession:
    items = tuple(Item(title, f"{title} {number}") for title in ("cup", "tea", "lamp"))
    return LabelledSession(Session(str(number), items), (frozenset({0, 1}),))


TRAIN = [labelled(number) for number in range(5)]


def review(script: dict[Task, str | None], batch_size: int = 2) -> tuple[list[Request], list[tuple[int, int]]]:
    """Return what was asked, in the order of asking, and fold and number of rules of each batch."""
    teacher, interviewer, _ = interview(lambda request: script[request.task])
    batches = RuleReview(interviewer, ReviewSettings(Sampling(), batch_size)).proposals(TRAIN, FOLDS)
    return teacher.asked, [(batch.fold, len(batch.rules)) for batch in batches]


def test_each_session_is_answered_and_each_batch_reviewed() -> None:
    asked, batches = review({**ANSWERS})
    assert [sum(request.task is task for request in asked) for task in (Task.BUNDLES, Task.CAUSES, Task.RULES)] == [
        5,
        3,
        3,
    ]
    assert batches == [(0, 1), (0, 1), (1, 1)]


def test_a_batch_holds_sessions_of_one_fold_with_the_answers_to_them() -> None:
    asked, _ = review({**ANSWERS})
    cases = [request.case for request in asked if request.task is Task.CAUSES]
    assert sorted([own.session.session_id for own in case.labelled] for case in cases) == [
        ["0", "1"],
        ["2"],
        ["3", "4"],
    ]
    assert all(answer == (frozenset({0, 2}),) for case in cases for answer in case.answers)
    assert all(case.gold_shown for case in cases)


def test_bundles_are_asked_for_without_the_gold() -> None:
    asked, _ = review({**ANSWERS})
    assert all(not own.bundles for r in asked if r.task is Task.BUNDLES for own in r.case.labelled)


def test_the_causes_stand_in_the_conversation_about_rules() -> None:
    asked, _ = review({**ANSWERS})
    assert all("The lamp is no tea." in r.messages[-2].content for r in asked if r.task is Task.RULES)


def test_what_fails_leaves_the_next_round_with_less() -> None:
    asked, batches = review({Task.BUNDLES: None, Task.CAUSES: "no JSON", Task.RULES: ANSWERS[Task.RULES]})
    assert all("Your bundles: none" in r.messages[-1].content for r in asked if r.task is Task.RULES)
    assert batches == [(0, 1), (0, 1), (1, 1)]
    assert review({**ANSWERS, Task.RULES: None})[1] == [(0, 0), (0, 0), (1, 0)]


def test_a_session_of_one_item_is_not_reviewed() -> None:
    teacher, interviewer, _ = interview(lambda request: ANSWERS[request.task])
    single = LabelledSession(Session("one", (Item("a", "cup"),)), ())
    reviewed = RuleReview(interviewer, ReviewSettings(Sampling())).proposals([single], np.array([0]))
    assert reviewed == []
    assert teacher.asked == []
