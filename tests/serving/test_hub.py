"""An export goes to the hub only under a good name, with huggingface_hub's key; here to a server that speaks as it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from running_server import running

from recbole_routedk import UserError
from recbole_routedk.serving.hub import check_repository, push


class Hub(ThreadingHTTPServer):
    """Takes repositories and commits of whoever has the key, and keeps what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.repositories: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}


class _Call(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != "Bearer hf_right":
            self._reply(401, {"error": "Invalid username or password."})
        elif self.path == "/api/repos/create":
            self.server.repositories.append(json.loads(body))
            self._reply(200, {"url": f"{self.server.url}/owner/name"})
        elif self.path.endswith("/preupload/main"):
            files = [{"path": each["path"], "uploadMode": "regular"} for each in json.loads(body)["files"]]
            self._reply(200, {"files": [each | {"shouldIgnore": False} for each in files]})
        elif self.path.endswith("/commit/main"):
            for row in map(json.loads, body.splitlines()):
                if row["key"] == "file":
                    self.server.files[row["value"]["path"]] = base64.b64decode(row["value"]["content"])
            self._reply(
                200,
                {
                    "success": True,
                    "commitUrl": f"{self.server.url}/owner/name/commit/0",
                    "commitOid": "0" * 40,
                    "hookOutput": "",
                },
            )
        else:
            self._reply(200, {"errors": [], "warnings": []})

    def do_GET(self) -> None:
        self._reply(404, {"error": "Repository not found"})

    def _reply(self, status: int, content: dict[str, Any]) -> None:
        raw = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running(Hub()) as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", "hf_right")
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "export" / "base").mkdir(parents=True)
    (tmp_path / "export" / "README.md").write_text("---\nlibrary_name: peft\n---\n# A card\n", encoding="utf-8")
    (tmp_path / "export" / "base" / "adapter_model.safetensors").write_bytes(bytes(range(256)))
    return tmp_path / "export"


def test_a_folder_is_uploaded_whole_into_a_private_repository(hub: Hub, folder: Path) -> None:
    assert push(folder, "owner/name") == f"{hub.url}/owner/name"

    assert hub.files == {
        "README.md": (folder / "README.md").read_bytes(),
        "base/adapter_model.safetensors": bytes(range(256)),
    }
    (created,) = hub.repositories
    assert (created["name"], created["organization"]) == ("name", "owner")
    assert created.get("visibility") == "private" or created.get("private") is True


def test_a_refusal_is_told_and_the_export_stays(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(UserError, match=r"--push_to_hub=owner/name: .*Log in with `hf auth login`"):
        push(folder, "owner/name")
    assert (folder / "README.md").is_file()
    assert hub.files == {}


def test_a_hub_that_cannot_be_reached_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(Hub()) as server:
        url = server.url
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    with pytest.raises(UserError, match=r"--push_to_hub=owner/name: .*the export lies in"):
        push(folder, "owner/name")


@pytest.mark.parametrize("name", ["name", "a/b/c", "owner/two words", "", "owner/"])
def test_a_name_has_two_parts(name: str) -> None:
    with pytest.raises(UserError, match="--push_to_hub="):
        check_repository(name)
