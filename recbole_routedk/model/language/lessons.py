"""What a student learns and how it is asked: what it reads beside the items, and what it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recbole_routedk.data.prompts import ASK, PromptEncoder
from recbole_routedk.distill.knowledge import FORMATS, Format
from recbole_routedk.model.views import PLAIN, Example, View, ViewSettings, knowledge

THOUGHT_SOURCES = ("teacher", "retrieved", "target", "written")
"""Where the reasoning comes from at test time; the papers do not say, so there are four ways:

``teacher`` thinks about the test session too, from its titles alone; ``retrieved`` shows how the nearest training
sessions were bundled; ``target`` makes the thought a second thing to write in training, so that none is needed at
test time (distilling step by step, arXiv 2305.02301); ``written`` lets the student write its own thought first.
"""

_ASK_KNOWLEDGE: dict[Format, str] = {"patterns": "\nPatterns:", "rules": "\nRules:", "thoughts": "\nThought:"}


@dataclass(frozen=True)
class Lesson:
    """Read ``reads`` beside the items, write knowledge of the format ``writes`` if any, then bundles if ``answers``."""

    reads: View = PLAIN
    writes: Format | None = None
    answers: bool = True

    @property
    def needs(self) -> View:
        """What has to be known about a session for it."""
        return self.reads if self.writes is None else (*self.reads, self.writes)


def lessons_of(formats: Sequence[str], thought_source: str) -> tuple[Lesson, ...]:
    """Return what is learnt to answer with knowledge of these formats; the first lesson is how the student is asked."""
    view: View = tuple(each for each in FORMATS if each in formats)
    if "thoughts" not in view or thought_source == "teacher":
        return (Lesson(view),)
    others: View = tuple(each for each in view if each != "thoughts")
    if thought_source == "retrieved":
        return (Lesson((*others, "similar")),)
    if thought_source == "target":
        return (Lesson(others), Lesson(others, "thoughts", answers=False))
    return (Lesson(others, "thoughts"),)


class LessonEncoder:
    """Turns lessons about examples into the student's tokens.

    ``knowledge_weight`` is the weight of written knowledge against 1 for the answer after it.
    """

    def __init__(self, prompts: PromptEncoder, settings: ViewSettings, knowledge_weight: float) -> None:
        self._prompts = prompts
        self._settings = settings
        self._knowledge_weight = knowledge_weight

    def suffix(self, example: Example, lesson: Lesson) -> list[int]:
        """Return the tokens that follow the items: the knowledge to read, then the question."""
        ask = ASK if lesson.writes is None else _ASK_KNOWLEDGE[lesson.writes]
        return self._prompts.suffix(knowledge(example, lesson.reads, self._settings), ask)

    def target(self, example: Example, lesson: Lesson) -> tuple[list[int], list[float]]:
        """Return the tokens to be written and how much each counts in the loss.

        Knowledge and answer count with their means, so that a long thought does not drown a short answer.
        """
        answer = self._prompts.answer(example.bundles)
        if lesson.writes is None:
            return answer, [1.0] * len(answer)
        told = self._prompts.knowledge(knowledge(example, (lesson.writes,), self._settings))
        if not lesson.answers:
            return [*told, self._prompts.end_id], [1.0] * (len(told) + 1)
        told += self._prompts.ask_ids
        weights = [self._knowledge_weight / len(told)] * len(told) + [1.0 / len(answer)] * len(answer)
        return told + answer, weights
