"""A teacher that remembers: what is in the store is not asked again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.teachers.protocol import (
    Identity,
    Request,
    Response,
    Teacher,
    is_deterministic,
    request_key,
)

LOOK_AHEAD = 256
"""Most answers from the store that wait for one of the teacher; more would be read ahead for nothing."""
NO_ANSWER = "the teacher gave no answer"


class StoredTeacher:
    """A teacher around a teacher: only requests that the store cannot answer reach the inner one."""

    def __init__(self, teacher: Teacher, store: RequestStore) -> None:
        self._teacher = teacher
        self._store = store

    @property
    def identity(self) -> Identity:
        """That of the inner teacher: where an answer was kept changes nothing about it."""
        return self._teacher.identity

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield stored answers at once and others as they arrive, each of them lasting before it is yielded.

        Equal requests are asked once. A request that failed before is asked again, but once a call, unless the teacher
        is deterministic and would fail again.
        """
        call = _Call(self.identity, self._store, iter(requests), is_deterministic(self._teacher))
        while not call.exhausted:
            first = next(call.misses(), None)
            yield from call.take_ready()
            if first is None:
                continue
            for response in self._teacher.complete(chain([first], call.misses())):
                yield from call.settle(response)
                yield from call.take_ready()
            yield from call.give_up()
            yield from call.take_ready()


@dataclass
class _Call:
    """One call of ``complete``: what is waited for, and what can be yielded already."""

    identity: Identity
    store: RequestStore
    requests: Iterator[Request]
    failures_last: bool
    ready: deque[Response] = field(default_factory=deque)
    waiting: dict[str, list[Request]] = field(default_factory=dict)
    failed: dict[str, Response] = field(default_factory=dict)
    exhausted: bool = False

    def misses(self) -> Iterator[Request]:
        """Yield requests for the teacher, until there is none or enough answers have piled up beside them."""
        while len(self.ready) < LOOK_AHEAD:
            request = next(self.requests, None)
            if request is None:
                self.exhausted = True
                return
            key = request_key(self.identity, request)
            if key in self.waiting:
                self.waiting[key].append(request)
            elif key in self.failed:
                self.ready.append(replace(self.failed[key], request=request))
            elif (stored := self._known(request)) is not None:
                self.ready.append(stored)
            else:
                self.waiting[key] = [request]
                yield request

    def _known(self, request: Request) -> Response | None:
        answer = self.store.get(self.identity, request)
        return self.store.failure(self.identity, request) if answer is None and self.failures_last else answer

    def settle(self, response: Response) -> Iterator[Response]:
        """Keep a response, then give it to all that wait for it."""
        self.store.put(self.identity, response)
        kept = self.store.get(self.identity, response.request)
        if kept is not None and kept.text != response.text:  # another process was faster: all use the same answer
            response = kept
        yield from self._share(response)

    def give_up(self) -> Iterator[Response]:
        """Answer for a teacher that ended its call without all responses."""
        for first, *_ in list(self.waiting.values()):
            yield from self._share(Response(first, None, NO_ANSWER))

    def take_ready(self) -> Iterator[Response]:
        """Yield what is ready."""
        while self.ready:
            yield self.ready.popleft()

    def _share(self, response: Response) -> Iterator[Response]:
        key = request_key(self.identity, response.request)
        first, *others = self.waiting.pop(key)
        if response.text is None:
            self.failed[key] = response
        yield replace(response, request=first)
        for request in others:
            yield replace(response, request=request, cached=response.text is not None, seconds=0.0)
