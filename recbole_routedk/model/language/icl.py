"""ICL: a language model is shown how the nearest training sessions are bundled, then asked about a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recbole_routedk.data.session import LabelledSession, Session
from recbole_routedk.model.language.prompted import DemonstratedModel
from recbole_routedk.model.language.talk import BUNDLES, Reply, Talk, answer, ask


class ICL(DemonstratedModel):
    """In-context learning, the few-shot baseline of AICL (Sun et al., SIGIR 2024, arXiv 2312.16262).

    The ``demonstrations`` nearest training sessions stand before the question as turns of the same talk, with their
    right bundles as the model's answers, the nearest last, where models heed them most. A session's answer holds
    several bundles here as there.

    What differs: the paper retrieves by sentence vectors, ours by words (``retriever: bm25``; ``embeddings`` is as
    there). The words of the talk are ours, since an endpoint is held to JSON, and the student's answer is agreed on by
    several drawn ones (``PromptedModel``). Demonstrations that do not fit into its context are left out, the farthest
    first.
    """

    named_settings = ("answered_by", "demonstrations")

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset, config["demonstrations"])

    def replies(self, sessions: Sequence[Session]) -> list[Reply]:
        """Ask about every session at once."""
        talks = [self._talk(*each) for each in zip(sessions, self.neighbours(sessions), strict=True)]
        return self.respondent.bundles(talks, sessions)

    def _talk(self, session: Session, neighbours: Sequence[LabelledSession]) -> Talk:
        talk = demonstrated(session, neighbours)
        while len(talk) > 1 and not self.respondent.fits(talk):
            talk = talk[2:]
        return talk


def demonstrated(session: Session, neighbours: Sequence[LabelledSession]) -> Talk:
    """Return the talk about a session after its neighbours, which come nearest first and are told nearest last."""
    shown = [
        turn for each in reversed(neighbours) for turn in (ask(each.session, BUNDLES), answer(tuple(each.bundles)))
    ]
    return (*shown, ask(session, BUNDLES))
