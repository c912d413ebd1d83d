"""TitleCluster: items with similar titles are a bundle; the honest simple baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from recbole_routedk.data.session import Generation, LabelledSession, Session
from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.model.bundle_generator import BundleGenerator
from recbole_routedk.model.content import Content, content_of
from recbole_routedk.model.statistical.clustering import Cut, CutChooser


class TitleCluster(BundleGenerator):
    """Agglomerative clustering of a session's items by the cosine of their title vectors.

    Not in the papers: it is what anyone with a sentence encoder would try first, so whatever is trained has to beat
    it. Every cluster of two items or more is a bundle. Linkage and threshold are those with the best MatchedF1 on the
    valid sessions; from training sessions nothing is learnt but the terms of ``content: tfidf``. Where no two titles
    reach the threshold, the most similar pair is answered.
    """

    gradient_trained = False

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self._linkages = tuple(config["linkages"])
        self._content: Content | None = None
        self._cut = Cut()

    def fit_sessions(self, train: Sequence[LabelledSession], valid: Sequence[LabelledSession]) -> None:
        """Choose linkage and threshold on the valid sessions; on the training sessions where there are none."""
        self._content = content_of(self.config, train)
        chosen_on = valid or train
        chooser = CutChooser([labelled.bundles for labelled in chosen_on])
        similarities = self._similarities([labelled.session for labelled in chosen_on])
        self._cut, _ = chooser.choose(similarities, self._linkages)

    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """Answer each session with the clusters of its titles."""
        return [Generation(self._cut.bundles(matrix)) for matrix in self._similarities(sessions)]

    def extra_state(self) -> dict[str, Any]:
        """The cut; the content is made anew from training titles."""
        return {"cut": asdict(self._cut)}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what ``extra_state`` gave."""
        self._cut = Cut(**state["cut"])

    def _similarities(self, sessions: Sequence[Session]) -> list[Floats]:
        if self._content is None:
            self._content = content_of(self.config, self.dataset.labelled_sessions)
        return title_similarities(self._content, sessions)


def title_similarities(content: Content, sessions: Sequence[Session]) -> list[Floats]:
    """Return the cosines of the titles of each session, [n, n] each."""
    vectors = content.vectors([item.text for session in sessions for item in session.items]).astype(float)
    matrices, start = [], 0
    for session in sessions:
        own = vectors[start : start + len(session)]
        matrices.append(own @ own.T)
        start += len(session)
    return matrices
