"""Co-bundling (ItemKNN) for titles that were never bundled: what their nearest bundled titles share is borrowed."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recbole_routedk.distill.encoder import Vectors
from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.distill.statistical.pairs import Flags, Ints, PairTable

_NEIGHBOURS = ((10, 8.0), (30, 12.0))  # how many, and the power of their cosine that weighs them
_LEAST = 1e-6  # the logarithm of no shared bundle


class BorrowedBundles:
    """How often the bundled titles nearest to one item shared a bundle with those nearest to another."""

    def __init__(self, bank: PairTable, left: Ints, right: Ints, together: Flags) -> None:
        """Learn from the pairs (``left``, ``right``) [P] of the items of ``bank``."""
        one, two = left[together], right[together]
        _, place = np.unique(bank.titles, return_inverse=True)
        rows = np.unique(np.concatenate([one, two]))
        titles, first, times = np.unique(place[rows], return_index=True, return_counts=True)
        self._vectors = bank.vectors[rows[first]].astype(np.float64)
        shape = (len(titles), len(titles))
        where = (np.searchsorted(titles, place[one]), np.searchsorted(titles, place[two]))
        counts = sparse.coo_matrix((np.ones(len(one)), where), shape).tocsr()
        rarity = sparse.diags(1.0 / np.sqrt(times))
        shared = rarity @ (counts + counts.T) @ rarity
        # With the diagonal, nearness to one and the same bundled title counts as well.
        self._shared = ((shared + sparse.identity(len(titles))).tocsr(), shared.tocsr())

    def columns(self, vectors: Vectors, left: Ints, right: Ints) -> Floats:
        """Return for each pair what is borrowed, for two sizes of neighbourhood, and its logarithm, [len(left), 8]."""
        if not len(self._vectors) or not len(left):
            return np.zeros((len(left), 4 * len(_NEIGHBOURS)))
        rows, place = np.unique(np.concatenate([left, right]), return_inverse=True)
        one, two = place[: len(left)], place[len(left) :]
        # Rounded, so that what is equal is a tie however it was added up, and ties stand in the order of titles.
        similarity = np.round(vectors[rows].astype(np.float64) @ self._vectors.T, 6)
        order = np.argsort(-similarity, axis=1, kind="stable")
        borrowed = []
        for count, power in _NEIGHBOURS:
            weights = _neighbour_weights(similarity, order[:, :count], power)
            for shared in self._shared:
                borrowed.append(np.asarray((weights[one] @ shared).multiply(weights[two]).sum(1)).ravel())
        values = np.stack(borrowed, axis=1)
        return np.concatenate([values, np.log(np.maximum(values, _LEAST))], axis=1)


def _neighbour_weights(similarity: Floats, nearest: Ints, power: float) -> sparse.csr_matrix:
    weights = np.clip(np.take_along_axis(similarity, nearest, 1), 0.0, 1.0) ** power
    weights /= np.maximum(weights.sum(1, keepdims=True), 1e-9)
    starts = np.arange(len(nearest) + 1) * nearest.shape[1]
    return sparse.csr_matrix((weights.ravel(), nearest.ravel(), starts), shape=similarity.shape)
