"""Frequent patterns of training bundles, categories first and then title words (arXiv 2504.17220, first format).

Mined by Apriori (efficient-apriori) over the bundles: support is the share of bundles that hold a pattern,
confidence that of the best rule "all but one part -> that part". Two items of one category are two parts, as in
the Freq baseline, and each part of a pattern is another item of the bundle, so that a pattern is never one title
with two words. Categories are inferred from titles (see ``statistical.category``).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from efficient_apriori import itemsets_from_transactions

from recbole_routedk.data.session import LabelledSession
from recbole_routedk.distill.knowledge import Pattern, PatternMatch
from recbole_routedk.distill.statistical.category import UNKNOWN
from recbole_routedk.distill.statistical.pair_patterns import frequent_words
from recbole_routedk.distill.statistical.pairs import Ints
from recbole_routedk.distill.statistical.traits import ItemTraits

CATEGORIES, WORDS = "categories", "words"
_KINDS = (CATEGORIES, WORDS)
_LARGEST = {CATEGORIES: 4, WORDS: 2}  # parts; words of many titles make exponentially many patterns
_MOST_WORDS = 300
_MOST_PARTS = 40  # of a bundle that are mined, so that one hostile bundle cannot cost hours
_FEWEST_BUNDLES = 2  # what stands in one bundle is not frequent, however few bundles there are
_MOST_MATCHES = 20

Parts = tuple[str, ...]


@dataclass(frozen=True)
class PatternThresholds:
    """Least support and confidence, as shares."""

    support: float = 0.001
    confidence: float = 0.001


class PatternBook:
    """Patterns looked up by their parts."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        """``patterns`` are given strongest first."""
        self.patterns = tuple(patterns)
        uses = Counter((pattern.kind, part) for pattern in patterns for part in set(pattern.parts))
        self._of_rarest: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, pattern in enumerate(patterns):
            rarest = min(set(pattern.parts), key=lambda part: (uses[pattern.kind, part], part))
            self._of_rarest[pattern.kind, rarest].append(number)

    def matches(self, traits: ItemTraits) -> tuple[PatternMatch, ...]:
        """Return the patterns that a session contains, the strongest twenty, each with the items that make it."""
        holders = {kind: _holders(_parts_of_items(traits, kind)) for kind in _KINDS}
        numbers = sorted(
            number for kind in _KINDS for part in holders[kind] for number in self._of_rarest.get((kind, part), ())
        )
        found: list[PatternMatch] = []
        for number in numbers:
            pattern = self.patterns[number]
            items = _distinct_items(pattern.parts, holders[pattern.kind])
            if items is not None:
                found.append(PatternMatch(pattern, tuple(sorted(items))))
            if len(found) == _MOST_MATCHES:
                break
        return tuple(found)


class PatternMiner:
    """Mines the bundles of training sessions once; any fold can then be left out."""

    def __init__(
        self,
        labelled: Sequence[LabelledSession],
        traits: Sequence[ItemTraits],
        folds: Ints,
        thresholds: PatternThresholds,
    ) -> None:
        """``labelled``, their ``traits`` and ``folds`` [S] are the sessions to mine."""
        self._thresholds = thresholds
        self._fold_of_bundle = [fold for own, fold in zip(labelled, folds.tolist(), strict=True) for _ in own.bundles]
        words = frozenset(frequent_words(own.session for own in labelled)[:_MOST_WORDS])
        bundles = [
            _of_bundle(seen, sorted(bundle), words)
            for own, seen in zip(labelled, traits, strict=True)
            for bundle in own.bundles
        ]
        self._found = {kind: _mined([_parts_of_items(own, kind) for own in bundles], _LARGEST[kind]) for kind in _KINDS}

    def book(self, without_fold: int | None = None) -> PatternBook:
        """Return the patterns that are frequent in the bundles of all folds but one: categories, then words."""
        held_out = {number for number, fold in enumerate(self._fold_of_bundle) if fold == without_fold}
        bundles = len(self._fold_of_bundle) - len(held_out)
        fewest = max(_FEWEST_BUNDLES, math.ceil(self._thresholds.support * bundles - 1e-9))
        patterns = []
        for kind, found in self._found.items():
            counts = {parts: len(members - held_out) for parts, members in found.items()}
            for parts, count in counts.items():
                if len(parts) > 1 and count >= fewest:
                    confidence = max(count / counts[rest] for rest in _without_one(parts))
                    if confidence >= self._thresholds.confidence:
                        patterns.append(Pattern(kind, parts, count / bundles, confidence))
        return PatternBook(sorted(patterns, key=_strongest_first))


def _strongest_first(pattern: Pattern) -> tuple[int, float, int, Parts]:
    # Categories before words (on Electronic's valid sessions the first three patterns then hold in 72%, else 67%).
    strength = pattern.support * pattern.confidence
    return (_KINDS.index(pattern.kind), -strength, -len(pattern.parts), pattern.parts)


def _of_bundle(traits: ItemTraits, bundle: Sequence[int], words: frozenset[str]) -> ItemTraits:
    return ItemTraits(
        tuple(traits.categories[item] for item in bundle), tuple(traits.words[item] & words for item in bundle)
    )


def _parts_of_items(traits: ItemTraits, kind: str) -> list[frozenset[str]]:
    if kind == WORDS:
        return list(traits.words)
    return [frozenset((category,)) - {UNKNOWN} for category in traits.categories]


def _holders(items: Sequence[frozenset[str]]) -> dict[str, list[int]]:
    """Return which items hold each part."""
    holders: dict[str, list[int]] = {}
    for item, parts in enumerate(items):
        for part in parts:
            holders.setdefault(part, []).append(item)
    return holders


def _mined(bundles: Sequence[list[frozenset[str]]], largest: int) -> dict[Parts, set[int]]:
    """Return the patterns of up to ``largest`` parts that stand in two bundles or more, and in which.

    Single parts are among them. The n-th item of a bundle with the same part is marked n, which makes a multiset
    a set; a set that holds mark n holds the marks below it.
    """
    holders = [_holders(items) for items in bundles]
    marked = [
        tuple((part, mark) for part in sorted(own) for mark in range(len(own[part])))[:_MOST_PARTS] for own in holders
    ]
    if len(bundles) < _FEWEST_BUNDLES or not any(marked):
        return {}
    share = (_FEWEST_BUNDLES - 0.5) / len(bundles)  # half a bundle less, so that rounding cannot lose one
    itemsets, _ = itemsets_from_transactions(marked, share, largest, output_transaction_ids=True)
    found: dict[Parts, set[int]] = {}
    for itemset, counted in ((key, value) for sets in itemsets.values() for key, value in sets.items()):
        parts = tuple(sorted(part for part, _ in itemset))
        if Counter(itemset) == Counter(_marked(parts)):
            found[parts] = {number for number in counted.members if _distinct_items(parts, holders[number]) is not None}
    return found


def _marked(parts: Parts) -> Iterator[tuple[str, int]]:
    for place, part in enumerate(parts):
        yield part, parts[:place].count(part)


def _without_one(parts: Parts) -> Iterator[Parts]:
    return (parts[:place] + parts[place + 1 :] for place in range(len(parts)))


def _distinct_items(parts: Parts, holders: dict[str, list[int]], taken: tuple[int, ...] = ()) -> tuple[int, ...] | None:
    """Return one item for each part, no item twice and the earliest first, None where there are too few."""
    if len(taken) == len(parts):
        return taken
    for item in holders.get(parts[len(taken)], ()):
        if item not in taken:
            whole = _distinct_items(parts, holders, (*taken, item))
            if whole is not None:
                return whole
    return None
