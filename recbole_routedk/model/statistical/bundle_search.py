"""Local search for the best bundle of some items: add, remove or replace one item at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recbole_routedk.data.session import Bundle
from recbole_routedk.distill.knowledge import Floats

SMALLEST = 2
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class BundleObjective:
    """How good a bundle B of n items is: mean item score + mean pair score + score of its size.

    ``items`` [n], ``pairs`` [n, n] (symmetric, zero diagonal) and ``sizes`` [n + 1], by |B|.
    """

    items: Floats
    pairs: Floats
    sizes: Floats

    def value(self, bundle: Bundle) -> float:
        """Return the value of a bundle of at least two items."""
        inside = sorted(bundle)
        size = len(inside)
        pair_sum = self.pairs[np.ix_(inside, inside)].sum() / 2
        return float(self.items[inside].mean() + 2 * pair_sum / (size * (size - 1)) + self.sizes[size])

    def neighbours(self, bundle: Flags, free: Flags) -> Floats:
        """Return the value of every bundle one move away, [n + 1, n + 1]: row leaves, column joins; n is nobody.

        Items that join are taken from ``free`` [n]; what is no move, or leaves fewer than two items, is -inf.
        """
        length, size = len(self.items), int(bundle.sum())
        towards = self.pairs @ bundle  # [n]
        item_sum, pair_sum = self.items @ bundle, towards @ bundle / 2
        leaves, joins = np.append(-self.items, 0.0), np.append(self.items, 0.0)
        items = item_sum + leaves[:, None] + joins[None, :]
        lost, won = np.append(-towards, 0.0), np.append(towards, 0.0)
        swapped = np.zeros((length + 1, length + 1))
        swapped[:length, :length] = self.pairs
        pairs = pair_sum + lost[:, None] + won[None, :] - swapped
        nobody = np.arange(length + 1) == length
        sizes = size - (~nobody[:, None]).astype(int) + (~nobody[None, :]).astype(int)
        possible = np.append(bundle, True)[:, None] & np.append(free & ~bundle, True)[None, :]
        possible &= (sizes >= SMALLEST) & ~(nobody[:, None] & nobody[None, :])
        safe = np.clip(sizes, SMALLEST, length)
        values = items / safe + 2 * pairs / (safe * (safe - 1)) + self.sizes[safe]
        return np.where(possible, values, -np.inf)

    def best_pairs(self, free: Flags, count: int) -> list[Flags]:
        """Return the best bundles of two free items, at most ``count`` of them and one for each item, best first."""
        values = (self.items[:, None] + self.items[None, :]) / 2 + self.pairs
        open_pairs = free[:, None] & free[None, :] & ~np.eye(len(free), dtype=bool)
        values = np.where(open_pairs, values, -np.inf)
        partner = values.argmax(1)
        best = values.max(1)
        order = [item for item in np.argsort(-best, kind="stable") if np.isfinite(best[item])]
        found = dict.fromkeys(frozenset((int(item), int(partner[item]))) for item in order)
        return [_flags(pair, len(free)) for pair in list(found)[:count]]


Search = Callable[[BundleObjective, Flags], Bundle]
"""Finds a good bundle among the free items [n], of which there are at least two."""


def greedy_search(objective: BundleObjective, free: Flags, starts: int) -> Bundle:
    """Climb from the best ``starts`` pairs and from all free items by the best move each time; the best end wins."""
    ends = [_climb(objective, free, start) for start in [*objective.best_pairs(free, starts), free]]
    return max(ends, key=objective.value)


def _climb(objective: BundleObjective, free: Flags, bundle: Flags) -> Bundle:
    value = objective.value(_bundle(bundle))
    while True:
        values = objective.neighbours(bundle, free)
        leaves, joins = np.unravel_index(int(values.argmax()), values.shape)
        if values[leaves, joins] <= value + 1e-9:
            return _bundle(bundle)
        value = values[leaves, joins]
        bundle = _moved(bundle, int(leaves), int(joins))


def annealed_search(objective: BundleObjective, free: Flags, steps: int, heat: float, seed: int) -> Bundle:
    """Simulated annealing from the best pair, the temperature falling linearly from ``heat``; then climb.

    A random move is taken if it is better, or with probability exp(change / temperature). The best bundle met is
    climbed from. The same ``seed`` gives the same bundle.
    """
    generator = np.random.default_rng(seed)
    bundle = best = objective.best_pairs(free, 1)[0]
    value = best_value = objective.value(_bundle(bundle))
    for step in range(steps):
        values = objective.neighbours(bundle, free)
        moves = np.argwhere(np.isfinite(values))
        if not len(moves):
            break
        leaves, joins = moves[generator.integers(len(moves))]
        change = values[leaves, joins] - value
        if change >= 0 or generator.random() < np.exp(change / (heat * (1 - step / steps))):
            bundle, value = _moved(bundle, int(leaves), int(joins)), values[leaves, joins]
        if value > best_value:
            best, best_value = bundle, value
    return _climb(objective, free, best)


def disjoint_bundles(objective: BundleObjective, search: Search) -> list[tuple[Bundle, float]]:
    """Search, take the items found away, and again until fewer than two are left; each bundle with its value."""
    free = np.ones(len(objective.items), dtype=bool)
    found = []
    while free.sum() >= SMALLEST:
        bundle = search(objective, free)
        found.append((bundle, objective.value(bundle)))
        free[sorted(bundle)] = False
    return found


def _moved(bundle: Flags, leaves: int, joins: int) -> Flags:
    moved = bundle.copy()
    if leaves < len(bundle):
        moved[leaves] = False
    if joins < len(bundle):
        moved[joins] = True
    return moved


def _bundle(flags: Flags) -> Bundle:
    return frozenset(np.flatnonzero(flags).tolist())


def _flags(bundle: Bundle, length: int) -> Flags:
    flags = np.zeros(length, dtype=bool)
    flags[sorted(bundle)] = True
    return flags
