"""Asks a teacher, reads the answers and counts what came of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from recbole_routedk.distill.formats.parsing import Parsed
from recbole_routedk.distill.formats.report import KnowledgeReport
from recbole_routedk.distill.teachers.protocol import Request, Teacher
from recbole_routedk.progress import progress_bar

Value = TypeVar("Value")


class Interviewer:
    """Puts requests to one teacher; every response goes into one report."""

    def __init__(self, teacher: Teacher, report: KnowledgeReport, show_progress: bool) -> None:
        self._teacher = teacher
        self._report = report
        self._shown = show_progress

    def ask(
        self, requests: Sequence[Request], read: Callable[[int, str], Parsed[Value]], title: str
    ) -> list[Value | None]:
        """Return what each request was answered, None where it failed or nothing of it can be used.

        ``read`` parses the answer to the request with the given index.
        """
        values: list[Value | None] = [None] * len(requests)
        # By equality, because a teacher may give back a copy; equal requests take any answer of theirs, but a
        # teacher that gives back the request itself gets it to its own place.
        waiting: dict[Request, list[int]] = {}
        for index, request in enumerate(requests):
            waiting.setdefault(request, []).append(index)
        tokens, started = 0, time.monotonic()
        with progress_bar(len(requests), title, "request", self._shown) as bar:
            for response in self._teacher.complete(iter(requests)):
                places = waiting[response.request]
                own = (place for place in places if requests[place] is response.request)
                index = next(own, places[0])
                places.remove(index)
                parsed: Parsed[Value] = Parsed(None) if response.text is None else read(index, response.text)
                values[index] = parsed.value
                self._report.count(response, parsed.rejected, parsed.value is not None)
                if not response.cached:  # what the store gives at once says nothing about the teacher's speed
                    tokens += response.usage.input_tokens + response.usage.output_tokens
                if tokens or self._report.failures:
                    speed = tokens / max(time.monotonic() - started, 1e-3)
                    bar.set_postfix_str(f"{speed:.0f} tokens/s, {self._report.failures} failed", refresh=False)
                bar.update()
        return values
