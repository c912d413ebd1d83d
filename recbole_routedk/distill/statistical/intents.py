"""Likely intents of candidate groups, from the annotated intents of training bundles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from textwrap import shorten

import numpy as np

from recbole_routedk.data.session import Bundle, LabelledSession, Session
from recbole_routedk.distill.encoder import SentenceEncoder, Vectors
from recbole_routedk.distill.statistical.category import UNKNOWN
from recbole_routedk.distill.statistical.pairs import Ints
from recbole_routedk.distill.statistical.text import title_words

_CLOSE_INTENT = 0.6  # cosine of mean title vectors: the same intent
_NEAR_INTENT = 0.4  # still better than no phrase
_LONGEST_INTENT = 60


class IntentBank:
    """Annotated intents of training bundles, found again by the mean title vector of a bundle."""

    def __init__(self, train: Sequence[LabelledSession], folds: Ints, encoder: SentenceEncoder) -> None:
        self._encoder = encoder
        centres, texts, owners = [], [], []
        for labelled, fold in zip(train, folds, strict=True):
            for bundle, intent in zip(labelled.bundles, labelled.intents, strict=False):
                phrase = shorten(intent, _LONGEST_INTENT, placeholder="")
                if phrase:
                    centres.append(self.centre(labelled.session, bundle))
                    texts.append(phrase)
                    owners.append(fold)
        self._centres = np.stack(centres) if centres else np.zeros((0, encoder.width), dtype=np.float32)
        self._texts, self._folds = texts, np.array(owners, dtype=np.int64)

    def centre(self, session: Session, bundle: Bundle) -> Vectors:
        """Return the mean title vector of a bundle, length 1."""
        mean = self._encoder.encode([session.items[position].title for position in sorted(bundle)]).mean(0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), dtype=np.float32)

    def phrase(self, session: Session, group: Bundle, names: Sequence[str], without_fold: int | None) -> str:
        """Return a likely intent: that of a close training bundle, else a shared category or word, else a near one.

        ``names`` are the items' category phrases; ``without_fold`` leaves a fold's bundles out.
        """
        known = np.flatnonzero(self._folds != (-1 if without_fold is None else without_fold))
        nearest, cosine = "", 0.0
        if len(known):
            closeness = self._centres[known] @ self.centre(session, group)
            best = int(closeness.argmax())
            nearest, cosine = self._texts[known[best]], float(closeness[best])
        if cosine >= _CLOSE_INTENT:
            return nearest
        shared = _shared_category(group, names) or _shared_words(session, group)
        return shared or (nearest if cosine >= _NEAR_INTENT else "items used together")


def _shared_category(group: Bundle, names: Sequence[str]) -> str:
    counts = Counter(names[position] for position in sorted(group) if names[position] != UNKNOWN)
    if not counts:
        return ""
    name, count = counts.most_common(1)[0]
    return name if 2 * count > len(group) or len(counts) == 1 else ""


def _shared_words(session: Session, group: Bundle) -> str:
    counts = Counter(
        word for position in sorted(group) for word in dict.fromkeys(title_words(session.items[position].title))
    )
    shared = [word for word, count in counts.most_common() if count > 1][:3]
    return shorten(" ".join(shared), _LONGEST_INTENT, placeholder="")
