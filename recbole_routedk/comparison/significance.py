"""Is a difference between two models more than chance? Paired tests over the sessions that both answered.

RecBole's own significance test is not used: its one-sided direction is wrong for metrics where more is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, permutation_test

RESAMPLES = 9999
CONFIDENCE = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """How much a model is above another: the mean over sessions, its bootstrap interval, the permutation test's p."""

    mean: float
    low: float
    high: float
    p: float


def paired_difference(scores: Sequence[float], others: Sequence[float], seed: int) -> Difference:
    """Compare two models on the same sessions, in the same order.

    The interval is the percentile bootstrap's (95%) over sessions, p that of the two-sided permutation test which
    swaps the two models' scores of a session: exact for up to 13 sessions, else from 9999 random swaps.

    Raises:
        ValueError: the models were not scored on as many sessions, or on none.
    """
    if len(scores) != len(others) or not len(scores):
        raise ValueError(f"scores of {len(scores)} and {len(others)} sessions cannot be paired")
    gaps: Floats = np.asarray(scores, dtype=np.float64) - np.asarray(others, dtype=np.float64)
    mean = float(gaps.mean())
    if len(gaps) < 2 or not gaps.any():
        return Difference(mean, mean, mean, 1.0)
    drawn: Any = bootstrap(
        (gaps,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    swapped: Any = permutation_test(
        (gaps,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        alternative="two-sided",
        random_state=np.random.default_rng(seed),
    )
    interval = drawn.confidence_interval
    return Difference(mean, float(interval.low), float(interval.high), float(swapped.pvalue))


def mean_interval(scores: Sequence[float], seed: int) -> tuple[float, float]:
    """Return the percentile bootstrap's interval (95%) of a model's mean over sessions."""
    values: Floats = np.asarray(scores, dtype=np.float64)
    if len(values) < 2 or np.ptp(values) == 0.0:
        return (float(values[0]), float(values[0])) if len(values) else (0.0, 0.0)
    generator = np.random.default_rng(seed)
    drawn: Any = bootstrap((values,), np.mean, n_resamples=RESAMPLES, method="percentile", random_state=generator)
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values after Holm's correction for that many tests, in the given order (Holm 1979)."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
