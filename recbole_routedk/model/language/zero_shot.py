"""ZeroShot: a language model is told what a bundle is and asked for those of a session, without any example."""

from __future__ import annotations

from collections.abc import Sequence

from recbole_routedk.data.session import Session
from recbole_routedk.model.language.prompted import PromptedModel
from recbole_routedk.model.language.talk import BUNDLES, Reply, ask


class ZeroShot(PromptedModel):
    """The zero-shot baseline of AICL (Sun et al., SIGIR 2024, arXiv 2312.16262): one question a session.

    The paper's prompt asks for all bundles of a session at once, so nothing has to be adapted.

    What differs: its words are ours, because an endpoint is held to JSON. The student, much smaller than the paper's
    GPT-3.5, reads letters for items and writes under a grammar, so that it cannot name an item that is not there
    (``decoding: free`` lets it), and its answer is agreed on by several drawn ones (``PromptedModel``).
    """

    def replies(self, sessions: Sequence[Session]) -> list[Reply]:
        """Ask about every session at once."""
        return self.respondent.bundles([(ask(session, BUNDLES),) for session in sessions], sessions)
