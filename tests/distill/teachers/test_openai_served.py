"""A real OpenAI-compatible server on loopback: ``transformers serve`` with the embedded student."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import pytest

from recbole_routedk.distill.teachers.local import LocalTeacher
from recbole_routedk.distill.teachers.openai_endpoint import OpenAITeacher
from recbole_routedk.distill.teachers.protocol import Message, Request, Sampling, Task
from recbole_routedk.errors import UserError
from recbole_routedk.student.backbone import EMBEDDED_ALIAS, embedded_folder

_PATIENCE = 240
"""Seconds until the server has to be up: it takes about 10 on an idle machine."""


def ask(task: Task, system: str, user: str) -> Request:
    return Request(task, (Message("system", system), Message("user", user)), Sampling(0.0, max_tokens=14))


REQUESTS = [
    ask(Task.BUNDLES, "Answer with one JSON object.", 'Say {"bundles": []}'),
    ask(Task.THOUGHT, "You answer with one word.", "What is the capital of France?"),
    ask(Task.BUNDLES, "Be brief.", "Say yes."),
]


class Served:
    """A server that is starting."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.url, self._process, self._log = f"http://127.0.0.1:{port}", process, log

    def wait_until_up(self) -> None:
        direct = build_opener(ProxyHandler({}))
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                direct.open(f"{self.url}/health", timeout=5).close()
            except (URLError, TimeoutError, ConnectionError):
                time.sleep(0.2)
            else:
                return
        raise AssertionError(f"transformers serve did not come up:\n{self._log.read_text(errors='replace')[-3000:]}")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The embedded student behind a server, which takes a while to come up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "transformers"), "serve", str(embedded_folder()), "--device", "cpu"]
    command += ["--dtype", "float32", "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (tmp_path / "log").open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield Served(port, process, tmp_path / "log")
    finally:
        process.kill()
        process.wait()


def test_the_endpoint_answers_as_the_same_model_does_here(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    here = {response.request: response for response in LocalTeacher(EMBEDDED_ALIAS).complete(REQUESTS)}
    served.wait_until_up()
    with pytest.raises(UserError, match=r"knows no model 'another'.*pinned"):
        list(OpenAITeacher("another", f"{served.url}/v1").complete(REQUESTS))
    remote = OpenAITeacher(str(embedded_folder()), f"{served.url}/v1", concurrency=2, timeout=_PATIENCE)
    there = {response.request: response for response in remote.complete(REQUESTS)}
    assert there[REQUESTS[1]].text == "The capital of France is Paris."
    for request in REQUESTS:
        ours, theirs = here[request], there[request]
        assert (theirs.text, theirs.failure, theirs.usage) == (ours.text, ours.failure, ours.usage)
