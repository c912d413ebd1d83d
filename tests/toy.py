"""A small data set and two small models: one is trained by gradient, the other counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from recbole_routedk.data.atomic import SplitSessions
from recbole_routedk.data.session import Generation, Item, LabelledSession, Session
from recbole_routedk.model.bundle_generator import BundleGenerator, TrainingStage

TITLES = ("None", '"quoted', "tab\there", "NA", "back\\slash", "emoji 😀", "")


def toy_session(number: int, size: int) -> LabelledSession:
    """Session ``s<number>`` with ``size`` items, whose one bundle is all of them but the first."""
    items = tuple(Item(f"i{number}_{place}", TITLES[(number + place) % 7]) for place in range(size))
    return LabelledSession(Session(f"s{number}", items), (frozenset(range(1, size)),), ("an intent",))


def toy_splits() -> SplitSessions:
    """Ten train, three valid and three test sessions of three to five items."""
    sessions = [toy_session(number, 3 + number % 3) for number in range(16)]
    return SplitSessions(tuple(sessions[:10]), tuple(sessions[10:13]), tuple(sessions[13:]))


class Threshold(BundleGenerator):
    """Answers the whole session, and once its one weight has been trained above 0, all but the first item."""

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.weight = torch.nn.Parameter(torch.tensor(-1.0))
        self.frozen = torch.nn.Parameter(torch.zeros(1000), requires_grad=False)

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Falls as the weight grows; the noise makes a run depend on the random state."""
        noise = torch.rand(len(interaction["session_index"]))
        return (softplus(-self.weight) * (1 + noise)).mean()

    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """One bundle a session."""
        first = 1 if self.weight.item() > 0 else 0
        return [Generation((frozenset(range(first, len(session))),)) for session in sessions]


class TwoStages(Threshold):
    """Trains its weight, then another one while the first is frozen."""

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.other = torch.nn.Parameter(torch.tensor(0.0))

    def training_stages(self) -> tuple[TrainingStage, ...]:
        """Two stages of two epochs."""
        return (TrainingStage("first", 2, 1.0), TrainingStage("second", 2, 0.5))

    def begin_stage(self, name: str) -> None:
        """Train one weight at a time."""
        self.weight.requires_grad_(name == "first")
        self.other.requires_grad_(name == "second")

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Falls as both weights grow."""
        return softplus(-self.weight) + softplus(-self.other)


class Counting(BundleGenerator):
    """Learns without gradients how many sessions it was given, and answers the whole session."""

    gradient_trained = False
    sessions_seen = 0

    def fit_sessions(self, train: Sequence[LabelledSession], valid: Sequence[LabelledSession]) -> None:
        """Count."""
        self.sessions_seen = len(train) + len(valid)

    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """One bundle a session; nothing before it has learnt."""
        whole = [frozenset(range(len(session))) for session in sessions]
        return [Generation((bundle,) if self.sessions_seen else ()) for bundle in whole]

    def extra_state(self) -> dict[str, Any]:
        """What was counted."""
        return {"sessions_seen": self.sessions_seen}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """What was counted."""
        self.sessions_seen = state["sessions_seen"]
