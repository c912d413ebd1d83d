"""A teacher that is not asked: what a run would ask and cost, found out without any call.

Later requests are made of earlier answers. A stand-in, whose answers have the right shape, gives those that the
store does not hold, so that counts and lengths of later requests come out close to the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from recbole_routedk.distill.pricing import estimated_input, estimated_tokens
from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.store.stored_teacher import StoredTeacher
from recbole_routedk.distill.teachers.protocol import Identity, Request, Response, Task, Teacher, Usage


class DryTeacher:
    """Answers in the name of ``identity`` from its store and else from a stand-in; no answer is kept.

    ``store`` is None where there is none yet; ``count_input`` counts the input tokens of a request; ``deterministic``
    says whether the teacher would not be asked again for what it failed at.
    ``measured`` are the tasks whose output tokens come from the store's mean for that task and model, the others'
    come from the stand-in's answers.
    """

    def __init__(
        self,
        identity: Identity,
        store: RequestStore | None,
        stand_in: Teacher,
        count_input: Callable[[Request], int] = estimated_input,
        deterministic: bool = False,
    ) -> None:
        self.identity = identity
        self.deterministic = deterministic
        self.measured: set[Task] = set()
        self._estimate = _Estimate(identity, store, stand_in, count_input, self.measured)
        self._estimate.deterministic = deterministic
        self._remembering = StoredTeacher(self._estimate, _Overlay(store))

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield stored answers, and the stand-in's with estimated usage; a failure is none of the asked teacher's."""
        return self._remembering.complete(requests)


class _Overlay(RequestStore):
    """A store in memory over another one, which is only read."""

    def __init__(self, base: RequestStore | None) -> None:
        super().__init__(Path(":memory:"))
        self._base = base

    def get(self, identity: Identity, request: Request) -> Response | None:
        """Look below, then here."""
        below = None if self._base is None else self._base.get(identity, request)
        return below or super().get(identity, request)

    def failure(self, identity: Identity, request: Request) -> Response | None:
        """Look below alone: nothing fails here."""
        return None if self._base is None else self._base.failure(identity, request)


class _Estimate:
    """The stand-in under the asked teacher's name, with estimated usage."""

    deterministic = False

    def __init__(
        self,
        identity: Identity,
        store: RequestStore | None,
        stand_in: Teacher,
        count_input: Callable[[Request], int],
        measured: set[Task],
    ) -> None:
        self.identity = identity
        self._stand_in, self._count_input, self._measured = stand_in, count_input, measured
        means = {task: store.mean_output_tokens(task, identity.model) if store else None for task in Task}
        self._means = {task: mean for task, mean in means.items() if mean is not None}

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield the stand-in's responses with the usage that the asked teacher would have."""
        for response in self._stand_in.complete(requests):
            request = response.request
            if request.task in self._means:
                self._measured.add(request.task)
                output = round(self._means[request.task])
            else:
                output = estimated_tokens(response.text or "")
            usage = Usage(self._count_input(request), min(output, request.sampling.max_tokens))
            yield replace(response, usage=usage, seconds=0.0)
