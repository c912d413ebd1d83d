"""Training sessions that a language model is shown: those nearest to a session by their titles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recbole_routedk.data.session import LabelledSession, Session
from recbole_routedk.distill.encoder import title_encoder
from recbole_routedk.distill.statistical.text import title_words
from recbole_routedk.model.language.retrieval import mean_title_vectors

Scores = NDArray[np.float64]

_DIGITS = 6
"""Scores that agree in so many are equal: what they differ by further on depends on batches and machines."""


class Demonstrations:
    """Finds the ``count`` nearest training sessions with a bundle, by ``bm25`` over title words or ``embeddings``.

    A session is never its own neighbour; of equally near ones the earlier in the training split comes first.
    """

    def __init__(self, train: Sequence[LabelledSession], retriever: str, count: int) -> None:
        self._shown = [labelled for labelled in train if labelled.bundles]
        self._count = count
        self._places = {labelled.session: place for place, labelled in enumerate(self._shown)}
        known = [labelled.session for labelled in self._shown]
        self._scores = _RETRIEVERS[retriever](known) if known else None

    def nearest(self, sessions: Sequence[Session]) -> list[list[LabelledSession]]:
        """Return the neighbours of each session, the nearest first."""
        if self._scores is None or not sessions:
            return [[] for _ in sessions]
        scores = np.round(self._scores(sessions), _DIGITS)
        own = [self._places.get(session) for session in sessions]
        return [self._best(row, place) for row, place in zip(scores, own, strict=True)]

    def _best(self, scores: Scores, own: int | None) -> list[LabelledSession]:
        places = [place for place in np.argsort(-scores, kind="stable").tolist() if place != own]
        return [self._shown[place] for place in places[: self._count]]


def _embedded(known: Sequence[Session]) -> Callable[[Sequence[Session]], Scores]:
    """Cosine of the mean title vectors."""
    encoder = title_encoder()
    vectors = mean_title_vectors(encoder, known)
    return lambda sessions: (mean_title_vectors(encoder, sessions) @ vectors.T).astype(np.float64)


def _bm25(known: Sequence[Session]) -> Callable[[Sequence[Session]], Scores]:
    """BM25 (Lucene's variant) with a session's title words as its document."""
    import bm25s

    documents = [_words(session) for session in known]
    vocabulary = {word for document in documents for word in document}
    index: Any = bm25s.BM25()
    if vocabulary:  # the library indexes no corpus without a word, and takes no such query
        index.index(documents, show_progress=False)

    def scores(sessions: Sequence[Session]) -> Scores:
        queries = [[word for word in _words(session) if word in vocabulary] for session in sessions]
        return np.stack([index.get_scores(query) if query else np.zeros(len(known)) for query in queries])

    return scores


def _words(session: Session) -> list[str]:
    return [word for item in session.items for word in title_words(item.text)]


_RETRIEVERS = {"bm25": _bm25, "embeddings": _embedded}
RETRIEVERS = tuple(sorted(_RETRIEVERS))
