"""Inference-time enhancement: from several sampled answers to one (RouteDK, inference-time enhancement).

The paper does not state its algorithm. Two are offered: a vote on single bundles, and minimum Bayes risk,
which answers the candidate that agrees best with all samples under the metric that models are ranked on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from recbole_routedk.data.session import Bundle

Answer = tuple[Bundle, ...]
Utility = Callable[[Sequence[Bundle], Sequence[Bundle]], float]
"""``utility(reference, answer)`` in [0, 1]."""


def minimum_bayes_risk(
    samples: Sequence[Answer], utility: Utility, others: Iterable[Answer] = ()
) -> tuple[Answer, float]:
    """Return the candidate with the highest mean utility against all samples, and that mean.

    Candidates are the samples, the majority vote's answer and ``others``; ties go to the earlier, so that a single
    sample answers itself with agreement 1.
    """
    weights = Counter(samples)
    candidates = list(weights)
    voted = _voted(samples, 0.5)
    candidates += [each for each in dict.fromkeys((voted, *others)) if each and each not in weights]
    means = [
        sum(count * utility(sample, candidate) for sample, count in weights.items()) / len(samples)
        for candidate in candidates
    ]
    best = max(range(len(candidates)), key=means.__getitem__)
    return candidates[best], means[best]


def agreed(
    samples: Sequence[Answer], method: str, vote_share: float, utility: Utility, others: Iterable[Answer] = ()
) -> tuple[Answer, float]:
    """Return the answer that samples come to by ``method``, vote or mbr, and how far they agree, in [0, 1].

    ``vote_share`` is that of ``bundle_vote``, ``others`` are further candidates of ``minimum_bayes_risk``.
    """
    if method == "vote":
        return bundle_vote(samples, vote_share)
    return minimum_bayes_risk(samples, utility, others)


def paired_groups(samples: Sequence[Answer], share: float) -> Answer:
    """Return the groups of items that are linked by pairs which at least ``share`` of the samples put together."""
    pairs = Counter(
        pair for sample in samples for pair in {pair for bundle in sample for pair in combinations(sorted(bundle), 2)}
    )
    groups: list[Bundle] = []
    for pair, count in pairs.items():
        if count / len(samples) >= share:
            linked = [group for group in groups if group & set(pair)]
            groups = [group for group in groups if group not in linked] + [frozenset(pair).union(*linked)]
    return tuple(sorted(groups, key=sorted))


def bundle_vote(samples: Sequence[Answer], share: float) -> tuple[Answer, float]:
    """Return the bundles that at least ``share`` of the samples hold, and their mean share of the votes.

    Where no bundle reaches the share, the most frequent one is answered, the earliest of equals.
    """
    voted = _voted(samples, share)
    votes = _votes(samples)
    if votes and not voted:
        voted = (max(votes, key=votes.__getitem__),)
    agreement = sum(votes[bundle] for bundle in voted) / (len(samples) * len(voted)) if voted else 0.0
    return voted, agreement


def _voted(samples: Sequence[Answer], share: float) -> Answer:
    kept = [bundle for bundle, count in _votes(samples).items() if count / len(samples) >= share]
    return tuple(sorted(kept, key=sorted))


def _votes(samples: Sequence[Answer]) -> Counter[Bundle]:
    """Count the samples that hold each bundle, in the order in which the bundles are first met."""
    return Counter(bundle for sample in samples for bundle in dict.fromkeys(sample))
