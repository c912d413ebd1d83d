"""Sessions and gold bundles as padded tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recbole_routedk.data.session import Bundle, Session
from recbole_routedk.model.content import Content


def item_vectors(content: Content, sessions: Sequence[Session]) -> list[Tensor]:
    """Return the vectors of the items of each session, float32 [n, width] each."""
    titles = [item.text for session in sessions for item in session.items]
    vectors = torch.from_numpy(content.vectors(titles))
    return list(vectors.split([len(session) for session in sessions]))


def gold_rows(length: int, bundles: Sequence[Bundle]) -> Tensor:
    """Return gold bundles as flags, bool [G, length]."""
    rows = torch.zeros(len(bundles), length, dtype=torch.bool)
    for row, bundle in enumerate(bundles):
        rows[row, sorted(bundle)] = True
    return rows


def padded(tensors: Sequence[Tensor]) -> Tensor:
    """Stack tensors of one kind and number of dimensions, each filled up with zeros to the largest: [B, ...]."""
    shape = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
    whole = tensors[0].new_zeros(len(tensors), *shape)
    for row, tensor in zip(whole, tensors, strict=True):
        row[tuple(slice(size) for size in tensor.shape)] = tensor
    return whole


def present_flags(lengths: Sequence[int]) -> Tensor:
    """Tell items from padding in sessions of the given lengths, bool [B, n]."""
    return torch.arange(max(lengths, default=0)) < torch.tensor(lengths)[:, None]
