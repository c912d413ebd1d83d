"""From affinities to candidate bundles: average linkage, cut where out-of-fold training sessions are answered best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from recbole_routedk.data.session import Bundle, LabelledSession
from recbole_routedk.distill.pairs import Floats, Ints
from recbole_routedk.evaluation.metrics import score_sessions

THRESHOLDS = tuple(round(0.10 + 0.02 * step, 2) for step in range(31))


def group_items(affinities: Floats, threshold: float) -> tuple[Bundle, ...]:
    """Group items whose mean affinity to each other reaches ``threshold``; [n, n] in, disjoint bundles out.

    Where nothing reaches it the best pair is answered, because a session without a bundle does not take part.
    A session of one item has no group.
    """
    length = len(affinities)
    if length < 2:
        return ()
    distance = squareform(1.0 - affinities, checks=False)
    labels = fcluster(linkage(distance, "average"), 1.0 - threshold + 1e-9, "distance")
    groups = [frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)]
    kept = sorted((group for group in groups if len(group) > 1), key=sorted)
    return tuple(kept) or (_best_pair(affinities),)


def _best_pair(affinities: Floats) -> Bundle:
    left, right = np.triu_indices(len(affinities), 1)
    best = int(affinities[left, right].argmax())
    return frozenset((int(left[best]), int(right[best])))


class GroupThreshold:
    """The threshold with the highest mean of MatchedF1 + BundleF1 on out-of-fold affinities of training sessions."""

    def __init__(self, affinities: Sequence[Floats], train: Sequence[LabelledSession]) -> None:
        self._utility = np.zeros((len(train), len(THRESHOLDS)))
        for row, (matrix, labelled) in enumerate(zip(affinities, train, strict=True)):
            known: dict[tuple[Bundle, ...], float] = {}
            for column, threshold in enumerate(THRESHOLDS):
                groups = group_items(matrix, threshold)
                if groups not in known:
                    scores = score_sessions([labelled.bundles], [groups])
                    known[groups] = scores["matchedf1"] + scores["bundlef1"]
                self._utility[row, column] = known[groups]

    def best(self) -> float:
        """Return the threshold chosen on all training sessions."""
        return THRESHOLDS[int(self._utility.mean(0).argmax())]

    def best_out_of_fold(self, folds: Ints) -> list[float]:
        """Return for each training session the threshold chosen on the other folds."""
        chosen = {}
        for fold in np.unique(folds):
            others = self._utility[folds != fold]
            chosen[fold] = THRESHOLDS[int(others.mean(0).argmax())] if len(others) else self.best()
        return [chosen[fold] for fold in folds]
