"""Sessions laid out flat: all items, all pairs within a session, and the folds of training sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from recbole_routedk.data.session import LabelledSession, Session
from recbole_routedk.distill.encoder import Vectors
from recbole_routedk.distill.knowledge import Floats

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

FOLDS = 5
"""Into how many folds training sessions are put, wherever something is out-of-fold."""

_SUREST = 0.002  # the log odds of 0 and 1 have no end


@dataclass(frozen=True)
class PairTable:
    """Every item and every within-session pair of some sessions, as flat arrays.

    ``titles`` has N entries and ``vectors`` is [N, d]; ``first_item`` [S + 1] holds where each session
    starts; ``pair_session``, ``left`` and ``right`` are [P]: a pair's session and items, left < right.
    """

    titles: list[str]
    vectors: Vectors
    first_item: Ints
    pair_session: Ints
    left: Ints
    right: Ints

    def lengths(self) -> Ints:
        """The number of items of each session, [S]."""
        return np.diff(self.first_item)

    def matrices(self, values: Floats) -> list[Floats]:
        """Turn one value a pair, [P], into one symmetric matrix [n, n] a session, zero on the diagonal."""
        matrices, start = [], 0
        for length in self.lengths():
            upper = np.triu_indices(int(length), 1)
            matrix = np.zeros((length, length))
            matrix[upper] = values[start : start + len(upper[0])]
            start += len(upper[0])
            matrices.append(matrix + matrix.T)
        return matrices


def pair_table(sessions: Sequence[Session], vectors: Vectors) -> PairTable:
    """Lay ``sessions`` out flat; ``vectors`` [N, d] are those of their titles in order."""
    lengths = np.array([len(session) for session in sessions], dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    owners, lefts, rights = [], [], []
    for index, length in enumerate(lengths):
        left, right = np.triu_indices(int(length), 1)
        owners.append(np.full(len(left), index))
        lefts.append(first[index] + left)
        rights.append(first[index] + right)
    titles = [item.text for session in sessions for item in session.items]
    return PairTable(titles, vectors, first, *(_joined(parts) for parts in (owners, lefts, rights)))


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)


def co_bundled(sessions: Sequence[LabelledSession]) -> Flags:
    """Tell for each pair, in the order of ``pair_table``, whether one gold bundle holds both items, [P]."""
    flags: list[bool] = []
    for labelled in sessions:
        length = len(labelled.session)
        together = {(i, j) for bundle in labelled.bundles for i in bundle for j in bundle}
        flags.extend((i, j) in together for i in range(length) for j in range(i + 1, length))
    return np.array(flags, dtype=bool)


def log_odds(probabilities: Floats) -> Floats:
    """Return the log odds of probabilities of any shape, none surer than .002 or .998."""
    return np.asarray(logit(np.clip(probabilities, _SUREST, 1.0 - _SUREST)), dtype=np.float64)


def session_folds(count: int, folds: int, seed: int) -> Ints:
    """Give each of ``count`` sessions one of at most ``folds`` folds of nearly equal size, [count]."""
    assigned = np.arange(count, dtype=np.int64) % max(1, min(folds, count))
    np.random.default_rng(seed).shuffle(assigned)
    return assigned
