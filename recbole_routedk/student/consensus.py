"""Inference-time enhancement: from several sampled answers to one (RouteDK, inference-time enhancement).

The paper does not state its algorithm. Two are offered: a vote on single bundles, and minimum Bayes risk,
which answers the candidate that agrees best with all samples under a metric, or the mean of several.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from recbole_routedk.data.session import Bundle
from recbole_routedk.evaluation.bayes_risk import Answer, Utility, best_expected


@dataclass(frozen=True)
class Advice:
    """What others answer to the same session, and the share of all votes that they have together, in [0, 1]."""

    answers: Sequence[Answer] = ()
    share: float = 0.0


NO_ADVICE = Advice()


def minimum_bayes_risk(
    samples: Sequence[Answer], utility: Utility, others: Iterable[Answer] = (), advice: Advice = NO_ADVICE
) -> tuple[Answer, float]:
    """Return the candidate with the highest mean utility against all votes, and that mean.

    The samples vote, and where there is advice its answers with their share. Candidates are the samples, the majority
    vote's answer, the advice and ``others``; ties go to the earlier, so that a single sample answers itself with
    agreement 1.
    """
    candidates = (*samples, _voted(samples, 0.5), *advice.answers, *others)
    return best_expected((each for each in candidates if each or each in samples), _weights(samples, advice), utility)


def _weights(samples: Sequence[Answer], advice: Advice) -> dict[Answer, float]:
    """The weight of each answer that votes; they sum to 1."""
    share = advice.share if advice.answers else 0.0
    weights: dict[Answer, float] = {}
    for answers, whole in ((samples, 1.0 - share), (advice.answers, share)):
        for answer, count in Counter(answers).items():
            weights[answer] = weights.get(answer, 0.0) + count * whole / len(answers)
    return {answer: weight for answer, weight in weights.items() if weight > 0.0}


def agreed(
    samples: Sequence[Answer],
    method: str,
    vote_share: float,
    utility: Utility,
    others: Iterable[Answer] = (),
    advice: Advice = NO_ADVICE,
) -> tuple[Answer, float]:
    """Return the answer that samples come to by ``method``, vote or mbr, and how far they agree, in [0, 1].

    ``vote_share`` is that of ``bundle_vote``; ``others`` and ``advice`` are for ``minimum_bayes_risk``.
    """
    if method == "vote":
        return bundle_vote(samples, vote_share)
    return minimum_bayes_risk(samples, utility, others, advice)


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
