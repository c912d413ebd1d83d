"""A service on loopback with /files, /fine_tuning/jobs and /chat/completions, in the shapes of the SDK's types."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob
from running_server import running

TUNED = "ft:m:acme::1"


class TuningServer(ThreadingHTTPServer):
    """Each look at a job takes it one of ``statuses`` further; the last one stays."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.statuses: Sequence[str] = ("validating_files", "running", "succeeded")
        self.error: dict[str, Any] | None = None  # of a job that failed
        self.lost: set[str] = set()  # "METHOD /path": done, but the answer never arrives
        self.refusals: dict[str, tuple[int, Any]] = {}  # "METHOD /path": status and body of an error
        self.files: dict[str, tuple[str, bytes]] = {}
        self.jobs: list[dict[str, Any]] = []
        self.bodies: list[dict[str, Any]] = []  # what jobs were asked for with
        self.asked: list[dict[str, Any]] = []  # chat completions
        self.calls: list[str] = []
        self.keys: set[str | None] = set()

    def handle_error(self, *_: Any) -> None:
        """A client that was killed is part of a test."""

    def count(self, call: str) -> int:
        """How often a call such as "POST /files" was made."""
        return self.calls.count(call)

    def job(self, place: int) -> dict[str, Any]:
        """A job as the service tells it."""
        own = self.jobs[place]
        status = self.statuses[min(own["looks"], len(self.statuses) - 1)]
        job = FineTuningJob(
            id=own["id"],
            created_at=1,
            error=self.error if status == "failed" else None,
            fine_tuned_model=TUNED if status == "succeeded" else None,
            hyperparameters={"n_epochs": 1},
            model=own["model"],
            object="fine_tuning.job",
            organization_id="acme",
            result_files=[],
            seed=own["seed"],
            status=status,
            trained_tokens=1234 if status == "succeeded" else None,
            training_file=own["training_file"],
        )
        return job.model_dump()


class _Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TuningServer

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers["Content-Length"])))

    def _serve(self, body: bytes) -> None:
        address = urlsplit(self.path)
        path = address.path.removeprefix("/v1")
        kind = "/fine_tuning/jobs/{id}" if path.startswith("/fine_tuning/jobs/") else path
        call = f"{self.command} {kind}"
        self.server.calls.append(call)
        self.server.keys.add(self.headers.get("Authorization"))
        if call in self.server.refusals:
            return self._send(*self.server.refusals[call])
        status, answer = self._answer(call, path, body, parse_qs(address.query))
        if call in self.server.lost:
            self.close_connection = True
            return None
        return self._send(status, answer)

    def _answer(self, call: str, path: str, body: bytes, query: dict[str, list[str]]) -> tuple[int, Any]:
        if call == "POST /files":
            return 200, self._take_file(body)
        if call == "POST /fine_tuning/jobs":
            return 200, self._begin(json.loads(body))
        if call == "GET /fine_tuning/jobs":
            return 200, self._listed(query.get("after", [""])[0])
        if call == "GET /fine_tuning/jobs/{id}":
            return self._looked_at(path.rpartition("/")[2])
        if call == "POST /chat/completions":
            self.server.asked.append(json.loads(body))
            return 200, _completion('{"bundles": [[0, 1]]}')
        return 404, {"detail": "Not Found"}

    def _begin(self, asked: dict[str, Any]) -> dict[str, Any]:
        server = self.server
        server.bodies.append(asked)
        facts = {key: asked[key] for key in ("model", "training_file", "seed")}
        server.jobs.append({"looks": 0, "id": f"ftjob-{len(server.jobs)}", **facts})
        return server.job(-1)

    def _listed(self, after: str) -> dict[str, Any]:
        server = self.server
        names = [job["id"] for job in server.jobs][::-1]  # latest first, a page of two
        start = names.index(after) + 1 if after else 0
        rows = [server.job(len(names) - 1 - place) for place in range(len(names))][start : start + 2]
        return {"object": "list", "data": rows, "has_more": start + 2 < len(names)}

    def _looked_at(self, name: str) -> tuple[int, Any]:
        places = [place for place, job in enumerate(self.server.jobs) if job["id"] == name]
        if not places:
            return 404, {"error": {"message": "no such job", "code": "not_found"}}
        self.server.jobs[places[0]]["looks"] += 1
        return 200, self.server.job(places[0])

    def _take_file(self, body: bytes) -> dict[str, Any]:
        form = message_from_bytes(b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body)
        parts = {str(part.get_param("name", header="content-disposition")): part for part in form.walk()}
        content = parts["file"].get_payload(decode=True)
        purpose = parts["purpose"].get_payload(decode=True)
        assert isinstance(content, bytes)
        assert isinstance(purpose, bytes)
        name = f"file-{len(self.server.files)}"
        self.server.files[name] = (purpose.decode(), content)
        told = FileObject(
            id=name,
            bytes=len(content),
            created_at=1,
            filename=str(parts["file"].get_filename()),
            object="file",
            purpose="fine-tune",
            status="uploaded",
        )
        return told.model_dump()

    def _send(self, status: int, answer: Any) -> None:
        body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        with suppress(ConnectionError):  # whoever asked may have been killed
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(answer, str) else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _completion(text: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def tuning_server() -> AbstractContextManager[TuningServer]:
    """A server that runs within the block."""
    return running(TuningServer())
