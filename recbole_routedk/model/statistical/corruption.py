"""Gold bundles made worse: the negatives that a bundle is ranked above in training."""

from __future__ import annotations

import torch
from torch import Tensor

_MOST_MOVES = 2  # items that leave a gold bundle at most, and that join it


def worse_bundles(gold: Tensor, present: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw ``count`` bundles for each gold one: flags [B, G, count, n], and which of them are worse, [B, G, count].

    ``gold`` is bool [B, G, n], empty rows being padding, ``present`` bool [B, n]. Every other drawn bundle is the gold
    one with items added, removed or replaced; the rest are any items of the session, every size as likely, so that
    the search meets no kind of bundle that training has not. A drawn bundle is not worse where it is a gold one of the
    session or has fewer than two items.
    """
    near = _corrupted(gold, present, (count + 1) // 2, generator)
    far = _random(gold, present, count // 2, generator)
    drawn = torch.cat([near, far], dim=2)
    known = (drawn.unsqueeze(3) == gold[:, None, None]).all(-1).any(-1)
    worse = (drawn.sum(-1) > 1) & ~known & gold.any(-1).unsqueeze(-1)
    return drawn, worse


def _corrupted(gold: Tensor, present: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Let some random items leave each gold bundle and others join it, [B, G, count, n]."""
    inside = gold.unsqueeze(2).expand(-1, -1, count, -1)
    outside = present[:, None, None] & ~inside
    shape = (*inside.shape[:3], 1)
    leave, join = (torch.randint(_MOST_MOVES + 1, shape, generator=generator).to(gold.device) for _ in range(2))
    leaves = _first(inside, leave, generator)
    return (inside & ~leaves) | _first(outside, join, generator)


def _random(gold: Tensor, present: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw items of the session, from two to all of them, [B, G, count, n]."""
    whole = present[:, None, None].expand(-1, gold.shape[1], count, -1)
    share = torch.rand((*whole.shape[:3], 1), generator=generator).to(gold.device)
    sizes = 2 + (share * (whole.sum(-1, keepdim=True) - 1)).floor()
    return _first(whole, sizes, generator)


def _first(flags: Tensor, count: Tensor, generator: torch.Generator) -> Tensor:
    """Keep ``count`` [..., 1] random flags of the last dimension, or all where there are fewer."""
    keys = torch.rand(flags.shape, generator=generator).to(flags.device).masked_fill(~flags, 2.0)
    rank = keys.argsort(-1).argsort(-1)
    return flags & (rank < count)
