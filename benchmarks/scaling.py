"""Throughput and memory of ``generate`` as sessions grow, by the local engine and by Ray.

``python benchmarks/scaling.py --model=TitleCluster --sessions=1000,10000,100000 --json=scaling.json``
``python benchmarks/scaling.py --checkpoint=RUN --sessions=100,300 --engines=local,ray --workers=2``

Each row is a process of its own that answers made-up sessions: the titles of bundle-mini, shuffled over sessions of
bundle-mini's lengths, as in a catalogue; with ``--titles=new`` each has the number of its session behind it, so that no
title is seen twice. Memory is the most that was resident (VmHWM, Linux): of the process that writes, of the largest
worker, and of Ray's own processes together.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import calm  # noqa: F401
import psutil
from tabulate import tabulate

from recbole_routedk import run_recbole_routedk
from recbole_routedk.data.atomic import read_atomic
from recbole_routedk.errors import UserError
from recbole_routedk.provenance import code, library_versions, machine
from recbole_routedk.ray_cluster import LOCAL, RAY
from recbole_routedk.registry import shipped_datasets

DATASET = "bundle-mini"
_SECONDS_BETWEEN_LOOKS = 0.25


@dataclass
class Row:
    """How one engine answered so many sessions.

    ``start_seconds`` passed before the first answers were written, ``sessions_per_second`` is the speed after them.
    Memory is in MiB; ``digest`` is that of the answers.
    """

    engine: str
    sessions: int
    workers: int
    seconds: float
    start_seconds: float
    sessions_per_second: float
    driver_mib: float
    worker_mib: float
    ray_mib: float
    digest: str


class Peaks:
    """The most memory that each process of a tree had, in MiB, looked at while it ran."""

    def __init__(self, root: psutil.Process) -> None:
        self._root = root
        self._known: dict[int, tuple[str, float]] = {}

    def look(self) -> None:
        """Note the peaks of the processes that there are."""
        try:
            processes = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in processes:
            try:
                name, before = self._known.get(process.pid, ("", 0.0))
                # One that is ending has neither a name nor memory any more.
                self._known[process.pid] = (" ".join(process.cmdline()) or name, max(before, _peak_mib(process.pid)))
            except (psutil.Error, OSError):  # it has ended meanwhile
                continue

    @property
    def driver(self) -> float:
        """Of the process that was started."""
        return self._known[self._root.pid][1]

    @property
    def workers(self) -> list[float]:
        """Of each of Ray Data's actors."""
        return [peak for name, peak in self._known.values() if "ray::MapWorker" in name]

    @property
    def others(self) -> float:
        """Of all other processes together."""
        return sum(peak for _, peak in self._known.values()) - self.driver - sum(self.workers)


def write_sessions(path: Path, count: int, seed: int, new_titles: bool) -> None:
    """Write made-up sessions as JSON lines; with ``new_titles`` no title is in two of them."""
    known = [labelled.session for labelled in read_atomic(shipped_datasets() / DATASET, DATASET).all()]
    titles = sorted({item.title for session in known for item in session.items})
    sizes = [len(session) for session in known]
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8") as stream:
        for number in range(count):
            own = draw.sample(titles, draw.choice(sizes))
            stream.write(json.dumps([f"{title} {number}" for title in own] if new_titles else own) + "\n")


def measure(run: Path, given: Path, sessions: int, engine: str, options: argparse.Namespace) -> Row:
    """Answer a file of sessions in a process of its own; raises UserError where that fails."""
    output, log = given.with_name(f"{engine}-{given.name}"), given.with_suffix(".log")
    command = [sys.executable, "-m", "recbole_routedk", "generate", f"--run={run}", f"--input={given}"]
    command += [f"--output={output}", "--overwrite", *options.setting]
    if engine == RAY:
        command += [f"--engine={RAY}", *([f"--workers={options.workers}"] if options.workers else [])]
    started = time.perf_counter()
    with log.open("wb") as stream:
        process = psutil.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
    peaks = Peaks(process)
    first, before = _watched(process, peaks, output.with_name(f"{output.name}.part.json"))
    ended = time.perf_counter()
    lines, digest = _read(output)
    if process.returncode or lines != sessions:
        raise UserError(f"{engine}, {sessions} sessions: failed\n{log.read_text(errors='replace')[-3000:]}")
    return Row(
        engine=engine,
        sessions=sessions,
        workers=len(peaks.workers) or 1,
        seconds=ended - started,
        start_seconds=first - started,
        sessions_per_second=(sessions - before) / max(ended - first, 1e-9),
        driver_mib=peaks.driver,
        worker_mib=max(peaks.workers, default=0.0),
        ray_mib=peaks.others,
        digest=digest,
    )


