"""Metrics of generated bundles: pure functions over one session or over many.

Sessions are given in parallel: ``gold[s]`` holds the gold bundles of session s in file order (exact
duplicates and strict supersets already dropped, see ``gold_bundles``) and ``predictions[s]``
its predicted bundles. A bundle is a frozenset of 0-based positions in the session.

Two conventions hold throughout:

- Duplicate predictions: the published three (precision, recall, coverage) count every prediction as it
  was given, as their reference code does; BundleF1, MatchedF1 and PairF1 compare sets, so a repeated
  bundle counts once and cannot raise or lower them.
- Where a score would divide by zero (no prediction, no gold bundle, no session, no hit) it is 0.

Precision, recall and coverage are those of AICL (Sun et al., 2024), which RouteDK also reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from math import fsum

import numpy as np
from scipy.optimize import linear_sum_assignment

from recbole_routedk.data.session import Bundle, LabelledSession, drop_redundant_bundles

Bundles = Sequence[Bundle]
"""The bundles of one session."""


def gold_bundles(session: LabelledSession) -> list[Bundle]:
    """Return the gold bundles of a session that count, in file order."""
    bundles = list(session.bundles)
    return [bundles[index] for index in drop_redundant_bundles(bundles)]


def jaccard(left: Bundle, right: Bundle) -> float:
    """Return |left & right| / |left | right|, in [0, 1]; 0 for two empty sets."""
    return _ratio(len(left & right), len(left | right))


def hit_coverages(gold: Bundles, predicted: Bundles) -> list[float]:
    """Return |p & g| / |g| of every prediction p that hits, in order of the predictions.

    A prediction hits the first gold bundle g, in order, that it is a subset of (equality is not needed).
    """
    coverages = []
    for bundle in predicted:
        target = next((g for g in gold if bundle <= g), None)
        if target is not None:
            coverages.append(_ratio(len(bundle), len(target)))
    return coverages


def session_precision(gold: Bundles, predicted: Bundles) -> float:
    """Return hits / |predicted| of one session, in [0, 1]."""
    return _ratio(len(hit_coverages(gold, predicted)), len(predicted))


def session_recall(gold: Bundles, predicted: Bundles) -> float:
    """Return hits / |gold| of one session; hits are counted over predictions, so it can exceed 1."""
    return _ratio(len(hit_coverages(gold, predicted)), len(gold))


def bundle_f1(gold: Bundles, predicted: Bundles) -> float:
    """Return the exact-match F1 of one session, 2|P & G| / (|P| + |G|) over sets of bundles."""
    gold_set, predicted_set = set(gold), set(predicted)
    return _ratio(2 * len(gold_set & predicted_set), len(gold_set) + len(predicted_set))


def matched_f1(gold: Bundles, predicted: Bundles) -> float:
    """Return the F1 of one session under the best one-to-one assignment of predictions to gold bundles.

    The soft true positives are the matched Jaccards' sum T; with precision T/|P| and recall T/|G| the F1
    is 2T / (|P| + |G|).
    """
    gold_list, predicted_list = list(dict.fromkeys(gold)), list(dict.fromkeys(predicted))
    if not gold_list or not predicted_list:
        return 0.0
    similarity = np.array([[jaccard(p, g) for g in gold_list] for p in predicted_list])
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    matched = fsum(similarity[rows, columns])
    return 2 * matched / (len(gold_list) + len(predicted_list))


def pair_f1(gold: Bundles, predicted: Bundles) -> float:
    """Return the F1 of one session over unordered pairs of items that share a bundle."""
    gold_pairs, predicted_pairs = bundled_pairs(gold), bundled_pairs(predicted)
    return _ratio(2 * len(gold_pairs & predicted_pairs), len(gold_pairs) + len(predicted_pairs))


def precision(gold: Sequence[Bundles], predictions: Sequence[Bundles], drop_empty: bool = False) -> float:
    """Return the mean precision over sessions; ``drop_empty`` leaves out those without a prediction."""
    return _session_mean(session_precision, gold, predictions, drop_empty)


def recall(gold: Sequence[Bundles], predictions: Sequence[Bundles], drop_empty: bool = False) -> float:
    """Return the mean recall over sessions; ``drop_empty`` leaves out those without a prediction."""
    return _session_mean(session_recall, gold, predictions, drop_empty)


def coverage(gold: Sequence[Bundles], predictions: Sequence[Bundles]) -> float:
    """Return the mean coverage of all hits, pooled over sessions.

    A session without a prediction has no hit, so this is the same in both empty-session modes.
    """
    return _mean([c for g, p in zip(gold, predictions, strict=True) for c in hit_coverages(g, p)])


def empty_rate(predictions: Sequence[Bundles]) -> float:
    """Return the share of sessions without a single valid predicted bundle."""
    return _ratio(sum(not predicted for predicted in predictions), len(predictions))


def invalid_rate(predictions: Sequence[Bundles], rejected_counts: Sequence[int]) -> float:
    """Return rejected bundles / generated bundles (rejected and valid), pooled over sessions."""
    rejected = sum(rejected_counts)
    return _ratio(rejected, rejected + sum(map(len, predictions)))


_Score = Callable[[Sequence[Bundles], Sequence[Bundles], Sequence[int]], float]

SCORES: dict[str, _Score] = {
    "precision": lambda gold, predictions, _: precision(gold, predictions),
    "recall": lambda gold, predictions, _: recall(gold, predictions),
    "coverage": lambda gold, predictions, _: coverage(gold, predictions),
    "precision_drop_empty": lambda gold, predictions, _: precision(gold, predictions, drop_empty=True),
    "recall_drop_empty": lambda gold, predictions, _: recall(gold, predictions, drop_empty=True),
    "coverage_drop_empty": lambda gold, predictions, _: coverage(gold, predictions),
    "bundlef1": lambda gold, predictions, _: _session_mean(bundle_f1, gold, predictions),
    "matchedf1": lambda gold, predictions, _: _session_mean(matched_f1, gold, predictions),
    "pairf1": lambda gold, predictions, _: _session_mean(pair_f1, gold, predictions),
    "emptyrate": lambda _, predictions, __: empty_rate(predictions),
    "invalidrate": lambda _, predictions, rejected: invalid_rate(predictions, rejected),
}
"""Every metric by its result key, as a function of (gold, predictions, rejected counts)."""


def score_sessions(
    gold: Sequence[Bundles],
    predictions: Sequence[Bundles],
    rejected_counts: Sequence[int] | None = None,
) -> dict[str, float]:
    """Return every metric over the sessions by its key, unrounded.

    ``rejected_counts[s]`` says how many generated bundles of session s the parser refused (none where
    left out). Raises ValueError where the three do not cover the same number of sessions.
    """
    rejected = [0] * len(gold) if rejected_counts is None else rejected_counts
    if not len(gold) == len(predictions) == len(rejected):
        raise ValueError(
            f"gold, predictions and rejected counts must cover the same sessions, but hold "
            f"{len(gold)}, {len(predictions)} and {len(rejected)}"
        )
    return {key: score(gold, predictions, rejected) for key, score in SCORES.items()}


def bundled_pairs(bundles: Bundles) -> set[tuple[int, int]]:
    """Return the pairs of items, left < right, that share a bundle."""
    return {pair for bundle in bundles for pair in combinations(sorted(bundle), 2)}


def _session_mean(
    score: Callable[[Bundles, Bundles], float],
    gold: Sequence[Bundles],
    predictions: Sequence[Bundles],
    drop_empty: bool = False,
) -> float:
    scored = zip(gold, predictions, strict=True)
    return _mean([score(g, p) for g, p in scored if len(p) > 0 or not drop_empty])


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return fsum(listed) / len(listed) if listed else 0.0


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
