"""From affinities to candidate bundles: agglomerative clustering, cut at a threshold."""

from __future__ import annotations

from collections.abc import Iterator

from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from recbole_routedk.data.session import Bundle
from recbole_routedk.distill.knowledge import Floats


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


def merges(affinities: Floats, kind: str = "average") -> Iterator[tuple[float, tuple[Bundle, ...]]]:
    """Yield the groups after each merge of a linkage ``kind`` and the merge's affinity, highest first."""
    length = len(affinities)
    if length < 2:
        return
    tree = linkage(squareform(1.0 - affinities, checks=False), kind)
    clusters: dict[int, Bundle] = {item: frozenset((item,)) for item in range(length)}
    for step, (left, right, height, _) in enumerate(tree):
        clusters[length + step] = clusters.pop(int(left)) | clusters.pop(int(right))
        groups = sorted((group for group in clusters.values() if len(group) > 1), key=sorted)
        yield 1.0 - float(height), tuple(groups)
