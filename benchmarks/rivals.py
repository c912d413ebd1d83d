"""PEFT's own LoRA and X-LoRA on the same student, with the same ranks and the same adapted layers as ours."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, XLoraConfig, get_peft_model
from side_by_side import Options
from torch import Tensor
from transformers import PreTrainedModel
from workload import Texts, pad_right

from recbole_routedk.student.adapters import LoraSettings
from recbole_routedk.student.backbone import load_student
from recbole_routedk.student.routed_student import IGNORED, RoutedStudent
from recbole_routedk.student.targets import expert_layers


class PeftLora:
    """A student with one PEFT LoRA.

    It is read in two ways: ``loss_in_steps`` reads as ours does (the items once, without adapters and gradients,
    then the rest; logits only where there is a target), so that nothing differs but the adapted layers, and
    ``loss`` is what PEFT's users write.
    """

    def __init__(self, options: Options, settings: LoraSettings, experts: int) -> None:
        """``settings`` are those of one of ours; the LoRA has the rank of ``experts`` of them together."""
        loaded = load_student(options.student, revision=options.student_revision, device=options.device)
        loaded.model.to(getattr(torch, options.dtype))
        # Before PEFT wraps the layers: ours looks at the model as it is.
        self.reader = RoutedStudent(loaded, (), settings)
        self.peft: Any = get_peft_model(
            loaded.model, _lora(loaded.model, settings, experts), autocast_adapter_dtype=False
        )
        self.device = torch.device(options.device)
        self.pad = int(loaded.tokenizer.pad_token_id)

    def parameters(self) -> list[torch.nn.Parameter]:
        """The adapter's weights."""
        return [weight for weight in self.peft.parameters() if weight.requires_grad]

    def no_gates(self, rows: int) -> Tensor:
        """Gates of no expert [rows, 0]."""
        return torch.zeros(rows, 0, device=self.device)

    def loss_in_steps(self, texts: Texts) -> Tensor:
        """The mean loss a row, the items read apart."""
        with self.peft.disable_adapter():
            prefill = self.reader.read_prefix(texts.prefixes)
        return self.reader.answer_loss(prefill, texts.suffixes, texts.answers, self.no_gates(len(texts.answers))).mean()

    def loss(self, texts: Texts) -> Tensor:
        """The mean loss a token, each row read in one pass."""
        return whole_loss(self.peft, texts, self.pad, self.device)


def x_lora(options: Options, settings: LoraSettings, experts: int) -> Any:
    """Return a PEFT X-LoRA model with that many trainable adapters, each as one of ours."""
    loaded = load_student(options.student, revision=options.student_revision, device=options.device)
    model = loaded.model.to(getattr(torch, options.dtype))
    model.config.use_cache = False  # X-LoRA refuses the cache
    config = _lora(model, settings, 1)
    with tempfile.TemporaryDirectory() as folder:
        # Their names have to be their numbers.
        adapters = {str(number): str(Path(folder) / str(number)) for number in range(experts)}
        for path in adapters.values():
            wrapped = get_peft_model(model, config)
            wrapped.save_pretrained(path)
            model = wrapped.unload()
            # A second wrapping would warn about the first one's configuration.
            if hasattr(model, "peft_config"):
                del model.peft_config
        mixed = XLoraConfig(
            task_type="CAUSAL_LM",
            hidden_size=model.config.get_text_config().hidden_size,
            adapters=adapters,
            use_trainable_adapters=True,
        )
        return get_peft_model(model, mixed, autocast_adapter_dtype=False).to(options.device, model.dtype)


def whole_loss(model: Any, texts: Texts, pad: int, device: torch.device) -> Tensor:
    """The loss as transformers computes it, from each row in one piece."""
    rows = texts.whole()
    unanswered = [[IGNORED] * (len(row) - len(answer)) for row, answer in zip(rows, texts.answers, strict=True)]
    labels = [[*before, *answer] for before, answer in zip(unanswered, texts.answers, strict=True)]
    ids = pad_right(rows, pad, device)
    mask = pad_right([[1] * len(row) for row in rows], 0, device)
    loss: Tensor = model(input_ids=ids, attention_mask=mask, labels=pad_right(labels, IGNORED, device)).loss
    return loss


def _lora(model: PreTrainedModel, settings: LoraSettings, experts: int) -> LoraConfig:
    targets: Sequence[str] = expert_layers(model, settings.target_modules, settings.first_layer)
    return LoraConfig(
        r=settings.rank * experts,
        lora_alpha=settings.alpha * experts,  # type: ignore[arg-type]  # PEFT takes floats too
        lora_dropout=0.0,
        bias="none",
        target_modules=list(targets),
        task_type="CAUSAL_LM",
    )
