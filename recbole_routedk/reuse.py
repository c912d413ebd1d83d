"""Weights that need no training: those of a finished run that differs only in what comes after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import Tensor

from recbole_routedk.checkpoint import Checkpoint, load_checkpoint, random_state, read_json, with_prefix
from recbole_routedk.errors import UserError
from recbole_routedk.model.bundle_generator import BundleGenerator
from recbole_routedk.provenance import made_with
from recbole_routedk.training_state import BEST, LAST, RESULT_FILE, Progress

_REPORTING = frozenset({"eval_batch_size", "metrics", "test_on"})
"""No weight depends on them."""


def trained_alike(config: Any, model: BundleGenerator, chosen_on: str | None) -> Checkpoint | None:
    """Return a checkpoint that training of ``model`` goes on from, as after a finished stage; None if there is none.

    It is looked for among the finished runs of the same model, by the same code, seed and training sessions: first
    one that differs only in ``model.answering_settings``, else one with the same settings in the first stages
    (``TrainingStage.settings`` are those that only one stage reads). A stage that chose among epochs did so by its own
    answers on the valid split, of which ``chosen_on`` is the fingerprint: it is taken over only where these would be
    the same.
    """
    if not model.gradient_trained:
        return None
    model.trainable_state()  # remembers what is trainable before a stage freezes it
    found: list[tuple[int, str, Path, bool]] = []
    for folder in _finished(config, model):
        changed = _changed(config, folder)
        if stage := _first_stage(model, changed):
            found.append((-stage, folder.name, folder, bool(changed)))
    for stage, _, folder, otherwise in sorted(found):
        checkpoint = _begun(model, folder, -stage, None if otherwise else chosen_on)
        if checkpoint is not None:
            return checkpoint
    return None


def _finished(config: Any, model: BundleGenerator) -> Iterator[Path]:
    """The folders of finished runs by this code on these libraries, trained upon the same."""
    now = (made_with(), model.dataset.fingerprint(), model.fits())
    for path in sorted(config.run_folder.parent.glob(f"*/{RESULT_FILE}")):
        try:
            best = read_json(path.parent / f"{BEST}.json")
        except UserError:  # another process may be at work there
            continue
        then = (best.get("made_with"), best["training_data"], best.get("fits"))
        if path.parent != config.run_folder and then == now:
            yield path.parent


def _changed(config: Any, folder: Path) -> set[str]:
    """The settings, apart from those of reporting, in which the run in ``folder`` differs from this one."""
    before = config.computing(read_json(folder / f"{BEST}.json")["config"]["settings"])
    now = config.computing(json.loads(json.dumps(config.plain()["settings"])))  # as a file has them
    return {key for key in now.keys() | before.keys() if before.get(key) != now.get(key)} - _REPORTING


def _first_stage(model: BundleGenerator, changed: set[str]) -> int:
    """The first stage that a run which differs in ``changed`` trained differently; 0 where all are others."""
    changed = changed - model.answering_settings
    stages = model.training_stages()
    left = 0
    for number in range(len(stages), 0, -1):
        if changed <= frozenset().union(*(stage.settings for stage in stages[number:])):
            left = max(left, number)
    return left


def _begun(model: BundleGenerator, folder: Path, stage: int, chosen_on: str | None) -> Checkpoint | None:
    best, reached = load_checkpoint(folder, BEST), Progress(**read_json(folder / f"{LAST}.json")["progress"])
    own, names = model.trainable_state(), _trained_before(model, stage)
    fits = all(name in best.tensors and best.tensors[name].shape == own[name].shape for name in names)
    chosen_otherwise = chosen_on is None or best.record.get("chosen_on") != chosen_on
    if not fits or len(reached.stage_seconds) < stage or (chosen_otherwise and _chose(reached, stage)):
        return None
    tensors: dict[str, Tensor] = own | {name: best.tensors[name] for name in names}
    progress = Progress(
        stage=stage,
        epochs_before=reached.stage_epochs[stage - 1],
        seconds=reached.stage_seconds[stage - 1],
        stage_seconds=reached.stage_seconds[:stage],
        stage_epochs=reached.stage_epochs[:stage],
        weights_from=reached.weights_from or folder.name,
    )
    generators = random_state()
    record = best.record | {"progress": asdict(progress), "random": generators.record}
    if stage < len(model.training_stages()):
        record["extra_state"] = model.extra_state()
    return Checkpoint(with_prefix("model", tensors) | with_prefix("random", generators.tensors), record)


def _chose(reached: Progress, stage: int) -> bool:
    """Whether one of the stages before ``stage`` had more than one epoch to choose from."""
    ends = [0, *reached.stage_epochs[:stage]]
    return any(end - begin > 1 for begin, end in pairwise(ends))


def _trained_before(model: BundleGenerator, stage: int) -> set[str]:
    """The names of what the stages before ``stage`` train, and of the buffers."""
    names = set(model.checkpoint_buffers())
    for each in model.training_stages()[:stage]:
        model.begin_stage(each.name)
        names |= {name for name, value in model.named_parameters() if value.requires_grad}
    return names
