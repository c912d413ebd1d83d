"""A student's experts as what others can load: one PEFT folder each, one folded LoRA, or the plain merged weights."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from torch import Tensor

from recbole_routedk.data.session import Session, first_items
from recbole_routedk.errors import UserError
from recbole_routedk.manifest import write_manifest
from recbole_routedk.model.bundle_generator import BundleGenerator
from recbole_routedk.model.generating import windows
from recbole_routedk.model.language.student_model import StudentModel
from recbole_routedk.model.language.tuned import TunedModel
from recbole_routedk.progress import progress_bar
from recbole_routedk.student.adapters import load_expert, save_expert
from recbole_routedk.student.backbone import load_student

STATIC = "static"
"""The name of the one expert into which a mixture is folded."""

_BATCH = 8


def student_of(model: BundleGenerator) -> StudentModel:
    """Return the model that has a student with trained adapters; UserError where there is none."""
    inner = model.tuned if isinstance(model, TunedModel) else model
    if not isinstance(inner, StudentModel) or not inner.student.experts:
        raise UserError(
            f"{type(model).__name__} has no student with adapters; export a run of RouteDK, KD, SFT or NaiveDK"
        )
    return inner


def save_experts(model: StudentModel, folder: Path) -> list[Path]:
    """Write each expert as a PEFT folder ``folder/<expert>`` with its manifest; returns the folders."""
    student, start = model.student, model.prompts.start_ids
    places = [folder / expert for expert in student.experts]
    for index, place in enumerate(places):
        save_expert(place, student.fused, index, student.settings, start, student.name)
        write_manifest(place)
    return places


@torch.no_grad()
def mean_gates(model: StudentModel, sessions: Sequence[Session]) -> Tensor:
    """Return the mean of the gates over the prompts of ``sessions``: [E], or [L, E] where layers have their own."""
    total, count = torch.zeros(()), 0
    with progress_bar(len(sessions), "Gates of training sessions", "session") as bar:
        for batch in windows(sorted(sessions, key=len), _BATCH):
            kept = [first_items(session, model.prompts.max_items) for session in batch]
            prefill = model.student.read_prefix([model.prompts.prefix(session) for session in kept])
            total = total + model.gates(prefill).double().sum(dim=0).cpu()
            count += len(batch)
            bar.update(len(batch))
    return total / max(1, count)


def one_expert(model: StudentModel, config: Any) -> StudentModel:
    """Return a model that asks and answers as ``model`` does, with one expert as wide as all of its experts.

    Its expert changes nothing until weights are loaded into it; ``config`` may name another student.
    """
    student = model.student
    rank = student.settings.rank * len(student.experts)
    other = StudentModel(config, model.dataset, {STATIC: ()}, model.inference, rank)
    other.reader = model.reader
    return other.to(config["device"]).eval()


@torch.no_grad()
def fold(model: StudentModel, gates: Tensor, into: StudentModel) -> None:
    """Load into the one expert of ``into`` what the experts of ``model`` do at fixed gates [E] or [L, E].

    sum_k g_k B_k A_k = (B_cat diag(g)) A_cat: nothing is lost but the choice of gates for each session.
    """
    for name, layer in model.student.fused.items():
        own = gates if gates.dim() == 1 else gates[layer.layer]
        scale = own.to(layer.lora_b).repeat_interleave(layer.rank)
        into.student.fused[name].load_expert(0, layer.lora_a, layer.lora_b * scale)


def save_folded(folded: StudentModel, folder: Path) -> None:
    """Write the one expert as a PEFT folder with its manifest."""
    student = folded.student
    save_expert(folder, student.fused, 0, student.settings, folded.prompts.start_ids, student.name)
    write_manifest(folder)


def load_folded(folded: StudentModel, folder: Path) -> None:
    """Read the one expert back from what was written; UserError where it does not fit."""
    load_expert(folder, folded.student.fused, 0, folded.student.settings)


def save_merged(folded: StudentModel, folder: Path) -> None:
    """Add the one expert to the student's weights; write model and tokenizer as transformers does, and a manifest.

    A merged adapter acts on all tokens, also on those that list the items, where an expert is off: an approximation.
    """
    student = load_student(folded.config["student"], revision=folded.config["student_revision"])
    with tempfile.TemporaryDirectory() as work:
        adapter = Path(work) / STATIC
        save_folded(folded, adapter)
        settings = LoraConfig.from_pretrained(str(adapter))
        settings.alora_invocation_tokens = None  # PEFT merges no adapter that acts on a part of the text
        settings.save_pretrained(str(adapter))
        merged = PeftModel.from_pretrained(student.model, str(adapter)).merge_and_unload()
        merged.save_pretrained(folder)
    student.tokenizer.save_pretrained(folder)
    write_manifest(folder)


@torch.no_grad()
def plain_peft_difference(model: StudentModel, folder: Path, index: int, sessions: Sequence[Session]) -> float:
    """Return by how much the logits that plain PEFT computes with an expert's folder differ at most from ours."""
    base = load_student(model.config["student"], revision=model.config["student_revision"]).model
    peft = PeftModel.from_pretrained(base, str(folder)).eval()
    worst = 0.0
    for session in sessions:
        prefix, suffix = model.prompts.prefix(first_items(session, model.prompts.max_items)), model.prompts.suffix()
        prefill = model.student.read_prefix([prefix])
        states = model.student.extend(prefill, *model.student.pad_left([suffix]), model.one_hot(index, prefill))
        ours = model.student.logits(states)[0].cpu()
        theirs = peft(input_ids=torch.tensor([prefix + suffix])).logits[0, len(prefix) :]
        worst = max(worst, float((ours - theirs).abs().max()))
    return worst
