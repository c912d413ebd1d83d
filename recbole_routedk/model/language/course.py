"""Talks that go on for several questions, many of them at once: a question is a wave over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from recbole_routedk.data.session import Session
from recbole_routedk.model.language.talk import Part, Question, Reply, Respondent, Talk, answer, ask


@dataclass(eq=False)
class Course:
    """A talk about a session as far as it has come, and the last bundles that were answered in it."""

    session: Session
    talk: Talk = ()
    reply: Reply = field(default=Reply(()))


def hold_bundles(respondent: Respondent, asked: Sequence[tuple[Course, tuple[Part, ...]]], final: bool = False) -> None:
    """Ask each course for bundles in its own words; one that failed stays as it was, without the question."""
    turns = [ask(*parts) for _, parts in asked]
    courses = [course for course, _ in asked]
    talks = [(*course.talk, turn) for course, turn in zip(courses, turns, strict=True)]
    replies = respondent.bundles(talks, [course.session for course in courses], final) if courses else []
    for course, talk, reply in zip(courses, talks, replies, strict=True):
        if reply.said is not None:
            course.talk, course.reply = (*talk, answer(reply.said)), reply


def hold_texts(respondent: Respondent, courses: Sequence[Course], question: Question) -> None:
    """Ask each course the same question; one that failed stays as it was, without the question."""
    talks = [(*course.talk, ask(question)) for course in courses]
    said = respondent.texts(talks, [course.session for course in courses]) if courses else []
    for course, talk, text in zip(courses, talks, said, strict=True):
        if text:
            course.talk = (*talk, answer(text))
