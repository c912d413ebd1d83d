"""Where models take their knowledge from: one source a run, fitted on training sessions, asked about any session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recbole_routedk.data.session import LabelledSession, Session
from recbole_routedk.distill.knowledge import SessionKnowledge
from recbole_routedk.distill.statistical.teacher import fitted_teacher


class KnowledgeSource:
    """The knowledge of one run: what is known about each training session, out-of-fold, and about any other session."""

    def __init__(self, settings: Any, train: Sequence[LabelledSession]) -> None:
        self._teacher = fitted_teacher(train, settings["seed"])

    def for_training(self) -> list[SessionKnowledge]:
        """What is known about each training session, in order, without a look at its own label."""
        known = zip(self._teacher.rules_for_training(), self._teacher.think_training(), strict=True)
        return [SessionKnowledge(rules=tuple(rules), thought=thought) for rules, thought in known]

    def for_sessions(self, sessions: Sequence[Session]) -> list[SessionKnowledge]:
        """What is known about sessions without labels."""
        known = zip(self._teacher.rules_for(sessions), self._teacher.think(sessions), strict=True)
        return [SessionKnowledge(rules=tuple(rules), thought=thought) for rules, thought in known]
