"""The collaborative feature of items that were never seen: what alike titles were bundled with in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_routedk.data.session import LabelledSession
from recbole_routedk.model.statistical.item_batches import ItemBatch

_TEMPERATURE = 0.05  # of similarities: a neighbour 0.05 nearer weighs e times as much


@dataclass(frozen=True)
class CoBundling:
    """The T bundled items of training sessions: ``titles`` [T, width], the mean title of those that share a bundle
    with each, ``partners`` [T, width], and the ``session`` [T] that each is from.
    """

    titles: Tensor
    partners: Tensor
    session: Tensor

    def features(self, batch: ItemBatch, neighbours: int, own: Tensor | None = None) -> Tensor:
        """Return what each item's nearest training titles were bundled with, [S, n, width]; 0 where there are none.

        ``own`` [S] are the training sessions that the rows of ``batch`` are: no item sees the bundles of its own.
        """
        features = torch.zeros_like(batch.vectors)
        items = batch.vectors[batch.present]
        if not len(items) or not len(self.titles):
            return features
        similarity = items @ self.titles.T
        if own is not None:
            rows = own.unsqueeze(1).expand_as(batch.present)[batch.present]
            similarity = similarity.masked_fill(rows.unsqueeze(1) == self.session, -torch.inf)
        nearest = similarity.topk(min(neighbours, len(self.titles)), dim=1)
        weights = (nearest.values / _TEMPERATURE).softmax(1).nan_to_num(0.0)  # no other session, no weight
        features[batch.present] = (weights.unsqueeze(1) @ self.partners[nearest.indices]).squeeze(1)
        return features


def co_bundling(items: ItemBatch, train: Sequence[LabelledSession]) -> CoBundling:
    """Collect the bundled items of training sessions; ``items`` holds these sessions in order."""
    places: list[tuple[int, int]] = []
    partners = [items.vectors.new_zeros(0, items.vectors.shape[-1])]
    for row, labelled in enumerate(train):
        for item in range(len(labelled.session)):
            others = [other for bundle in labelled.bundles if item in bundle for other in sorted(bundle - {item})]
            if others:
                places.append((row, item))
                partners.append(items.vectors[row, others].mean(0, keepdim=True))
    index = torch.tensor(places, dtype=torch.int64, device=items.vectors.device).reshape(-1, 2)
    return CoBundling(items.vectors[index[:, 0], index[:, 1]], torch.cat(partners), index[:, 0])
