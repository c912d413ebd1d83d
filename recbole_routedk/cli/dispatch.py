"""One program with several commands: ``python -m recbole_routedk <command> ...``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from recbole_routedk.errors import UserError
from recbole_routedk.threads import calm_openmp

COMMANDS = {
    "run": "train and evaluate models, print a leaderboard; or evaluate a saved run",
    "tune": "search for the settings of models on the valid split",
    "distill": "ask a teacher for patterns, rules and thoughts; look into, export and import its answers",
    "convert": "turn CSV files or JSON lines of sessions and bundles into a data set",
    "generate": "answer new sessions with a saved run: JSON lines in, JSON lines out",
    "doctor": "check versions, settings, data set, student, GPU, disk and endpoint, and say how to mend them",
    "export": "hand a trained student on as PEFT adapters, one static LoRA or merged weights",
    "report": "make one page of the finished runs: leaderboard, curves, gates, costs and a gallery of sessions",
    "evaluate": "score a file of predictions with every metric",
}
READ_THEMSELVES = ("run", "tune", "distill", "generate", "export", "doctor")
"""Commands whose settings are no fixed list of options."""
UNRESOLVED = {"recbole": "pip install --no-deps recbole==1.2.1"}
"""Packages that ``pip install recbole_routedk`` cannot bring, and what does (requirements/no-deps.txt)."""

_TORCHRUN = "TORCHELASTIC_RUN_ID"  # asking torch itself would take the seconds of its import

USER_ERROR = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code, 2 for something the user can mend."""
    calm_openmp()  # torch is imported only with the command
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _command(words)
    except UserError as error:
        _tell(f"error: {error}")
        return USER_ERROR
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in UNRESOLVED:
            raise
        print(
            f"error: the package {package} is missing; pip cannot install it with its own dependencies, so it "
            f"comes by: {UNRESOLVED[package]}",
            file=sys.stderr,
        )
        return USER_ERROR
    except BrokenPipeError:
        # Whoever read our output has seen enough (``... | head``); nothing is left to be flushed to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        _tell("\nstopped; the same command with --resume goes on from the last epoch")
        return INTERRUPTED


def _tell(line: str) -> None:
    """Say why the program ends; of several processes the first one that ends does."""
    if _TORCHRUN in os.environ:
        from recbole_routedk.distributed import tells_the_error

        if not tells_the_error():
            return
    print(line, file=sys.stderr)


def _command(words: list[str]) -> int:
    if words and words[0].startswith("--") and words[0] != "--help":
        raise UserError(f"a command comes first; did you mean 'run {' '.join(words)}'?")
    chosen = words[0] if words else None
    if _TORCHRUN in os.environ and chosen != "run":
        raise UserError(f"torchrun is for training: the command {chosen} is given to python alone")
    if chosen in READ_THEMSELVES:
        return int(_module(chosen).run(words[1:]))
    parser = argparse.ArgumentParser(
        prog="recbole_routedk",
        description="Bundle generation in RecBole: from the items of a session to bundles with one intent.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name == chosen:
            _module(name).add_arguments(command)
    args = parser.parse_args(words)
    return int(_module(args.command).main(args))


def _module(name: str) -> ModuleType:
    """Import the module of a command only when it is asked for: torch takes seconds."""
    return importlib.import_module(f"recbole_routedk.cli.{name}")
