"""Writing the answer to a session as a game: add an item to the current bundle, close the bundle, or end.

Actions are numbered alike for sessions of every length: ``CLOSE``, ``END``, and ``FIRST_ITEM + position``. What is
allowed at each moment makes every finished answer valid: disjoint bundles of at least two items, and at least one
bundle where the session has two items.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from recbole_routedk.data.session import Bundle

CLOSE, END, FIRST_ITEM = 0, 1, 2
_FREE, _ABSENT = 0, -1


@dataclass
class Episodes:
    """Answers being written: R answers to each of B sessions of at most n items.

    ``owner`` [B, R, n] holds for each item the number of its bundle, from 1 (0: free, -1: no item);
    ``bundle`` [B, R] the number of the current bundle and ``done`` [B, R] whether the answer has ended.
    """

    owner: Tensor
    bundle: Tensor
    done: Tensor

    @classmethod
    def begin(cls, present: Tensor, rollouts: int) -> Episodes:
        """Start ``rollouts`` empty answers a session; ``present`` [B, n] tells items from padding."""
        owner = torch.where(present, _FREE, _ABSENT)[:, None, :].repeat(1, rollouts, 1)
        bundle = torch.ones(owner.shape[:2], dtype=torch.long, device=present.device)
        return cls(owner, bundle, torch.zeros_like(bundle, dtype=torch.bool))

    @property
    def current(self) -> Tensor:
        """The items of the current bundle, bool [B, R, n]."""
        return self.owner == self.bundle.unsqueeze(-1)

    @property
    def free(self) -> Tensor:
        """The items in no bundle yet, bool [B, R, n]."""
        return self.owner == _FREE

    def allowed(self) -> Tensor:
        """What may be done next, bool [B, R, n + 2]; an answer that has ended may only end again."""
        choices = allowed_actions(self.current, self.free, self.closed)
        only_end = torch.zeros_like(choices)
        only_end[..., END] = True
        return torch.where(self.done.unsqueeze(-1), only_end, choices)

    @property
    def closed(self) -> Tensor:
        """How many bundles were closed, [B, R]."""
        return self.bundle - 1

    def step(self, action: Tensor) -> None:
        """Do ``action`` [B, R], which has to be allowed."""
        column = (action - FIRST_ITEM).clamp(min=0).unsqueeze(-1)
        number = torch.where(action >= FIRST_ITEM, self.bundle, self.owner.gather(-1, column).squeeze(-1))
        self.owner = self.owner.scatter(-1, column, number.unsqueeze(-1))
        self.bundle = self.bundle + (action == CLOSE)
        self.done = self.done | (action == END)

    def answers(self) -> list[list[tuple[Bundle, ...]]]:
        """The bundles of every answer, in the order in which they were begun, [B][R]."""
        return [[_bundles(row) for row in rows] for rows in self.owner.tolist()]


def allowed_actions(current: Tensor, free: Tensor, closed: Tensor) -> Tensor:
    """What may be done, bool [..., n + 2], with the bundle ``current`` and ``free`` items, [..., n], after ``closed``.

    A bundle is begun where two items are free and closed with two or more; after a closed one the answer may end.
    """
    size, left = current.sum(-1), free.sum(-1)
    items = free & ((size > 0) | (left > 1)).unsqueeze(-1)
    end = (size == 0) & ((closed > 0) | (left < 2))
    return torch.cat([(size > 1).unsqueeze(-1), end.unsqueeze(-1), items], dim=-1)


def _bundles(owner: list[int]) -> tuple[Bundle, ...]:
    count = max(owner, default=0)
    return tuple(frozenset(i for i, number in enumerate(owner) if number == k) for k in range(1, count + 1))


def answer_scores(owner: Tensor, gold: Tensor) -> Tensor:
    """The MatchedF1 of answers, float32 [N]; an unfinished bundle, even of one item, counts as one.

    ``owner`` [N, n] is that of ``Episodes`` and ``gold`` bool [N, G, n] the gold bundles, empty rows being padding.
    """
    own, gold_rows = owner.cpu().numpy(), gold.cpu().numpy()
    numbers = np.arange(1, max(1, int(own.max(initial=0))) + 1)
    answered = own[:, None, :] == numbers[:, None]  # [N, P, n]
    similarity = _jaccards(answered, gold_rows)
    count = answered.any(-1).sum(1) + gold_rows.any(-1).sum(1)
    matched = [_matched(matrix) for matrix in similarity]
    return torch.tensor(2 * np.array(matched) / np.maximum(1, count), dtype=torch.float32, device=owner.device)


def _jaccards(left: NDArray[np.bool_], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the Jaccard of every pair of sets, [N, P, G]; 0 for two empty ones."""
    shared = np.einsum("npi,ngi->npg", left.astype(np.float64), right.astype(np.float64))
    union = left.sum(-1)[:, :, None] + right.sum(-1)[:, None, :] - shared
    return np.asarray(shared / np.maximum(1.0, union), dtype=np.float64)


def _matched(similarity: NDArray[np.float64]) -> float:
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    return fsum(similarity[rows, columns])
