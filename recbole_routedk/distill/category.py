"""The category of an item inferred from its title alone, for every item alike.

In the public data an item outside all bundles often has no category, so a given category (or its absence)
would give the answer away. What is used everywhere is therefore inferred from the title, also for the items that
have a category: from the nearest categorised training titles, never from the item's own title or session.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recbole_routedk.distill.encoder import Vectors

UNKNOWN = ""
_MOST_LABELS = 400
_NEIGHBOURS = 10
_TEMPERATURE = 0.1
_CHUNK = 2048


def category_label(path: str, depth: int) -> str:
    """Return the first ``depth`` parts of a category path."""
    return " > ".join(path.split(" > ")[:depth])


def leaf(label: str) -> str:
    """Return the last part of a category path, as a phrase."""
    return label.rsplit(" > ", 1)[-1]


def frequent_labels(categories: Sequence[tuple[str, ...]], depth: int) -> tuple[str, ...]:
    """Return the labels that occur, most frequent 400, sorted; one unknown label when no item has a category."""
    counts = Counter(label for paths in categories for label in {category_label(path, depth) for path in paths})
    kept = sorted(counts, key=lambda label: (-counts[label], label))[:_MOST_LABELS]
    return tuple(sorted(kept)) or (UNKNOWN,)


@dataclass(frozen=True)
class CategoryModel:
    """Nearest-neighbour votes over categorised training titles."""

    labels: tuple[str, ...]
    _titles: NDArray[np.object_]
    _vectors: Vectors
    _votes: NDArray[np.float32]  # [bank, labels]

    @classmethod
    def fit(
        cls,
        titles: Sequence[str],
        vectors: Vectors,
        categories: Sequence[tuple[str, ...]],
        labels: tuple[str, ...],
        depth: int,
    ) -> CategoryModel:
        """Keep the items that have a category as the bank of votes; an item with several paths splits its vote."""
        column = {label: index for index, label in enumerate(labels)}
        bank = [index for index, paths in enumerate(categories) if paths]
        votes = np.zeros((len(bank), len(labels)), dtype=np.float32)
        for row, index in enumerate(bank):
            for path in categories[index]:
                label = category_label(path, depth)
                if label in column:
                    votes[row, column[label]] += 1.0 / len(categories[index])
        return cls(labels, np.array([titles[index] for index in bank], dtype=object), vectors[bank], votes)

    def infer(self, titles: Sequence[str], vectors: Vectors) -> NDArray[np.float32]:
        """Return for each title the share of its neighbours' votes that each label gets, [len(titles), labels].

        A neighbour with the very same title never votes, so a title seen in training gains nothing from it.
        """
        if not len(self._titles):
            uniform = np.full((len(titles), len(self.labels)), 1.0 / len(self.labels), dtype=np.float32)
            return uniform
        parts = [
            self._infer_chunk(titles[start : start + _CHUNK], vectors[start : start + _CHUNK])
            for start in range(0, len(titles), _CHUNK)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.labels)), dtype=np.float32)

    def _infer_chunk(self, titles: Sequence[str], vectors: Vectors) -> NDArray[np.float32]:
        similarity = vectors @ self._vectors.T
        for row, title in enumerate(titles):
            similarity[row, self._titles == title] = -1.0
        count = min(_NEIGHBOURS, similarity.shape[1])
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
        weights = np.exp(np.take_along_axis(similarity, nearest, 1) / _TEMPERATURE)
        weights /= weights.sum(1, keepdims=True)
        shares = np.einsum("nk,nkc->nc", weights, self._votes[nearest]).astype(np.float32)
        return shares / np.maximum(shares.sum(1, keepdims=True), 1e-9)
