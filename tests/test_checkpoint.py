"""Checkpoints: safetensors and JSON, whole or not at all."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from recbole_routedk import checkpoint
from recbole_routedk.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from recbole_routedk.errors import UserError


def test_tensors_and_record_come_back(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(7)}

    save_checkpoint(tmp_path / "run", "best", Checkpoint(tensors, {"score": 0.5, "title": "emoji 😀"}))
    loaded = load_checkpoint(tmp_path / "run", "best")

    assert torch.equal(loaded.tensors["a"], tensors["a"])
    assert loaded.tensors["b"].item() == 7
    assert (loaded.record["score"], loaded.record["title"]) == (0.5, "emoji 😀")


def test_a_newer_checkpoint_replaces_the_older_and_leaves_nothing_behind(tmp_path: Path) -> None:
    for value in (1.0, 2.0, 3.0):
        save_checkpoint(tmp_path, "best", Checkpoint({"a": torch.tensor(value)}))

    assert load_checkpoint(tmp_path, "best").tensors["a"].item() == 3.0
    assert len(list(tmp_path.iterdir())) == 2


def test_a_crash_while_writing_leaves_the_older_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, "best", Checkpoint({"a": torch.tensor(1.0)}, {"epoch": 1}))

    def full_disk(path: Path, content: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint, "write_json", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(tmp_path, "best", Checkpoint({"a": torch.tensor(2.0)}, {"epoch": 2}))

    loaded = load_checkpoint(tmp_path, "best")
    assert (loaded.tensors["a"].item(), loaded.record["epoch"]) == (1.0, 1)


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"best\.json: there is no such file"):
        load_checkpoint(tmp_path, "best")
    save_checkpoint(tmp_path, "best", Checkpoint({"a": torch.zeros(100)}))
    weights = next(tmp_path.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:50])
    with pytest.raises(UserError, match=r"best-1\.safetensors: is damaged"):
        load_checkpoint(tmp_path, "best")
    weights.unlink()
    with pytest.raises(UserError, match=r"best-1\.safetensors: is missing"):
        load_checkpoint(tmp_path, "best")
    (tmp_path / "best.json").write_text('{"format": 99}', encoding="utf-8")
    with pytest.raises(UserError, match="of format 99"):
        load_checkpoint(tmp_path, "best")
    (tmp_path / "best.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        load_checkpoint(tmp_path, "best")


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 60, -1])
def test_a_file_cut_anywhere_is_refused_and_so_is_a_changed_or_another_one(tmp_path: Path, kept: int) -> None:
    save_checkpoint(tmp_path, "best", Checkpoint({"a": torch.arange(100.0)}))
    weights = tmp_path / "best-1.safetensors"
    whole = weights.read_bytes()

    weights.write_bytes(whole[:kept])
    with pytest.raises(UserError, match=r"best-1\.safetensors: is damaged"):
        load_checkpoint(tmp_path, "best")
    # A file of the right form whose numbers are others: safetensors itself would take it.
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match=r"is damaged, or not the file that best\.json was written with"):
        load_checkpoint(tmp_path, "best")


def test_a_checkpoint_of_before_has_no_digest_and_is_read(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "best", Checkpoint({"a": torch.tensor(1.0)}))
    record = '{"format": 1, "tensors": "best-1.safetensors"}'
    (tmp_path / "best.json").write_text(record, encoding="utf-8")

    assert load_checkpoint(tmp_path, "best").tensors["a"].item() == 1.0


def test_what_killed_processes_left_is_removed_with_the_next_checkpoint(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "last", Checkpoint({"a": torch.tensor(1.0)}))
    save_checkpoint(tmp_path, "best", Checkpoint({"a": torch.tensor(2.0)}))
    (tmp_path / "best-2.safetensors").write_bytes(b"written, but best.json never came to point to it")
    (tmp_path / ".best-3.safetensors.4711").write_bytes(b"half")

    save_checkpoint(tmp_path, "best", Checkpoint({"a": torch.tensor(3.0)}))

    assert load_checkpoint(tmp_path, "best").tensors["a"].item() == 3.0
    assert load_checkpoint(tmp_path, "last").tensors["a"].item() == 1.0
    assert len(list(tmp_path.iterdir())) == 4


def test_a_checkpoint_reaches_no_file_outside_its_folder(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "other", Checkpoint({"a": torch.tensor(1.0)}))
    (tmp_path / "run").mkdir()
    record = '{"format": 1, "tensors": "../other-1.safetensors"}'
    (tmp_path / "run" / "best.json").write_text(record, encoding="utf-8")

    with pytest.raises(UserError, match="is missing"):
        load_checkpoint(tmp_path / "run", "best")


def test_random_generators_go_on_where_they_were(tmp_path: Path) -> None:
    def draw() -> tuple[float, float, float]:
        return random.gauss(0, 1), float(np.random.normal()), torch.rand(()).item()

    draw()  # a Gaussian draw leaves half of a pair behind in Python and numpy
    save_checkpoint(tmp_path, "random", checkpoint.random_state())
    expected = [draw() for _ in range(3)]

    checkpoint.restore_random_state(load_checkpoint(tmp_path, "random"))

    assert [draw() for _ in range(3)] == expected


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop])
def test_an_optimizer_goes_on_where_it_was(kind: type) -> None:
    def steps(weight: torch.nn.Parameter, optimizer: torch.optim.Optimizer, count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            (weight**2).sum().backward()
            optimizer.step()

    unbroken = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = kind([unbroken], lr=0.1)
    steps(unbroken, optimizer, 2)
    resumed = torch.nn.Parameter(unbroken.detach().clone())
    other = kind([resumed], lr=0.1)
    checkpoint.restore_optimizer(other, checkpoint.optimizer_tensors(optimizer))
    steps(unbroken, optimizer, 3)
    steps(resumed, other, 3)

    assert torch.equal(resumed, unbroken)


def test_the_states_of_more_than_ten_gpus_go_back_to_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    state = checkpoint.random_state()
    state.tensors = {name: value for name, value in state.tensors.items() if not name.startswith("cuda.")}
    state.tensors |= {f"cuda.{number}": torch.tensor([number], dtype=torch.uint8) for number in range(11)}
    given: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 11)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", lambda states: given.extend(int(each) for each in states))

    checkpoint.restore_random_state(state)

    assert given == list(range(11))
