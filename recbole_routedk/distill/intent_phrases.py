"""Names the intents of answered bundles with what annotated bundles like them were called."""

from __future__ import annotations

from collections.abc import Sequence

from recbole_routedk.data.session import Bundle, LabelledSession, Session
from recbole_routedk.distill.encoder import title_encoder
from recbole_routedk.distill.statistical.intents import IntentBank
from recbole_routedk.distill.statistical.pairs import FOLDS, session_folds
from recbole_routedk.distill.statistical.traits import fitted_traits


class IntentPhrases:
    """A phrase for any bundle, whoever answered it: that of the nearest annotated training bundle by titles.

    Where none is near, it is the category that the items share, or the words (``IntentBank``): a label to show, not a
    generated explanation.
    """

    def __init__(self, train: Sequence[LabelledSession], seed: int) -> None:
        encoder, folds = title_encoder(), session_folds(len(train), FOLDS, seed)
        self._bank = IntentBank(train, folds, encoder)
        self._traits = fitted_traits([labelled.session for labelled in train], folds, encoder)

    def name(self, sessions: Sequence[Session], bundles: Sequence[Sequence[Bundle]]) -> list[tuple[str, ...]]:
        """Return for each session a phrase a bundle."""
        return [
            tuple(self._bank.phrase(session, bundle, traits.categories, None) for bundle in own)
            for session, own, traits in zip(sessions, bundles, self._traits.read(sessions), strict=True)
        ]
