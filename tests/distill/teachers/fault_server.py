"""A chat-completions server on loopback that does what a script says: answer well, badly, late or not at all."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Act = Callable[["Call"], None]
"""What the server does with one request."""


class Call(BaseHTTPRequestHandler):
    """One connection: the parsed body of its latest request, and the ways to answer it."""

    protocol_version = "HTTP/1.1"
    server: FaultServer
    body: dict[str, Any]

    def do_POST(self) -> None:
        """Note the request and let the script answer it."""
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.bodies)
            self.server.bodies.append(self.body)
            self.server.keys.append(self.headers.get("Authorization"))
            self.server.connections.add(self)
        self.server.act(number, self)(self)

    def send(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        """Send a whole answer."""
        self.start(status, len(body), kind, **headers)
        self.wfile.write(body)

    def start(self, status: int, length: int, kind: str = "application/json", **headers: str) -> None:
        """Send status and headers of an answer of ``length`` bytes."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def drop(self) -> None:
        """Cut the connection."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def hang_up(self) -> None:
        """Cut the connection from outside, where it is still open."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class FaultServer(ThreadingHTTPServer):
    """Answers each request as ``act`` says, and keeps the bodies and Authorization headers that it got."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, act: Callable[[int, Call], Act]) -> None:
        super().__init__(("127.0.0.1", 0), Call)
        self.act, self.lock = act, threading.Lock()
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.connections: set[Call] = set()

    @property
    def url(self) -> str:
        """The base_url for clients."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, *_: Any) -> None:
        """A client that left is part of the script."""


@contextmanager
def serving(*script: Act, choose: Callable[[int, Call], Act] | None = None) -> Iterator[FaultServer]:
    """Run a server within the block."""

    def scripted(number: int, _: Call) -> Act:
        return script[min(number, len(script) - 1)]

    server = FaultServer(choose or scripted)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        for call in server.connections:  # connections that are kept alive have threads of their own
            call.hang_up()


def completion(text: Any, finish: str = "stop") -> bytes:
    """The body of a chat completion of 11 tokens in and 7 out."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    return json.dumps(body).encode()


def says(text: Any, finish: str = "stop") -> Act:
    """Answer well."""
    return lambda call: call.send(200, completion(text, finish))


def echo(call: Call) -> None:
    """Answer with the last message."""
    call.send(200, completion(call.body["messages"][-1]["content"]))


def fails(status: int, message: str = "no", code: str | None = None, **headers: str) -> Act:
    """Answer with an HTTP error in OpenAI's form."""
    body = json.dumps({"error": {"message": message, "code": code, "param": None, "type": "error"}}).encode()
    return lambda call: call.send(status, body, **headers)


def sends(body: bytes, kind: str = "application/json") -> Act:
    """Answer 200 with any body."""
    return lambda call: call.send(200, body, kind)


def drops_at_once(call: Call) -> None:
    """Cut the connection before any answer."""
    call.drop()


def drops_in_the_body(call: Call) -> None:
    """Cut the connection after half of a good answer."""
    whole = completion("never read to its end")
    call.start(200, len(whole))
    call.wfile.write(whole[: len(whole) // 2])
    call.drop()


def trickles(seconds_a_byte: float) -> Act:
    """Send a good answer so slowly that no single read times out."""

    def act(call: Call) -> None:
        whole = completion("slow")
        call.start(200, len(whole))
        try:
            for byte in whole:
                call.wfile.write(bytes([byte]))
                call.wfile.flush()
                time.sleep(seconds_a_byte)
        except OSError:
            call.close_connection = True

    return act


def waits(seconds: float) -> Act:
    """Answer well, but late."""

    def act(call: Call) -> None:
        time.sleep(seconds)
        try:
            call.send(200, completion("late"))
        except OSError:
            call.close_connection = True

    return act


def refuses_parameters(*names: str) -> Callable[[int, Call], Act]:
    """Answer 400 to every request that has one of the parameters, naming the first."""

    def choose(_: int, call: Call) -> Act:
        refused: Sequence[str] = [name for name in names if name in call.body]
        return fails(400, f"Unsupported parameter: '{refused[0]}'") if refused else says("{}")

    return choose
