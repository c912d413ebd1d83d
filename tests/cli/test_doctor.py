"""``doctor``: a line a check, how to mend what is wrong, and exit code 1 where a run would stop."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from running_server import running

from recbole_routedk.cli import dispatch
from recbole_routedk.data.atomic import SplitSessions, read_atomic, write_atomic

KEY = "sk-never-to-be-shown-0123456789"
Doctor = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def doctor(toy_data: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Runs the command on the toy data; returns the exit code and the lines."""

    def run(**settings: Any) -> tuple[int, list[str]]:
        given = {"model": "Freq", "dataset": "toy", "data_path": toy_data} | settings
        code = dispatch.main(["doctor", *(f"--{key}={value}" for key, value in given.items())])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out.splitlines()

    return run


def line(lines: list[str], what: str) -> str:
    """The one line about something."""
    (found,) = [each for each in lines if each.split(maxsplit=1)[1].startswith(what)]
    return found


def test_what_is_well_is_said_in_a_line_each(doctor: Doctor, tiny_student_folder: Path) -> None:
    code, lines = doctor(model="RouteDK", student=tiny_student_folder)

    assert code == 0
    assert [each.split()[1] for each in lines[:-1]] == [
        "Python", "packages", "settings", "data", "student", "GPU", "disk", "cache",
    ]  # fmt: skip
    assert "10 train, 3 valid, 3 test sessions" in line(lines, "data set")
    assert "its tokenizer fits" in line(lines, "student")
    assert lines[-1].startswith("0 errors")


def test_nothing_is_written(doctor: Doctor, toy_data: Path) -> None:
    before = sorted(toy_data.parent.rglob("*"))
    doctor()

    assert sorted(toy_data.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "settings, what, told",
    [
        ({"max_pattern_sise": 3}, "settings", "Did you mean 'max_pattern_size' (a whole number, at least 2)?"),
        ({"model": "POG", "heads": 3}, "settings", "heads: 3 does not divide width: 128"),
        ({"dataset": "tox"}, "settings", "Did you mean 'toy'?"),
        ({"model": "RouteDK", "student": "./absent"}, "student", "neither the alias"),
        ({"model": "RouteDK", "max_items": 9999}, "student", "set max_items to at most"),
        ({"output_dir": "data/toy/toy.item/out"}, "disk", "cannot be written"),
    ],
)
def test_what_is_wrong_is_an_error_with_how_to_mend_it(
    doctor: Doctor, tiny_student_folder: Path, settings: dict[str, Any], what: str, told: str
) -> None:
    if "max_items" in settings:
        settings = settings | {"student": tiny_student_folder}
    code, lines = doctor(**settings)

    assert code == 1
    assert line(lines, what).startswith("error")
    assert told in line(lines, what)
    assert "; to mend: " in line(lines, what)


def test_a_broken_data_set_is_named_with_file_and_line(doctor: Doctor, toy_data: Path) -> None:
    with (toy_data / "toy" / "toy.bundle").open("a", encoding="utf-8") as file:
        file.write("99\ts0\ti7_0 i7_1\t\n")

    code, lines = doctor()

    assert code == 1
    assert "toy.bundle, line 18: item 'i7_0' is not in session 's0'" in line(lines, "data set")


def test_a_session_of_two_splits_is_a_leak(doctor: Doctor, toy_data: Path) -> None:
    splits = read_atomic(toy_data / "toy", "toy")
    write_atomic(toy_data / "leaky", "leaky", SplitSessions(splits.train[:4], splits.valid, splits.test[:2]))
    whole = (toy_data / "leaky" / "leaky.train.inter").read_text(encoding="utf-8")
    with (toy_data / "leaky" / "leaky.test.inter").open("a", encoding="utf-8") as file:
        file.write(whole.partition("\n")[2].replace("s0\t", "again\t").partition("s1\t")[0])

    code, lines = doctor(dataset="leaky")

    assert code == 0
    assert "leaky: 1 sessions of test have the same item titles as one of train" in "\n".join(lines)


def test_longer_sessions_than_are_read_are_told(doctor: Doctor, tiny_student_folder: Path) -> None:
    _, lines = doctor(model="RouteDK", student=tiny_student_folder, max_items=4)

    assert any("5 sessions are longer than max_items: 4" in each and "--max_items=5" in each for each in lines)


class _Models(BaseHTTPRequestHandler):
    """An endpoint that lists two models to whoever has the key."""

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") in (f"Bearer {KEY}", "Bearer none")
        status = 404 if self.path != "/v1/models" else 200 if known else 401
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "me"} for name in ("small", "large")]
        said = {"object": "list", "data": listed} if status == 200 else {"error": {"message": f"bad key {KEY}"}}
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    """The address of the endpoint, without the path of the API."""
    with running(ThreadingHTTPServer(("127.0.0.1", 0), _Models)) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}"


@pytest.mark.parametrize(
    "model, path, key, starts, told",
    [
        ("small", "/v1", KEY, "ok", "has small"),
        ("small", "/v1", "", "ok", "has small"),
        ("huge", "/v1", KEY, "warning", "it lists 2 models: small, large; to mend: set --teacher_model"),
        (
            "small",
            "/v1",
            "sk-another-key-0123456789",
            "error",
            "does not take the key in the environment variable",
        ),
        ("small", "", KEY, "warning", "answers 404"),
    ],
)
def test_an_endpoint_is_asked_for_its_models(
    doctor: Doctor, endpoint: str, monkeypatch: pytest.MonkeyPatch,
    model: str, path: str, key: str, starts: str, told: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("MINE", key)
    code, lines = doctor(
        model="ZeroShot", answered_by="openai", teacher_base_url=endpoint + path, teacher_model=model,
        teacher_key_variable="MINE",
    )  # fmt: skip

    assert code == (1 if starts == "error" else 0)
    assert line(lines, "endpoint").startswith(starts)
    assert told in line(lines, "endpoint")
    assert "sk-" not in "\n".join(lines)


def test_an_endpoint_that_is_not_there_is_an_error(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Models) as closed:
        port = closed.server_address[1]

    code, lines = doctor(model="ZeroShot", answered_by="openai", teacher_base_url=f"http://127.0.0.1:{port}/v1")
    assert code == 1
    assert "nothing answers at" in line(lines, "endpoint")

    code, lines = doctor(model="ZeroShot", answered_by="openai")
    assert code == 1
    assert "set the environment variable OPENAI_API_KEY" in line(lines, "endpoint")


def test_help_says_what_it_looks_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.main(["doctor", "--help"]) == 0
    assert "endpoint" in capsys.readouterr().out
