"""From affinities to candidate bundles: agglomerative clustering, cut where training sessions are answered best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from recbole_routedk.data.session import Bundle, LabelledSession
from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.distill.statistical.pairs import Ints
from recbole_routedk.evaluation.metrics import score_sessions

THRESHOLDS = tuple(round(0.10 + 0.02 * step, 2) for step in range(31))


def group_items(affinities: Floats, threshold: float, kind: str = "average") -> tuple[Bundle, ...]:
    """Group items whose affinity to each other reaches ``threshold``; [n, n] in, disjoint bundles out.

    ``kind`` says which affinity of two groups counts: the "average" of their items, the lowest ("complete") or the
    highest ("single"). Where nothing reaches the threshold the best pair is answered, because a session without a
    bundle does not take part. A session of one item has no group.
    """
    groups: tuple[Bundle, ...] = ()
    for affinity, merged in merges(affinities, kind):
        if groups and affinity < threshold - 1e-9:
            break
        groups = merged
    return groups


def merges(affinities: Floats, kind: str = "average") -> list[tuple[float, tuple[Bundle, ...]]]:
    """Return the groups after each merge of a linkage ``kind`` and the merge's affinity, highest first."""
    length = len(affinities)
    if length < 2:
        return []
    tree = linkage(squareform(1.0 - affinities, checks=False), kind)
    clusters: dict[int, Bundle] = {item: frozenset((item,)) for item in range(length)}
    cuts = []
    for step, (left, right, height, _) in enumerate(tree):
        clusters[length + step] = clusters.pop(int(left)) | clusters.pop(int(right))
        groups = sorted((group for group in clusters.values() if len(group) > 1), key=sorted)
        cuts.append((1.0 - float(height), tuple(groups)))
    return cuts


class GroupThreshold:
    """The threshold with the best mean of MatchedF1 + BundleF1 on out-of-fold training sessions."""

    def __init__(self, affinities: Sequence[Floats], train: Sequence[LabelledSession]) -> None:
        self._utility = np.zeros((len(train), len(THRESHOLDS)))
        for row, (matrix, labelled) in enumerate(zip(affinities, train, strict=True)):
            for step, (affinity, groups) in enumerate(merges(matrix)):
                scores = score_sessions([labelled.bundles], [groups])
                # These groups answer every threshold from here down to the next merge, the first pair any.
                columns = np.array([step == 0 or threshold <= affinity + 1e-9 for threshold in THRESHOLDS])
                self._utility[row, columns] = scores["matchedf1"] + scores["bundlef1"]

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
