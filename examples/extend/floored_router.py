"""A router: softmax gates of which a part is given to all experts alike, so that none is ever switched off."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recbole_routedk.student.routed_student import RoutedStudent
from recbole_routedk.student.router import LinearRouter


class FlooredRouter(LinearRouter):
    """A linear map of the prompt's summary to logits [..., experts]; only ``weigh`` is its own."""

    _floor: float

    @classmethod
    def from_settings(cls, student: RoutedStudent, settings: Any) -> FlooredRouter:
        router = super().from_settings(student, settings)
        router._floor = settings["router_floor"]
        return router

    def weigh(self, logits: Tensor, normed: Tensor) -> Tensor:
        return (1 - self._floor) * torch.softmax(logits, dim=-1) + self._floor / logits.shape[-1]
