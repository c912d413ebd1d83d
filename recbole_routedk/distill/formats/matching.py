"""Which pairs of a session's items a statement about two sides speaks about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from recbole_routedk.distill.statistical.text import title_words
from recbole_routedk.distill.statistical.traits import ItemTraits

Sides = tuple[str, str]
"""Two normalised sides, the smaller first."""


def normalised_sides(left: str, right: str) -> Sides:
    """Return two sides in one form: case and white space do not matter, nor which of them comes first."""
    one, two = (" ".join(side.casefold().split()) for side in (left, right))
    return (one, two) if one <= two else (two, one)


class PairIndex:
    """Finds which of many statements speak about a session.

    A side is met by an item whose inferred category it is, or whose title holds all its words.
    """

    def __init__(self, statements: Sequence[Sides]) -> None:
        self._partners: dict[int, dict[int, int]] = defaultdict(dict)
        self._of_category: dict[str, int] = {}
        self._of_word: dict[str, list[tuple[frozenset[str], int]]] = defaultdict(list)
        for number, (left, right) in enumerate(statements):
            one, two = self._side(left), self._side(right)
            self._partners[one][two] = self._partners[two][one] = number

    def _side(self, side: str) -> int:
        number = self._of_category.get(side)
        if number is None:
            number = self._of_category[side] = len(self._of_category)
            words = frozenset(title_words(side))
            if words:
                self._of_word[min(words)].append((words, number))
        return number

    def pairs(self, traits: ItemTraits) -> dict[int, list[tuple[int, int]]]:
        """Return the statements that speak about pairs of the session, by their number, with these pairs."""
        found: dict[int, list[tuple[int, int]]] = defaultdict(list)
        sides = [self._met(category, words) for category, words in zip(traits.categories, traits.words, strict=True)]
        for left, met in enumerate(sides):
            rows = [self._partners[side] for side in met]
            for right in range(left + 1, len(sides)):
                # A statement may be met both ways round; it speaks about the pair once.
                for number in {row[side] for row in rows for side in sides[right] if side in row}:
                    found[number].append((left, right))
        return found

    def _met(self, category: str, words: frozenset[str]) -> set[int]:
        met = {number for word in words for own, number in self._of_word.get(word, ()) if own <= words}
        by_category = self._of_category.get(" ".join(category.casefold().split()))
        return met if by_category is None else met | {by_category}
