"""A pointer policy over the items of a session: what to do next while its answer is written (BYOB)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

_BILINEAR = 4
_CHANNELS = _BILINEAR + 2
_COUNTS = 4
_FITS = 5 * _CHANNELS
_CLIP = 10.0
LARGEST = 1 << 25
"""Numbers of one tensor over all pairs of items in all states of a batch: 128 MiB."""


class ReadSessions(NamedTuple):
    """What the policy made of B sessions: items [B, n, hidden], affinities [B, n, n, channels], present [B, n]."""

    items: Tensor
    affinities: Tensor
    present: Tensor


class PointerPolicy(nn.Module):
    """Set encoder over the items, then additive attention from the state to the items that may be added.

    The state is the mean of the session, of the current bundle and of the free items, as in the original (user,
    clicks and bundle so far), and a few sizes. No position is read, so the order of items does not matter.
    ``width`` is that of the item vectors.
    """

    def __init__(self, width: int, hidden: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(width, hidden), nn.Dropout(dropout))
        layer = nn.TransformerEncoderLayer(hidden, heads, 2 * hidden, dropout, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.bilinear = nn.Linear(width, _BILINEAR * 16, bias=False)
        self.query = nn.Linear(3 * hidden + _COUNTS, hidden)
        self.key = nn.Linear(hidden, hidden, bias=False)
        self.fit = nn.Linear(_FITS, hidden, bias=False)
        self.point = nn.Linear(hidden, 1, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.stop = nn.Sequential(nn.Linear(3 * hidden, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 2))
        self.value = nn.Sequential(nn.Linear(3 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def encode(self, vectors: Tensor, present: Tensor) -> ReadSessions:
        """Read each session once; ``vectors`` is [B, n, width], ``present`` [B, n] tells items from padding."""
        # A session without any item would give attention nothing to look at.
        looked = present | ~present.any(1, keepdim=True)
        items = self.encoder(self.project(vectors), src_key_padding_mask=~looked)
        return ReadSessions(items * present.unsqueeze(-1), self._affinities(vectors, present), present)

    def _affinities(self, vectors: Tensor, present: Tensor) -> Tensor:
        """Cosines, cosines standardised within the session, and learned bilinear affinities."""
        cosine = vectors @ vectors.transpose(1, 2)
        parts = self.dropout(self.bilinear(vectors)).unflatten(-1, (_BILINEAR, -1))
        learned = torch.einsum("bikd,bjkd->bijk", parts, parts)
        both = present.unsqueeze(1) & present.unsqueeze(2)
        pair = both & ~torch.eye(vectors.shape[1], dtype=torch.bool, device=vectors.device)
        count = pair.sum((1, 2)).clamp(min=1)[:, None, None]
        mean = (cosine * pair).sum((1, 2))[:, None, None] / count
        spread = (((cosine - mean) * pair).square().sum((1, 2))[:, None, None] / count).sqrt()
        standard = (cosine - mean) / (spread + 0.05)
        stacked = torch.cat([torch.stack([cosine, standard], dim=-1), learned], dim=-1)
        return stacked * pair.unsqueeze(-1)

    def forward(self, read: ReadSessions, current: Tensor, free: Tensor, closed: Tensor) -> tuple[Tensor, Tensor]:
        """Score the actions in M states of each session: logits [B, M, n + 2] (not masked) and values [B, M].

        ``current`` and ``free`` are bool [B, M, n], ``closed`` [B, M] counts the bundles before the current one.
        """
        items, affinities, present = read
        whole = present.unsqueeze(1).expand_as(current)
        means = [_masked_mean(items, mask) for mask in (whole, current, free)]
        sizes = torch.stack([current.sum(-1), free.sum(-1), closed, whole.sum(-1)], dim=-1)
        state = torch.cat([*means, sizes.float().log1p()], dim=-1)
        query = self.query(state)
        keys = self.key(items).unsqueeze(1) + self.fit(_fits_in_parts(affinities, current, free))
        scored = torch.tanh(query.unsqueeze(2) + keys)  # [B, M, n, hidden]
        pointed = self.point(self.dropout(scored)).squeeze(-1)
        summary = torch.cat([torch.relu(query), *_pooled(scored, free)], dim=-1)
        logits = torch.cat([self.stop(summary), pointed], dim=-1)
        return _CLIP * torch.tanh(logits / _CLIP), self.value(summary).squeeze(-1)


def _fits_in_parts(affinities: Tensor, current: Tensor, free: Tensor) -> Tensor:
    """What ``_fits`` gives; a few states at a time where all pairs of items in all states would fill the memory."""
    parts = -(-affinities.numel() * current.shape[1] // LARGEST)
    if parts <= 1:
        return _fits(affinities, current, free)
    states = zip(current.chunk(parts, dim=1), free.chunk(parts, dim=1), strict=True)
    # What a part needs for its gradient is made again when that is taken.
    return torch.cat([checkpoint(_fits, affinities, *each, use_reentrant=False) for each in states], dim=1)


def _fits(affinities: Tensor, current: Tensor, free: Tensor) -> Tensor:
    """How each item fits the current bundle and what is free: mean, most and least, [B, M, n, 5 * channels]."""
    parts = []
    for mask, kinds in ((current, ("mean", "most", "least")), (free, ("mean", "most"))):
        # An item is no rival of itself, and a bundle's own item fits the others of the bundle.
        others = mask.unsqueeze(2) & ~torch.eye(mask.shape[-1], dtype=torch.bool, device=mask.device)
        some = others.any(-1)[..., None]
        chosen = others.unsqueeze(-1)
        values = affinities.unsqueeze(1)
        mean = (values * chosen).sum(3) / others.sum(-1).clamp(min=1).unsqueeze(-1)
        found = {"mean": mean}
        if "most" in kinds:
            found["most"] = values.masked_fill(~chosen, -1e4).amax(3)
        if "least" in kinds:
            found["least"] = values.masked_fill(~chosen, 1e4).amin(3)
        parts += [torch.where(some, found[kind], 0.0) for kind in kinds]
    return torch.cat(parts, dim=-1)


def _masked_mean(items: Tensor, mask: Tensor) -> Tensor:
    return (mask.to(items.dtype) @ items) / mask.sum(-1, keepdim=True).clamp(min=1)


def _pooled(scored: Tensor, mask: Tensor) -> list[Tensor]:
    """The mean and the most over the free items; zeros where none is free."""
    chosen = mask.unsqueeze(-1)
    mean = (scored * chosen).sum(2) / mask.sum(-1, keepdim=True).clamp(min=1)
    most = scored.masked_fill(~chosen, -1.0).amax(2)
    return [mean, torch.where(mask.any(-1, keepdim=True), most, 0.0)]


def masked_log_probabilities(logits: Tensor, allowed: Tensor) -> Tensor:
    """Log probabilities of actions, [..., A]: about -1e9 where an action is not allowed."""
    return torch.log_softmax(logits.masked_fill(~allowed, -1e9), dim=-1)
