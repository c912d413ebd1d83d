"""Two guesses that look at no title: what a model must beat before it has learnt anything."""

from __future__ import annotations

from collections.abc import Sequence

from recbole_routedk.data.session import Generation, Session
from recbole_routedk.model.bundle_generator import BundleGenerator


class WholeSession(BundleGenerator):
    """Answers every session with one bundle of all its items; a session of one item gets none."""

    gradient_trained = False

    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """Answer each session with the set of all its positions."""
        return [_first_items(session, len(session)) for session in sessions]


class FirstTwo(BundleGenerator):
    """Answers every session with one bundle of its first two items; a session of one item gets none."""

    gradient_trained = False

    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """Answer each session with positions 0 and 1."""
        return [_first_items(session, 2) for session in sessions]


def _first_items(session: Session, count: int) -> Generation:
    return Generation((frozenset(range(count)),) if len(session) > 1 else ())
