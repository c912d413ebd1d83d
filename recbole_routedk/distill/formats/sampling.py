"""Which training sessions knowledge is distilled from: ratio times strategy (arXiv 2504.17220, quantity)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from recbole_routedk.data.session import LabelledSession
from recbole_routedk.distill.encoder import SentenceEncoder
from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.distill.statistical.pairs import Flags, Ints
from recbole_routedk.errors import UserError

STRATEGIES = ("random", "length", "diversity", "difficulty")


def chosen_sessions(
    train: Sequence[LabelledSession],
    ratio: float,
    strategy: str,
    seed: int,
    encoder: SentenceEncoder,
    quality: Callable[[], Sequence[float]],
) -> Flags:
    """Tell for each training session whether it is chosen, [S]; a larger ratio chooses the same and more.

    ``random`` is seeded, ``length`` takes the longest first, ``diversity`` goes from the middle always to the
    session farthest from all that were taken (cosine of mean title vectors), ``difficulty`` takes those first
    that ``quality`` says a teacher answers worst. Raises UserError for another strategy or ratio.
    """
    if strategy not in STRATEGIES:
        raise UserError(f"knowledge_sampling: {strategy!r} is not known; it must be one of {', '.join(STRATEGIES)}")
    if not 0.0 <= ratio <= 1.0:
        raise UserError(f"knowledge_ratio: {ratio} is no share; it must lie from 0 to 1")
    count = math.ceil(ratio * len(train) - 1e-9)
    chosen = np.zeros(len(train), dtype=bool)
    if count == len(train):
        return ~chosen
    if strategy == "random":
        order = np.random.default_rng(seed).permutation(len(train))
    elif strategy == "length":
        order = np.argsort([-len(labelled.session) for labelled in train], kind="stable")
    elif strategy == "difficulty":
        order = np.argsort(quality(), kind="stable")
    else:
        order = farthest_first(_centres(train, encoder), count)
    chosen[order[:count]] = True
    return chosen


def farthest_first(centres: Floats, count: int) -> Ints:
    """Return the first ``count`` rows of ``centres`` [S, d]: the most central one, then always the farthest.

    Far means a low dot product to the nearest row taken before; the first of several is taken.
    """
    order: list[int] = []
    nearest = -(centres @ centres.sum(0))  # the lowest is taken: first the one closest to all
    for _ in range(count):
        row = int(nearest.argmin())
        closeness = centres @ centres[row]
        nearest = closeness if not order else np.maximum(nearest, closeness)
        order.append(row)
        nearest[order] = np.inf
    return np.array(order, dtype=np.int64)


def _centres(train: Sequence[LabelledSession], encoder: SentenceEncoder) -> Floats:
    """Return the mean title vector of each session, length 1, [S, d]."""
    means = []
    for labelled in train:
        vectors = encoder.encode([item.text for item in labelled.session.items])
        mean = vectors.mean(0) if len(vectors) else np.zeros(encoder.width)
        means.append(mean / max(float(np.linalg.norm(mean)), 1e-9))
    return np.array(means, dtype=np.float64)
