"""A learnt space of titles in which, before any training, alike titles are near each other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from recbole_routedk.model.statistical.item_batches import ItemBatch


class TitleSpace(nn.Module):
    """Projects title vectors to unit vectors; starts as the principal components of the training titles.

    A few hundred sessions cannot teach a random projection what a sentence encoder already knows: a model that
    starts here starts as a clustering of titles, and learns what clustering misses.
    """

    mean: Tensor

    def __init__(self, content_width: int, width: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(content_width))
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(content_width, width, bias=False)

    @torch.no_grad()
    def fit(self, items: ItemBatch) -> None:
        """Set mean and projection to those of the distinct titles of ``items``; components beyond theirs are 0."""
        vectors = torch.unique(items.vectors[items.present], dim=0)
        self.mean.copy_(vectors.mean(0))
        components = torch.linalg.svd(vectors - self.mean, full_matrices=False).Vh
        weight = self.projection.weight.zero_()
        count = min(len(weight), len(components))
        # A component's sign is arbitrary, and may differ between machines.
        signs = components.gather(1, components.abs().argmax(1, keepdim=True)).sign()
        weight[:count] = (components * signs)[:count]

    def forward(self, vectors: Tensor) -> Tensor:
        """Return unit vectors [..., width] of title vectors [..., content width]."""
        projected: Tensor = self.projection(self.dropout(vectors - self.mean))
        return normalize(projected, dim=-1)


def zeroed(layer: nn.Linear) -> nn.Linear:
    """Return ``layer`` with weights of 0: what it adds to a prior begins as nothing."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
