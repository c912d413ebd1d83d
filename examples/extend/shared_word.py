"""A model: items whose titles share a word that binds are a bundle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from recbole_routedk.data.session import Bundle, Generation, LabelledSession, Session
from recbole_routedk.evaluation.metrics import bundled_pairs
from recbole_routedk.model.bundle_generator import BundleGenerator


class SharedWord(BundleGenerator):
    """A word binds where enough of the pairs of training items that share it are bundled."""

    gradient_trained = False
    binding: frozenset[str] = frozenset()

    def fit_sessions(self, train: Sequence[LabelledSession], valid: Sequence[LabelledSession]) -> None:
        shared, bundled = Counter[str](), Counter[str]()
        for labelled in train:
            words, together = _words(labelled.session), bundled_pairs(labelled.bundles)
            for left, right in combinations(range(len(words)), 2):
                shared.update(words[left] & words[right])
                bundled.update(words[left] & words[right] if (left, right) in together else ())
        self.binding = frozenset(word for word in shared if bundled[word] >= self.config["least_share"] * shared[word])

    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        return [Generation(self._bundles(_words(session))) for session in sessions]

    def _bundles(self, titles: list[set[str]]) -> tuple[Bundle, ...]:
        words = sorted(self.binding.intersection(word for title in titles for word in title))
        found = [frozenset(place for place, title in enumerate(titles) if word in title) for word in words]
        return tuple(dict.fromkeys(bundle for bundle in found if len(bundle) > 1))

    def extra_state(self) -> dict[str, Any]:
        return {"binding": sorted(self.binding)}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.binding = frozenset(state["binding"])


def _words(session: Session) -> list[set[str]]:
    return [set(item.title.lower().split()) for item in session.items]
