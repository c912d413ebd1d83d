"""Minimum Bayes risk: of several answers, the one that expects the best score if one of those that vote is right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from recbole_routedk.data.session import Bundle

Answer = tuple[Bundle, ...]
Utility = Callable[[Sequence[Bundle], Sequence[Bundle]], float]
"""``utility(reference, answer)`` in [0, 1]."""


def best_expected(
    candidates: Iterable[Answer], votes: Mapping[Answer, float], utility: Utility
) -> tuple[Answer, float]:
    """Return the candidate with the highest mean utility against the votes, whose weights sum to 1, and that mean.

    Ties go to the earlier candidate. Raises ValueError where there is none.
    """
    means = {
        candidate: sum(weight * utility(vote, candidate) for vote, weight in votes.items())
        for candidate in dict.fromkeys(candidates)
    }
    # Rounded, so that what is equal is a tie however it was added up.
    best = max(means, key=lambda candidate: round(means[candidate], 12))
    return best, means[best]
