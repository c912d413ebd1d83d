"""Methods made for one bundle answer sessions of several: seed a bundle, grow it, take its items away, repeat.

A method says how well each item of a session joins a partial bundle. Growth does the rest, and chooses on the valid
sessions how good a pair must be to start a bundle and an item to join one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recbole_routedk.data.session import Bundle
from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.evaluation.metrics import matched_f1

Partial = tuple[int, Bundle]
"""A session, by its place among those that are answered, and the positions that are already in the bundle."""

CandidateScorer = Callable[[Sequence[Partial]], Sequence[Floats]]
"""Scores every position as the next item of each partial bundle, [items of its session]; inside ones are ignored."""

_SCORED_AT_ONCE = 512  # partial bundles handed to a scorer: what a session of 100 items asks for stays small
_QUANTILES = 16
_SMALLEST = 2


@dataclass(frozen=True)
class GrowthThresholds:
    """The least score of a pair that starts a bundle (a session's first needs none) and of an item that joins one."""

    seed: float = 0.0
    grow: float = 0.0

    def as_state(self) -> dict[str, float]:
        """Return the thresholds as JSON-able values, for ``extra_state``."""
        return asdict(self)


@dataclass(frozen=True)
class _Grown:
    seed_score: float
    bundle: Bundle


class Growth:
    """Grows disjoint bundles in some sessions; every partial bundle is scored once in the life of this object.

    ``lengths`` are the sessions' numbers of items. A pair's score is the mean of either item's as the next one of
    the other. All sessions are grown in step, so that the scorer is asked about many partial bundles at once.
    """

    def __init__(self, lengths: Sequence[int], score: CandidateScorer) -> None:
        self._lengths = lengths
        self._score = score
        self._known: dict[Partial, Floats] = {}
        singles = [(number, frozenset((item,))) for number, length in enumerate(lengths) for item in range(length)]
        self._learn(singles)
        self._pairs = [self._pair_scores(number) for number in range(len(lengths))]

    def bundles(self, thresholds: GrowthThresholds) -> list[tuple[Bundle, ...]]:
        """Return the bundles of each session, the best seed's first; none only where there is one item or no item.

        A session whose pairs all miss the threshold is answered with its best seed, grown: sessions without a
        bundle take no part in the data, so silence is never right.
        """
        return [_above(grown, thresholds.seed) for grown in self._grown(thresholds.grow)]

    def choose(self, gold: Sequence[Sequence[Bundle]]) -> GrowthThresholds:
        """Return the thresholds with the best mean MatchedF1 against ``gold``, among quantiles of the scores seen.

        The lowest quantiles answer whole sessions, the highest a pair each. The default where nothing was scored.
        """
        self._grown(-np.inf)
        seeds = np.concatenate([pairs[np.triu_indices(len(pairs), 1)] for pairs in self._pairs] or [np.zeros(0)])
        if not len(seeds):
            return GrowthThresholds()
        steps = np.linspace(0, 1, _QUANTILES)
        seed_grid, grow_grid = np.quantile(seeds, steps), np.quantile(self._candidate_scores(), steps)
        utility = np.array([self._utility(float(grow), seed_grid, gold) for grow in grow_grid])
        row, column = np.unravel_index(int(_smoothed(utility).argmax()), utility.shape)
        return GrowthThresholds(float(seed_grid[column]), float(grow_grid[row]))

    def _utility(self, grow: float, seed_grid: Floats, gold: Sequence[Sequence[Bundle]]) -> Floats:
        """Return the mean MatchedF1 of each seed threshold, [seed thresholds]."""
        scores = np.zeros((len(self._lengths), len(seed_grid)))
        for row, (grown, expected) in enumerate(zip(self._grown(grow), gold, strict=True)):
            answers = [_above(grown, threshold) for threshold in seed_grid]
            known = {answer: matched_f1(expected, answer) for answer in set(answers)}
            scores[row] = [known[answer] for answer in answers]
        return np.asarray(scores.mean(0))

    def _candidate_scores(self) -> Floats:
        outside = [np.delete(scores, list(bundle)) for (_, bundle), scores in self._known.items()]
        return np.concatenate(outside)

    def _pair_scores(self, number: int) -> Floats:
        length = self._lengths[number]
        singles = [self._known[number, frozenset((item,))] for item in range(length)]
        scores = np.stack(singles) if singles else np.zeros((0, 0))
        return np.asarray((scores + scores.T) / 2)

    def _grown(self, threshold: float) -> list[list[_Grown]]:
        """Grow every session until no pair is left."""
        results: list[list[_Grown]] = [[] for _ in self._lengths]
        growing = {number: _grow(pairs, threshold) for number, pairs in enumerate(self._pairs)}
        answers: dict[int, Any] = dict.fromkeys(growing)  # a generator is started with None
        while answers:
            asked: dict[int, Bundle] = {}
            for number, answer in answers.items():
                try:
                    asked[number] = growing[number].send(answer)
                except StopIteration as end:
                    results[number] = end.value
            self._learn(list(asked.items()))
            answers = {number: self._known[number, bundle] for number, bundle in asked.items()}
        return results

    def _learn(self, partials: Sequence[Partial]) -> None:
        unknown = [partial for partial in partials if partial not in self._known]
        for start in range(0, len(unknown), _SCORED_AT_ONCE):
            part = unknown[start : start + _SCORED_AT_ONCE]
            for partial, scores in zip(part, self._score(part), strict=True):
                self._known[partial] = np.asarray(scores, dtype=np.float64)


def _grow(pairs: Floats, threshold: float) -> Generator[Bundle, Floats, list[_Grown]]:
    """Grow one session's bundles; yields each partial bundle and is sent the scores of its candidates."""
    free = np.ones(len(pairs), dtype=bool)
    seeds = np.where(np.eye(len(pairs), dtype=bool), -np.inf, pairs)
    grown: list[_Grown] = []
    while free.sum() >= _SMALLEST:
        open_pairs = np.where(free[:, None] & free[None, :], seeds, -np.inf)
        left, right = divmod(int(open_pairs.argmax()), len(pairs))
        bundle = {left, right}
        free[[left, right]] = False
        while free.any():
            scores = yield frozenset(bundle)
            candidates = np.where(free, scores, -np.inf)
            best = int(candidates.argmax())
            if candidates[best] < threshold:
                break
            bundle.add(best)
            free[best] = False
        grown.append(_Grown(float(pairs[left, right]), frozenset(bundle)))
    return grown


def _above(grown: Sequence[_Grown], threshold: float) -> tuple[Bundle, ...]:
    """Return the first bundle and those whose seed reaches the threshold; seeds only get worse."""
    return tuple(each.bundle for place, each in enumerate(grown) if place == 0 or each.seed_score >= threshold)


def _smoothed(utility: Floats) -> Floats:
    """Return the mean of each cell and its neighbours: the best of many cells alone is often luck."""
    padded = np.pad(utility, 1, mode="edge")
    rows, columns = utility.shape
    parts = [padded[row : row + rows, column : column + columns] for row in range(3) for column in range(3)]
    return np.asarray(np.mean(parts, axis=0))
