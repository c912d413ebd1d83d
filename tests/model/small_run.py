"""Whole runs of a model with a student on a few sessions of bundle-mini, and what they leave behind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from recbole_routedk.data.atomic import SplitSessions, read_atomic, write_atomic
from recbole_routedk.data.session import LabelledSession
from recbole_routedk.quick_start import run_recbole_routedk
from recbole_routedk.registry import shipped_datasets

QUICK = {
    "epochs": 1,
    "train_batch_size": 3,
    "eval_batch_size": 4,
    "consensus_samples": 3,
    "first_adapted_layer": 0,
    "show_progress": False,
    "state": "ERROR",
}


def small_splits() -> SplitSessions:
    """Nine train, three valid and four test sessions."""
    whole = read_atomic(shipped_datasets() / "bundle-mini", "bundle-mini")
    return SplitSessions(whole.train[:9], whole.valid[:3], whole.test[:4])


def write_small(folder: Path, splits: SplitSessions) -> Path:
    """Write the data set "small"; returns the data path."""
    write_atomic(folder / "small", "small", splits)
    return folder


def run(data: Path, student: str | Path, model: str = "RouteDK", **settings: Any) -> dict[str, Any]:
    """Train and test a model on "small"."""
    given = QUICK | {"data_path": str(data), "student": str(student)} | settings
    return run_recbole_routedk(model, "small", config_dict=given)


def relabelled(labelled: LabelledSession) -> LabelledSession:
    """The same session with a wrong answer: its last two items under another intent."""
    last = len(labelled.session) - 1
    return replace(labelled, bundles=(frozenset({last - 1, last}),), intents=("something else",))


def predictions(result: dict[str, Any]) -> dict[str, list[list[int]]]:
    """The answers to the test sessions."""
    answers: dict[str, list[list[int]]] = json.loads(
        (Path(result["run_folder"]) / "predictions_test.json").read_text(encoding="utf-8")
    )
    return answers


def weights(result: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The best weights of the run."""
    return load_file(next(Path(result["run_folder"]).glob("best-*.safetensors")))


def knowledge_file(result: dict[str, Any]) -> dict[str, Any]:
    """What the run was told."""
    told: dict[str, Any] = json.loads((Path(result["run_folder"]) / "knowledge.json").read_text(encoding="utf-8"))
    return told
