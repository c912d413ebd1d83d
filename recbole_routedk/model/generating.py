"""Answers streams of sessions: in bounded memory, in batches of like length, in the order in which they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from recbole_routedk.data.session import Bundle, Generation, Rejection, Session
from recbole_routedk.distill.encoder import SentenceEncoder
from recbole_routedk.measure import give_back_freed_memory
from recbole_routedk.progress import progress_shown

if TYPE_CHECKING:
    from recbole_routedk.model.bundle_generator import BundleGenerator

BATCHES_A_WINDOW = 4
"""Batches that are sorted by length together, and written together."""

# The gates of a batch lie in the model, and which titles are passing in the encoder: neither knows of two threads.
_TURN = Lock()

Value = TypeVar("Value")


@dataclass(frozen=True)
class SessionBundles:
    """What a model answers for one session.

    ``bundles`` hold 0-based positions in ``session``; ``intents`` holds a phrase for each where they were asked for;
    ``score`` is how far the model's samples agree, in [0, 1] (1 for a single answer); ``gates`` the weight of each
    expert by name (empty for models without experts); ``rejected`` what the model wrote that is no bundle.
    """

    session: Session
    bundles: tuple[Bundle, ...]
    intents: tuple[str, ...] = ()
    score: float = 1.0
    gates: dict[str, float] = field(default_factory=dict)
    rejected: tuple[Rejection, ...] = ()

    def titles(self) -> list[list[str]]:
        """Return the titles of each bundle's items."""
        return [[self.session.items[place].title for place in sorted(bundle)] for bundle in self.bundles]

    def as_dict(self) -> dict[str, Any]:
        """Return what ``generate`` writes as a line of JSON."""
        bundles: list[dict[str, Any]] = []
        for number, bundle in enumerate(self.bundles):
            items = [self.session.items[place] for place in sorted(bundle)]
            told: dict[str, Any] = {"items": [{"item_id": item.item_id, "title": item.title} for item in items]}
            bundles.append(told | ({"intent": self.intents[number]} if self.intents else {}))
        answer: dict[str, Any] = {"session_id": self.session.session_id, "bundles": bundles, "score": self.score}
        if self.gates:
            answer["gates"] = self.gates
        if self.rejected:
            answer["rejected"] = [{"text": each.text, "reason": each.reason.value} for each in self.rejected]
        return answer


class WindowAnswerer:
    """Answers one window of sessions after the other with one model.

    What the model fits anew after it was loaded, it fits at the first window; the titles of later ones are forgotten
    after them, so that memory does not grow with the stream. Threads wait for each other's windows.
    """

    def __init__(self, model: BundleGenerator, batch_size: int, intents: bool = False) -> None:
        """``intents`` adds a phrase to each bundle, from the training bundles' own."""
        self._model = model
        self._batch_size = batch_size
        self._experts = _expert_names(model)
        self._phrases = None
        self._fitted = False
        if intents:
            from recbole_routedk.distill.intent_phrases import IntentPhrases

            self._phrases = IntentPhrases(model.dataset.labelled_sessions, model.config["seed"])

    def answer(self, sessions: Sequence[Session]) -> list[SessionBundles]:
        """Answer each session, in order."""
        with _TURN:
            return self._answered(sessions)

    def _answered(self, sessions: Sequence[Session]) -> list[SessionBundles]:
        with torch.no_grad(), progress_shown(False), SentenceEncoder.passing() if self._fitted else nullcontext():
            generations = self._generations(sessions)
            named: list[tuple[str, ...]] = [()] * len(sessions)
            if self._phrases is not None:
                named = self._phrases.name(sessions, [each.bundles for each in generations])
        self._fitted = True
        give_back_freed_memory()
        return [
            SessionBundles(session, own.bundles, intents, own.score, self._named_gates(own), own.rejected)
            for session, own, intents in zip(sessions, generations, named, strict=True)
        ]

    def _generations(self, sessions: Sequence[Session]) -> list[Generation]:
        """Batches of like length pad little."""
        order = sorted(range(len(sessions)), key=lambda place: _length(sessions[place]))
        found: dict[int, Generation] = {}
        for batch in windows(order, self._batch_size):
            answers = self._model.predict_bundles([sessions[place] for place in batch])
            found |= zip(batch, answers, strict=True)
        return [found[place] for place in range(len(sessions))]

    def _named_gates(self, generation: Generation) -> dict[str, float]:
        names = self._experts or tuple(f"expert {number}" for number in range(len(generation.gates)))
        return dict(zip(names, generation.gates, strict=True)) if generation.gates else {}


def windows(values: Iterable[Value], size: int) -> Iterator[list[Value]]:
    """Yield lists of ``size`` values, the last one shorter."""
    iterator = iter(values)
    while window := list(islice(iterator, size)):
        yield window


def _length(session: Session) -> tuple[int, int]:
    return len(session), sum(len(item.text) for item in session.items)


def _expert_names(model: BundleGenerator) -> tuple[str, ...]:
    """The experts of the model's student, whatever it is wrapped in."""
    named = (getattr(module, "experts", ()) for module in model.modules())
    return next((tuple(experts) for experts in named if experts), ())
