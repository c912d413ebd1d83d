"""Ray, imported when it is asked for: joins or starts a cluster, and hands rows to workers, one of which may die.

Everything goes through Ray Data. A worker is an actor that loads its model once. What a killed worker had in hand is
done again by another one, and what it had answered is kept: nothing is lost, nothing comes twice.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_routedk.errors import UserError

MOST_DEATHS = 4
"""How many workers may die over one row before that is taken for the row's doing: memory that does not hold it."""
LOCAL, RAY = "local", "ray"
"""The engines that users choose from."""
FAULT = "fault"
"""The column in which a worker tells a UserError; "" where there is none."""
_SECONDS_TO_CONNECT = 10

Row = dict[str, Any]


@dataclass(frozen=True)
class RayOptions:
    """The cluster that a user asks for: an address ("" for one that is found or started), and how many workers."""

    address: str = ""
    workers: int | None = None


@dataclass(frozen=True)
class Workers:
    """How many workers answer, and the share of a GPU that each of them has."""

    count: int
    gpus: float = 0.0


def ray_options(given: dict[str, str]) -> RayOptions | None:
    """Take ``engine``, ``workers`` and ``ray_address`` out of the words of a command; None for the engine "local".

    Raises UserError for an engine that there is not, for no number of workers, and where Ray is asked for and missing.
    """
    engine, workers, address = given.pop("engine", LOCAL), given.pop("workers", ""), given.pop("ray_address", "")
    if engine not in (LOCAL, RAY):
        raise UserError(f"--engine has to be {LOCAL} or {RAY}, not {engine!r}")
    if engine == LOCAL:
        if workers or address:
            raise UserError(f"--{'workers' if workers else 'ray_address'} is for --engine={RAY}")
        return None
    if workers and (not workers.isascii() or not workers.isdigit() or int(workers) < 1):
        raise UserError(f"--workers has to be a whole number, at least 1, not {workers!r}")
    ray_package()
    return RayOptions(address, int(workers) if workers else None)


def ray_package() -> Any:
    """Return the package ``ray`` with ``ray.data``; UserError where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to Ray's makers
    try:
        import pyarrow  # noqa: F401
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        if error.name not in ("ray", "pyarrow"):
            raise
        raise UserError("--engine=ray needs Ray; pip install 'recbole_routedk[ray]'") from None
    return ray


@contextmanager
def ray_cluster(options: RayOptions) -> Iterator[None]:
    """Be connected to a cluster within the block: one that is joined already, the one at the address, or a new one.

    Without an address Ray looks at RAY_ADDRESS and for a cluster that ``ray start`` left on this machine. Within the
    block standard output is standard error, since Ray tells there of workers that died. Raises UserError where there is
    no cluster at the address, or none that this process fits.
    """
    ray = ray_package()
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what it says of errors is said by those that it raises
    if options.address:
        _check_address(options.address)
    with redirect_stdout(sys.stderr):
        if ray.is_initialized():
            yield
            return
        try:
            ray.init(address=options.address or None, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:  # such as a cluster with another Python
            raise UserError(f"--engine=ray: no cluster can be joined or started ({error})") from None
        try:
            yield
        finally:
            ray.shutdown()


def _check_address(address: str) -> None:
    """Raise UserError where nobody listens: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise UserError(f"--ray_address has to be HOST:PORT, as `ray start --head` prints it, not {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=_SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"--ray_address={address}: there is no cluster ({error})") from None


def workers_of(options: RayOptions, use_gpu: bool) -> Workers:
    """Return as many workers as were asked for, else one a GPU where they are used, else one a CPU of the cluster.

    Raises UserError for more than it has CPUs.
    """
    resources = ray_package().cluster_resources()
    cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0)) if use_gpu else 0
    count = options.workers or min(gpus or cpus, cpus)
    if not 1 <= count <= cpus:
        raise UserError(f"--workers={count}: the cluster has {cpus} CPUs, and a worker takes one")
    return Workers(count, min(1.0, gpus / count))


def read_here(rows: Callable[[Any], Iterator[Any]]) -> Any:
    """Return a data set of the tables that ``rows`` yields (its argument says nothing), read on this machine."""
    ray = ray_package()
    import pyarrow
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    start = ray.data.from_arrow(pyarrow.table({"start": [0]}))
    return _mapped(start, rows, num_cpus=0, scheduling_strategy=here)  # the workers take every CPU that there is


def worked_on(
    data: Any, worker: type, arguments: Sequence[Any], workers: Workers, ordered: bool = False
) -> Iterator[Row]:
    """Hand each row of a data set, as a table, to one of the actors ``worker(*arguments)``; yield what they answer.

    No more rows are read than workers wait for. ``ordered`` yields answers in the order of the rows. Raises UserError
    for one that a worker tells in the column ``FAULT``, or when workers died over a row again and again.
    """
    ray = ray_package()
    context = data.context
    context.target_max_block_size = 1  # a row is a block, and a block is what a worker takes at a time
    context.execution_options.preserve_order = ordered
    context.enable_progress_bars = False
    answers = _mapped(
        data,
        worker,
        fn_constructor_args=tuple(arguments),
        compute=ray.data.ActorPoolStrategy(size=workers.count),
        num_cpus=1,
        num_gpus=workers.gpus or None,
        max_restarts=-1,
        max_task_retries=MOST_DEATHS,
    )
    try:
        for table in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for row in table.to_pylist():
                yield row
                if row[FAULT]:
                    raise UserError(row[FAULT])
    except ray.exceptions.RayActorError as error:
        raise UserError(
            f"a worker of the cluster died {MOST_DEATHS + 1} times over the same work ({type(error).__name__}); has it "
            "enough memory? Fewer --workers need less. The same command goes on"
        ) from None


def _mapped(data: Any, work: Any, **options: Any) -> Any:
    """``map_batches``, a row at a time as a table; options of Ray's core are going to have other names."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*ray_remote_args.*", category=DeprecationWarning)
        return data.map_batches(work, batch_size=1, batch_format="pyarrow", **options)


def work_in(folder: Path) -> None:
    """Let relative paths of a worker mean what they mean where the command was given, if it has such a folder."""
    if folder.is_dir():
        os.chdir(folder)
