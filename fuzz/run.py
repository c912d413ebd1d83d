"""Fuzzes the readers of foreign text with atheris, guided by the branches that inputs reach.

    pip install -e '.[fuzz]'              (atheris has wheels for Linux, Python 3.11 and later)
    python fuzz/run.py --minutes=10       all targets, one after another, in equal parts of the time
    python fuzz/run.py --target=config --minutes=1

Prints executions and findings of each target as JSON; inputs that break a promise are kept in ``--findings``, and the
exit status is 1 where there is one.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_TITLE = re.compile(r"=== Uncaught Python exception: ===\n(.*)")
NAMES = ("completion", "teachers", "converter", "config")


def main() -> int:
    """Run what the command line says; returns 1 where something was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="time for all targets together (default: 10)")
    parser.add_argument("--target", choices=NAMES, help="only this one (default: all)")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="where inputs are kept")
    parser.add_argument("--within", action="store_true", help=argparse.SUPPRESS)
    args, rest = parser.parse_known_args()
    if args.within:
        _fuzz(args.target, rest)
    names = [args.target] if args.target else list(NAMES)
    told = [_told(name, round(60 * args.minutes / len(names)), args.findings) for name in names]
    print(json.dumps(told, indent=1))
    return int(any(each["finding"] for each in told))


def _told(name: str, seconds: int, findings: Path) -> dict[str, Any]:
    """Fuzz one target in a process of its own, since libFuzzer ends the process; returns what came of it."""
    findings.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        words = [f"-max_total_time={seconds}", "-print_final_stats=1", "-max_len=4096", "-timeout=20", corpus]
        own = [sys.executable, __file__, "--within", f"--target={name}"]
        done = subprocess.run(
            [*own, *words, f"-artifact_prefix={findings}/{name}-"], capture_output=True, text=True, errors="replace"
        )
    executed = _EXECUTED.search(done.stderr)
    if executed is None:
        raise SystemExit(f"{name} could not be fuzzed:\n{done.stderr}{done.stdout}")
    title = _TITLE.search(done.stdout + done.stderr)
    finding = (title[1] if title else f"ended with {done.returncode}") if done.returncode else ""
    return {"target": name, "seconds": seconds, "executions": int(executed[1]), "finding": finding}


def _fuzz(name: str, words: list[str]) -> None:
    """Become libFuzzer; does not return."""
    import atheris

    with atheris.instrument_imports(include=["recbole_routedk.data", "recbole_routedk.distill", "recbole_routedk.cli"]):
        import targets
    for module in ("recbole_routedk.literals", "recbole_routedk.config_schema"):
        assert module in sys.modules
    corpus = Path(next(word for word in words if not word.startswith("-")))
    for number, seed in enumerate(targets.SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *words], targets.TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
