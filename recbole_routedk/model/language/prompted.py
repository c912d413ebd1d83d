"""What all models share that are asked in words and not trained: by a talk about each session."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole_routedk.config import STUDENT
from recbole_routedk.data.files import write_texts
from recbole_routedk.data.session import Generation, LabelledSession, Session, first_labelled, within_limit
from recbole_routedk.model.bundle_generator import BundleGenerator
from recbole_routedk.model.language.demonstrations import Demonstrations
from recbole_routedk.model.language.student_respondent import StudentRespondent
from recbole_routedk.model.language.talk import Reply, Respondent
from recbole_routedk.model.language.teacher_respondent import TeacherRespondent

logger = getLogger(__name__)


class PromptedModel(BundleGenerator):
    """A model that is asked: ``answered_by`` is ``student``, or a teacher of properties/teacher (openai, local).

    Nothing is trained; what a subclass shows of training sessions it takes from ``dataset.labelled_sessions``.

    An endpoint or a local model answers once, at ``teacher_temperature`` (zero, as in the papers). The student, too
    small for that, draws ``consensus_samples`` answers to the last question of a talk and gives what they agree on:
    one of them, the pairs that many of them have, or the whole session as one bundle, which none need have written.
    With ``consensus_samples: 1`` it answers greedily, as written.
    """

    gradient_trained = False
    named_settings: tuple[str, ...] = ("answered_by",)
    goes_on = False
    """Whether a talk has more than one question."""

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.respondent: Respondent
        if config["answered_by"] == STUDENT:
            own = StudentRespondent(config, self.goes_on)
            self.student = own.student  # so that it moves to the device with the model
            self.respondent = own
        else:
            self.respondent = TeacherRespondent(config)
            self.answers_alone = True

    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """Answer each session; one with fewer than two items has no bundle and is not asked about."""
        asked = [within_limit(session, self.config["max_items"]) for session in sessions if len(session) >= 2]
        replies = iter(self.replies(asked) if asked else [])
        return [next(replies).generation if len(session) >= 2 else Generation(()) for session in sessions]

    @abstractmethod
    def replies(self, sessions: Sequence[Session]) -> list[Reply]:
        """Hold a talk about each session, all of at least two items, and return what it came to."""
        raise NotImplementedError

    def teacher_dollars(self) -> float | None:
        """What the answers of an endpoint cost; the student's are free."""
        return self.respondent.dollars() if isinstance(self.respondent, TeacherRespondent) else 0.0

    def save_artefacts(self, folder: Path) -> None:
        """Write what was asked of a teacher and what it cost into ``usage.txt``, and say it."""
        if isinstance(self.respondent, TeacherRespondent):
            lines = self.respondent.lines()
            logger.info("\n".join(lines))
            write_texts({folder / "usage.txt": "\n".join(lines) + "\n"})


class DemonstratedModel(PromptedModel):
    """A prompted model that shows training sessions with their right bundles: the nearest by their titles."""

    def __init__(self, config: Any, dataset: Any, shown: int) -> None:
        """``shown`` is the number of training sessions."""
        super().__init__(config, dataset)
        self._shown = shown
        self._demonstrations: Demonstrations | None = None

    def neighbours(self, sessions: Sequence[Session]) -> list[list[LabelledSession]]:
        """Return the training sessions nearest to each session, the nearest first; fewer where there are no more."""
        if self._demonstrations is None:
            config = self.config
            train = [first_labelled(labelled, config["max_items"]) for labelled in self.dataset.labelled_sessions]
            self._demonstrations = Demonstrations(train, config["retriever"], self._shown)
        return self._demonstrations.nearest(sessions)
