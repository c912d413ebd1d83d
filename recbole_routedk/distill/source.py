"""Where models take their knowledge from: one source a run, fitted on training sessions, asked about any session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recbole_routedk.data.session import LabelledSession, Session
from recbole_routedk.distill.formats.asking import Interviewer
from recbole_routedk.distill.formats.report import KnowledgeReport
from recbole_routedk.distill.formats.thoughts import ThoughtFormat, ThoughtSettings
from recbole_routedk.distill.knowledge import SessionKnowledge
from recbole_routedk.distill.teachers.protocol import Sampling, Teacher
from recbole_routedk.distill.teachers.statistical import StatisticalCompletion


class KnowledgeSource:
    """The knowledge of one run: what is known about each training session, out-of-fold, and about any other session."""

    def __init__(self, settings: Any, train: Sequence[LabelledSession], teacher: Teacher | None = None) -> None:
        self._train = train
        self._teacher = teacher or StatisticalCompletion(train, settings["seed"])
        self.report = KnowledgeReport(chosen_sessions=len(train))
        interviewer = Interviewer(self._teacher, self.report, True)
        self._thoughts = ThoughtFormat(interviewer, ThoughtSettings(), self.report.thoughts)

    def for_training(self) -> list[SessionKnowledge]:
        """What is known about each training session, in order, without a look at its own label."""
        known = zip(
            self._teacher.statistics.rules_for_training(), self._thoughts.for_training(self._train), strict=True
        )
        return [SessionKnowledge(rules=tuple(rules), thought=thought) for rules, thought in known]

    def for_sessions(self, sessions: Sequence[Session]) -> list[SessionKnowledge]:
        """What is known about sessions without labels."""
        known = zip(self._teacher.statistics.rules_for(sessions), self._thoughts.for_sessions(sessions), strict=True)
        return [SessionKnowledge(rules=tuple(rules), thought=thought) for rules, thought in known]
