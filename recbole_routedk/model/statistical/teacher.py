"""The teacher alone: what RouteDK's student would answer if it only repeated its teacher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recbole_routedk.data.session import Generation, LabelledSession, Session
from recbole_routedk.distill.statistical.teacher import StatisticalTeacher, fitted_teacher
from recbole_routedk.model.bundle_generator import BundleGenerator


class Teacher(BundleGenerator):
    """Answers with the candidate groups of the statistical teacher, fitted on the training sessions.

    Not in the papers, whose teacher is a large language model. It is the reference that tells what the student
    gains or loses against the knowledge that it reads.
    """

    gradient_trained = False

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self._teacher: StatisticalTeacher | None = None

    def fit_sessions(self, train: Sequence[LabelledSession], valid: Sequence[LabelledSession]) -> None:
        """Fit the teacher; the valid sessions are not looked at."""
        self._teacher = fitted_teacher(train, self.config["seed"])

    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """Answer each session with the groups of the teacher's thought about it."""
        if self._teacher is None:
            self._teacher = fitted_teacher(self.dataset.labelled_sessions, self.config["seed"])
        return [Generation(thought.groups) for thought in self._teacher.think(sessions)]
