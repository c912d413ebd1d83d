"""Freq: frequent category patterns of training bundles, the classic baseline without a trained model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from logging import getLogger
from typing import Any

from recbole_routedk.data.session import Bundle, Generation, LabelledSession, Session
from recbole_routedk.distill.encoder import title_encoder
from recbole_routedk.distill.statistical.category import UNKNOWN, SessionCategories
from recbole_routedk.distill.statistical.pairs import FOLDS, session_folds
from recbole_routedk.evaluation.metrics import score_sessions
from recbole_routedk.model.bundle_generator import BundleGenerator

logger = getLogger(__name__)

Pattern = tuple[str, ...]

_MOST_ITEMS = 12  # of a bundle that are mined: a subset of five of twelve has 792 choices
_LIMITS = (1, 2, 3, 4, 5)
_ORDERS = ("support", "size")


class Freq(BundleGenerator):
    """Category-level multiset Apriori on training bundles; a pattern that a session contains becomes a bundle.

    The baseline of Sun et al. (SIGIR 2022) and AICL (arXiv 2312.16262): patterns of two to five categories
    (with repetition) whose support and confidence reach 0.001. Support is the share of training bundles that
    contain the pattern, confidence that of its best rule "all but one category -> that category".
    Adapted to several bundles a session: contained patterns are answered greedily without common items, by
    support (larger first among equals) or by size (more support first), up to a limit. Order and limit are those
    with the best MatchedF1 on the valid sessions; the patterns come from training sessions alone. Where a session
    has more items of a category than the pattern takes, the earliest are taken.
    What differs: an item's category is inferred from its title, also in training, since given ones tell bundled items
    apart; order and limit are chosen; twelve items of a larger bundle are mined.
    """

    gradient_trained = False

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self._patterns: dict[Pattern, int] = {}
        self._order, self._limit = _ORDERS[0], _LIMITS[0]
        self._categories: SessionCategories | None = None

    def fit_sessions(self, train: Sequence[LabelledSession], valid: Sequence[LabelledSession]) -> None:
        """Mine the training bundles, then choose order and limit on the valid sessions."""
        categories = self._fitted_categories(train)
        sessions = [labelled.session for labelled in train]
        named = categories.best(sessions, categories.training_shares)
        bundles = [
            [own[position] for position in sorted(bundle)]
            for labelled, own in zip(train, named, strict=True)
            for bundle in labelled.bundles
        ]
        support, confidence = self.config["min_support"], self.config["min_confidence"]
        self._patterns = mine_patterns(bundles, support, confidence, self.config["max_pattern_size"])
        if not any(name != UNKNOWN for bundle in bundles for name in bundle):
            logger.warning("Freq answers nothing: no item of a training bundle has a category, or one like it")
        if valid:
            self._choose(valid)

    def _choose(self, valid: Sequence[LabelledSession]) -> None:
        gold = [labelled.bundles for labelled in valid]
        sessions = [labelled.session for labelled in valid]
        scores = {}
        for order in _ORDERS:
            self._order, self._limit = order, _LIMITS[-1]
            answers = [generation.bundles for generation in self.predict_bundles(sessions)]
            for limit in _LIMITS:
                scores[order, limit] = score_sessions(gold, [bundles[:limit] for bundles in answers])["matchedf1"]
        self._order, self._limit = max(scores, key=lambda choice: scores[choice])

    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """Answer each session with the patterns that its inferred categories contain."""
        if self._categories is None:
            self._categories = self._fitted_categories(self.dataset.labelled_sessions)
        ordered = ordered_patterns(self._patterns, self._order)
        named = self._categories.best(sessions, self._categories.shares(sessions))
        return [Generation(tuple(match_patterns(own, ordered, self._limit))) for own in named]

    def extra_state(self) -> dict[str, Any]:
        """Patterns with their counts, order and limit; categories are inferred anew from training items."""
        patterns = [[list(pattern), count] for pattern, count in sorted(self._patterns.items())]
        return {"patterns": patterns, "order": self._order, "limit": self._limit}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what ``extra_state`` gave."""
        self._patterns = {tuple(pattern): int(count) for pattern, count in state["patterns"]}
        self._order, self._limit = state["order"], int(state["limit"])

    def _fitted_categories(self, train: Sequence[LabelledSession]) -> SessionCategories:
        categories = SessionCategories(title_encoder(), self.config["category_depth"])
        folds = session_folds(len(train), FOLDS, self.config["seed"])
        categories.fit([labelled.session for labelled in train], folds)
        self._categories = categories
        return categories


def mine_patterns(
    bundles: Sequence[Sequence[str]], min_support: float, min_confidence: float, max_size: int
) -> dict[Pattern, int]:
    """Return the frequent multisets of two to ``max_size`` categories (sorted) and in how many bundles each is.

    ``bundles`` holds the categories of each bundle's items; an unknown category takes part in no pattern.
    """
    counts: Counter[Pattern] = Counter()
    for bundle in bundles:
        known = sorted(category for category in bundle if category != UNKNOWN)[:_MOST_ITEMS]
        for size in range(1, max_size + 1):
            counts.update(set(combinations(known, size)))
    frequent = {pattern: count for pattern, count in counts.items() if count >= min_support * len(bundles)}
    return {
        pattern: count
        for pattern, count in frequent.items()
        if len(pattern) > 1 and max(count / counts[rest] for rest in _without_one(pattern)) >= min_confidence
    }


def _without_one(pattern: Pattern) -> Iterator[Pattern]:
    return (pattern[:place] + pattern[place + 1 :] for place in range(len(pattern)))


def ordered_patterns(patterns: dict[Pattern, int], order: str) -> list[Pattern]:
    """Return patterns in the order they are tried: by "support" or by "size", the other one breaking ties."""
    if order == "support":
        return sorted(patterns, key=lambda pattern: (-patterns[pattern], -len(pattern), pattern))
    return sorted(patterns, key=lambda pattern: (-len(pattern), -patterns[pattern], pattern))


def match_patterns(categories: Sequence[str], ordered: Sequence[Pattern], limit: int) -> list[Bundle]:
    """Return up to ``limit`` bundles without common items, from the first patterns that still fit."""
    free: dict[str, list[int]] = {}
    for position, category in enumerate(categories):
        free.setdefault(category, []).append(position)
    bundles: list[Bundle] = []
    for pattern in ordered:
        needed = Counter(pattern)
        while len(bundles) < limit and all(len(free.get(name, ())) >= count for name, count in needed.items()):
            bundles.append(frozenset(free[name].pop(0) for name in pattern))
    return bundles
