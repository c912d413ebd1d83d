"""The input-aware router: from the student's own view of a session to the weight of each expert (RouteDK).

The paper does not state the router's formula. Ours reads the final hidden states of the prompt's prefix,
which the frozen student has computed anyway, so that its cost is one small matrix product a session.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SoftmaxRouter(nn.Module):
    """Softmax over a linear map of the normalised prompt summary: [batch, hidden] -> [batch, E].

    Weights start at zero: before any training every expert has the same weight.
    """

    def __init__(self, hidden: int, experts: int, temperature: float = 1.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden, elementwise_affine=False)
        self.linear = nn.Linear(hidden, experts)
        self.temperature = temperature
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, summary: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.norm(summary.float()))
        return torch.softmax(logits / self.temperature, dim=-1)


def constant_gates(weights: list[float], batch: int, device: torch.device) -> Tensor:
    """Return the same gates for every row: [batch, E]."""
    return torch.tensor([weights], device=device).expand(batch, -1)
