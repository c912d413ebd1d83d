"""Frequent pair patterns of training sessions: which categories and title words are bundled when they meet.

A pattern is a pair of categories, one word that two titles share, or a pair of words of two titles. Its
support is the number of sessions in which it is co-bundled, its confidence P(co-bundled | both in the session),
a session counted once (Apriori at length two; distillation study, arXiv 2504.17220, first format).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from recbole_routedk.data.session import LabelledSession, Session
from recbole_routedk.distill.statistical.category import UNKNOWN
from recbole_routedk.distill.statistical.text import title_words

_FEWEST_TITLES_OF_A_WORD = 5
_MOST_WORDS = 600
_MOST_CROSSED_WORDS = 200  # words of two titles make quadratically many patterns


class PatternKind(Enum):
    """What the two sides of a pattern are."""

    CATEGORIES = "categories"
    SHARED_WORD = "shared word"
    WORDS = "words"


@dataclass(frozen=True, slots=True)
class Pattern:
    """An unordered pair, ``left`` <= ``right``; equal sides mean one category or one shared word."""

    kind: PatternKind
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Tally:
    """In how many sessions a pattern's sides met, and in how many of them they were co-bundled."""

    met: int
    joined: int


@dataclass(frozen=True)
class ItemTraits:
    """What patterns see of the items of a session: one inferred category and the known words of each.

    ``crossed_words`` are the words, among the most frequent, that are paired with words of other titles.
    """

    categories: tuple[str, ...]
    words: tuple[frozenset[str], ...]
    crossed_words: tuple[frozenset[str], ...]


def frequent_words(sessions: Sequence[Session]) -> tuple[str, ...]:
    """Return the words of at least five titles, the 600 most frequent, in this order."""
    titles = {item.title for session in sessions for item in session.items}
    counts = Counter(word for title in titles for word in set(title_words(title)))
    common = [word for word in counts if counts[word] >= _FEWEST_TITLES_OF_A_WORD]
    return tuple(sorted(common, key=lambda word: (-counts[word], word))[:_MOST_WORDS])


def item_traits(session: Session, categories: tuple[str, ...], words: Sequence[str]) -> ItemTraits:
    """Return the traits of a session's items; ``words`` are those of ``frequent_words``."""
    known, crossed = frozenset(words), frozenset(words[:_MOST_CROSSED_WORDS])
    own = tuple(known.intersection(title_words(item.title)) for item in session.items)
    return ItemTraits(categories, own, tuple(found & crossed for found in own))


def patterns_of_pair(traits: ItemTraits, left: int, right: int) -> Iterator[Pattern]:
    """Yield every pattern that two items of a session show."""
    one, two = sorted((traits.categories[left], traits.categories[right]))
    if one != UNKNOWN:
        yield Pattern(PatternKind.CATEGORIES, one, two)
    shared = traits.words[left] & traits.words[right]
    for word in shared:
        yield Pattern(PatternKind.SHARED_WORD, word, word)
    for word in traits.crossed_words[left] - shared:
        for other in traits.crossed_words[right] - shared:
            first, second = (word, other) if word < other else (other, word)
            yield Pattern(PatternKind.WORDS, first, second)


class PatternCounts:
    """Tallies of patterns over training sessions, kept by fold so that one fold can be left out."""

    def __init__(self, train: Sequence[LabelledSession], traits: Sequence[ItemTraits], folds: Sequence[int]) -> None:
        self._met: dict[int, Counter[Pattern]] = {fold: Counter() for fold in folds}
        self._joined: dict[int, Counter[Pattern]] = {fold: Counter() for fold in folds}
        self._pairs: dict[int, list[int]] = {fold: [0, 0] for fold in folds}
        for labelled, own, fold in zip(train, traits, folds, strict=True):
            self._count(labelled, own, fold)

    def _count(self, labelled: LabelledSession, traits: ItemTraits, fold: int) -> None:
        length = len(labelled.session)
        met: set[Pattern] = set()
        joined: set[Pattern] = set()
        for left in range(length):
            for right in range(left + 1, length):
                together = any(left in bundle and right in bundle for bundle in labelled.bundles)
                found = set(patterns_of_pair(traits, left, right))
                met |= found
                if together:
                    joined |= found
                self._pairs[fold][0] += 1
                self._pairs[fold][1] += together
        self._met[fold].update(met)
        self._joined[fold].update(joined)

    def base_rate(self, without_fold: int | None = None) -> float:
        """Return the share of item pairs that are co-bundled."""
        counts = [pairs for fold, pairs in self._pairs.items() if fold != without_fold]
        return sum(joined for _, joined in counts) / max(1, sum(met for met, _ in counts))

    def tallies(self, without_fold: int | None = None) -> dict[Pattern, Tally]:
        """Return the tally of every pattern that met at least twice, over all folds but one."""
        met: Counter[Pattern] = Counter()
        joined: Counter[Pattern] = Counter()
        for fold in self._met:
            if fold != without_fold:
                met.update(self._met[fold])
                joined.update(self._joined[fold])
        return {pattern: Tally(count, joined[pattern]) for pattern, count in met.items() if count > 1}
