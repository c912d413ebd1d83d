"""The embedded teacher behind the protocol: it reads the case of a request and answers in JSON text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from functools import cached_property
from itertools import islice

import numpy as np

from recbole_routedk import __version__
from recbole_routedk.data.session import LabelledSession, Session
from recbole_routedk.distill.encoder import ENCODER_PIP_NAME
from recbole_routedk.distill.knowledge import Thought
from recbole_routedk.distill.statistical.teacher import fitted_teacher
from recbole_routedk.distill.teachers.protocol import Identity, Request, Response, Task

_CHUNK = 64  # requests that are thought about at once: much faster than one by one


class StatisticalCompletion:
    """A teacher that learnt from ``train``; it needs no prose, no tokens and no machine but this one.

    It answers about a session of ``train`` (same id and titles) without that session's fold, about any other
    session with all it knows. Answers do not depend on sampling, seed or sample index of a request.
    """

    def __init__(self, train: Sequence[LabelledSession], seed: int) -> None:
        """Raises UserError where there is too little to learn from."""
        self._train = tuple(train)
        self._seed = seed
        self.statistics = fitted_teacher(train, seed)
        self._place = {_name(labelled.session): place for place, labelled in enumerate(train)}

    @cached_property
    def identity(self) -> Identity:
        """The package's version and a digest of the training sessions: another fit is another teacher."""
        content = [(astuple(own.session), [sorted(b) for b in own.bundles], own.intents) for own in self._train]
        text = json.dumps([__version__, self._seed, content])
        revision = hashlib.sha256(text.encode()).hexdigest()[:16]
        return Identity("statistical", ENCODER_PIP_NAME, revision)

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield a response a request, in order, read in chunks."""
        iterator = iter(requests)
        while chunk := list(islice(iterator, _CHUNK)):
            thoughts = self._thoughts([request for request in chunk if request.task in (Task.THOUGHT, Task.BUNDLES)])
            for request in chunk:
                if not request.case.labelled:
                    yield Response(request, None, "the statistical teacher needs the case of a request")
                else:
                    yield Response(request, json.dumps(self._answer(request, thoughts)))

    def training_places(self, sessions: Sequence[Session]) -> list[int | None]:
        """Return for each session its place among the training sessions, None for any other."""
        return [self._place.get(_name(session)) for session in sessions]

    @cached_property
    def training_thoughts(self) -> list[Thought]:
        """The out-of-fold thoughts about the training sessions, in order."""
        return self.statistics.think_training()

    def _thoughts(self, requests: Sequence[Request]) -> dict[int, Thought]:
        """Return the thought that each request needs, by the request's identity."""
        thoughts: dict[int, Thought] = {}
        others: list[tuple[int, Session]] = []
        for request in requests:
            for labelled in request.case.labelled[:1]:
                place = self._place.get(_name(labelled.session))
                if place is None:
                    others.append((id(request), labelled.session))
                else:
                    thoughts[id(request)] = self.training_thoughts[place]
        fresh = self.statistics.think([session for _, session in others])
        thoughts.update({key: thought for (key, _), thought in zip(others, fresh, strict=True)})
        return thoughts

    def _answer(self, request: Request, thoughts: dict[int, Thought]) -> object:
        case = request.case
        if request.task is Task.BUNDLES:
            return {"bundles": [sorted(group) for group in thoughts[id(request)].groups]}
        if request.task is Task.THOUGHT:
            thought = thoughts[id(request)]
            if case.gold_shown:
                (place,) = self.training_places([case.labelled[0].session])
                thought = self.statistics.explain(case.labelled[0], thought.affinities, place)
            return _thought_answer(thought)
        return {request.task.value: []}


def _name(session: Session) -> tuple[str, ...]:
    return (session.session_id, *(item.title for item in session.items))


def _thought_answer(thought: Thought) -> object:
    left, right = np.nonzero(np.triu(thought.affinities, 1))
    values = thought.affinities[left, right]
    return {
        "related": [list(row) for row in zip(left.tolist(), right.tolist(), values.tolist(), strict=True)],
        "intents": [
            {"intent": intent, "items": sorted(group)}
            for group, intent in zip(thought.groups, thought.intents, strict=True)
        ],
    }
