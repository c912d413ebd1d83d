"""The key to a paid service is sent to its endpoint and is nowhere else: every artefact of whole runs is searched."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from running_server import running

from recbole_routedk.cli.dispatch import main

KEY = 'sk-secret/+"0123456789abcdef'
FORMS = {
    "as it is": KEY,
    "in a URL": quote(KEY, safe=""),
    "in JSON": json.dumps(KEY)[1:-1],
    "in base64": base64.b64encode(KEY.encode()).decode(),
    "its beginning": KEY[:12],
    "its end": KEY[-12:],
}


class Indiscreet(BaseHTTPRequestHandler):
    """An endpoint that answers, or repeats the key that it was sent in an error, as some do."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        sent = self.headers["Authorization"].removeprefix("Bearer ")
        assert sent == KEY
        status = int(self.path.split("/")[1])
        message = {"role": "assistant", "content": '{"bundles": [[0, 1]], "thought": "the first two"}'}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        said: dict[str, Any] = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "usage": usage}
        said |= {"choices": choices} if status == 200 else {"error": {"message": f"Incorrect key {sent}", "code": sent}}
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("x-request-id", quote(sent, safe=""))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    """The address; the status that it answers with comes behind it."""
    with running(ThreadingHTTPServer(("127.0.0.1", 0), Indiscreet)) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}"


Run = Callable[..., int]


@pytest.fixture
def run(
    toy_data: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Runs a command with a key, as talkative as can be; afterwards everything that was written is searched."""
    monkeypatch.setenv("MY_KEY", KEY)
    said: list[str] = []

    def command(name: str, status: int, **settings: Any) -> int:
        given = {
            "data_path": toy_data, "state": "DEBUG", "teacher_base_url": f"{endpoint}/{status}/v1",
            "teacher_model": "m", "teacher_key_variable": "MY_KEY", **settings,
        }  # fmt: skip
        if "run" not in given:  # the folder of a run
            given["dataset"] = "toy"
        code = main([name, *(f"--{key}={value}" for key, value in given.items())])
        shown = capfd.readouterr()
        said.extend((shown.out, shown.err))
        return code

    yield command
    for form, text in FORMS.items():
        assert not [each for each in said if text in each], f"the key {form} is printed"
        found = [path.name for path in toy_data.parent.rglob("*") if path.is_file() and text.encode() in read(path)]
        assert found == [], f"the key {form} is in a file"


def read(path: Path) -> bytes:
    """The bytes of a file; of a database its rows too, which its pages may hold in pieces."""
    rows = b""
    if path.suffix == ".sqlite":
        with sqlite3.connect(path) as store:
            rows = "\n".join(store.iterdump()).encode("utf-8", "surrogatepass")
    return path.read_bytes() + rows


def test_a_whole_run_its_logs_settings_store_reports_and_answers_to_a_stream(run: Run, toy_data: Path) -> None:
    assert run("run", 200, model="ZeroShot", answered_by="openai", baselines="[]") == 0
    given, (folder,) = toy_data.parent / "given.jsonl", toy_data.parent.glob("output/toy/ZeroShot/*")
    given.write_text('["tea", "cup"]\n["tea"]\n[\n', encoding="utf-8")
    for status in (200, 401):
        run("generate", status, run=folder, input=given, output=given.with_name(f"{status}.jsonl"))
    assert json.loads(given.with_name("200.jsonl").read_text(encoding="utf-8").splitlines()[0])["bundles"]

    written = {path.suffix for path in toy_data.parent.rglob("*") if path.is_file()}
    assert {".json", ".log", ".md", ".sqlite"} <= written, "there is something to be searched"


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_errors_that_repeat_the_key(run: Run, status: int) -> None:
    run("run", status, model="ZeroShot", answered_by="openai", baselines="[]")
    run("doctor", status, model="ZeroShot", answered_by="openai")


def test_distilled_knowledge_and_the_export_of_what_was_trained_on_it(
    run: Run, toy_data: Path, tiny_student_folder: Path
) -> None:
    taught = {"model": "KD", "teacher": "openai", "knowledge_format": "thoughts", "student": tiny_student_folder}
    assert run("distill", 200, **taught) == 0
    assert run("run", 200, **taught, epochs=1, baselines="[]", show_progress=False) == 0
    (folder,) = toy_data.parent.glob("output/toy/KD/*")
    assert run("export", 200, run=folder, output=toy_data.parent / "exported") == 0
    assert list((toy_data.parent / "exported").rglob("adapter_model.safetensors"))

    run("distill", 401, model="KD", teacher="openai", knowledge_format="rules", student=tiny_student_folder)
