"""Pair features that need no label: how alike two titles are, and how that compares within their session."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer

from recbole_routedk.distill.encoder import Vectors
from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.distill.statistical.pairs import PairTable
from recbole_routedk.distill.statistical.text import title_words


class TitleFeatures:
    """Encoder cosine, TF-IDF similarity over words and character n-grams, shared words, and session context.

    Positions in the session are left out: they gain nothing (measured), and so a thought is the same whatever
    the order of the items.
    """

    def __init__(self, components: int = 32) -> None:
        self._components = components

    def fit(self, titles: Sequence[str], vectors: Vectors) -> None:
        """Learn word weights and principal components from training titles (no label is seen)."""
        safe = [*titles, "placeholder title"]  # keeps the vocabulary non-empty when every title is empty
        self._word_weights = TfidfVectorizer(
            tokenizer=title_words, token_pattern=None, sublinear_tf=True, lowercase=False
        )
        self._word_weights.fit(safe)
        self._character_weights = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True)
        self._character_weights.fit(safe)
        count = min(self._components, vectors.shape[1], max(1, len(vectors) - 1))
        self._projection = PCA(count, svd_solver="full").fit(vectors)
        self._scale = np.maximum(np.sqrt(self._projection.explained_variance_), 1e-6)

    def project(self, vectors: Vectors) -> Floats:
        """Return whitened principal components of title vectors, [N, components]."""
        return np.asarray(self._projection.transform(vectors) / self._scale, dtype=np.float64)

    def transform(self, table: PairTable) -> Floats:
        """Return one row of features a pair, [P, features]."""
        left, right = table.left, table.right
        words = self._word_weights.transform(table.titles)
        characters = self._character_weights.transform(table.titles)
        cosine = (table.vectors[left] * table.vectors[right]).sum(1).astype(np.float64)
        by_word, by_character = _row_products(words, left, right), _row_products(characters, left, right)
        present = words.sign()
        shared = present[left].multiply(present[right]).tocsr()
        rarest = shared.multiply(self._word_weights.idf_).max(axis=1).toarray().ravel()
        tokens = [title_words(title) for title in table.titles]
        opening = np.array([words_[0] if words_ else str(index) for index, words_ in enumerate(tokens)])
        counts = np.array([len(words_) for words_ in tokens], dtype=np.float64)
        length = table.lengths()[table.pair_session]
        columns = [
            cosine,
            by_word,
            by_character,
            np.asarray(shared.sum(1)).ravel(),
            rarest,
            (opening[left] == opening[right]).astype(np.float64),
            length,
            np.minimum(counts[left], counts[right]),
            np.maximum(counts[left], counts[right]),
        ]
        contexts = [session_context(table, values) for values in (cosine, by_word + by_character)]
        return np.concatenate([np.stack(columns, 1), *contexts], axis=1)


def _row_products(rows: sparse.csr_matrix, left: np.ndarray, right: np.ndarray) -> Floats:
    return np.asarray(rows[left].multiply(rows[right]).sum(1), dtype=np.float64).ravel()


def session_context(table: PairTable, values: Floats) -> Floats:
    """Return how each pair's value stands among those of its session, [P, 11].

    Mean and spread of the session, difference to the mean, rank of each item in the other's row, gap to the
    best rival, mean of the rows, best two-step path over a third item, and percentile.
    """
    parts = [_matrix_context(matrix) for matrix in table.matrices(values) if len(matrix) > 1]
    return np.concatenate(parts) if parts else np.zeros((0, 11))


def _matrix_context(matrix: Floats) -> Floats:
    length = len(matrix)
    left, right = np.triu_indices(length, 1)
    values = matrix[left, right]
    rank = (matrix[:, None, :] > matrix[:, :, None]).sum(2)
    rows = matrix.sum(1) / (length - 1)
    rivals = _rivals(matrix, left, right)
    paths = np.minimum(matrix[left], matrix[right])  # [pairs, third item]
    pair = np.arange(len(left))
    paths[pair, left] = paths[pair, right] = -np.inf
    best_path = paths.max(1) if length > 2 else np.zeros(len(left))
    gaps = values[:, None] - rivals
    return np.stack(
        [
            np.full(len(values), values.mean()),
            np.full(len(values), values.std()),
            values - values.mean(),
            np.minimum(rank[left, right], rank[right, left]),
            np.maximum(rank[left, right], rank[right, left]),
            gaps.min(1),
            gaps.max(1),
            np.minimum(rows[left], rows[right]),
            np.maximum(rows[left], rows[right]),
            best_path,
            (values[None, :] < values[:, None]).mean(1),
        ],
        axis=1,
    )


def _rivals(matrix: Floats, left: np.ndarray, right: np.ndarray) -> Floats:
    """Return the highest value of each of the two items with a third one, [pairs, 2] (their own if none)."""
    if len(matrix) < 3:
        return np.repeat(matrix[left, right][:, None], 2, axis=1)
    pair = np.arange(len(left))
    found = []
    for item, other in ((left, right), (right, left)):
        rows = matrix[item].copy()
        rows[pair, item] = rows[pair, other] = -np.inf
        found.append(rows.max(1))
    return np.stack(found, 1)
