"""Talks as an endpoint reads them, and what becomes of its answers."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompted_run import session
from scripted_teacher import ScriptedTeacher

from recbole_routedk.data.session import RejectionReason
from recbole_routedk.distill.teachers.protocol import Identity, Request, Task
from recbole_routedk.errors import UserError
from recbole_routedk.model.language.talk import BUNDLES, Question, answer, ask
from recbole_routedk.model.language.teacher_respondent import TeacherRespondent, written_messages

TENTS = session("tents", "Tent", "Mat", "Pegs")
PANS = session("pans", "Pan", "Pot")
TALKS = [(ask(TENTS, BUNDLES),), (ask(PANS, BUNDLES),)]


def respondent(
    folder: Path, script: Callable[[Request], str | None], **settings: Any
) -> tuple[TeacherRespondent, ScriptedTeacher]:
    teacher = ScriptedTeacher(script)
    plain = {
        "answered_by": "local",
        "knowledge_store": folder / "store.sqlite",
        "seed": 7,
        "show_progress": False,
        "teacher_max_tokens": 99,
        "teacher_prices": {},
        "teacher_temperature": 0.0,
    }
    return TeacherRespondent(plain | settings, teacher), teacher


def test_bundles_are_read_and_what_is_no_bundle_is_counted(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        return '{"bundles": [[0, 1], [0, 9], [2], [1, 0]]}' if "Tent" in request.messages[-1].content else "A and B"

    asked, _ = respondent(tmp_path, script)

    tents, pans = asked.bundles(TALKS, [TENTS, PANS])

    assert tents.bundles == (frozenset({0, 1}),)
    assert [each.reason for each in tents.rejected] == [
        RejectionReason.UNKNOWN_ITEM,
        RejectionReason.TOO_FEW_ITEMS,
        RejectionReason.DUPLICATE_BUNDLE,
    ]
    assert tents.lone_items == (frozenset({2}),)
    assert tents.said == '{"bundles": [[0, 1], [0, 9], [2], [1, 0]]}'
    assert (pans.bundles, [each.reason for each in pans.rejected]) == ((), [RejectionReason.UNPARSABLE])
    assert pans.generation.rejected == pans.rejected


def test_a_failed_request_is_an_empty_answer_and_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    asked, teacher = respondent(tmp_path, lambda _: None)

    with caplog.at_level(logging.WARNING):
        replies = asked.bundles(TALKS, [TENTS, PANS]) + asked.bundles(TALKS, [TENTS, PANS])

    assert [(reply.bundles, reply.rejected, reply.said) for reply in replies] == [((), (), None)] * 4
    assert [record.getMessage() for record in caplog.records] == [
        "answered_by: a request failed and counts as no answer: no answer"
    ]
    assert asked.report.failures == 4
    assert len(teacher.asked) == 4  # what failed is asked again when it is needed again


def test_what_the_store_knows_is_not_asked_again(tmp_path: Path) -> None:
    asked, _ = respondent(tmp_path, lambda _: '{"bundles": [[0, 1]]}')
    first = asked.bundles(TALKS, [TENTS, PANS])
    again, teacher = respondent(tmp_path, lambda _: '{"bundles": []}', seed=8)

    assert again.bundles(TALKS, [TENTS, PANS]) == first
    assert teacher.asked == []
    assert again.report.cached == 2
    assert asked.lines()[1].split() == ["bundles", "2", "0", "2", "0", "20", "10", "$0.0000"]


def test_a_drawn_answer_depends_on_the_seed(tmp_path: Path) -> None:
    _, greedy = made = respondent(tmp_path, lambda _: '{"bundles": []}')
    made[0].bundles(TALKS, [TENTS, PANS])
    drawn, warm = respondent(tmp_path, lambda _: '{"bundles": []}', teacher_temperature=0.7)
    drawn.bundles(TALKS, [TENTS, PANS])

    assert {(r.seed, r.sampling.temperature, r.sampling.max_tokens) for r in greedy.asked} == {(0, 0.0, 99)}
    assert {(r.seed, r.sampling.temperature) for r in warm.asked} == {(7, 0.7)}
    assert {own.session.session_id for r in greedy.asked for own in r.case.labelled} == {"tents", "pans"}


def test_a_run_stops_before_it_may_cost_more_than_it_should(tmp_path: Path) -> None:
    class Paid(ScriptedTeacher):
        identity = Identity("openai", "dear", endpoint="https://host/v1")

    settings = {
        "answered_by": "openai",
        "answer_budget": 0.01,
        "knowledge_store": tmp_path / "store.sqlite",
        "seed": 7,
        "show_progress": False,
        "teacher_max_tokens": 99,
        "teacher_prices": {"dear": {"input": 0, "output": 100}},  # each answer may cost 99 * 100 / 10^6 dollars
        "teacher_temperature": 0.0,
    }
    teacher = Paid(lambda _: '{"bundles": []}')
    with pytest.raises(
        UserError, match=r"--answer_budget=0.01: \$0.0005 is spent; the next request might cost \$0.0099"
    ):
        TeacherRespondent(settings, teacher).bundles(TALKS, [TENTS, PANS])
    assert len(teacher.asked) == 1  # its answer is kept: a larger budget goes on from there
    with pytest.raises(UserError, match="--answer_budget: the price of dear is not known"):
        TeacherRespondent(settings | {"teacher_prices": {}}, teacher)


def test_other_questions_are_answered_in_words(tmp_path: Path) -> None:
    asked, teacher = respondent(tmp_path, lambda _: '{"intents": ["camping"]}')
    talk = (*TALKS[0], answer((frozenset({0, 1}),)), ask(Question("Which intents?", Task.INTENTS)))

    assert asked.texts([talk], [TENTS]) == ['{"intents": ["camping"]}']
    assert [message.content for message in teacher.asked[0].messages[2:]] == [
        '{"bundles": [[0, 1]]}',
        'Which intents? {"intents": ["phrase", ...]}',
    ]
    assert teacher.asked[0].task is Task.INTENTS


def test_the_statistical_teacher_holds_no_talk(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="the statistical teacher holds no conversations; take student, openai or local"
    ):
        respondent(tmp_path, lambda _: None, answered_by="statistical")


@given(st.lists(st.text(max_size=30), min_size=2, max_size=4))
def test_a_title_stays_on_its_line_and_in_its_quotes(titles: list[str]) -> None:
    message = written_messages((ask(session("any", *titles), BUNDLES),))[-1]

    *lines, question = message.content.split("\n")
    assert question.startswith("Which items form bundles? ")
    assert [line.partition(": ")[0] for line in lines] == [str(place) for place in range(len(titles))]
    assert all(isinstance(json.loads(line.partition(": ")[2]), str) for line in lines)
