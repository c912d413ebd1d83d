"""Hands a trained student on: as PEFT adapters, as one static LoRA, or merged; what that loses is measured."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from recbole_routedk.data.dataloader import BundleDataLoader
from recbole_routedk.data.files import fault
from recbole_routedk.data.plain import plain_session
from recbole_routedk.errors import UserError
from recbole_routedk.model.bundle_generator import BundleGenerator
from recbole_routedk.model.language.student_model import StudentModel
from recbole_routedk.quick_start import load_data_and_model
from recbole_routedk.saved_run import load_generator, saved_config
from recbole_routedk.serving.card import CardFacts, Measured, write_card
from recbole_routedk.serving.mixtures import (
    fold,
    load_folded,
    mean_gates,
    one_expert,
    plain_peft_difference,
    save_experts,
    save_folded,
    save_merged,
    student_of,
)
from recbole_routedk.student.backbone import load_student
from recbole_routedk.trainer import BundleTrainer

FORMS = ("adapters", "static", "merged")
SPLITS = ("valid", "test")
_CHECKED_PROMPTS = 3
_LARGEST_DIFFERENCE = 1e-2
_EXAMPLE = ("Aluminium travel tripod", "Non-slip yoga mat", "Padded camera bag", "Foam roller")


def export_run(
    run: str | Path,
    output: str | Path,
    form: str,
    settings: Mapping[str, Any] | None = None,
    split: str = "valid",
    sessions: int | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Write a run's student in one of ``FORMS`` into the new folder ``output``, with a model card; returns the folder.

    ``adapters`` are compared with plain PEFT. ``static`` and ``merged`` answer the first ``sessions`` of ``split`` (all
    of them by default) beside the routed model, so the data set is needed; ``say`` is told the result, and the card
    holds it. Raises UserError.
    """
    run, output = Path(run).expanduser(), Path(output).expanduser()
    if form not in FORMS:
        raise UserError(f"--format has to be one of {', '.join(FORMS)}, not {form!r}")
    if split not in SPLITS:
        raise UserError(f"--split has to be one of {', '.join(SPLITS)}, not {split!r}")
    if output.exists():
        raise fault(output, None, "is there already; give another --output")
    with _appearing(output) as folder:
        facts = (
            _adapters(run, folder, settings, say)
            if form == "adapters"
            else _folded(run, folder, form, settings, split, sessions, say)
        )
        write_card(folder, *facts)
    return output


def _adapters(
    run: Path, folder: Path, settings: Mapping[str, Any] | None, say: Callable[[str], None]
) -> tuple[StudentModel, CardFacts]:
    # In the precision in which plain PEFT is asked.
    model = student_of(load_generator(run, {**(settings or {}), "student_dtype": "float32"}))
    places = save_experts(model, folder)
    asked = [labelled.session for labelled in model.dataset.labelled_sessions[:_CHECKED_PROMPTS]]
    worst = max(plain_peft_difference(model, place, index, asked) for index, place in enumerate(places))
    if worst > _LARGEST_DIFFERENCE:
        raise UserError(
            f"{run}: plain PEFT computes other logits with these adapters (by {worst:.2g}); nothing is exported"
        )
    told = f"Plain PEFT computes the same logits with each adapter on {len(asked)} training prompts (to {worst:.1g})."
    say(told)
    return model, CardFacts("adapters", run.resolve().name, _prompt(model), [told])


def _folded(
    run: Path,
    folder: Path,
    form: str,
    settings: Mapping[str, Any] | None,
    split: str,
    sessions: int | None,
    say: Callable[[str], None],
) -> tuple[StudentModel, CardFacts]:
    _, routed, _, _, valid_data, test_data = load_data_and_model(run, settings)
    model = student_of(routed)
    train = [labelled.session for labelled in model.dataset.labelled_sessions]
    gates = mean_gates(model, train)
    static = one_expert(model, model.config)
    fold(model, gates, static)
    told = [_told_gates(model, gates, len(train))]
    if form == "static":
        save_folded(static, folder)
        exported = static
        load_folded(exported, folder)  # what is measured is what was written
    else:
        save_merged(static, folder)
        exported = one_expert(model, saved_config(run, {**(settings or {}), "student": str(folder)}))
        told.append(
            "An expert of the routed model acts on what follows the list of items; merged weights act on the list too, "
            "which is therefore read otherwise than in training: an approximation."
        )
    for line in told:
        say(line)
    data = _first(valid_data if split == "valid" else test_data, sessions)
    measured = _measured(routed, exported, data, split)
    for line in measured.lines():
        say(line)
    return model, CardFacts(form, run.resolve().name, _prompt(model), told, measured)


def _measured(routed: BundleGenerator, exported: StudentModel, data: BundleDataLoader, split: str) -> Measured:
    results, answers = [], []
    for model in (routed, exported):
        if model is exported:
            exported.reader = student_of(routed).reader  # asked already: the teacher need not be fitted again
        trainer = BundleTrainer(routed.config, model)
        results.append(trainer.evaluate(data, load_best_model=False, show_progress=routed.config["show_progress"]))
        answers.append({name: frozenset(each.bundles) for name, each in trainer.last_generations.items()})
    same = sum(answers[0][name] == answers[1][name] for name in answers[0])
    dataset = str(routed.config["dataset"])
    return Measured(dataset, split, len(answers[0]), results[0], results[1], same / max(1, len(answers[0])))


def _first(data: BundleDataLoader, sessions: int | None) -> BundleDataLoader:
    if sessions is None:
        return data
    dataset = data.bundle_dataset
    dataset.labelled_sessions = dataset.labelled_sessions[:sessions]
    shortened = BundleDataLoader(data.config, dataset)
    shortened.set_batch_size(data.config["eval_batch_size"])
    return shortened


def _told_gates(model: StudentModel, gates: torch.Tensor, sessions: int) -> str:
    means = gates.mean(dim=0) if gates.dim() == 2 else gates
    named = ", ".join(f"{name} {gate:.3f}" for name, gate in zip(model.student.experts, means.tolist(), strict=True))
    layers = " (each layer its own; these are means over the layers)" if gates.dim() == 2 else ""
    return (
        f"The gates are fixed to their means over the prompts of {sessions} training sessions: {named}{layers}; the "
        "routed model weighs the experts for each session."
    )


def _prompt(model: StudentModel) -> str:
    """The prompt of an invented session: a card shows no one's data."""
    tokenizer = load_student(model.config["student"], revision=model.config["student_revision"]).tokenizer
    session = plain_session(list(_EXAMPLE), "example").session
    return str(tokenizer.decode([*model.prompts.prefix(session), *model.prompts.suffix()]))


@contextmanager
def _appearing(output: Path) -> Iterator[Path]:
    """A folder that gets its name when it is complete, and is gone if it never is."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    except OSError as error:
        raise fault(output, None, f"cannot be written ({error.strerror})") from None
    try:
        yield work
        os.replace(work, output)
    finally:
        shutil.rmtree(work, ignore_errors=True)
