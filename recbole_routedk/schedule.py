"""Learning-rate schedules."""

from __future__ import annotations

import math


def rate_factor(kind: str, warmup_ratio: float, step: int, steps: int) -> float:
    """The learning rate at ``step`` (from 0) of ``steps`` as a share of the highest one.

    It climbs over the first ``warmup_ratio`` of the steps, then stays (``constant``) or falls towards 0
    (``linear``, ``cosine``). A function of the step alone, so that nothing of it has to be saved.
    """
    warmup = math.ceil(warmup_ratio * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, steps - warmup)
    return {"linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2, "constant": 1.0}[kind]
