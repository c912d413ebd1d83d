"""One run in several processes, as ``torchrun`` starts them; in a lone process everything here does nothing.

Each process holds the whole model and all data. What only one may do (write files, ask a paid teacher) the first one
does, and gives the others what came of it (``from_first``). Batches to answer are dealt out (``spread``), and the
gradients of the processes' parts of a training batch are summed (``sum_gradients``). Processes talk through gloo, so
that they can wait for hours and notice at once when one dies; gradients on GPUs go through NCCL. torch pickles what
the processes of a run tell each other; nothing of that is kept, or read from a file.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.nn import Parameter

from recbole_routedk.errors import UserError

T = TypeVar("T")
Job = TypeVar("Job")

_LONGEST_WAIT = timedelta(days=7)  # the first process may ask a teacher for hours
_ALONE = ContextVar("alone", default=False)


class OtherProcessEndedError(UserError):
    """Another process of this run has ended, so that this one cannot go on."""


@dataclass(frozen=True)
class _Processes:
    """All processes of a run: this one's number, how many there are, and the group that sums gradients."""

    rank: int
    size: int
    gradients: dist.ProcessGroup | None


def is_first() -> bool:
    """Whether this process writes files, logs and bars."""
    return not is_started_together() or int(os.environ["RANK"]) == 0


def is_started_together() -> bool:
    """Whether torchrun has started this process beside others."""
    return dist.is_available() and dist.is_torchelastic_launched() and int(os.environ["WORLD_SIZE"]) > 1


def together() -> bool:
    """Whether this process works with others right now, and not on its own within ``from_first`` or ``spread``."""
    return is_started_together() and not _ALONE.get()


def from_first(make: Callable[[], T]) -> T:
    """Let the first process make something on its own, and give it to all; every process has to call this.

    Raises OtherProcessEndedError.
    """
    if not together():
        return make()
    made: list[Any] = [None]
    if _processes().rank == 0:
        with _alone():
            made[0] = make()
    with _explained():
        dist.broadcast_object_list(made, src=0)
    result: T = made[0]
    return result


def spread(work: Callable[[Job], T], jobs: Sequence[Job]) -> list[T]:
    """Deal the jobs out in turn, each process doing its own, and give the results of all, in order, to all.

    Raises OtherProcessEndedError.
    """
    if not together():
        return [work(job) for job in jobs]
    own = own_share(jobs)
    with _alone():
        done = [work(job) for job in own]
    parts = gathered(done)
    return [parts[place % len(parts)][place // len(parts)] for place in range(len(jobs))]


def own_share(jobs: Sequence[Job]) -> Sequence[Job]:
    """Return the jobs that ``spread`` leaves to this process."""
    if not together():
        return jobs
    return jobs[_processes().rank :: _processes().size]


def gathered(value: T) -> list[T]:
    """Return the values of all processes, in their order, to all. Raises OtherProcessEndedError."""
    if not together():
        return [value]
    values: list[Any] = [None] * _processes().size
    with _explained():
        dist.all_gather_object(values, value)
    return values


def own_rows(rows: int) -> list[bool]:
    """Say of each row of a training batch whether this process learns from it; each row is one process's."""
    if not together():
        return [True] * rows
    processes = _processes()
    return [row % processes.size == processes.rank for row in range(rows)]


def sum_gradients(parameters: Sequence[Parameter], loss: float) -> float:
    """Give all processes the sum of their gradients, and return the sum of their losses.

    A parameter that no process has a gradient of is left without one. Raises OtherProcessEndedError.
    """
    if not together():
        return loss
    group = _processes().gradients
    owned = [parameter.grad is not None for parameter in parameters]
    grads = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
    # One message for everything: small ones cost their latency.
    told = torch.tensor([*owned, loss], dtype=torch.float32, device=grads[0].device)
    message = torch.cat([*(grad.flatten().float() for grad in grads), told])
    with _explained():
        dist.all_reduce(message, group=group)
    *sums, told = message.split([*(each.numel() for each in parameters), len(told)])
    *owners, whole = told.tolist()
    for parameter, total, has in zip(parameters, sums, owners, strict=True):
        if has:
            parameter.grad = total.view_as(parameter).to(parameter.dtype)
    return float(whole)


def tells_the_error() -> bool:
    """Whether this process is the first one of the run that ends with an error, and so says which."""
    if not is_started_together():
        return True
    try:
        return bool(_store().add("recbole_routedk/errors_told", 1) == 1)
    except RuntimeError:  # torchrun itself has ended
        return True


def own_gpu(gpu_id: str) -> str:
    """Return the GPU of this process: its own of those that ``gpu_id`` names, or of all where it names only one.

    Raises UserError where there are fewer than processes on this machine.
    """
    if not gpu_id or not is_started_together() or not _gpus():
        return gpu_id
    gpus = tuple(gpu_id.split(",")) if "," in gpu_id else _gpus()
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    if here > len(gpus):
        raise UserError(
            f"torchrun has started {here} processes on this machine for {len(gpus)} GPUs ({', '.join(gpus)}); start as "
            "many as there are, name more in --gpu_id=0,1,..., or take the CPU with --use_gpu=False"
        )
    return gpus[int(os.environ["LOCAL_RANK"])].strip()


@cache
def _gpus() -> tuple[str, ...]:
    """The GPUs that the environment leaves to all processes: asked once, because RecBole then writes into it."""
    count = torch.cuda.device_count()
    named = tuple(filter(None, os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")))
    return named if count and named else tuple(map(str, range(count)))


@cache
def _store() -> dist.Store:
    store: dist.Store = next(dist.rendezvous("env://", timeout=_LONGEST_WAIT))[0]
    return store


@cache
def _processes() -> _Processes:
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    with _explained():
        dist.init_process_group("gloo", store=_store(), rank=rank, world_size=size, timeout=_LONGEST_WAIT)
        atexit.register(dist.destroy_process_group)
        on_gpus = torch.cuda.is_available() and dist.is_nccl_available()
        gradients = dist.new_group(backend="nccl", timeout=_LONGEST_WAIT) if on_gpus else None
    return _Processes(rank, size, gradients)


@contextmanager
def _alone() -> Iterator[None]:
    before = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(before)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # torch has no narrower type for what gloo says
        raise OtherProcessEndedError(
            "another process of this run has ended, so that all do; what it said stands above, or the system has "
            f"killed it. The same command with --resume goes on from the last epoch ({str(error).splitlines()[0]})"
        ) from error
