"""A real OpenAI-compatible server on loopback: ``transformers serve`` with a student."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

PATIENCE = 240
"""Seconds until the server has to be up: it takes about 10 on an idle machine."""


class Served:
    """A server that is starting."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.url, self._process, self._log = f"http://127.0.0.1:{port}", process, log

    def wait_until_up(self) -> None:
        direct = build_opener(ProxyHandler({}))
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                direct.open(f"{self.url}/health", timeout=5).close()
            except (URLError, TimeoutError, ConnectionError):
                time.sleep(0.2)
            else:
                return
        raise AssertionError(f"transformers serve did not come up:\n{self._log.read_text(errors='replace')[-3000:]}")


@contextmanager
def serving(student: Path, log: Path) -> Iterator[Served]:
    """Serve the model in a folder, which takes a while to come up; what the server says goes to ``log``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "transformers"), "serve", str(student), "--device", "cpu"]
    command += ["--dtype", "float32", "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield Served(port, process, log)
    finally:
        process.kill()
        process.wait()
