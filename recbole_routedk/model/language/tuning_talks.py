"""What a model behind an endpoint learns and is asked: one conversation a session and lesson."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from recbole_routedk.data.prompts import clean_line
from recbole_routedk.distill.teachers.protocol import Message
from recbole_routedk.model.language.lessons import Lesson
from recbole_routedk.model.language.talk import BUNDLES, Talk, answer, ask
from recbole_routedk.model.language.teacher_respondent import written_messages
from recbole_routedk.model.views import Example, ViewSettings, knowledge, knowledge_text


def lesson_talk(example: Example, lesson: Lesson, settings: ViewSettings) -> Talk:
    """Return the talk that asks for the bundles of a session, with the knowledge that the lesson reads."""
    parts = knowledge(example, lesson.reads, settings)
    if not parts:
        return (ask(example.session, BUNDLES),)
    told = clean_line(knowledge_text(parts, [str(place) for place in range(len(example.session))]))
    return (ask(example.session, f"What is known (after '=': how surely, 0 to 9): {told}\n", BUNDLES),)


def training_lines(
    examples: Sequence[Example], lessons: Sequence[Lesson], settings: ViewSettings, seed: int
) -> tuple[str, ...]:
    """Return the lines of a training file: every lesson about every session that has bundles, in mixed order.

    A lesson leaves out sessions that it lacks knowledge for.
    """
    lines = [
        _line(written_messages((*lesson_talk(example, lesson, settings), answer(example.bundles))))
        for example in examples
        for lesson in lessons
        if example.bundles and example.has(lesson.needs)
    ]
    order = np.random.default_rng(seed).permutation(len(lines))
    return tuple(lines[place] for place in order)


def _line(messages: Sequence[Message]) -> str:
    turns = [{"role": message.role, "content": message.content} for message in messages]
    return json.dumps({"messages": turns}, ensure_ascii=False)
