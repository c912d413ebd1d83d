"""A model that is tuned: the student on this machine, or a model behind an endpoint by its fine-tuning service."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from recbole_routedk.data.session import Generation, LabelledSession, Session
from recbole_routedk.model.bundle_generator import BundleGenerator, TrainingStage
from recbole_routedk.model.language.lessons import Lesson
from recbole_routedk.model.language.tuned_endpoint import TunedEndpoint


class TunedModel(BundleGenerator):
    """Hands everything to the student or to the endpoint, as ``answered_by`` says; only the chosen one is made."""

    def __init__(
        self,
        config: Any,
        dataset: Any,
        student: Callable[[], BundleGenerator],
        lessons: Callable[[], tuple[Sequence[Lesson], Lesson]],
    ) -> None:
        """``student`` makes the tuned student, ``lessons`` says what an endpoint's model learns and how it is asked."""
        super().__init__(config, dataset)
        here = config["answered_by"] == "student"
        self.tuned: BundleGenerator = student() if here else TunedEndpoint(config, dataset, *lessons())
        self.gradient_trained = self.tuned.gradient_trained
        self.answering_settings = self.tuned.answering_settings
        self.divides_batches, self.answers_alone = self.tuned.divides_batches, self.tuned.answers_alone

    def prepare(self, train: Sequence[LabelledSession]) -> None:
        self.tuned.prepare(train)

    def training_stages(self) -> tuple[TrainingStage, ...]:
        """Those of the student."""
        return self.tuned.training_stages()

    def begin_stage(self, name: str) -> None:
        self.tuned.begin_stage(name)

    def begin_epoch(self, epoch: int) -> None:
        self.tuned.begin_epoch(epoch)

    def calculate_loss(self, interaction: Any) -> Tensor | tuple[Tensor, ...]:
        """The student's loss."""
        return self.tuned.calculate_loss(interaction)

    def loss_parts(self, interaction: Any) -> Iterator[Tensor]:
        """Those of the student's loss."""
        return self.tuned.loss_parts(interaction)

    def fit_sessions(self, train: Sequence[LabelledSession], valid: Sequence[LabelledSession]) -> None:
        self.tuned.fit_sessions(train, valid)

    def calibrate(self, valid: Sequence[LabelledSession]) -> None:
        self.tuned.calibrate(valid)

    def read_ahead(self, sessions: Sequence[Session]) -> None:
        self.tuned.read_ahead(sessions)

    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """Answer each session, in order."""
        return self.tuned.predict_bundles(sessions)

    def teacher_dollars(self) -> float | None:
        return self.tuned.teacher_dollars()

    def save_artefacts(self, folder: Path) -> None:
        self.tuned.save_artefacts(folder)

    def fits(self) -> dict[str, str]:
        return self.tuned.fits()

    def extra_state(self) -> dict[str, Any]:
        return self.tuned.extra_state()

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.tuned.load_extra_state(state)
