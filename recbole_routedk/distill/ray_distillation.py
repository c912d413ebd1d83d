"""A teacher on every worker of a Ray cluster: blocks of requests go out, responses come back to the driver.

The driver alone keeps answers: it wraps this teacher in a ``StoredTeacher``, as it would any other one. A block is as
many requests as the teacher itself would look at together, so that its answers are those of one machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

from recbole_routedk.distill.teachers.protocol import Identity, Request, Response, Teacher, Usage, is_deterministic
from recbole_routedk.errors import UserError
from recbole_routedk.ray_cluster import FAULT, RayOptions, Row, read_here, work_in, worked_on, workers_of

REQUESTS_A_BLOCK = 32
"""Of a teacher that does not say how many it looks at together (``requests_at_once``)."""
BLOCKS_A_ROUND = 256
"""Blocks that lie in the cluster's memory at a time; for each round the workers start anew."""


class RayTeacher:
    """Answers as ``teacher`` would, by workers that make one of their own with ``make``; used within ``ray_cluster``.

    ``teacher`` itself only says who answers; nothing of it goes to the workers, least of all a key.
    """

    def __init__(
        self, teacher: Teacher, make: Callable[[], Teacher], options: RayOptions, use_gpu: bool = False
    ) -> None:
        self._teacher, self._make, self._options, self._use_gpu = teacher, make, options, use_gpu
        self._block = int(getattr(teacher, "requests_at_once", REQUESTS_A_BLOCK))

    @property
    def identity(self) -> Identity:
        """That of the teacher: where it runs changes nothing about it."""
        return self._teacher.identity

    @property
    def deterministic(self) -> bool:
        """Whether the teacher is."""
        return is_deterministic(self._teacher)

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield responses block by block as workers send them.

        Raises UserError for what concerns all requests, after the answers that came before it.
        """
        source = iter(requests)
        while some := list(islice(source, BLOCKS_A_ROUND * self._block)):
            yield from self._round(some)

    def _round(self, requests: Sequence[Request]) -> Iterator[Response]:
        data = read_here(partial(_starts, len(requests), self._block))
        arguments = (self._make, requests, self._block, Path.cwd())
        for row in worked_on(data, _Asking, arguments, workers_of(self._options, self._use_gpu)):
            yield from _responses(row, requests)


def _starts(requests: int, block: int, _: Any) -> Iterator[Any]:
    """Yield where each block starts."""
    import pyarrow as pa

    for start in range(0, requests, block):
        yield pa.table({"start": [start]})


class _Asking:
    """A worker; it makes its teacher when the first block comes."""

    def __init__(self, make: Callable[[], Teacher], requests: Sequence[Request], block: int, home: Path) -> None:
        self._make, self._requests, self._block, self._home = make, requests, block, home

    def __call__(self, table: Any) -> Any:
        start = table["start"][0].as_py()
        # By equality: a teacher may give back a copy, and equal requests take any answer of theirs.
        places = {request: place for place, request in enumerate(self._requests[start : start + self._block], start)}
        answered: list[tuple[int, Response]] = []
        fault = ""
        try:
            for response in self._teacher.complete(self._requests[start : start + self._block]):
                answered.append((places[response.request], response))
        except UserError as error:
            fault = str(error)
        return _answer_table(answered, fault)

    @cached_property
    def _teacher(self) -> Teacher:
        work_in(self._home)
        return self._make()


def _answer_table(answered: Sequence[tuple[int, Response]], fault: str) -> Any:
    """One row, a list a column; texts are bytes, since a teacher may answer with what is no valid Unicode."""
    import pyarrow as pa

    responses = [response for _, response in answered]
    whole, text = pa.list_(pa.int64()), pa.list_(pa.binary())
    columns = {
        "places": pa.array([[place for place, _ in answered]], whole),
        "texts": pa.array([[_bytes(response.text) for response in responses]], text),
        "failures": pa.array([[_bytes(response.failure) for response in responses]], text),
        "input_tokens": pa.array([[response.usage.input_tokens for response in responses]], whole),
        "output_tokens": pa.array([[response.usage.output_tokens for response in responses]], whole),
        "seconds": pa.array([[response.seconds for response in responses]], pa.list_(pa.float64())),
        FAULT: [fault],
    }
    return pa.table(columns)


def _responses(row: Row, requests: Sequence[Request]) -> Iterator[Response]:
    columns = ("places", "texts", "failures", "input_tokens", "output_tokens", "seconds")
    for place, text, failure, read, written, seconds in zip(*(row[name] for name in columns), strict=True):
        words = None if text is None else _text(text)
        yield Response(requests[place], words, _text(failure), Usage(read, written), seconds)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogatepass")


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")
