"""Where training stands, as checkpoints keep it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Progress:
    """Where training stands; this is what a resumed run goes on from."""

    stage: int = 0
    epoch: int = 0  # finished epochs of the stage
    epochs_before: int = 0  # finished epochs of earlier stages
    waited: int = 0  # evaluations since the best one
    best_score: float | None = None
    best_result: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    stage_done: bool = False
    finished: bool = False
