"""The embedded teacher behind the protocol: it reads the case of a request and answers in JSON text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from functools import cache, cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from recbole_routedk.data.session import LabelledSession
from recbole_routedk.distill import statistical
from recbole_routedk.distill.encoder import encoder_version
from recbole_routedk.distill.knowledge import Thought
from recbole_routedk.distill.statistical.review import causes, proposed_rules
from recbole_routedk.distill.statistical.teacher import StatisticalTeacher, fitted_teacher
from recbole_routedk.distill.teachers.protocol import Identity, Request, Response, Task

_TASKS = (Task.BUNDLES, Task.CAUSES, Task.RULES, Task.THOUGHT)


class StatisticalCompletion:
    """A teacher that learnt from ``train``; it needs no prose, no tokens and no machine but this one.

    It answers about a session of ``train`` (same id and titles) without that session's fold, about any other
    session with all it knows. Answers do not depend on sampling, seed or sample index of a request.
    """

    requests_at_once = 64
    """Requests that are thought about together: much faster than one by one."""

    def __init__(self, train: Sequence[LabelledSession], seed: int) -> None:
        """Nothing is learnt yet."""
        self._train = tuple(train)
        self._seed = seed

    @cached_property
    def statistics(self) -> StatisticalTeacher:
        """What it learnt, when it was first needed; UserError where there is too little to learn from."""
        return fitted_teacher(self._train, self._seed)

    @cached_property
    def identity(self) -> Identity:
        """A digest of its code and of the training sessions: another method or fit is another teacher."""
        content = [(astuple(own.session), [sorted(b) for b in own.bundles], own.intents) for own in self._train]
        text = json.dumps([_method(), self._seed, content])
        revision = hashlib.sha256(text.encode()).hexdigest()[:16]
        return Identity("statistical", encoder_version(), revision)

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield a response a request, in order, read in chunks."""
        iterator = iter(requests)
        while chunk := list(islice(iterator, self.requests_at_once)):
            thoughts = self._thoughts([request for request in chunk if request.task in (Task.THOUGHT, Task.BUNDLES)])
            for request in chunk:
                if not request.case.labelled:
                    yield Response(request, None, "the statistical teacher needs the case of a request")
                elif request.task not in _TASKS:
                    yield Response(request, None, f"the statistical teacher answers no {request.task.value}")
                else:
                    yield Response(request, json.dumps(self._answer(request, thoughts)))

    @cached_property
    def training_thoughts(self) -> list[Thought]:
        """The out-of-fold thoughts about the training sessions, in order."""
        return self.statistics.think_training()

    def _thoughts(self, requests: Sequence[Request]) -> dict[int, Thought]:
        """Return the thought that each request needs, by the request's identity."""
        asked = [(id(request), request.case.labelled[0].session) for request in requests if request.case.labelled]
        places = self.statistics.training_places([session for _, session in asked])
        others = [own for own, place in zip(asked, places, strict=True) if place is None]
        fresh = self.statistics.think([session for _, session in others])
        thoughts = {key: thought for (key, _), thought in zip(others, fresh, strict=True)}
        for (key, _), place in zip(asked, places, strict=True):
            if place is not None:
                thoughts[key] = self.training_thoughts[place]
        return thoughts

    def _answer(self, request: Request, thoughts: dict[int, Thought]) -> object:
        case = request.case
        if request.task is Task.BUNDLES:
            return {"bundles": [sorted(group) for group in thoughts[id(request)].groups]}
        if request.task is Task.THOUGHT:
            thought = thoughts[id(request)]
            if case.gold_shown:
                thought = self.statistics.explain(case.labelled[0], thought)
            return _thought_answer(thought)
        if request.task is Task.CAUSES:
            return {"causes": causes(case.labelled, case.answers)}
        traits = self.statistics.traits_of([labelled.session for labelled in case.labelled])
        return {"rules": proposed_rules(case.labelled, case.answers, traits, self.statistics.pair_patterns)}


@cache
def _method() -> str:
    """A digest of the code that learns and thinks, so that no answer is taken for one of a later state of it."""
    digest = hashlib.sha256()
    for path in sorted(Path(statistical.__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


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
