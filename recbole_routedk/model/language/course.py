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


Asked = tuple[Course, tuple[Part, ...]]
"""A course and what it is asked next."""


def hold_bundles(respondent: Respondent, asked: Sequence[Asked], final: bool = False) -> None:
    """Ask each course for bundles; one that failed, or has no room left, stays as it was without the question."""
    courses, talks = _fitting(respondent, asked)
    replies = respondent.bundles(talks, [course.session for course in courses], final) if courses else []
    for course, talk, reply in zip(courses, talks, replies, strict=True):
        if reply.said is not None:
            course.talk, course.reply = (*talk, answer(reply.said)), reply


def hold_texts(respondent: Respondent, courses: Sequence[Course], question: Question) -> None:
    """Ask each course the same question; one that failed, or has no room left, stays as it was without it."""
    courses, talks = _fitting(respondent, [(course, (question,)) for course in courses])
    said = respondent.texts(talks, [course.session for course in courses]) if courses else []
    for course, talk, text in zip(courses, talks, said, strict=True):
        if text:
            course.talk = (*talk, answer(text))


def _fitting(respondent: Respondent, asked: Sequence[Asked]) -> tuple[list[Course], list[Talk]]:
    grown = [(course, (*course.talk, ask(*parts))) for course, parts in asked]
    # A first question is asked in any case: there is nothing that could be left out.
    kept = [(course, talk) for course, talk in grown if len(talk) == 1 or respondent.fits(talk)]
    return [course for course, _ in kept], [talk for _, talk in kept]
