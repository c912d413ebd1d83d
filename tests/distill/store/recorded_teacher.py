"""A small real teacher for tests of the store: it counts words, and writes down everything it is asked.

As a program (``python recorded_teacher.py STORE LOG COUNT``) it distils COUNT requests into a store. With
``--again`` after that, it does so in a child process for each line it reads, and prints the child's id and exit status.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.store.stored_teacher import StoredTeacher
from recbole_routedk.distill.teachers.protocol import (
    Case,
    Identity,
    Message,
    Request,
    Response,
    Sampling,
    Task,
    Usage,
)

IDENTITY = Identity("recorded", "word-counter", "1", "http://127.0.0.1:1/v1")


def a_request(text: str, task: Task = Task.THOUGHT, sample: int = 0, max_tokens: int = 100) -> Request:
    """A request about the session "s-<text>"."""
    session = Session(f"s-{text}", (Item("a", "Tent"), Item("b", "Stove")))
    messages = (Message("system", "Count the words."), Message("user", text))
    return Request(task, messages, Sampling(0.0, max_tokens), 7, sample, Case((LabelledSession(session, ()),)))


def the_answer(request: Request) -> str:
    """What the teacher answers."""
    return json.dumps({"words": len(request.messages[-1].content.split())})


class RecordedTeacher:
    """Answers with a count of words, ``ahead`` requests read at a time; "fail" in a request makes it fail."""

    def __init__(self, log: Path | None = None, ahead: int = 1, tokens: tuple[int, int] = (10, 5)) -> None:
        self.asked: Counter[str] = Counter()
        self.most_open = 0
        self._log = log
        self._ahead = ahead
        self._usage = Usage(*tokens)

    @property
    def identity(self) -> Identity:
        """Always the same."""
        return IDENTITY

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Answer the newest of ``ahead`` open requests first, as a server under load may."""
        source, waiting = iter(requests), []
        while True:
            while len(waiting) < self._ahead and (request := next(source, None)) is not None:
                self._note(request)
                waiting.append(request)
            if not waiting:
                return
            self.most_open = max(self.most_open, len(waiting))
            yield self._respond(waiting.pop())

    def _note(self, request: Request) -> None:
        self.asked[request.messages[-1].content] += 1
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as stream:
                stream.write(request.messages[-1].content + "\n")

    def _respond(self, request: Request) -> Response:
        if "fail" in request.messages[-1].content:
            return Response(request, None, failure="refused")
        return Response(request, the_answer(request), usage=self._usage, seconds=0.5)


def _main(store: Path, log: Path, count: int) -> None:
    with RequestStore(store) as opened:
        teacher = StoredTeacher(RecordedTeacher(log, ahead=3), opened)
        for response in teacher.complete(a_request(f"request {number}") for number in range(count)):
            time.sleep(0.002)  # so that a run can be killed anywhere in its middle
            print(response.request.messages[-1].content, flush=True)


def _again(store: Path, log: Path, count: int) -> None:
    for _ in sys.stdin:
        child = os.fork()  # imports nothing anew, which makes dozens of runs a matter of a second
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            _main(store, log, count)
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    run = _again if "--again" in sys.argv else _main
    run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
