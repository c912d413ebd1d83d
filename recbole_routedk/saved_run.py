"""What a run folder keeps so that its model answers again, on any machine and without the data set."""

from __future__ import annotations

from collections.abc import Mapping
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole.utils import init_seed

from recbole_routedk.checkpoint import random_state, read_json, restore_random_state
from recbole_routedk.config import Config
from recbole_routedk.data.atomic import SplitSessions, write_atomic
from recbole_routedk.data.dataset import BundleDataset
from recbole_routedk.errors import UserError
from recbole_routedk.model.bundle_generator import BundleGenerator
from recbole_routedk.trainer import BundleTrainer
from recbole_routedk.training_state import LAST

logger = getLogger(__name__)
CONFIG_FILE = "config.json"
TRAINING_FOLDER = "training"
"""The training sessions as atomic files: models fit on them what a checkpoint does not hold, such as the teacher."""


def saved_config(folder: Path, overrides: Mapping[str, Any] | None = None, model_class: type | None = None) -> Config:
    """The settings of the run in ``folder``, some replaced; UserError where the folder holds no run."""
    config = Config.from_plain(read_json(folder / CONFIG_FILE), overrides, model_class)
    # The run folder may have been moved, or its settings changed for evaluation: it stays the one given.
    config["checkpoint_dir"], config["run_name"] = str(folder.resolve().parent), folder.resolve().name
    return config


def keep_training_sessions(config: Config, train: BundleDataset) -> None:
    """Write the training sessions into the run folder; their digest stands in every checkpoint."""
    name = config["dataset"]
    write_atomic(config.run_folder / TRAINING_FOLDER, name, SplitSessions(train.labelled_sessions, (), ()))


def warn_if_unfinished(folder: Path) -> None:
    """Log a warning where the run in ``folder`` was stopped before its end: its best weights until then answer."""
    path = folder / f"{LAST}.json"
    progress = read_json(path)["progress"] if path.is_file() else {"epochs_before": 0, "finished": False}
    if not progress["finished"]:
        logger.warning(
            f"{folder}: this run was stopped after {progress['epochs_before']} epochs; the best weights until then "
            "answer. Its own command with --resume=True finishes it"
        )


def generator_config(
    folder: str | Path, settings: Mapping[str, Any] | None = None, model_class: type | None = None
) -> Config:
    """The settings with which ``load_generator`` loads a run; raises UserError as it does."""
    folder, given = Path(folder).expanduser(), dict(settings or {})
    saved = read_json(folder / CONFIG_FILE)
    if model_class is not None and model_class.__name__ != saved["model"]:
        raise UserError(
            f"{folder} is a run of {saved['model']}, not of {model_class.__name__}; load it as BundleGenerator"
        )
    kept = folder / TRAINING_FOLDER
    if "data_path" not in given and kept.is_dir():
        # The kept sessions already hold those of other data sets, and only the share that was drawn.
        given |= {"data_path": str(kept), "knowledge_from": [], "train_share": 1.0, "test_on": None}
    elif "data_path" not in given:
        _check_old_run(folder, saved)
    return saved_config(folder, given, model_class)


def load_generator(
    folder: str | Path, settings: Mapping[str, Any] | None = None, model_class: type | None = None
) -> BundleGenerator:
    """Load the model of a saved run with its best weights, ready to answer; the process's random state stays.

    ``settings`` replace those of the run, ``model_class`` stands in for a model that has no YAML file. A run that was
    saved without its training sessions needs its data set (``data_path``). Raises UserError where the folder holds no
    run, or training sessions that are not those of the checkpoint.
    """
    config = generator_config(folder, settings, model_class)
    warn_if_unfinished(Path(folder).expanduser())
    before = random_state()
    init_seed(config["seed"], config["reproducibility"])
    try:
        train = BundleDataset(config).build()[0]
        generator: BundleGenerator = config.model_class(config, train).to(config["device"])
        BundleTrainer(config, generator).load_best()
    finally:
        restore_random_state(before)
    generator.eval()
    return generator


def _check_old_run(folder: Path, saved: Mapping[str, Any]) -> None:
    home, name = Path(saved["settings"]["data_path"]), saved["dataset"]
    if not (home / f"{name}.item").is_file():
        raise UserError(
            f"{folder}: this run was saved without its training sessions, and its data set {name} is no "
            f"longer at {home}; say where it is with data_path, or train again"
        )
