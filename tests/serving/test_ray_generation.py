"""Answers of a Ray cluster are those of one process, byte for byte, also where a worker is killed on the way."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from quick_settings import QUICK
from ray_workers import kill_a_busy_worker
from toy import toy_splits

from recbole_routedk import run_recbole_routedk
from recbole_routedk.cli.dispatch import main
from recbole_routedk.data.atomic import write_atomic
from recbole_routedk.serving.output import OutputFile

LINES = 96
TITLES = ("Tripod", "Camera bag", "Yoga mat", "Tea", "Teapot", "Rope", "Tent")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, tiny_student_folder: Path) -> Path:
    """A run of RouteDK with a tiny student."""
    folder = tmp_path_factory.mktemp("answering")
    write_atomic(folder / "data" / "toy", "toy", toy_splits())
    paths = {"data_path": str(folder / "data"), "output_dir": str(folder / "output")}
    settings: dict[str, Any] = QUICK | paths | {"student": str(tiny_student_folder)}
    return Path(run_recbole_routedk("RouteDK", "toy", config_dict=settings)["run_folder"])


@pytest.fixture
def command(run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Answers ninety-six lines, every eleventh of them bad, in twelve windows; paths are relative."""
    monkeypatch.chdir(tmp_path)
    titles = [[TITLES[(n + place) % 7] for place in range(2 + n % 4)] for n in range(1, LINES + 1)]
    lines = [json.dumps(own) if n % 11 else "[" for n, own in enumerate(titles, start=1)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ["generate", f"--run={run_folder}", "--input=in.jsonl", "--batch_size=2"]


def once_begun(output: str, act: Callable[[], object], since: int = 0) -> threading.Thread:
    """Act in a thread when more than ``since`` entries of an output are written."""

    def wait() -> None:
        while entries(output) <= since:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def interrupted_after(windows: int, add: Callable[..., None]) -> Callable[..., None]:
    """``add``, with Ctrl-C pressed after so many windows are written."""
    written = count(1)

    def adding(*given: Any) -> None:
        add(*given)
        if next(written) == windows:
            raise KeyboardInterrupt

    return adding


def entries(output: str) -> int:
    """How many entries of an unfinished output are done."""
    try:
        return int(json.loads(Path(f"{output}.part.json").read_text(encoding="utf-8"))["done"]["entries"])
    except FileNotFoundError:
        return 0


def told(captured: str) -> list[str]:
    """What was said about bad lines, between the states of the progress bar."""
    return re.findall(r"in\.jsonl, line \d+: [^\r\n]*", captured)


def test_what_was_begun_here_is_completed_by_a_cluster_of_which_a_worker_is_killed(
    command: list[str], two_ray_workers: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([*command, "--output=here.jsonl"]) == 1
    expected = told(capsys.readouterr().err)
    with monkeypatch.context() as patch:
        patch.setattr(OutputFile, "add", interrupted_after(3, OutputFile.add))
        assert main([*command, "--output=there.jsonl"]) == 130
    before, done = told(capsys.readouterr().err), entries("there.jsonl")
    assert 0 < done < LINES
    killed: list[int] = []

    killer = once_begun("there.jsonl", lambda: killed.append(kill_a_busy_worker()), since=done)
    assert main([*command, "--output=there.jsonl", "--engine=ray"]) == 1
    killer.join()

    assert killed
    captured = capsys.readouterr()
    assert Path("there.jsonl").read_bytes() == Path("here.jsonl").read_bytes()
    assert before + told(captured.err) == expected
    assert len(expected) == LINES // 11
    assert captured.out == ""  # not even Ray's own words about a worker that died
    assert f"{len(expected)} bad lines" in captured.err


@pytest.mark.parametrize(
    "words, message",
    [
        (["--engine=spark"], "--engine has to be local or ray, not 'spark'"),
        (["--workers=2"], "--workers is for --engine=ray"),
        (["--ray_address=auto"], "--ray_address is for --engine=ray"),
        (["--engine=ray", "--workers=0"], "--workers has to be a whole number, at least 1, not '0'"),
        (["--engine=ray", "--input=-"], "--engine=ray needs --input=FILE"),
    ],
)
def test_what_cannot_be_done_is_told(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--run=RUN", *words]) == 2
    assert message in capsys.readouterr().err


def test_more_workers_than_cpus_are_refused_before_anybody_waits(
    command: list[str], two_ray_workers: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--output=out.jsonl", "--engine=ray", "--workers=3"]) == 2
    assert "--workers=3: the cluster has 2 CPUs, and a worker takes one" in capsys.readouterr().err
