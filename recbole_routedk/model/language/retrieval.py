"""Reasoning taken from others: how the training sessions most like a session were bundled."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten

import numpy as np

from recbole_routedk.data.prompts import canonical_order
from recbole_routedk.data.session import Bundle, LabelledSession, Session
from recbole_routedk.distill.encoder import SentenceEncoder, Vectors
from recbole_routedk.distill.statistical.text import title_words

_WORDS = 3  # of each title
_MOST_ITEMS = 4  # of each bundle
_MOST_BUNDLES = 3  # of each session
_LONGEST_INTENT = 40


class SimilarSessions:
    """Finds the training sessions whose mean title vector is nearest, and tells their bundles in one line.

    Their items have no label in the session at hand, so they are named by the first words of their titles.
    """

    def __init__(self, train: Sequence[LabelledSession], encoder: SentenceEncoder, count: int) -> None:
        self._encoder = encoder
        self._count = count
        self._lines = [_line(labelled) for labelled in train]
        self._vectors = mean_title_vectors(encoder, [labelled.session for labelled in train])

    def for_training(self) -> list[str]:
        """Return the line of each training session; it never speaks of the session itself."""
        closeness = self._vectors @ self._vectors.T
        np.fill_diagonal(closeness, -np.inf)
        count = min(self._count, len(self._lines) - 1)
        return [self._told(row, count) for row in closeness]

    def for_sessions(self, sessions: Sequence[Session]) -> list[str]:
        """Return the line of each of some sessions that are not among the training sessions."""
        count = min(self._count, len(self._lines))
        return [self._told(row, count) for row in mean_title_vectors(self._encoder, sessions) @ self._vectors.T]

    def _told(self, closeness: np.ndarray, count: int) -> str:
        nearest = np.argsort(-closeness, kind="stable")[:count]
        return " ".join(line for line in (self._lines[index] for index in nearest.tolist()) if line)


def mean_title_vectors(encoder: SentenceEncoder, sessions: Sequence[Session]) -> Vectors:
    """Return the mean of the title vectors of each session, of length 1: [sessions, width]."""
    titles = [item.text for session in sessions for item in session.items]
    ends = np.cumsum([len(session) for session in sessions])
    means = [part.mean(axis=0) for part in np.split(encoder.encode(titles), ends[:-1])]
    vectors = np.stack(means)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def _line(labelled: LabelledSession) -> str:
    intents: dict[Bundle, str] = dict(zip(labelled.bundles, labelled.intents, strict=False))
    told = []
    for bundle in canonical_order(labelled.bundles)[:_MOST_BUNDLES]:
        titles = [labelled.session.items[position].text for position in bundle[:_MOST_ITEMS]]
        items = " + ".join(" ".join(title_words(title)[:_WORDS]) or "?" for title in titles)
        intent = shorten(intents.get(frozenset(bundle), ""), _LONGEST_INTENT, placeholder="")
        told.append(f"{intent}: {items};" if intent else f"{items};")
    return " ".join(told)
