"""From similarities of a session's items to its bundles: agglomerative clustering, cut where the metric is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recbole_routedk.data.session import Bundle
from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.distill.statistical.grouping import group_items, merges
from recbole_routedk.evaluation.metrics import Bundles, matched_f1

LINKAGES = ("average", "complete", "single")


@dataclass(frozen=True, slots=True)
class Cut:
    """Where clusters stop growing: the linkage, and the similarity that two of them need to become one."""

    linkage: str = "average"
    threshold: float = 1.0

    def bundles(self, similarities: Floats) -> tuple[Bundle, ...]:
        """Return the clusters of two items or more; [n, n] in, disjoint bundles out.

        Where no two items reach the threshold the most similar pair is answered: answering nothing scores 0 for
        certain, and the whole session was no better on the valid sessions of Electronic and Clothing. A session of one
        item has no bundle.
        """
        return group_items(similarities, self.threshold, self.linkage)


class CutChooser:
    """Finds the cut with the best mean MatchedF1 of some labelled sessions, whatever their similarities."""

    def __init__(self, gold: Sequence[Bundles]) -> None:
        self._gold = gold
        self._scores: dict[tuple[int, tuple[Bundle, ...]], float] = {}

    def choose(self, similarities: Sequence[Floats], linkages: Sequence[str] = LINKAGES) -> tuple[Cut, float]:
        """Return the best cut and its MatchedF1, over every threshold that makes a difference.

        ``similarities`` holds one [n, n] matrix a session. Earlier linkages and higher thresholds win ties.
        """
        tried = [self._best_threshold(similarities, linkage) for linkage in linkages]
        return max(tried, key=lambda found: found[1])

    def _best_threshold(self, similarities: Sequence[Floats], linkage: str) -> tuple[Cut, float]:
        """The mean score changes only at the similarity of a merge: all of them are tried, and no threshold else."""
        total, steps = 0.0, []
        for row, matrix in enumerate(similarities):
            before = 0.0
            for step, (similarity, groups) in enumerate(merges(matrix, linkage)):
                score = self._score(row, groups)
                if step == 0:
                    total += score  # the best pair is answered whatever the threshold
                else:
                    steps.append((similarity, score - before))
                before = score
        if not steps:
            return Cut(linkage), total / max(1, len(similarities))
        at, change = np.array(sorted(steps, reverse=True)).T
        last_of_equals = np.append(at[:-1] - at[1:] > 1e-9, True)
        at, sums = at[last_of_equals], (total + np.cumsum(change))[last_of_equals]
        at, sums = np.append(at[0] + 1e-3, at), np.append(total, sums)
        best = int(sums.argmax())
        # Half way to the next merge, where the answers would change again.
        threshold = (at[best] + at[best + 1]) / 2 if best + 1 < len(at) else at[best]
        return Cut(linkage, float(threshold)), float(sums[best]) / len(similarities)

    def _score(self, row: int, groups: tuple[Bundle, ...]) -> float:
        # Other linkages and similarities often lead to the same groups.
        key = (row, groups)
        if key not in self._scores:
            self._scores[key] = matched_f1(self._gold[row], groups)
        return self._scores[key]
