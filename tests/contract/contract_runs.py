"""Runs of the models under contract: each kind of run of a model happens once, and the tests share what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
from contract_data import learnable_splits, with_wrong_labels
from contract_settings import FAST
from recbole.utils import init_seed

from recbole_routedk.checkpoint import Checkpoint, load_checkpoint, read_json
from recbole_routedk.config import Config
from recbole_routedk.data.atomic import SplitSessions, write_atomic
from recbole_routedk.data.dataset import BundleDataset
from recbole_routedk.data.session import Generation, Session
from recbole_routedk.model.bundle_generator import BundleGenerator
from recbole_routedk.quick_start import CONFIG_FILE, PREDICTIONS_FILES, load_data_and_model, run_recbole_routedk
from recbole_routedk.registry import model_settings, resolve_model
from recbole_routedk.training_state import RESULT_FILE


@dataclass(frozen=True)
class Run:
    """A finished run of a model."""

    folder: Path

    @property
    def best(self) -> Checkpoint:
        """What was trained and chosen."""
        return load_checkpoint(self.folder, "best")

    @property
    def test_answers(self) -> dict[str, list[list[int]]]:
        """The answers to the test sessions."""
        answers: dict[str, list[list[int]]] = read_json(self.folder / PREDICTIONS_FILES["test"])
        return answers

    @property
    def metrics(self) -> dict[str, Any]:
        """What was measured on the valid and the test sessions."""
        result = read_json(self.folder / RESULT_FILE)
        return {key: result[key] for key in ("best_valid_result", "test_result")}

    @cached_property
    def loaded(self) -> BundleGenerator:
        """The model with what it learnt, read from the folder."""
        return load_data_and_model(self.folder)[1]

    def untrained(self) -> BundleGenerator:
        """The same model with its first weights, on the same data; what valid sessions choose is chosen for it."""
        config = Config.from_plain(read_json(self.folder / CONFIG_FILE))
        init_seed(config["seed"], config["reproducibility"])
        train, valid, _ = BundleDataset(config).build()
        model: BundleGenerator = config.model_class(config, train).to(config["device"])
        if type(model).calibrate is not BundleGenerator.calibrate:
            model.prepare(train.labelled_sessions)
            with torch.no_grad():
                model.eval().calibrate(valid.labelled_sessions)
        return model


@torch.no_grad()
def answers(model: BundleGenerator, sessions: Sequence[Session]) -> list[Generation]:
    """What the model answers, from its seed."""
    init_seed(model.config["seed"], model.config["reproducibility"])
    return model.eval().predict_bundles(sessions)


class StopRun(Exception):
    """Stands for whatever stops a run."""


@contextmanager
def stopping_after_every_epoch(model: type[BundleGenerator]) -> Iterator[None]:
    """Let training of the model stop before each epoch but the one that it begins with."""
    begin, last, stops = model.begin_epoch, None, 0

    def stop(self: BundleGenerator, epoch: int) -> None:
        nonlocal last, stops
        if last is self:
            stops += 1
            raise StopRun
        last = self
        begin(self, epoch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "begin_epoch", stop)
        yield
    assert stops >= 2, f"{model.__name__} was stopped {stops} times"


def run_to_its_end(model: str, settings: dict[str, Any]) -> Path:
    """Run, again whenever it is stopped; returns the run folder."""
    while True:
        try:
            return Path(run_recbole_routedk(model, "contract", config_dict=settings)["run_folder"])
        except StopRun:
            continue


class Runs:
    """Makes runs when they are first asked for."""

    def __init__(self, folder: Path, student: Path) -> None:
        self.splits = learnable_splits()
        self._folder, self._student = folder, student
        self._done: dict[str, Run] = {}

    def of(self, model: str, wrong: str = "", one_epoch: bool = False, stopped: bool = False) -> Run:
        """A run of the model; ``wrong`` names a split whose labels are wrong in it, ``one_epoch`` is a pass a stage.

        ``stopped`` is stopped after every epoch, and resumed.
        """
        own = model_settings(model)
        settings: dict[str, Any] = FAST.get(model, {}) | {"show_progress": False, "state": "ERROR"}
        if "student" in own:
            settings["student"] = str(self._student)
        if "knowledge_format" in own:
            # A teacher of the same training sessions says the same: it is asked once.
            settings["knowledge_store"] = str(self._folder / f"knowledge-{wrong == 'train'}.sqlite")
        if one_epoch and resolve_model(model).gradient_trained:
            settings |= {key: 1 for key in ("epochs", *own) if key.endswith("epochs")}
        settings["resume"] = stopped
        key = json.dumps([model, wrong, settings], sort_keys=True)
        if key not in self._done:
            settings |= {"data_path": str(self._data(wrong)), "output_dir": str(self._folder / f"run{len(self._done)}")}
            with stopping_after_every_epoch(resolve_model(model)) if stopped else nullcontext():
                self._done[key] = Run(run_to_its_end(model, settings))
        return self._done[key]

    def _data(self, wrong: str) -> Path:
        path = self._folder / f"data-{wrong or 'right'}"
        if not path.is_dir():
            changed = {wrong: with_wrong_labels(self.splits.split(wrong))} if wrong else {}
            splits: SplitSessions = replace(self.splits, **changed)
            write_atomic(path / "contract", "contract", splits)
        return path
