"""Rows that workers of a Ray cluster answer: each once, in order where that is asked for, and what they complain of."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from recbole_routedk import UserError, ray_cluster
from recbole_routedk.ray_cluster import (
    FAULT,
    RayOptions,
    Workers,
    ray_options,
    read_here,
    work_in,
    worked_on,
    workers_of,
)

TWO = Workers(2)


def numbers(count: int, _: Any) -> Iterator[Any]:
    """A row a number."""
    import pyarrow

    for number in range(count):
        yield pyarrow.table({"number": [number]})


class Squares:
    """Answers a number with its square; complains of 30, and is killed by 7: the first time, or each time if deadly."""

    def __init__(self, mark: Path, deadly: bool) -> None:
        self._mark, self._deadly = mark, deadly

    def __call__(self, table: Any) -> Any:
        import pyarrow

        number = table["number"][0].as_py()
        if number == 7 and (self._deadly or not self._mark.exists()):
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return pyarrow.table({"square": [number**2], FAULT: ["30 is too much" if number == 30 else ""]})


def test_a_row_that_kills_its_worker_is_done_again_until_a_worker_complains(
    two_ray_workers: None, tmp_path: Path
) -> None:
    with ray_cluster.ray_cluster(RayOptions()):
        rows = worked_on(read_here(partial(numbers, 60)), Squares, (tmp_path / "mark", False), TWO, ordered=True)
        squares: list[int] = []
        with pytest.raises(UserError, match="30 is too much"):
            squares.extend(row["square"] for row in rows)

    assert (tmp_path / "mark").exists()
    assert squares == [number**2 for number in range(31)]


def test_work_that_kills_every_worker_is_given_up(
    two_ray_workers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "MOST_DEATHS", 1)
    with ray_cluster.ray_cluster(RayOptions()):
        rows = worked_on(read_here(partial(numbers, 9)), Squares, (tmp_path / "mark", True), Workers(1))
        with pytest.raises(UserError, match="a worker of the cluster died 2 times over the same work"):
            list(rows)


def test_there_is_a_worker_a_cpu_unless_another_number_is_given(two_ray_workers: None) -> None:
    assert workers_of(RayOptions(), use_gpu=True) == Workers(2)  # the cluster has no GPU
    assert workers_of(RayOptions(workers=1), use_gpu=False) == Workers(1)
    with pytest.raises(UserError, match="--workers=3: the cluster has 2 CPUs, and a worker takes one"):
        workers_of(RayOptions(workers=3), use_gpu=False)


@pytest.mark.parametrize("missing", ["ray", "pyarrow"])
def test_without_ray_the_extra_that_brings_it_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)  # which Python takes for a package that is not there
    with pytest.raises(UserError, match=r"--engine=ray needs Ray; pip install 'recbole_routedk\[ray\]'"):
        ray_options({"engine": "ray"})


@pytest.mark.parametrize(
    "address, message",
    [
        ("head", r"--ray_address has to be HOST:PORT, as `ray start --head` prints it, not 'head'"),
        ("ray://head:10001", r"--ray_address has to be HOST:PORT"),
        ("127.0.0.1:1", r"--ray_address=127\.0\.0\.1:1: there is no cluster \(.*refused"),
        ("127.0.0.1:99999999999", r"there is no cluster"),
    ],
)
def test_an_address_where_nobody_listens_is_told_at_once(address: str, message: str) -> None:
    with pytest.raises(UserError, match=message), ray_cluster.ray_cluster(RayOptions(address)):
        raise AssertionError("nothing was joined")


def test_relative_paths_start_where_the_command_was_given_if_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    work_in(tmp_path / "on another machine")
    assert Path.cwd() == Path("/")
    work_in(tmp_path)
    assert Path.cwd() == tmp_path
