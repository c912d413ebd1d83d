"""The learnt space of titles starts as their principal components."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch.nn.functional import normalize

from recbole_routedk.model.statistical.item_batches import ItemBatch
from recbole_routedk.model.statistical.title_space import TitleSpace


def items(count: int) -> ItemBatch:
    """``count`` sessions of three places, the last of which is padding, after one that repeats the first."""
    vectors = torch.randn(count, 3, 6, generator=torch.Generator().manual_seed(1))
    vectors = torch.cat([vectors[:1], vectors])
    present = torch.tensor([[True, True, False]]).expand(count + 1, 3)
    return ItemBatch(vectors * present.unsqueeze(-1), present)


def test_it_starts_as_the_principal_components_of_distinct_titles() -> None:
    batch = items(5)
    space = TitleSpace(6, 2, dropout=0.0)
    space.fit(batch)
    distinct = np.unique(batch.vectors[batch.present].numpy(), axis=0)
    expected = torch.from_numpy(PCA(2, svd_solver="full").fit(distinct).transform(batch.vectors[2].numpy()))
    ours = space(batch.vectors[2])
    assert torch.allclose(ours @ ours.T, normalize(expected) @ normalize(expected).T, atol=1e-4)


def test_fewer_titles_than_numbers_are_no_error() -> None:
    space = TitleSpace(6, 6, dropout=0.0)
    space.fit(items(1))
    similar = space(items(1).vectors[0, :2])
    assert torch.isfinite(similar).all()
    assert (similar[0] @ similar[1]).item() < -0.99  # two titles lie on both sides of their mean
