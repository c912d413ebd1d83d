"""An OpenAI-compatible server on loopback that gives the same valid answer to every request of a task."""

from __future__ import annotations

import json
import sys
import time
from contextlib import AbstractContextManager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from running_server import running

ANSWERS = {
    "bundles": {"bundles": [[0, 1]]},
    "intents": {"intents": ["an intent"]},
    "advice": {"rules": ["Leave out the first item."]},
    "causes": {"causes": ["The first item was taken too."]},
    "rules": {"rules": [{"rule": "Leave out the first item.", "verdict": "general", "left": "", "right": ""}]},
    "thought": {"related": [[1, 2, 0.9]], "intents": [{"intent": "an intent", "items": [1, 2]}]},
}
INPUT_TOKENS, OUTPUT_TOKENS = 100, 10


class ChatServer(ThreadingHTTPServer):
    """Keeps the bodies of the requests that it got."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.delay = 0.0  # seconds before each answer
        self.bodies: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a caller that was killed; whatever else is raised here is a fault of a test."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def completion(body: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to the body of a request."""
    task = body["response_format"]["json_schema"]["name"]
    message = {"role": "assistant", "content": json.dumps(ANSWERS[task])}
    usage = {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS, "total_tokens": 110}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    return {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": choices, "usage": usage}


class _Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        time.sleep(self.server.delay)
        answer = json.dumps(completion(body)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        with suppress(ConnectionError):  # whoever asked may have been killed
            self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def chat_server() -> AbstractContextManager[ChatServer]:
    """A server that runs within the block."""
    return running(ChatServer())
