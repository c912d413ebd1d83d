"""Training and evaluation in two processes that torchrun starts, against the same runs in one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import together
from chat_server import chat_server
from together import TOY, Shared
from toy import toy_splits

from recbole_routedk import distributed
from recbole_routedk.cli import dispatch
from recbole_routedk.data.atomic import SplitSessions, read_atomic, write_atomic
from recbole_routedk.errors import UserError
from recbole_routedk.quick_start import run_recbole_routedk
from recbole_routedk.registry import shipped_datasets
from recbole_routedk.report.curves import read_scalars

TESTS = Path(__file__).parent


def torchrun(
    scenario: str, data: Path, student: Path, output: Path, endpoint: str = ""
) -> subprocess.CompletedProcess[str]:
    """Let torchrun play a scenario in two processes on the CPU."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command += [str(TESTS / "together.py"), scenario, str(data), str(student), str(output), endpoint]
    paths = os.pathsep.join(map(str, (TESTS, TESTS.parent)))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)


class StopRun(Exception):
    """Stands for whatever stops a run."""


@dataclass
class Both:
    """The results of the same runs in one process and in two, what an endpoint was asked by the one and by all three,
    where the two wrote, and how they ended."""

    one: dict[str, dict[str, Any]]
    two: dict[str, dict[str, Any]]
    asked: tuple[list[str], list[str]]
    folder: Path
    ended: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data sets "toy", and "small" of nine train, three valid and four test sessions."""
    folder = tmp_path_factory.mktemp("data")
    write_atomic(folder / "toy", "toy", toy_splits())
    whole = read_atomic(shipped_datasets() / "bundle-mini", "bundle-mini")
    write_atomic(folder / "small", "small", SplitSessions(whole.train[:9], whole.valid[:3], whole.test[:4]))
    return folder


@pytest.fixture(scope="module")
def both(data: Path, tiny_student_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Both:
    """The runs in one process, and again in two; of those that resume, one process has done the first two epochs."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["one", "process"])
        for folder in (one, two):
            stop_after_two_epochs(data, folder, patch)
        with chat_server() as server:
            alone = together.runs(data, tiny_student_folder, one, server.url)
        with chat_server() as other:
            ended = torchrun("runs", data, tiny_student_folder, two, other.url)
    written = sorted(two.glob("results-*.json"))
    assert len(written) == 2, ended.stderr
    results = [json.loads(path.read_text(encoding="utf-8")) for path in written]
    assert results[0] == results[1]
    asked = [sorted(json.dumps(body["messages"]) for body in each.bodies) for each in (server, other)]
    return Both(alone, results[0], (asked[0], asked[1]), two, ended)


def stop_after_two_epochs(data: Path, output: Path, patch: pytest.MonkeyPatch) -> None:
    def begin(model: Shared, epoch: int) -> None:
        model.epoch = epoch
        if epoch == 2:
            raise StopRun

    places = {"data_path": str(data), "output_dir": str(output), "run_name": "stopped"}
    with patch.context() as stopped:
        stopped.setattr(Shared, "begin_epoch", begin)
        with pytest.raises(StopRun):
            run_recbole_routedk(Shared, "toy", config_dict=TOY | places)


def curves(result: dict[str, Any]) -> dict[str, tuple[tuple[int, float], ...]]:
    return read_scalars(Path(result["run_folder"]) / "tensorboard")


RUNS = pytest.mark.parametrize("name", ["RouteDK", "taught", "answered", "batches apart", "no gradients", "resumed"])


@RUNS
def test_two_processes_reach_what_one_does(both: Both, name: str) -> None:
    one, two = both.one[name], both.two[name]

    assert two["test_result"] == one["test_result"]
    assert two["best_valid_result"] == one["best_valid_result"]
    answers = [(Path(each["run_folder"]) / "predictions_test.json").read_bytes() for each in (one, two)]
    assert answers[0] == answers[1]


