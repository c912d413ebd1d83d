"""Pair features learnt from labels: what training sessions say about pairs of categories and of titles.

Everything here is fitted on a *bank* of labelled training pairs and applied to pairs of other sessions, so a
session never sees its own labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.distill.statistical.category import Shares
from recbole_routedk.distill.statistical.pairs import Flags, Ints, PairTable

_PRIOR_WEIGHT = 2.0  # pseudo-pairs of the category prior
_NEIGHBOUR_TEMPERATURE = 0.2
_CHUNK = 1024
_MOST_BANK_PAIRS = 4_000  # the neighbour search is quadratic; larger banks are thinned evenly
_BILINEAR_C = 0.02
_COSINE_SCALE = 5.0


@dataclass(frozen=True)
class Described:
    """Pairs with what is known of their items: category shares [N, C] and principal components [N, c]."""

    table: PairTable
    shares: Shares
    components: Floats


class PairEvidence:
    """Category confidence, neighbouring training pairs and a bilinear model of titles."""

    def __init__(self, bank: Described, pairs: Ints, together: Flags) -> None:
        """``pairs`` are the bank's pair rows to learn from, ``together`` [P] the labels of all its pairs."""
        self._bank = bank
        table = bank.table
        self._left, self._right = table.left[pairs], table.right[pairs]
        self._labels = together[pairs].astype(np.float64)
        self._base = float(self._labels.mean()) if len(pairs) else 0.0
        self._fit_categories()
        self._fit_bilinear()
        self._thin_neighbours()

    def _fit_categories(self) -> None:
        shares, labels = self._bank.shares, self._labels[:, None].astype(np.float32)
        left, right = shares[self._left], shares[self._right]
        seen, joined = left.T @ right, (left * labels).T @ right
        seen, joined = (seen + seen.T).astype(np.float64), (joined + joined.T).astype(np.float64)
        same = np.eye(len(seen), dtype=bool)
        prior_same = (joined[same].sum() + 1.0) / (seen[same].sum() + 2.0)
        prior_other = (joined[~same].sum() + 1.0) / (seen[~same].sum() + 2.0)
        prior = np.where(same, prior_same, prior_other)
        self._confidence = (joined + _PRIOR_WEIGHT * prior) / (seen + _PRIOR_WEIGHT)
        self._seen = seen

    def _fit_bilinear(self) -> None:
        self._bilinear: LogisticRegression | None = None
        if 0.0 < self._base < 1.0:
            rows = _bilinear_rows(self._bank, self._left, self._right)
            self._bilinear = LogisticRegression(C=_BILINEAR_C, max_iter=300).fit(rows, self._labels > 0.5)

    def _thin_neighbours(self) -> None:
        step = -(-len(self._left) // _MOST_BANK_PAIRS) or 1
        vectors = self._bank.table.vectors
        self._bank_left, self._bank_right = vectors[self._left[::step]], vectors[self._right[::step]]
        self._bank_labels = self._labels[::step]

    def transform(self, queries: Described, pairs: Ints) -> Floats:
        """Return one row of evidence for each of the pair rows ``pairs`` of ``queries``, [len(pairs), 9]."""
        left, right = queries.table.left[pairs], queries.table.right[pairs]
        bilinear = np.zeros(len(pairs))
        if self._bilinear is not None and len(pairs):
            bilinear = self._bilinear.decision_function(_bilinear_rows(queries, left, right))
        return np.concatenate(
            [
                self._category_columns(queries, left, right),
                self._neighbour_columns(queries.table, left, right),
                bilinear[:, None],
            ],
            axis=1,
        )

    def _category_columns(self, queries: Described, left: Ints, right: Ints) -> Floats:
        shares = queries.shares.astype(np.float64)
        best = shares.argmax(1)
        one, two = shares[left], shares[right]
        alike = (one * two).sum(1)
        lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
        return np.stack(
            [
                ((one @ self._confidence) * two).sum(1),
                self._confidence[best[left], best[right]],
                np.log1p(self._seen[best[left], best[right]]),
                alike,
                alike / np.maximum(lengths, 1e-9),
                (best[left] == best[right]).astype(np.float64),
            ],
            axis=1,
        )

    def _neighbour_columns(self, table: PairTable, left: Ints, right: Ints) -> Floats:
        columns = np.full((len(left), 2), self._base)
        for start in range(0, len(left) if len(self._bank_labels) else 0, _CHUNK):
            chunk = slice(start, start + _CHUNK)
            one, two = table.vectors[left[chunk]], table.vectors[right[chunk]]
            straight = one @ self._bank_left.T + two @ self._bank_right.T
            crossed = one @ self._bank_right.T + two @ self._bank_left.T
            closeness = np.maximum(straight, crossed)
            weights = np.exp((closeness - closeness.max(1, keepdims=True)) / _NEIGHBOUR_TEMPERATURE)
            for column, sharp in enumerate((np.square(weights), weights)):
                columns[chunk, column] = (sharp @ self._bank_labels + self._base) / (sharp.sum(1) + 1.0)
        return columns


def _bilinear_rows(described: Described, left: Ints, right: Ints) -> Floats:
    one, two = described.components[left], described.components[right]
    vectors = described.table.vectors
    cosine = (vectors[left] * vectors[right]).sum(1, dtype=np.float64)[:, None] * _COSINE_SCALE
    return np.concatenate([one * two, np.abs(one - two), one + two, cosine], axis=1)
