"""Run a model from a script: train and evaluate it, or take up a saved run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime, timezone
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole.utils import init_seed

from recbole_routedk.config import Config
from recbole_routedk.data.atomic import SPLITS
from recbole_routedk.data.dataloader import BundleDataLoader
from recbole_routedk.data.dataset import BundleDataset
from recbole_routedk.data.files import write_json
from recbole_routedk.data.session import Generation
from recbole_routedk.distributed import from_first, is_first
from recbole_routedk.errors import UserError
from recbole_routedk.evaluation.metrics import gold_bundles
from recbole_routedk.evaluation.session_scores import session_scores
from recbole_routedk.model.bundle_generator import BundleGenerator
from recbole_routedk.progress import progress_shown
from recbole_routedk.provenance import code, library_versions, machine
from recbole_routedk.run_lock import only_process
from recbole_routedk.run_log import logging_to
from recbole_routedk.saved_run import CONFIG_FILE, keep_training_sessions, saved_config, warn_if_unfinished
from recbole_routedk.trainer import BundleTrainer
from recbole_routedk.training_state import RESULT_FILE

PREDICTIONS_FILES = {"test": "predictions_test.json", "valid": "predictions_valid.json"}
SESSIONS_FILES = {"test": "sessions_test.json", "valid": "sessions_valid.json"}
LOG_FILE = "run.log"

Loaded = tuple[Config, BundleGenerator, BundleDataset, BundleDataLoader, BundleDataLoader, BundleDataLoader]


def run_recbole_routedk(
    model: str | type | None = None,
    dataset: str | None = None,
    config_file_list: Sequence[str | Path] | None = None,
    config_dict: Mapping[str, Any] | None = None,
    saved: bool = True,
    command_line: Mapping[str, Any] | None = None,
    companions: Sequence[str] = (),
    test: bool = True,
) -> dict[str, Any]:
    """Train one model, evaluate it on the test split and return what it reached.

    The result has RecBole's keys (``best_valid_score``, ``valid_score_bigger``, ``best_valid_result``,
    ``test_result``) and the name, run folder, size, speed, memory and time of the run, and what it ran on. With
    ``saved`` the run folder gets the checkpoints, settings, test predictions and this result. Without ``test`` no
    test session is answered, and ``test_result`` is empty: whoever chooses settings must not look. Under torchrun every
    process calls this and gets the same result; the first one alone writes. Raises UserError.
    """
    config = Config(model, dataset, config_file_list, config_dict, command_line, companions)
    code()  # as it is now, whatever is edited while it runs
    writes = saved and is_first()
    alone = only_process(config.run_folder) if writes else nullcontext()
    with alone, _watched(config, config.run_folder / LOG_FILE if writes else None):
        init_seed(config["seed"], config["reproducibility"])
        generator, _, train_data, valid_data, test_data = _build(config)
        if writes:
            write_json(config.run_folder / CONFIG_FILE, config.plain())
            keep_training_sessions(config, train_data.bundle_dataset)
        getLogger().info(f"{generator.display_name} on {config['dataset']}")
        trainer = BundleTrainer(config, generator)
        show = config["show_progress"]
        trainer.fit(train_data, valid_data, saved=saved, show_progress=show)
        if saved:
            _keep_valid(trainer, valid_data, writes)
        result = _tested(trainer, test_data, writes) if test else _result(trainer, {})
        result["data"] = data_fingerprints([each.bundle_dataset for each in (train_data, valid_data, test_data)])
        if writes:
            generator.save_artefacts(config.run_folder)
            write_json(config.run_folder / RESULT_FILE, result)
            getLogger().info(f"Saved to {config.run_folder}")
        return from_first(lambda: result)


def objective_function(
    config_dict: Mapping[str, Any] | None = None,
    config_file_list: Sequence[str | Path] | None = None,
    saved: bool = True,
    test: bool = True,
) -> dict[str, Any]:
    """The objective of RecBole's hyper-parameter search: train, and return the valid and (with ``test``) test results.

    The command ``tune`` searches without test (``recbole_routedk.tuning``).
    """
    result = run_recbole_routedk(config_file_list=config_file_list, config_dict=config_dict, saved=saved, test=test)
    kept = ("model", "best_valid_score", "valid_score_bigger", "best_valid_result", "test_result")
    return {key: result[key] for key in kept}


def load_data_and_model(
    folder: str | Path, overrides: Mapping[str, Any] | None = None, model_class: type | None = None
) -> Loaded:
    """Load a saved run: (config, model with its best weights, dataset, train, valid and test loaders).

    ``folder`` is a run folder, ``overrides`` replace settings, ``model_class`` stands in for a model that
    has no YAML file. Raises UserError where the folder holds no run.
    """
    config = saved_config(Path(folder), overrides, model_class)
    init_seed(config["seed"], config["reproducibility"])
    generator, dataset, train_data, valid_data, test_data = _build(config)
    BundleTrainer(config, generator).load_best()
    warn_if_unfinished(Path(folder))
    generator.eval()
    return config, generator, dataset, train_data, valid_data, test_data


def evaluate_saved(
    folder: str | Path, overrides: Mapping[str, Any] | None = None, model_class: type | None = None
) -> dict[str, Any]:
    """Evaluate a saved run on the test split, without training; nothing in the run folder changes."""
    config, generator, _, _, valid_data, test_data = load_data_and_model(folder, overrides, model_class)
    with _watched(config, None):
        trainer = BundleTrainer(config, generator)
        show = config["show_progress"]
        valid = trainer.evaluate(valid_data, load_best_model=False, show_progress=show)
        trainer.progress.best_result = dict(valid)
        trainer.progress.best_score = valid[config["valid_metric"]]
        result = _tested(trainer, test_data, saved=False)
        return from_first(lambda: result)


def data_fingerprints(splits: Sequence[BundleDataset]) -> dict[str, str]:
    """What a result was trained, chosen and tested on: a digest of each split, in the order of ``build``."""
    return {name: split.fingerprint() for name, split in zip(SPLITS, splits, strict=True)}


@contextmanager
def _watched(config: Config, log_file: Path | None) -> Iterator[None]:
    """Log and show bars as the settings say, in the first process alone."""
    state, shown = (config["state"], config["show_progress"]) if is_first() else ("CRITICAL", False)
    with logging_to(log_file, state), progress_shown(shown):
        yield


def _build(
    config: Config,
) -> tuple[BundleGenerator, BundleDataset, BundleDataLoader, BundleDataLoader, BundleDataLoader]:
    dataset = BundleDataset(config)
    splits = dataset.build()
    for name, split in zip(config["benchmark_filename"], splits, strict=True):
        if not split.labelled_sessions:
            raise UserError(
                f"{config['data_path']}: the {name} split has no session; a run needs one in each, so convert the data "
                'anew with another split.json or "split", or without any for a split by seed'
            )
    train, valid, test = splits
    train_data = BundleDataLoader(config, train, shuffle=config["shuffle"])
    valid_data, test_data = BundleDataLoader(config, valid), BundleDataLoader(config, test)
    for loader in (valid_data, test_data):
        loader.set_batch_size(config["eval_batch_size"])
    generator = config.model_class(config, train).to(config["device"])
    return generator, dataset, train_data, valid_data, test_data


def _tested(trainer: BundleTrainer, test_data: BundleDataLoader, saved: bool) -> dict[str, Any]:
    config = trainer.config
    test_result = trainer.evaluate(test_data, load_best_model=False, show_progress=config["show_progress"])
    if saved:
        _keep_answers(config, "test", trainer.last_generations, test_data)
    return _result(trainer, dict(test_result))


def _keep_valid(trainer: BundleTrainer, valid_data: BundleDataLoader, writes: bool) -> None:
    """Keep the best answers to the valid sessions; if a stopped run was best before the stop, they are given again."""
    config = trainer.config
    files = [config.run_folder / names["valid"] for names in (PREDICTIONS_FILES, SESSIONS_FILES)]
    if from_first(lambda: not trainer.best_generations and not all(file.is_file() for file in files)):
        trainer.evaluate(valid_data, load_best_model=False, show_progress=config["show_progress"])
        trainer.best_generations = trainer.last_generations
    if writes and trainer.best_generations:
        _keep_answers(config, "valid", trainer.best_generations, valid_data)


def _keep_answers(config: Config, split: str, generations: Mapping[str, Generation], data: BundleDataLoader) -> None:
    answers = {key: [sorted(bundle) for bundle in generation.bundles] for key, generation in generations.items()}
    write_json(config.run_folder / PREDICTIONS_FILES[split], answers)
    write_json(config.run_folder / SESSIONS_FILES[split], _of_sessions(generations, data))


def _of_sessions(generations: Mapping[str, Generation], data: BundleDataLoader) -> dict[str, dict[str, Any]]:
    """What can be said of each session: its length, its scores, how far samples agreed, the experts' gates."""
    told = {}
    for labelled in data.bundle_dataset.labelled_sessions:
        session, generation = labelled.session, generations[labelled.session.session_id]
        told[session.session_id] = {
            "items": len(session),
            **session_scores(gold_bundles(labelled), generation.bundles),
            "agreement": generation.score,
            "gates": generation.gates,
        }
    return told


def _result(trainer: BundleTrainer, test_result: dict[str, float]) -> dict[str, Any]:
    config, model = trainer.config, trainer.model
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    return {
        "model": config["model"],
        "name": model.display_name,
        "dataset": config["dataset"],
        "test_on": config["test_on"],
        "seed": config["seed"],
        "run_folder": str(config.run_folder),
        "best_valid_score": trainer.best_valid_score,
        "valid_score_bigger": config["valid_metric_bigger"],
        "best_valid_result": trainer.best_valid_result,
        "test_result": test_result,
        "trained_parameters": sum(sizes.get(name, 0) for name in model.trainable_state()),
        "parameters": sum(sizes.values()),
        "sessions_per_second": trainer.sessions_per_second,
        "peak_memory_mib": trainer.peak_memory,
        "teacher_dollars": model.teacher_dollars(),
        "train_seconds": trainer.progress.seconds,
        "weights_from": trainer.progress.weights_from,
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "code": code(),
        "libraries": library_versions(),
        "machine": machine(),
    }
