"""A teacher: items are related as far as their titles share words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

from recbole_routedk.data.session import Session
from recbole_routedk.distill.teachers.protocol import Identity, Request, Response, Task


class WordOverlap:
    """Answers every task in the JSON that is asked for; it finds no causes and states no rules."""

    deterministic = True  # asking again is of no use

    def __init__(self, least: float) -> None:
        self._least = least
        # What changes answers belongs to the identity: the store keeps answers by it.
        self.identity = Identity("word_overlap", "jaccard", f"least {least}")

    @classmethod
    def from_settings(cls, settings: Any) -> WordOverlap:
        return cls(settings["teacher_least_overlap"])

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        for request in requests:
            answer: dict[str, Any] = {"causes": [], "rules": []}
            if request.task in (Task.BUNDLES, Task.THOUGHT):
                related = self._related(request.case.labelled[0].session)
                pairs = [[left, right] for left, right, _ in related]
                answer = {"related": related, "intents": [{"intent": "alike", "items": pair} for pair in pairs]}
                answer["bundles"] = pairs
            yield Response(request, json.dumps(answer))

    def _related(self, session: Session) -> list[tuple[int, int, float]]:
        words = [set(item.title.lower().split()) for item in session.items]
        pairs = combinations(range(len(words)), 2)
        alike = [(a, b, len(words[a] & words[b]) / max(1, len(words[a] | words[b]))) for a, b in pairs]
        return [pair for pair in alike if pair[2] >= self._least]
