"""A learnt metric of titles: which directions of the encoder's space tell bundle mates from other items."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from recbole_routedk.distill.encoder import Vectors
from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.distill.statistical.pairs import Flags, Ints

_SHRINKAGE = 0.3  # towards the identity: there are fewer bundled pairs than covariances
_DIRECTIONS = 64


class TitleMetric:
    """Second moments of title differences, within bundles and across them, and cosines that follow from both."""

    def __init__(self, vectors: Vectors, left: Ints, right: Ints, together: Flags) -> None:
        """Learn from the pairs (``left``, ``right``) [P] of ``vectors`` [N, d], of one session each."""
        self._centre = vectors.mean(0, dtype=np.float64)
        self._known = bool(together.any() and not together.all())
        if self._known:
            differences = vectors[left].astype(np.float64) - vectors[right]
            self._within, across = _moments(differences[together]), _moments(differences[~together])
            scales, axes = np.linalg.eigh(self._within)
            self._whitened = axes / np.sqrt(scales)
            # Directions in which other items differ most, for how much bundle mates do (linear discriminants).
            self._telling = eigh(across, self._within)[1][:, -_DIRECTIONS:]

    def columns(self, vectors: Vectors, left: Ints, right: Ints) -> Floats:
        """Return for each pair the whitened cosine and the cosine over telling directions, [len(left), 2].

        Both are 0 where all pairs that were learnt from were of one kind.
        """
        if not self._known:
            return np.zeros((len(left), 2))
        centred = vectors - self._centre
        return np.stack([_cosines(centred @ axes, left, right) for axes in (self._whitened, self._telling)], axis=1)


def _moments(differences: Floats) -> Floats:
    raw = differences.T @ differences / len(differences)
    ridge = max(float(np.trace(raw)) / len(raw), 1e-9)
    return np.asarray((1.0 - _SHRINKAGE) * raw + _SHRINKAGE * ridge * np.eye(len(raw)))


def _cosines(rows: Floats, left: Ints, right: Ints) -> Floats:
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return np.asarray((unit[left] * unit[right]).sum(1))
