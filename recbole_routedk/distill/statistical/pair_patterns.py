"""Patterns of pairs of items: two categories, a word that two titles share, or a word of each of two titles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from recbole_routedk.data.session import Session
from recbole_routedk.distill.statistical.category import UNKNOWN
from recbole_routedk.distill.statistical.text import title_words
from recbole_routedk.distill.statistical.traits import ItemTraits

_FEWEST_TITLES_OF_A_WORD = 5
_MOST_WORDS = 600
_MOST_CROSSED_WORDS = 200  # words of two titles make quadratically many patterns


class PatternKind(Enum):
    """What the two sides of a pattern are."""

    CATEGORIES = "categories"
    SHARED_WORD = "shared word"
    WORDS = "words"


@dataclass(frozen=True, slots=True)
class PairPattern:
    """An unordered pair, ``left`` <= ``right``; equal sides mean one category or one shared word."""

    kind: PatternKind
    left: str
    right: str


def frequent_words(sessions: Iterable[Session]) -> tuple[str, ...]:
    """Return the words of at least five titles, the 600 most frequent, in this order."""
    titles = {item.text for session in sessions for item in session.items}
    counts = Counter(word for title in titles for word in set(title_words(title)))
    common = [word for word in counts if counts[word] >= _FEWEST_TITLES_OF_A_WORD]
    return tuple(sorted(common, key=lambda word: (-counts[word], word))[:_MOST_WORDS])


class PairPatterns:
    """Names the patterns of pairs, with the words of ``frequent_words``."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words, self._crossed = frozenset(words), frozenset(words[:_MOST_CROSSED_WORDS])

    def of_pair(self, traits: ItemTraits, left: int, right: int) -> Iterator[PairPattern]:
        """Yield every pattern that two items of a session show."""
        one, two = sorted((traits.categories[left], traits.categories[right]))
        if one != UNKNOWN:
            yield PairPattern(PatternKind.CATEGORIES, one, two)
        left_words, right_words = traits.words[left] & self._words, traits.words[right] & self._words
        shared = left_words & right_words
        for word in shared:
            yield PairPattern(PatternKind.SHARED_WORD, word, word)
        for word in (left_words & self._crossed) - shared:
            for other in (right_words & self._crossed) - shared:
                first, second = (word, other) if word < other else (other, word)
                yield PairPattern(PatternKind.WORDS, first, second)
