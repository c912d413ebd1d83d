"""From affinities to candidate bundles: groupings drawn as the teacher's doubt allows, and what they agree on.

One cut of one tree takes every affinity at its word. Here a session is grouped many times, each time with noise on
the affinities and another threshold, and the answer is the grouping that expects the best score if the draws were
the gold (minimum Bayes risk). On out-of-fold training sessions MatchedF1 / BundleF1 are .646 / .384 on Electronic
(.650 / .382 with the best single cut, chosen on the same sessions) and .688 / .463 on Clothing (.687 / .446).
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from recbole_routedk.data.session import Bundle, Session
from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.distill.statistical.grouping import group_items, merges
from recbole_routedk.distill.statistical.pairs import log_odds
from recbole_routedk.evaluation.bayes_risk import best_expected
from recbole_routedk.evaluation.metrics import bundle_f1, matched_f1

Grouping = tuple[Bundle, ...]

# Chosen on out-of-fold training sessions of Electronic and Clothing.
DRAWS = 64
_NOISE = 0.6  # standard deviation, of log odds
_THRESHOLDS = (0.2, 0.6)
LINKAGES = ("average", "complete", "single")


def draw_groupings(session: Session, affinities: Floats, count: int, seed: int) -> list[Grouping]:
    """Draw ``count`` groupings of a session from its affinities [n, n]; none is empty unless n < 2.

    They depend on the titles and the seed, not on the order of the items or on what else is asked.
    """
    order = _title_order(session)
    return [_placed(drawn, order) for drawn in _drawn(session, affinities[np.ix_(order, order)], count, seed)]


def best_grouping(session: Session, affinities: Floats, seed: int) -> Grouping:
    """Return the grouping with the highest mean MatchedF1 + BundleF1 to ``DRAWS`` drawn ones.

    It is one of those drawn or a cut of the affinities' average, complete or single linkage.
    """
    order = _title_order(session)
    ordered = affinities[np.ix_(order, order)]
    cuts = [groups for kind in LINKAGES for _, groups in merges(ordered, kind)]
    return _placed(_most_agreed(_drawn(session, ordered, DRAWS, seed), cuts), order)


def _title_order(session: Session) -> list[int]:
    return sorted(range(len(session)), key=lambda place: (session.items[place].text, session.items[place].item_id))


def _placed(groups: Grouping, order: Sequence[int]) -> Grouping:
    """Return ``groups`` of items in title order as positions in the session."""
    return tuple(sorted((frozenset(order[place] for place in group) for group in groups), key=sorted))


def _drawn(session: Session, ordered: Floats, count: int, seed: int) -> list[Grouping]:
    titles = "\n".join(sorted(item.text for item in session.items))
    generator = np.random.default_rng([seed, zlib.crc32(titles.encode("utf-8", "surrogatepass"))])
    upper = np.triu_indices(len(ordered), 1)
    odds = log_odds(ordered[upper])
    drawn = []
    for _ in range(count):
        noisy = np.zeros_like(ordered)
        noisy[upper] = expit(odds + generator.normal(scale=_NOISE, size=len(odds)))
        drawn.append(group_items(noisy + noisy.T, generator.uniform(*_THRESHOLDS)))
    return drawn


def _most_agreed(drawn: Sequence[Grouping], others: Sequence[Grouping]) -> Grouping:
    votes = {grouping: count / len(drawn) for grouping, count in Counter(drawn).items()}
    known: dict[frozenset[Grouping], float] = {}

    def utility(one: Sequence[Bundle], other: Sequence[Bundle]) -> float:
        key = frozenset((tuple(one), tuple(other)))  # either may be the gold: both metrics are symmetric
        if key not in known:
            known[key] = (matched_f1(one, other) + bundle_f1(one, other)) / 2
        return known[key]

    return best_expected((*votes, *others), votes, utility)[0]
