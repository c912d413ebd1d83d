"""The program as a whole: what it does with a missing package and with a reader that has seen enough."""

from __future__ import annotations

import subprocess
import sys

import pytest

from recbole_routedk.cli.dispatch import main


def test_a_missing_recbole_is_named_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in ("recbole", "recbole_routedk")]:
        if not name.startswith("recbole_routedk.cli.dispatch"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "recbole", None)  # what an import system without the package does

    assert main(["run", "--model=FirstTwo", "--dataset=bundle-mini"]) == 2

    assert "pip install --no-deps recbole==1.2.1" in capsys.readouterr().err


def test_help_into_a_closed_pipe_ends_quietly() -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "recbole_routedk", "distill", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.close()  # before a word is written

    assert b"Traceback" not in program.stderr.read()
    assert program.wait(timeout=60) == 0


def test_a_command_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model=RouteDK"]) == 2
    assert "did you mean 'run --model=RouteDK'" in capsys.readouterr().err
