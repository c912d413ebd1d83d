"""A real OpenAI-compatible server on loopback: ``transformers serve`` with the embedded student."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from served_student import PATIENCE, Served, serving

from recbole_routedk.distill.teachers.local import LocalTeacher
from recbole_routedk.distill.teachers.openai_endpoint import OpenAITeacher
from recbole_routedk.distill.teachers.protocol import Message, Request, Sampling, Task
from recbole_routedk.errors import UserError
from recbole_routedk.student.backbone import EMBEDDED_ALIAS, embedded_folder


def ask(task: Task, system: str, user: str) -> Request:
    return Request(task, (Message("system", system), Message("user", user)), Sampling(0.0, max_tokens=14))


REQUESTS = [
    ask(Task.BUNDLES, "Answer with one JSON object.", 'Say {"bundles": []}'),
    ask(Task.THOUGHT, "You answer with one word.", "What is the capital of France?"),
    ask(Task.BUNDLES, "Be brief.", "Say yes."),
]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The embedded student behind a server."""
    with serving(embedded_folder(), tmp_path / "log") as server:
        yield server


def test_the_endpoint_answers_as_the_same_model_does_here(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    here = {response.request: response for response in LocalTeacher(EMBEDDED_ALIAS).complete(REQUESTS)}
    served.wait_until_up()
    with pytest.raises(UserError, match=r"knows no model 'another'.*pinned"):
        list(OpenAITeacher("another", f"{served.url}/v1").complete(REQUESTS))
    remote = OpenAITeacher(str(embedded_folder()), f"{served.url}/v1", concurrency=2, timeout=PATIENCE)
    there = {response.request: response for response in remote.complete(REQUESTS)}
    assert there[REQUESTS[1]].text == "The capital of France is Paris."
    for request in REQUESTS:
        ours, theirs = here[request], there[request]
        assert (theirs.text, theirs.failure, theirs.usage) == (ours.text, ours.failure, ours.usage)
