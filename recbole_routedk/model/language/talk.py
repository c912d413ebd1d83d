"""Conversations about bundles, as they are held with any language model, and what it replies.

A talk says what is told and asked; how items, bundles and the form of an answer are written depends on who is asked:
an endpoint reads numbers and answers in JSON, the student reads letters and answers with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from recbole_routedk.data.session import Bundle, Generation, Rejection, Session
from recbole_routedk.distill.teachers.protocol import Task

Bundles = tuple[Bundle, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for; the form of the answer is added by whoever writes the question down."""

    words: str
    task: Task


Part = str | Session | Bundle | Bundles | Question
"""Own words, a session's items, one bundle within a sentence, a whole answer, or a question."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says."""

    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]


Talk = tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """Bundles that were answered.

    ``said`` is the answer as it stands in the talk when it goes on: its text, or bundles that need no other text; None
    where the model failed to answer. ``lone_items`` are groups of one item, which are refused as bundles. ``score`` is
    the agreement of the samples in [0, 1].
    """

    bundles: Bundles
    rejected: tuple[Rejection, ...] = ()
    said: Part | None = None
    lone_items: Bundles = ()
    score: float = 1.0

    @property
    def generation(self) -> Generation:
        """The reply as a model's answer to the session."""
        return Generation(self.bundles, self.rejected, score=self.score)


class Respondent(Protocol):
    """A language model that is asked many talks at once."""

    def bundles(self, talks: Sequence[Talk], sessions: Sequence[Session], final: bool = True) -> list[Reply]:
        """Answer talks whose last question is about the bundles of ``sessions``, of at least two items each.

        ``final`` answers are those that count: only for them may more than one answer be drawn.
        """

    def texts(self, talks: Sequence[Talk], sessions: Sequence[Session]) -> list[str | None]:
        """Answer talks that end with another question in the model's own words; None where it failed."""

    def fits(self, talk: Talk) -> bool:
        """Whether the model can read a talk as long as this one and answer it."""


def ask(*parts: Part) -> Turn:
    """Return a turn of ours."""
    return Turn("user", parts)


def answer(part: Part) -> Turn:
    """Return a turn of the model."""
    return Turn("assistant", (part,))


BUNDLES = Question("Which items form bundles?", Task.BUNDLES)