@RUNS
def test_the_curves_of_loss_and_valid_metrics_are_the_same(both: Both, name: str) -> None:
    one, two = curves(both.one[name]), curves(both.two[name])

    assert set(one) == set(two)
    for curve, points in one.items():
        epochs, values = zip(*points, strict=True)
        assert [epoch for epoch, _ in two[curve]] == list(epochs)
        tolerance = 1e-5 if curve == "loss/train" else 0.0
        assert [value for _, value in two[curve]] == pytest.approx(values, rel=tolerance, abs=0)


@RUNS
def test_one_process_alone_writes_and_writes_all(both: Both, name: str) -> None:
    one, two = (Path(each[name]["run_folder"]) for each in (both.one, both.two))

    assert {path.name for path in two.iterdir()} == {path.name for path in one.iterdir()}
    lines = [(folder / "run.log").read_text(encoding="utf-8").count("\n") for folder in (one, two)]
    assert lines[0] == lines[1]


def test_an_endpoint_is_asked_the_same_and_nothing_twice(both: Both) -> None:
    one, two = both.asked

    assert len(one) > 20
    assert one == two
    assert len(set(two)) == len(two)


def test_what_processes_say_to_each_other(both: Both) -> None:
    said = [json.loads((both.folder / f"said-{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]

    assert [each.pop("rows") for each in said] == [[True, False, True], [False, True, False]]
    assert said[0] == said[1]
    assert said[0] == {
        "first": [0, "on its own"],
        "spread": [[0, 0], [1, 1], [2, 0], [3, 1], [4, 0]],
        "none": [],
        "gathered": [0, 1],
        "loss": 1.5,
        "gradients": [[3.0, 6.0], [5.0, 6.0], None],
    }


def test_a_killed_process_ends_the_other_and_one_process_resumes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = torchrun("killed", data, tmp_path, tmp_path / "output")

    assert ended.returncode != 0
    assert "SIGKILL" in ended.stderr
    monkeypatch.setattr(sys, "argv", ["one", "process"])
    again = TOY | {"data_path": str(data), "run_name": "killed", "resume": True}
    resumed = run_recbole_routedk(Shared, "toy", config_dict=again | {"output_dir": str(tmp_path / "output")})
    unbroken = run_recbole_routedk(Shared, "toy", config_dict=again | {"output_dir": str(tmp_path / "unbroken")})
    assert [epoch for epoch, _ in curves(resumed)["loss/train"]] == [1, 2, 3, 4]
    losses = [[value for _, value in curves(each)["loss/train"]] for each in (resumed, unbroken)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_an_error_of_one_process_ends_all_and_is_told_once(both: Both) -> None:
    assert both.ended.returncode != 0
    told = [line for line in both.ended.stderr.splitlines() if line.startswith("error:")]
    assert told == ["error: this process cannot answer"]
    assert not list(both.folder.rglob("Freq*/result.json"))


def test_torchrun_is_for_training_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "1")

    assert dispatch.main(["tune", "--model=RouteDK"]) == 2
    assert capsys.readouterr().err.startswith("error: torchrun is for training: the command tune")


@pytest.mark.parametrize(
    "gpu_id, visible, own",
    [("0", "0,1", "1"), ("0", "4,5", "5"), ("2,3", "0,1,2,3", "3"), ("", "0,1", ""), ("0", "", "0")],
)
def test_each_process_takes_a_gpu_of_its_own(
    monkeypatch: pytest.MonkeyPatch, gpu_id: str, visible: str, own: str
) -> None:
    second_of_two(monkeypatch, visible)

    assert distributed.own_gpu(gpu_id) == own


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    second_of_two(monkeypatch, "4")

    with pytest.raises(UserError, match=r"2 processes on this machine for 1 GPUs \(4\).*--use_gpu=False"):
        distributed.own_gpu("0")


def second_of_two(monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    """Pretend that torchrun started this process as the second of two, on a machine with the GPUs ``visible``."""
    own = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none"}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    gpus = tuple(filter(None, visible.split(",")))
    monkeypatch.setattr(distributed, "_gpus", lambda: gpus)
