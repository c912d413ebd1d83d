"""Times contestants side by side in one process, measures memory in fresh ones, and reports ratios beside bars."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

import torch

from recbole_routedk.errors import UserError
from recbole_routedk.measure import peak_memory_mib, reset_peak_memory
from recbole_routedk.progress import progress_bar
from recbole_routedk.provenance import code, library_versions, machine

Work = Callable[[], object]
"""What is timed."""
Contestant = Callable[[], Work]
"""Gets ready, untimed, and returns what is timed."""
Spread = tuple[float, float, float]
"""Least, median, most."""


@dataclass(frozen=True)
class Options:
    """What a benchmark is run with; the fields are its command line."""

    student: str = "smollm2-135m-instruct"
    student_revision: str | None = None
    dataset: str = "bundle-mini"
    data_path: str | None = None
    device: str = "cpu"
    dtype: str = "float32"
    seed: int = 2020
    repeats: int = 5
    batch: int = 4
    sessions: int = 40
    checkpoint: str | None = None
    rows: str | None = None
    json: str | None = None
    alone: str | None = None

    def arguments(self) -> list[str]:
        """Return the command line that gives these options."""
        return [f"--{name}={value}" for name, value in asdict(self).items() if value is not None]

    def of_workload(self) -> Options:
        """Return the same options without those that say which rows are measured and where they go."""
        return replace(self, rows=None, json=None, alone=None)


HELP = {
    "student": "alias, folder, .gguf file or hub id",
    "student_revision": "commit or tag of a hub id",
    "dataset": "the data set's name",
    "data_path": "the folder of data sets; the shipped ones unless it is given",
    "device": "cpu or cuda",
    "dtype": "float32 or bfloat16, of all contestants",
    "seed": "of every random choice",
    "repeats": "how often each contestant is timed",
    "batch": "sessions in a batch, where a row does not say",
    "sessions": "at most so many sessions of a split",
    "checkpoint": "evaluate, injection: folder of a finished run, in place of training for one epoch",
    "rows": "names of rows, with commas between; all unless it is given",
    "json": "the file to write",
    "alone": argparse.SUPPRESS,
}


@dataclass(frozen=True)
class Timing:
    """Seconds of each run of a contestant, by the wall and as the process's CPU time."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    def times(self, factor: float) -> Timing:
        """Return what so many such runs take."""
        return Timing(tuple(factor * each for each in self.wall), tuple(factor * each for each in self.cpu))

    def record(self) -> dict[str, Any]:
        """Return least, median and most of both, in seconds."""
        return {"wall_seconds": spread(self.wall), "cpu_seconds": spread(self.cpu), "runs": len(self.wall)}


@dataclass(frozen=True)
class Bar:
    """What a ratio should be: at most or at least ``value``."""

    kind: str
    value: float

    def met_by(self, ratio: float) -> bool:
        """Say whether the bar is met."""
        return ratio <= self.value if self.kind == "at most" else ratio >= self.value


@dataclass(frozen=True)
class Row:
    """A row of the table: a ratio beside its bar, and the figures behind it.

    ``ratio`` holds least, median and most over the runs; ``cpu_ratio`` is the same by CPU time, which a busy machine
    disturbs less. A row without a bar is there to explain others.
    """

    name: str
    what: str
    ratio: Spread
    figures: Mapping[str, Any]
    bar: Bar | None = None
    cpu_ratio: Spread | None = None

    def record(self) -> dict[str, Any]:
        """Return the row as JSON."""
        met = None if self.bar is None else self.bar.met_by(self.ratio[1])
        return {**asdict(self), "met": met}

    def line(self) -> str:
        """Return the row for a terminal."""
        least, middle, most = self.ratio
        told = f"{self.name:<34} {middle:8.3f}  [{least:.3f} .. {most:.3f}]"
        if self.cpu_ratio is not None:
            told += f"  CPU {self.cpu_ratio[1]:.3f}"
        if self.bar is not None:
            told += f"  bar: {self.bar.kind} {self.bar.value}, {'met' if self.bar.met_by(middle) else 'MISSED'}"
        return f"{told}\n    {self.what}"


Measure = Callable[[Options], Sequence[Row]]


def spread(values: Sequence[float]) -> Spread:
    """Return least, median and most."""
    return min(values), median(values), max(values)


