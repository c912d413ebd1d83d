"""What patterns and rules see of the items of a session: an inferred category and the words of the title."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recbole_routedk.data.session import Session
from recbole_routedk.distill.encoder import SentenceEncoder
from recbole_routedk.distill.statistical.category import SessionCategories, Shares, label_phrases
from recbole_routedk.distill.statistical.pairs import Ints
from recbole_routedk.distill.statistical.text import title_words

CATEGORY_DEPTH = 4
"""The deepest part of a category path that is told apart."""


@dataclass(frozen=True)
class ItemTraits:
    """Of each item of a session its category phrase ("" where no category is known) and its title words."""

    categories: tuple[str, ...]
    words: tuple[frozenset[str], ...]


class TraitReader:
    """Reads traits; ``training`` holds those of the training sessions, their categories inferred out-of-fold."""

    def __init__(self, categories: SessionCategories, sessions: Sequence[Session]) -> None:
        """``categories`` were fitted on ``sessions``."""
        self._categories = categories
        self._phrases = label_phrases(categories.labels)
        self.training = self._read(sessions, categories.training_shares)

    def read(self, sessions: Sequence[Session]) -> list[ItemTraits]:
        """Return the traits of any sessions, from their titles alone."""
        return self._read(sessions, self._categories.shares(sessions))

    def _read(self, sessions: Sequence[Session], shares: Shares) -> list[ItemTraits]:
        named = self._categories.best(sessions, shares)
        return [
            ItemTraits(
                tuple(self._phrases[label] for label in own),
                tuple(frozenset(title_words(item.text)) for item in session.items),
            )
            for session, own in zip(sessions, named, strict=True)
        ]


def fitted_traits(sessions: Sequence[Session], folds: Ints, encoder: SentenceEncoder) -> TraitReader:
    """Return a reader whose categories are inferred from those of ``sessions``; ``folds`` [S] as ``session_folds``."""
    categories = SessionCategories(encoder, CATEGORY_DEPTH)
    categories.fit(sessions, folds)
    return TraitReader(categories, sessions)
