"""What bundle completion models share: partial bundles to learn from, growth to answer, thresholds chosen on valid."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_routedk.data.session import Generation, LabelledSession, Session
from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.model.bundle_generator import BundleGenerator
from recbole_routedk.model.content import content_of
from recbole_routedk.model.statistical.growing import CandidateScorer, Growth, GrowthThresholds, Partial
from recbole_routedk.model.statistical.item_batches import (
    ItemBatch,
    Lesson,
    PartialBatch,
    item_batch,
    lesson,
    partial_batch,
    thinned,
)


class BundleCompletion(BundleGenerator):
    """A model trained by gradient that tells which items of a session complete a partial bundle.

    Sessions are answered by growth (``growing``), whose thresholds are those with the best MatchedF1 on valid.
    Subclasses encode the items of sessions and score each item as the next one of a partial bundle.
    """

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.content = content_of(config, dataset.labelled_sessions)
        self._thresholds = GrowthThresholds()
        self._training_items: ItemBatch | None = None
        self._random = np.random.default_rng(config["seed"])

    @abstractmethod
    def encode(self, batch: ItemBatch) -> Any:
        """Return what ``join_logits`` has to know of S sessions, whatever the partial bundles."""

    @abstractmethod
    def join_logits(self, encoded: Any, partials: PartialBatch) -> Tensor:
        """Return how much every item of its session should join each partial bundle, [P, n]; 0 is undecided."""

    @abstractmethod
    def completion_loss(self, batch: ItemBatch, examples: Lesson) -> Tensor:
        """Return the loss of a batch of training sessions."""

    def begin_epoch(self, epoch: int) -> None:
        """Draw the epoch's partial bundles from the seed and the epoch alone: a resumed run draws the same."""
        self._random = np.random.default_rng([self.config["seed"], epoch])

    def calculate_loss(self, interaction: Any) -> Tensor:
        """The loss of completing partial bundles of the sessions ``interaction["session_index"]`` [B]."""
        index = interaction["session_index"]
        batch = thinned(self.training_items().rows(index), self.config["session_dropout"], self._random)
        sessions = [self.dataset.labelled_sessions[row] for row in index.tolist()]
        examples = lesson(sessions, batch.present, self.config["partials_per_bundle"], self._random)
        return self.completion_loss(batch, examples)

    def training_items(self) -> ItemBatch:
        """Return the items of the training sessions, read once."""
        if self._training_items is None:
            self._training_items = self.read_training()
        return self._training_items

    def read_training(self) -> ItemBatch:
        """Return the items of the training sessions, as a model that learns may see them."""
        return self.read([labelled.session for labelled in self.dataset.labelled_sessions])

    def read(self, sessions: Sequence[Session]) -> ItemBatch:
        """Return the items of any sessions."""
        return item_batch(sessions, self.content, self.device)

    def calibrate(self, valid: Sequence[LabelledSession]) -> None:
        """Choose the thresholds of growth."""
        growth = self._growth([labelled.session for labelled in valid])
        self._thresholds = growth.choose([labelled.bundles for labelled in valid])

    @torch.no_grad()
    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """Grow the bundles of each session, without dropout."""
        training = self.training
        self.eval()
        answers = self._growth(sessions).bundles(self._thresholds)
        self.train(training)
        return [Generation(bundles) for bundles in answers]

    def _growth(self, sessions: Sequence[Session]) -> Growth:
        return Growth([len(session) for session in sessions], self._scorer(sessions))

    def _scorer(self, sessions: Sequence[Session]) -> CandidateScorer:
        batch = self.read(sessions)
        encoded, width = self.encode(batch), batch.present.shape[1]

        def score(partials: Sequence[Partial]) -> list[Floats]:
            logits = self.join_logits(encoded, partial_batch(partials, width, self.device)).double().cpu().numpy()
            return [row[: len(sessions[number])] for row, (number, _) in zip(logits, partials, strict=True)]

        return score

    def extra_state(self) -> dict[str, Any]:
        """The thresholds of growth."""
        return {"thresholds": self._thresholds.as_state()}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what ``extra_state`` gave."""
        self._thresholds = GrowthThresholds(**state["thresholds"])


def completion_cross_entropy(logits: Tensor, present: Tensor, examples: Lesson) -> Tensor:
    """Mean cross-entropy of what joins each partial bundle, equally likely, or of the end, whose logit is 0.

    ``logits`` and ``present`` are [P, n]; items inside the partial bundle are no choice. A number.
    """
    outside = present & ~examples.partials.inside
    choices = torch.cat([logits.masked_fill(~outside, -torch.inf), logits.new_zeros(len(logits), 1)], 1)
    ended = ~examples.joins.any(1, keepdim=True)
    target = torch.cat([examples.joins, ended], 1)
    gain = choices.log_softmax(1).masked_fill(~target, 0.0)
    return -(gain.sum(1) / target.sum(1)).mean()


def mean_inside(vectors: Tensor, inside: Tensor) -> Tensor:
    """Return the mean of the marked vectors, [P, width] of [P, n, width]."""
    weights = inside.to(vectors.dtype)
    weights = weights / weights.sum(1, keepdim=True)
    return (weights.unsqueeze(1) @ vectors).squeeze(1)