def alternate(contestants: Mapping[str, Contestant], options: Options, repeats: int | None = None) -> dict[str, Timing]:
    """Time all contestants in turn, ``repeats`` times over, after one run of each that does not count.

    The order is turned round every time, so that none always runs after the same other.
    """
    rounds = options.repeats if repeats is None else repeats
    wall: dict[str, list[float]] = {name: [] for name in contestants}
    cpu: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    with progress_bar((rounds + 1) * len(names), " | ".join(names), "run") as bar:
        for number in range(rounds + 1):
            for name in names if number % 2 else reversed(names):
                work = contestants[name]()
                _settle(options)
                began, began_cpu = time.perf_counter(), time.process_time()
                work()
                _settle(options)
                if number:
                    wall[name].append(time.perf_counter() - began)
                    cpu[name].append(time.process_time() - began_cpu)
                bar.update()
    return {name: Timing(tuple(wall[name]), tuple(cpu[name])) for name in names}


def _settle(options: Options) -> None:
    """Wait until a GPU has done what it was given."""
    if options.device.startswith("cuda"):
        torch.cuda.synchronize()


def compare(
    name: str,
    what: str,
    timings: Mapping[str, Timing],
    over: Sequence[str],
    under: Sequence[str],
    bar: Bar | None = None,
    **figures: Any,
) -> Row:
    """Return the row of (the contestants ``over`` together) / (those ``under`` together), run by run."""
    ratios = {
        kind: spread([a / b for a, b in zip(_total(timings, over, kind), _total(timings, under, kind), strict=True)])
        for kind in ("wall", "cpu")
    }
    told = {each: timings[each].record() for each in (*over, *under)}
    return Row(name, what, ratios["wall"], {"timings": told, **figures}, bar, ratios["cpu"])


def _total(timings: Mapping[str, Timing], names: Sequence[str], kind: str) -> list[float]:
    # No run takes no time at all, but the CPU's clock may say so.
    return [max(sum(runs), 1e-9) for runs in zip(*(getattr(timings[name], kind) for name in names), strict=True)]


def known(name: str, what: str, value: float, bar: Bar | None = None, **figures: Any) -> Row:
    """Return the row of a value that was counted or measured once."""
    return Row(name, what, (value, value, value), figures, bar)


def in_fresh_process(script: str, options: Options, alone: str) -> dict[str, float]:
    """Run the contestant ``alone`` of ``script`` in a process of its own; returns what it measured there."""
    command = [sys.executable, script, *replace(options, alone=alone, json=None, rows=None).arguments()]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def memory_of(step: Contestant, options: Options) -> dict[str, float]:
    """Return the memory in MiB before some steps, and its peak over them."""
    device = torch.device(options.device)
    reset_peak_memory(device)
    before = peak_memory_mib(device)
    # The first makes the optimizer's state, the second is done beside it; later ones hold no more.
    for _ in range(2):
        step()()
    _settle(options)
    return {"before_mib": before, "peak_mib": peak_memory_mib(device)}


def main(
    measures: Mapping[str, Measure],
    alone: Mapping[str, Callable[[Options], dict[str, float]]] | None = None,
    argv: Sequence[str] | None = None,
) -> int:
    """Run a script's measures, print its rows and write them as JSON; returns the exit code."""
    options = _parse(measures, argv)
    try:
        if options.alone is not None:
            print(json.dumps((alone or {})[options.alone](options)))
            return 0
        _run(measures, options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parse(measures: Mapping[str, Measure], argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(allow_abbrev=False, epilog=f"rows: {', '.join(measures)}")
    for field in fields(Options):
        kind = type(field.default) if field.default is not None else str
        parser.add_argument(f"--{field.name}", type=kind, default=field.default, help=HELP[field.name])
    options = Options(**vars(parser.parse_args(argv)))
    unknown = set(_chosen(measures, options)) - set(measures)
    if unknown:
        parser.error(f"--rows: there is no {', '.join(sorted(unknown))}; there are {', '.join(measures)}")
    return options


def _chosen(measures: Mapping[str, Measure], options: Options) -> list[str]:
    return options.rows.split(",") if options.rows else list(measures)


def _run(measures: Mapping[str, Measure], options: Options) -> None:
    about = _about(options)
    print(f"{about['machine']['cpu']}, {about['threads']} threads, load {about['load_before']}, {about['options']}")
    records = []
    for name in _chosen(measures, options):
        for row in measures[name](options):
            print(row.line(), flush=True)
            records.append(row.record())
            if options.json:
                # After every row: one that fails takes no other's figures with it.
                text = json.dumps({**about, "load_after": _load(), "rows": records}, indent=1)
                Path(options.json).write_text(text + "\n", encoding="utf-8")


def _about(options: Options) -> dict[str, Any]:
    return {
        "benchmark": Path(sys.argv[0]).stem,
        "options": asdict(options),
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "openmp": {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")},
        "load_before": _load(),
        "libraries": library_versions(),
        "code": code(),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _load() -> float | None:
    """The machine's load over the last minute, where the system tells: much above 0 before the start, it was busy."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
