"""Asking a teacher: what the bar shows while one waits."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from tqdm import tqdm

from recbole_routedk.distill.formats import asking
from recbole_routedk.distill.formats.asking import Interviewer
from recbole_routedk.distill.formats.parsing import parse_causes
from recbole_routedk.distill.formats.report import KnowledgeReport
from recbole_routedk.distill.teachers.protocol import Case, Identity, Message, Request, Response, Sampling, Task, Usage

ASKED = [Request(Task.CAUSES, (Message("user", str(n)),), Sampling(0.0, 10), 0, 0, Case(())) for n in range(3)]


class Answers:
    """Answers the first request anew and the second from a store; fails at the third."""

    identity = Identity("answers", "m", "", "")

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield three responses."""
        first, second, third = requests
        yield Response(first, '{"causes": []}', usage=Usage(4, 1))
        yield Response(second, '{"causes": []}', usage=Usage(10**9, 10**9), cached=True)
        yield Response(third, None, "no answer")


def test_the_bar_tells_time_left_speed_of_the_teacher_and_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()

    def bar(total: int, title: str, unit: str, _: bool) -> tqdm[Any]:
        return tqdm(total=total, desc=title, unit=unit, file=shown, mininterval=0, miniters=1, ncols=120)

    monkeypatch.setattr(asking, "progress_bar", bar)  # as the real one, but at once and into a text
    clock = SimpleNamespace(monotonic=iter([0.0, 1.0, 2.0, 5.0]).__next__)
    monkeypatch.setattr(asking, "time", clock)

    Interviewer(Answers(), KnowledgeReport(), True).ask(ASKED, lambda _, text: parse_causes(text), "Teacher")

    last = shown.getvalue().replace("\r", "\n").strip().splitlines()[-1]
    assert "Teacher: 100%" in last
    assert "1 tokens/s, 1 failed" in last
    assert "<00:00" in last
