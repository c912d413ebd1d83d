"""Gold bundles as episodes to imitate: which actions write the gold answer, in whatever order."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_routedk.model.statistical.bundle_episodes import END, Episodes


def right_actions(episodes: Episodes, gold: Tensor) -> Tensor:
    """The actions that lead to the gold answer, bool [B, R, n + 2]; ``gold`` is bool [B, G, n], empty rows padding.

    Bundles may be written in any order, and so may the items of one. A gold bundle counts with those of its items
    that are in no closed bundle, as long as two are left: an answer has each item once. None is right where the
    answer has ended.
    """
    left = gold.unsqueeze(1) & (episodes.free | episodes.current).unsqueeze(2)  # [B, R, G, n]
    current = episodes.current.unsqueeze(2)
    # A gold bundle is followed where it holds all that is in the current one.
    followed = (left.sum(-1) > 1) & ~(current & ~left).any(-1)  # [B, R, G]
    more = left & ~current & followed.unsqueeze(-1)
    complete = followed & ~more.any(-1)
    ended = ~followed.any(-1, keepdim=True)
    right = torch.cat([complete.any(-1, keepdim=True), ended, more.any(2)], dim=-1)
    return right & episodes.allowed() & ~episodes.done.unsqueeze(-1)


def write_gold(present: Tensor, gold: Tensor, times: int, generator: torch.Generator) -> list[tuple[Tensor, ...]]:
    """Write each gold answer R = ``times`` times, in random order; ``present`` is bool [B, n], ``gold`` [B, G, n].

    Returns for every step (current, free, closed, right actions), each [B, R, ...].
    """
    episodes = Episodes.begin(present, times)
    steps: list[tuple[Tensor, ...]] = []
    while not bool(episodes.done.all()):
        right = right_actions(episodes, gold)
        steps.append((episodes.current, episodes.free, episodes.closed, right))
        chance = torch.rand(right.shape, generator=generator)
        chosen = torch.where(right, chance, -1.0).argmax(-1)
        episodes.step(torch.where(right.any(-1), chosen, END))
    return steps
