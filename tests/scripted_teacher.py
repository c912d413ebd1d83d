"""A teacher that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from recbole_routedk.distill.formats.asking import Interviewer
from recbole_routedk.distill.formats.report import KnowledgeReport
from recbole_routedk.distill.teachers.protocol import Identity, Request, Response, Usage


class ScriptedTeacher:
    """Answers each request with ``script(request)``; None is a failure. The last request is answered first."""

    identity = Identity("scripted", "none")

    def __init__(self, script: Callable[[Request], str | None]) -> None:
        self._script = script
        self.asked: list[Request] = []

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield the scripted answers."""
        for request in reversed(list(requests)):
            self.asked.append(request)
            text = self._script(request)
            yield Response(request, text, "" if text is not None else "no answer", Usage(10, 5))


def interview(script: Callable[[Request], str | None]) -> tuple[ScriptedTeacher, Interviewer, KnowledgeReport]:
    """Return a teacher, an interviewer of it, and the report that it fills."""
    teacher, report = ScriptedTeacher(script), KnowledgeReport()
    return teacher, Interviewer(teacher, report, show_progress=False), report
