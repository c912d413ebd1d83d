"""The trials of a search for settings: their log, the best of them, and how they are shown."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from tabulate import tabulate

from recbole_routedk.errors import UserError

Trial = dict[str, Any]
"""Settings, the valid metrics they reached (``score`` None and ``error`` where they failed), seconds, seed, code."""

_SHOWN = {"matchedf1": "MatchedF1", "bundlef1": "BundleF1", "pairf1": "PairF1"}
_NEEDED = {"run", "settings", "score", "valid", "valid_score_bigger", "seconds", "error", "code"}


class TrialLog:
    """A file of JSON lines that survives a kill: a line is synced when it is written, and half a line is dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Trial]:
        """The whole lines; UserError for one that is no trial."""
        if not self.path.is_file():
            return []
        trials = []
        for number, line in enumerate(self._whole().decode("utf-8").splitlines(), start=1):
            try:
                trial = json.loads(line)
            except ValueError:
                trial = None
            if not isinstance(trial, dict) or not set(trial) >= _NEEDED:
                raise UserError(f"{self.path}, line {number}: is no trial of tune; move the file away")
            trials.append(trial)
        return trials

    def append(self, trial: Trial) -> None:
        """Add a trial, on the disk when this returns; UserError where it cannot be written."""
        line = (json.dumps(trial, ensure_ascii=False) + "\n").encode("utf-8")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            whole = len(self._whole()) if self.path.is_file() else 0
            with self.path.open("ab") as stream:
                stream.truncate(whole)
                stream.write(line)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({error.strerror}); set --output_dir") from None

    def _whole(self) -> bytes:
        text = self.path.read_bytes()
        return text[: text.rfind(b"\n") + 1]


def best(trials: Sequence[Trial]) -> Trial:
    """The trial with the best valid score, the earliest among equals; one that failed only where all did."""
    return max(trials, key=_rank)


def _rank(trial: Trial) -> float:
    if trial["score"] is None:
        return float("-inf")
    return float(trial["score"] if trial["valid_score_bigger"] else -trial["score"])


def best_lines(trials: Sequence[Trial]) -> str:
    """The best settings as lines of ``properties/model/<Name>.yaml``."""
    settings = best(trials)["settings"]
    # Within a list, a value of any kind is one line of YAML.
    values = {key: yaml.safe_dump([value], default_flow_style=True, width=10**6) for key, value in settings.items()}
    return "\n".join(f"{key}: {text.strip()[1:-1]}" for key, text in values.items())


def score_text(trial: Trial) -> str:
    """The score with four digits, or "failed"."""
    return "failed" if trial["score"] is None else f"{trial['score']:.4f}"


def settings_text(trial: Trial) -> str:
    """The settings, or why they failed."""
    return str(trial["error"] or ", ".join(f"{key}={_value_text(value)}" for key, value in trial["settings"].items()))


def table(trials: Sequence[Trial]) -> str:
    """The trials in Markdown, the best first; number 1 has the settings as they were configured."""
    keys = list(trials[0]["settings"])
    numbered = sorted(enumerate(trials, start=1), key=lambda each: -_rank(each[1]))
    rows = [[number, *_row(trial, keys)] for number, trial in numbered]
    return tabulate(rows, ["trial", *_SHOWN.values(), "s", *keys], tablefmt="pipe", disable_numparse=True)


def _row(trial: Trial, keys: Sequence[str]) -> list[str]:
    metrics = [f"{trial['valid'][key]:.4f}" if key in trial["valid"] else "-" for key in _SHOWN]
    return [*metrics, f"{trial['seconds']:.1f}", *(_value_text(trial["settings"][key]) for key in keys)]


def _value_text(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)
