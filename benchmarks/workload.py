"""What the contestants work on: the student with its experts, prepared as a run prepares it, and its batches."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from recbole.utils import init_seed
from side_by_side import Options
from torch import Tensor

from recbole_routedk.config import Config
from recbole_routedk.data.dataloader import BundleDataLoader
from recbole_routedk.data.dataset import BundleDataset
from recbole_routedk.data.session import Session
from recbole_routedk.errors import UserError
from recbole_routedk.model.language.lessons import Lesson
from recbole_routedk.model.routedk import RouteDK
from recbole_routedk.model.views import Example
from recbole_routedk.quick_start import load_data_and_model
from recbole_routedk.student.backbone import Student, load_student
from recbole_routedk.trainer import BundleTrainer


@dataclass(frozen=True)
class Loaded:
    """RouteDK ready to be trained, its configuration, and the splits."""

    config: Any
    model: RouteDK
    train: Any
    valid: Any
    test: Any


@dataclass(frozen=True)
class Texts:
    """The tokens of a batch: what all views share, what follows it, and what is to be written."""

    prefixes: list[list[int]]
    suffixes: list[list[int]]
    answers: list[list[int]]

    def whole(self) -> list[list[int]]:
        """Each row in one piece."""
        rows = zip(self.prefixes, self.suffixes, self.answers, strict=True)
        return [prefix + suffix + answer for prefix, suffix, answer in rows]

    def prompts(self) -> list[list[int]]:
        """Each row without its answer."""
        return [prefix + suffix for prefix, suffix in zip(self.prefixes, self.suffixes, strict=True)]


def loaded(options: Options) -> Loaded:
    """Load the student, make its experts and take the knowledge of the training sessions; the rows share it."""
    return _loaded(options.of_workload())


@cache
def _loaded(options: Options) -> Loaded:
    folder = tempfile.TemporaryDirectory(prefix="benchmark-")
    atexit.register(folder.cleanup)
    settings: dict[str, Any] = {
        "student": options.student,
        "student_revision": options.student_revision,
        "student_dtype": options.dtype,
        "seed": options.seed,
        "use_gpu": options.device.startswith("cuda"),
        "output_dir": folder.name,
        "state": "WARNING",
    }
    if options.data_path is not None:
        settings["data_path"] = options.data_path
    config = Config("RouteDK", options.dataset, config_dict=settings)
    init_seed(options.seed, True)
    train, valid, test = BundleDataset(config).build()
    model = config.model_class(config, train).to(config["device"])
    model.prepare(train.labelled_sessions)
    model.begin_stage("experts")
    return Loaded(config, model, train, valid, test)


def trained(options: Options) -> Loaded:
    """Load a finished run, or train for one epoch; the rows share it."""
    return _trained(options.of_workload())


@cache
def _trained(options: Options) -> Loaded:
    if options.checkpoint is None:
        data = loaded(options)
        BundleTrainer(data.config, data.model).fit(
            BundleDataLoader(data.config, data.train, shuffle=True), verbose=False, saved=False, show_progress=True
        )
        return data
    overrides = {
        "use_gpu": options.device.startswith("cuda"),
        "student_dtype": options.dtype,
        "state": "WARNING",
    }
    config, model, _, train, valid, test = load_data_and_model(options.checkpoint, overrides)
    if not isinstance(model, RouteDK):
        raise UserError(f"{options.checkpoint}: a run of RouteDK is wanted, this is one of {type(model).__name__}")
    model.begin_stage("router")
    return Loaded(config, model, *(loader.bundle_dataset for loader in (train, valid, test)))


def plain_student(options: Options) -> Student:
    """Load the student once more, without experts; the rows share it."""
    return _plain_student(options.of_workload())


@cache
def _plain_student(options: Options) -> Student:
    student = load_student(options.student, revision=options.student_revision, device=options.device)
    student.model.to(getattr(torch, options.dtype))
    return student


def batch(examples: Sequence[Example], model: RouteDK, lesson: Lesson) -> Texts:
    """Return the tokens of a lesson about some examples."""
    return Texts(
        [model.prompts.prefix(example.session) for example in examples],
        [model.encoder.suffix(example, lesson) for example in examples],
        [model.encoder.target(example, lesson)[0] for example in examples],
    )


def some_examples(model: RouteDK, count: int, longest: bool = False) -> list[Example]:
    """Return the first training examples with bundles, or those with most items."""
    usable = [example for example in model.examples if example.bundles]
    if longest:
        usable.sort(key=lambda example: -len(example.session))
    return usable[:count]


def test_sessions(data: Loaded, options: Options) -> list[Session]:
    """Return the test sessions that can have bundles."""
    sessions = [labelled.session for labelled in data.test.labelled_sessions]
    return [session for session in sessions if len(session) >= 2][: options.sessions]


def pad_right(rows: Sequence[Sequence[int]], fill: int, device: torch.device) -> Tensor:
    """Return the rows as [batch, T], ``fill`` after their ends."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows], device=device)
