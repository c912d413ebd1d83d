"""Kills training, benchmarks, generation, distillation and conversion at random writes and starts them again.

    python scripts/inject_kills.py --kills=500

After every kill all that lies on the disk is read, as the next run would read it. When a run has ended by itself, its
results must be those of a run that was never killed, and nothing that was finished may have been done again. Prints
the figures as JSON; the exit status is 1 where something did not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: a process that forks has one thread

from kill_cases import Answers, Benchmark, Case, Conversion, Distillation, write_toy
from kill_points import drawn_point, run_in_child
from tqdm import tqdm

from recbole_routedk import plugins
from recbole_routedk.progress import progress_bar

MOST_KILLS_A_RUN = 12
"""After so many the run is left alone; it could otherwise be killed for ever before its first finished step."""
SHARES = {"training and benchmark": 0.15, "generate": 0.5, "distillation": 0.05, "conversion": 0.3}


class Injection:
    """Kills one case until a number of kills is reached; ``faults`` says what did not hold."""

    def __init__(self, case: Case, work: Path, draw: random.Random) -> None:
        self.case = case
        self.kills: Counter[str] = Counter()
        self.runs = 0
        self.faults: list[str] = []
        self._work, self._draw = work, draw
        self._told = work / "told.txt"
        # In this process: what it imports and fits for it, every child then has without a second's work.
        with self._told.open("w", encoding="utf-8") as quiet, redirect_stdout(quiet), redirect_stderr(quiet):
            case.run(self._folder("warm"))
        if threading.active_count() > 1:
            raise SystemExit(f"{case.name} leaves threads behind; a fork would not have them")
        whole = self._folder("whole")
        counted = work / "counted.txt"
        status = run_in_child(lambda: case.run(whole), None, self._told, counted)
        if status:
            raise SystemExit(f"{case.name} fails without any kill:\n{self._told.read_text(encoding='utf-8')}")
        self.writes = int(counted.read_text(encoding="utf-8"))
        self._expected = case.outcome(whole)

    def _folder(self, name: str) -> Path:
        folder = self._work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def until(self, kills: int, bar: Any) -> None:
        """Kill runs until there were so many kills."""
        while self.kills.total() < kills and not self.faults:
            self._one(kills, bar)

    def _one(self, kills: int, bar: Any) -> None:
        """Kill one run again and again, let it end, and compare."""
        folder = self._folder("killed")
        before, left = self.case.finished(folder), self.writes
        for _ in range(MOST_KILLS_A_RUN):
            if self.kills.total() >= kills:
                break
            point = drawn_point(self._draw, left)
            # What goes on has less to write: a point beyond its end kills nothing.
            left = max(self.writes // 4, left - point.number)
            status = run_in_child(lambda: self.case.run(folder), point, self._told)
            before = self._checked(folder, before, f"{point}")
            if status >= 0:
                self._expect_success(status, f"{point}")
                break
            self.kills[point.mode] += 1
            bar.update()
        status = run_in_child(lambda: self.case.run(folder), None, self._told)
        self._expect_success(status, "the run after the kills")
        self._checked(folder, before, "the run after the kills")
        self.runs += 1
        if not self.faults:
            outcome = self.case.outcome(folder)
            other = [key for key in {**self._expected, **outcome} if outcome.get(key) != self._expected.get(key)]
            self.faults += [f"{self.case.name}: {key} is not that of an unkilled run" for key in other]

    def _expect_success(self, status: int, what: str) -> None:
        if status:
            self.faults.append(f"{self.case.name}: {what}: status {status}\n{self._told.read_text(encoding='utf-8')}")

    def _checked(self, folder: Path, before: Any, what: str) -> Any:
        """Read all that there is; returns what is finished now."""
        told = self._told.read_text(encoding="utf-8", errors="replace")
        try:
            now = self.case.finished(folder)
        except Exception as error:  # whatever it is, it was half-written
            self.faults.append(f"{self.case.name}: after {what}: {type(error).__name__}: {error}")
            return before
        for key, value in before.items():
            if not _kept(value, now.get(key)):
                self.faults.append(f"{self.case.name}: after {what}: {key} was finished, and is lost or done again")
        self.faults += [f"{self.case.name}: after {what}: {each}" for each in self.case.redone(before, told)]
        return now


def _kept(before: Any, now: Any) -> bool:
    """Numbers may grow, everything else has to stay."""
    return now is not None and now >= before if isinstance(before, int) else bool(now == before)


def main(argv: Sequence[str] | None = None) -> int:
    """Inject, and print what came of it; returns 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=500, help="kills in all (default: 500)")
    parser.add_argument("--case", choices=list(SHARES), help="only this one (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the points (default: 0)")
    args = parser.parse_args(argv)
    started = time.perf_counter()
    tqdm.monitor_interval = 0  # a thread
    draw = random.Random(args.seed)  # nosec B311  # points that anybody can draw again
    rows, faults = [], []
    # In memory where that is possible: a killed process loses nothing that it gave to the system, synced or not.
    # tempfile makes a folder of its own in there, closed to others.
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # nosec B108
    with (
        tempfile.TemporaryDirectory(dir=memory) as temporary,
        progress_bar(args.kills, "Killed", "kill", sys.stderr.isatty()) as bar,
    ):
        work = Path(temporary)
        write_toy(work)
        plugins.properties_folder = lambda: work / "properties"
        for name, make in CASES.items():
            if args.case not in (None, name):
                continue
            injection = Injection(make(work), work, draw)
            injection.until(args.kills if args.case else round(args.kills * SHARES[name]), bar)
            faults += injection.faults
            kills = {"killed": injection.kills.total(), **injection.kills}
            rows.append({"case": injection.case.name, "writes": injection.writes, "runs": injection.runs, **kills})
            print(rows[-1], f"{time.perf_counter() - started:.1f} s", file=sys.stderr)
    print(json.dumps({"cases": rows, "faults": faults, "seconds": round(time.perf_counter() - started, 1)}, indent=1))
    return 1 if faults else 0


def _benchmark(work: Path) -> Case:
    return Benchmark(work / "data")


def _answers(work: Path) -> Case:
    whole = work / "trained"
    whole.mkdir()
    with open(os.devnull, "w") as quiet, redirect_stderr(quiet):
        Benchmark(work / "data").run(whole)
    return Answers(next((whole / "toy").glob("*/Threshold-*")), work / "given.jsonl")


def _distillation(work: Path) -> Case:
    return Distillation(work / "data")


CASES = {
    "training and benchmark": _benchmark,
    "generate": _answers,
    "distillation": _distillation,
    "conversion": Conversion,
}

if __name__ == "__main__":
    sys.exit(main())
