"""What a run asked, by task: requests, answers from the store, failures, tokens, time and cost."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from recbole_routedk.distill.pricing import Price, how_to_price
from recbole_routedk.distill.teachers.protocol import Identity, Request, Response, Task, Teacher, Usage


@dataclass
class Tally:
    """Counts of one task; tokens and cost are those of this run, without answers from the store."""

    requests: int = 0
    cached: int = 0
    failures: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def asked(self) -> int:
        """How many requests went to the teacher."""
        return self.requests - self.cached

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        for name in ("requests", "cached", "failures", "input_tokens", "output_tokens"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class MeteredTeacher:
    """A teacher around a teacher that counts what it is asked and what comes back."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher
        self.tallies: dict[Task, Tally] = {}
        self.seconds = 0.0

    @property
    def identity(self) -> Identity:
        """That of the inner teacher."""
        return self._teacher.identity

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield the inner teacher's responses, counted; only the time that it takes is measured."""
        responses = self._teacher.complete(requests)
        while True:
            start = time.perf_counter()
            response = next(responses, None)
            self.seconds += time.perf_counter() - start
            if response is None:
                return
            self._count(response)
            yield response

    def total(self) -> Tally:
        """Return the counts over all tasks."""
        return _sum(self.tallies.values())

    def tokens_per_second(self) -> float:
        """Return output tokens of this run a second of waiting for the teacher."""
        return self.total().output_tokens / self.seconds if self.seconds else 0.0

    def _count(self, response: Response) -> None:
        tally = self.tallies.setdefault(response.request.task, Tally())
        tally.requests += 1
        tally.cached += response.cached
        tally.failures += response.text is None
        if not response.cached:
            tally.input_tokens += response.usage.input_tokens
            tally.output_tokens += response.usage.output_tokens


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total


def table_lines(tallies: dict[Task, Tally], price: Price | None, model: str) -> list[str]:
    """Return a table with a line a task and one for all, and what to set where the price is not known."""
    rows = [(task.value, tally) for task, tally in tallies.items()] + [("all", _sum(tallies.values()))]
    heads = ("task", "requests", "cached", "asked", "failed", "input tok", "output tok", "cost")
    lines = ["".join(f"{head:<10}" if head == "task" else f"{head:>12}" for head in heads)]
    for name, tally in rows:
        cost = "?" if price is None else f"${price.cost(Usage(tally.input_tokens, tally.output_tokens)):.4f}"
        counts = (tally.requests, tally.cached, tally.asked, tally.failures, tally.input_tokens, tally.output_tokens)
        lines.append(f"{name:<10}" + "".join(f"{count:>12,}" for count in counts) + f"{cost:>12}")
    if price is None:
        lines.append(f"The cost is not known: the price of {model} is missing; {how_to_price(model)}")
    return lines
