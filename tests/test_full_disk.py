"""A full disk, and a place where nothing can be written: told in one line, and nothing that was finished is lost."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from recbole_routedk import run_recbole_routedk
from recbole_routedk.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from recbole_routedk.cli.dispatch import main
from recbole_routedk.data.files import write_texts
from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.errors import UserError
from recbole_routedk.serving.output import OutputFile
from recbole_routedk.trials import TrialLog


@contextmanager
def disk_with(size: int) -> Iterator[None]:
    """No file grows beyond ``size`` bytes: the system refuses the write, as it does on a full disk, also to root."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))  # Python ignores the signal that comes with it
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


TRIAL = {"run": "r", "settings": {}, "valid": {}, "valid_score_bigger": True, "seconds": 1.0, "error": None, "code": {}}


def checkpoint(folder: Path, value: int) -> None:
    save_checkpoint(folder, "best", Checkpoint({"a": torch.full((1000,), value)}, {"value": value}))


def texts(folder: Path, value: int) -> None:
    write_texts({folder / "a.txt": f"{value}" * 3000, folder / "b.txt": f"{value}"})


def trial(folder: Path, value: int) -> None:
    TrialLog(folder / "trials.jsonl").append(TRIAL | {"score": value, "note": "x" * 1500})


def answers(folder: Path, value: int) -> None:
    OutputFile(folder / "out.jsonl", {}).add([f"{value}" * 3000], 1, 0, "d")


@pytest.mark.parametrize("write", [checkpoint, texts, trial, answers])
def test_what_was_there_stays_and_the_next_try_goes_on(write: Callable[[Path, int], None], tmp_path: Path) -> None:
    write(tmp_path, 1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    with disk_with(2000), pytest.raises(UserError, match=r"cannot be written"):
        write(tmp_path, 2)
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(left) == set(before)
    assert all(left[name].startswith(content) for name, content in before.items())

    write(tmp_path, 3)
    if write is checkpoint:
        assert load_checkpoint(tmp_path, "best").record["value"] == 3
    elif write is trial:
        assert [each["score"] for each in TrialLog(tmp_path / "trials.jsonl").read()] == [1, 3]
    elif write is answers:
        assert (tmp_path / "out.jsonl.part").read_bytes() == b"1" * 3000 + b"\n" + b"3" * 3000 + b"\n"
    else:
        assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "3" * 3000


@pytest.mark.parametrize("write", [checkpoint, texts, trial, answers])
def test_a_place_where_no_file_can_be_is_named(write: Callable[[Path, int], None], tmp_path: Path) -> None:
    (tmp_path / "wall").write_text("a file, where a folder would have to be", encoding="utf-8")

    with pytest.raises(UserError, match=r"wall.*cannot be written \(.*[Nn]ot a directory"):
        write(tmp_path / "wall" / "inner", 1)


def test_a_store_says_so_too(tmp_path: Path) -> None:
    with disk_with(2000), pytest.raises(UserError, match=r"k\.sqlite: cannot be .*the disk.* full"):
        RequestStore(tmp_path / "k.sqlite")
    with RequestStore(tmp_path / "k.sqlite") as store:
        assert list(store.rows()) == []


@pytest.mark.parametrize("size", [100, 900, 1500, 2500])
def test_training_on_a_full_disk_is_told_and_goes_on_afterwards(
    toy_data: Path, toy_models: None, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    given = {"data_path": str(toy_data), "epochs": 2, "show_progress": False, "state": "ERROR", "resume": True}
    whole = run_recbole_routedk("Threshold", "toy", config_dict=given | {"run_name": "whole"})

    with disk_with(size), pytest.raises(UserError, match=r"cannot be written"):
        run_recbole_routedk("Threshold", "toy", config_dict=given | {"run_name": "full"})
    result = run_recbole_routedk("Threshold", "toy", config_dict=given | {"run_name": "full"})

    assert result["test_result"] == whole["test_result"]
    assert result["best_valid_result"] == whole["best_valid_result"]


def test_a_conversion_leaves_the_data_set_that_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"session_id": f"s{n}", "items": [f"tea {n} {place}" for place in range(3)], "bundles": [[0, 1]]}
        for n in range(40)
    ]
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    words = ["convert", "--input=in.jsonl", "--output=data", "--name=shop"]
    assert main(words) == 0
    before = {path.name: path.read_bytes() for path in Path("data/shop").iterdir()}

    with disk_with(1000):
        assert main([*words, "--seed=7"]) == 2

    assert "cannot be written (File too large)" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in Path("data/shop").iterdir()} == before


def test_generate_on_a_full_disk_is_told_and_goes_on_afterwards(
    toy_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_recbole_routedk("WholeSession", "toy", config_dict={"data_path": str(toy_data), "state": "ERROR"})
    Path("in.jsonl").write_text("".join(json.dumps([f"tea {n}", "cup"]) + "\n" for n in range(60)), encoding="utf-8")
    words = ["generate", f"--run={run['run_folder']}", "--input=in.jsonl", "--batch_size=1"]
    assert main([*words, "--output=whole.jsonl"]) == 0

    with disk_with(2000):
        assert main([*words, "--output=full.jsonl"]) == 2
    assert "cannot be written (File too large); the same command goes on" in capsys.readouterr().err
    assert not os.path.exists("full.jsonl")
    assert main([*words, "--output=full.jsonl"]) == 0
    assert Path("full.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert "(0 before)" not in capsys.readouterr().err
