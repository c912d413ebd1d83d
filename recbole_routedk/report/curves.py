"""Training curves, read from the tensorboard logs that runs keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from recbole_routedk.report.runs import Run

LOSS = "loss/train"
STAGE = "stage"
TENSORBOARD = "tensorboard"

Points = tuple[tuple[int, float], ...]
"""(epoch, value), the epochs ascending."""


@dataclass(frozen=True)
class Curve:
    """How one run was trained: the loss of each epoch, and the metric on the valid split where it was measured.

    ``stages`` says which stage each epoch belongs to, counted from 1; logs of earlier versions do not.
    """

    name: str
    seed: int
    loss: Points
    valid: Points
    stages: Points = ()

    def by_stage(self, points: Points) -> list[Points]:
        """Return the points of each stage apart: losses of different stages are of different things."""
        stage_of = dict(self.stages)
        numbers = sorted({stage_of.get(epoch, 1) for epoch, _ in points})
        return [tuple(point for point in points if stage_of.get(point[0], 1) == number) for number in numbers]


def read_curves(runs: Sequence[Run], metric: str) -> list[Curve]:
    """The curves of the runs that were trained by gradient, with the valid ``metric`` ("matchedf1")."""
    curves = []
    for run in runs:
        scalars = read_scalars(run.folder / TENSORBOARD)
        if LOSS in scalars:
            valid, stages = scalars.get(f"valid/{metric}", ()), scalars.get(STAGE, ())
            curves.append(Curve(run.name, run.seed, scalars[LOSS], valid, stages))
    return curves


def read_scalars(folder: Path) -> dict[str, Points]:
    """Every scalar of a tensorboard log by its tag; empty where there is no log."""
    if not any(folder.glob("events.out.tfevents.*")):
        return {}
    log = EventAccumulator(str(folder), size_guidance={"scalars": 0})  # 0 keeps every event
    log.Reload()
    return {tag: _last_written(log.Scalars(tag)) for tag in log.Tags()["scalars"]}


def _last_written(events: Sequence[Any]) -> Points:
    """One value a step: a run that was stopped and resumed may have written an epoch twice."""
    values = {event.step: event.value for event in sorted(events, key=lambda event: event.wall_time)}
    return tuple(sorted(values.items()))