def _watched(process: psutil.Popen, peaks: Peaks, state: Path) -> tuple[float, int]:
    """Wait for the end; return when the first window was written, and how many sessions it held."""
    first, before, looked = 0.0, 0, 0.0
    while process.poll() is None:
        if not first and state.is_file():
            first, before = time.perf_counter(), _entries(state)
        if time.perf_counter() - looked > _SECONDS_BETWEEN_LOOKS:
            peaks.look()
            looked = time.perf_counter()
        time.sleep(0.005)
    return first or time.perf_counter(), before


def _entries(state: Path) -> int:
    try:
        return int(json.loads(state.read_text(encoding="utf-8"))["done"]["entries"])
    except FileNotFoundError:  # complete already
        return 0


def _read(output: Path) -> tuple[int, str]:
    """Count the lines of a file, and digest it."""
    lines, digest = 0, hashlib.sha256()
    if output.is_file():
        with output.open("rb") as stream:
            for line in stream:
                lines += 1
                digest.update(line)
    return lines, digest.hexdigest()[:16]


def _peak_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**10
    return 0.0


def rows(options: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """Measure every engine on every number of sessions, smallest first."""
    run = options.checkpoint or _trained(options, folder)
    for count in sorted(options.sessions):
        given = folder / f"{count}.jsonl"
        write_sessions(given, count, options.seed, options.titles == "new")
        for engine in options.engines:
            print(f"{engine}: {count} sessions ...", file=sys.stderr)
            yield measure(run, given, count, engine, options)


def _trained(options: argparse.Namespace, folder: Path) -> Path:
    settings: dict[str, Any] = {"output_dir": str(folder / "output"), "seed": options.seed, "state": "WARNING"}
    return Path(run_recbole_routedk(options.model, DATASET, config_dict=settings)["run_folder"])


def table(measured: Sequence[Row]) -> str:
    """Return the rows as Markdown."""
    heads = [
        "engine",
        "sessions",
        "workers",
        "s",
        "s to the first",
        "sessions/s",
        "MiB driver",
        "worker",
        "Ray",
        "answers",
    ]
    cells = [[f"{cell:.1f}" if isinstance(cell, float) else cell for cell in asdict(row).values()] for row in measured]
    return tabulate(cells, heads, tablefmt="github", disable_numparse=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--sessions", type=_counts, default=[1_000, 10_000, 100_000], help="numbers of sessions: N[,N]")
    parser.add_argument("--engines", type=lambda text: text.split(","), default=[LOCAL, RAY], help="local[,ray]")
    parser.add_argument("--model", default="TitleCluster", help="a model that is trained on bundle-mini first")
    parser.add_argument("--checkpoint", type=Path, help="folder of a finished run, in place of --model")
    parser.add_argument("--titles", choices=["known", "new"], default="known", help="of a catalogue, or each once")
    parser.add_argument("--workers", type=int, help="workers of Ray; one a CPU unless it is given")
    parser.add_argument("--setting", action="append", default=[], help="a word for generate, such as --batch_size=64")
    parser.add_argument("--seed", type=int, default=2020, help="of the sessions and of the training")
    parser.add_argument("--json", type=Path, help="the file to write")
    options = parser.parse_args(argv)
    load = os.getloadavg()
    try:
        with tempfile.TemporaryDirectory(prefix="scaling-") as folder:
            measured = list(rows(options, Path(folder)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(measured))
    if options.json:
        record = {
            "model": str(options.checkpoint or options.model),
            "titles": options.titles,
            "seed": options.seed,
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "machine": machine() | {"load": load},
            "versions": library_versions(),
            "code": code(),
            "rows": [asdict(row) for row in measured],
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 0


def _counts(text: str) -> list[int]:
    return [int(number.replace("_", "")) for number in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
