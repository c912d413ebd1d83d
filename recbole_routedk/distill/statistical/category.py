"""The category of an item inferred from its title alone, for every item alike.

In the public data an item outside all bundles often has no category, so a given category (or its absence)
would give the answer away. What is used everywhere is therefore inferred from the title, also for the items
that have a category: from the nearest categorised training titles, never from its own title or session.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recbole_routedk.data.session import Session
from recbole_routedk.distill.encoder import SentenceEncoder, Vectors
from recbole_routedk.distill.statistical.pairs import Ints

Shares = NDArray[np.float32]

UNKNOWN = ""
_MOST_LABELS = 400
_ITEMS_OF_A_LABEL = 6.0  # on average, for a depth to be useful
_NEIGHBOURS = 10
_TEMPERATURE = 0.1
_CHUNK = 2048


def category_label(path: str, depth: int) -> str:
    """Return the first ``depth`` parts of a category path."""
    return " > ".join(path.split(" > ")[:depth])


def useful_depth(categories: Sequence[tuple[str, ...]], deepest: int) -> int:
    """Return the largest depth up to ``deepest`` whose labels have six categorised items each on average."""
    known = sum(1 for paths in categories if paths)
    for depth in range(deepest, 1, -1):
        labels = {category_label(path, depth) for paths in categories for path in paths}
        if known >= _ITEMS_OF_A_LABEL * len(labels):
            return depth
    return 1


def leaf(label: str) -> str:
    """Return the last part of a category path, as a phrase."""
    return label.rsplit(" > ", 1)[-1]


def label_phrases(labels: Sequence[str]) -> dict[str, str]:
    """Return a short phrase for each label: its last part, with the part above where others end alike."""
    endings = Counter(leaf(label) for label in labels)
    return {label: leaf(label) if endings[leaf(label)] == 1 else ", ".join(label.split(" > ")[-2:]) for label in labels}


def frequent_labels(categories: Sequence[tuple[str, ...]], depth: int) -> tuple[str, ...]:
    """Return the 400 most frequent labels, sorted; one unknown label when no item has a category."""
    labels = ({category_label(path, depth) for path in paths} for paths in categories)
    counts = Counter(label for own in labels for label in own)
    kept = sorted(counts, key=lambda label: (-counts[label], label))[:_MOST_LABELS]
    return tuple(sorted(kept)) or (UNKNOWN,)


def rows_of_title(titles: Sequence[str]) -> dict[str, list[int]]:
    """Return where each title stands."""
    rows: dict[str, list[int]] = {}
    for row, title in enumerate(titles):
        rows.setdefault(title, []).append(row)
    return rows


@dataclass(frozen=True)
class CategoryModel:
    """Nearest-neighbour votes over categorised training titles."""

    labels: tuple[str, ...]
    _rows_of_title: dict[str, list[int]]
    _vectors: Vectors
    _votes: Shares  # [bank, labels]

    @classmethod
    def fit(
        cls,
        titles: Sequence[str],
        vectors: Vectors,
        categories: Sequence[tuple[str, ...]],
        labels: tuple[str, ...],
        depth: int,
    ) -> CategoryModel:
        """Keep the categorised items as the bank of votes; an item with several paths splits its vote."""
        column = {label: index for index, label in enumerate(labels)}
        bank = [index for index, paths in enumerate(categories) if paths]
        votes = np.zeros((len(bank), len(labels)), dtype=np.float32)
        for row, index in enumerate(bank):
            for path in categories[index]:
                label = category_label(path, depth)
                if label in column:
                    votes[row, column[label]] += 1.0 / len(categories[index])
        return cls(labels, rows_of_title([titles[index] for index in bank]), vectors[bank], votes)

    def infer(self, titles: Sequence[str], vectors: Vectors) -> Shares:
        """Return the share of its neighbours' votes that each label gets, [len(titles), labels].

        A neighbour with the very same title never votes, so a title seen in training gains nothing from it.
        """
        if not len(self._vectors):
            return np.full((len(titles), len(self.labels)), 1.0 / len(self.labels), dtype=np.float32)
        parts = [
            self._infer_chunk(titles[start : start + _CHUNK], vectors[start : start + _CHUNK])
            for start in range(0, len(titles), _CHUNK)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.labels)), dtype=np.float32)

    def _infer_chunk(self, titles: Sequence[str], vectors: Vectors) -> Shares:
        similarity = vectors @ self._vectors.T
        for row, title in enumerate(titles):
            similarity[row, self._rows_of_title.get(title, [])] = -np.inf
        count = min(_NEIGHBOURS, similarity.shape[1])
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
        weights = np.exp(np.take_along_axis(similarity, nearest, 1) / _TEMPERATURE)
        weights /= np.maximum(weights.sum(1, keepdims=True), 1e-9)
        shares = np.einsum("nk,nkc->nc", weights, self._votes[nearest]).astype(np.float32)
        return shares / np.maximum(shares.sum(1, keepdims=True), 1e-9)


class SessionCategories:
    """Category shares of the items of sessions, out-of-fold for the training sessions it is fitted on.

    ``depth`` is the deepest that is told apart; less is where the data are too few (``useful_depth``).
    ``labels`` names the columns; ``training_shares`` [N, labels] are those of the training items in order.
    """

    def __init__(self, encoder: SentenceEncoder, depth: int) -> None:
        self._encoder = encoder
        self._deepest = self._depth = depth
        self.labels: tuple[str, ...] = (UNKNOWN,)
        self.training_shares: Shares = np.zeros((0, 1), dtype=np.float32)

    def fit(self, sessions: Sequence[Session], folds: Ints) -> None:
        """Learn from given categories of training sessions; ``folds`` [S] as from ``session_folds``."""
        titles = [item.text for session in sessions for item in session.items]
        given = [item.categories for session in sessions for item in session.items]
        vectors = self._encoder.encode(titles)
        self._depth = useful_depth(given, self._deepest)
        self.labels = frequent_labels(given, self._depth)
        item_fold = np.repeat(folds, [len(session) for session in sessions])
        self.training_shares = np.zeros((len(titles), len(self.labels)), dtype=np.float32)
        for fold in np.unique(folds):
            held = np.flatnonzero(item_fold == fold)
            model = self._model(titles, vectors, given, np.flatnonzero(item_fold != fold))
            self.training_shares[held] = model.infer([titles[item] for item in held], vectors[held])
        self._full = self._model(titles, vectors, given, np.arange(len(titles)))

    def shares(self, sessions: Sequence[Session]) -> Shares:
        """Return the shares of every item in order, [N, labels]; given categories are not read."""
        titles = [item.text for session in sessions for item in session.items]
        return self._full.infer(titles, self._encoder.encode(titles))

    def best(self, sessions: Sequence[Session], shares: Shares) -> list[tuple[str, ...]]:
        """Return the likeliest label of every item of each session, from ``shares`` of these sessions."""
        chosen = [self.labels[index] for index in shares.argmax(1)] if len(shares) else []
        ends = np.cumsum([len(session) for session in sessions]).tolist()
        return [tuple(chosen[end - len(session) : end]) for session, end in zip(sessions, ends, strict=True)]

    def _model(self, titles: list[str], vectors: Vectors, given: list[tuple[str, ...]], items: Ints) -> CategoryModel:
        kept, known = [titles[item] for item in items], [given[item] for item in items]
        return CategoryModel.fit(kept, vectors[items], known, self.labels, self._depth)
