"""Fingerprints of a student, by which a checkpoint knows that it meets the one it was trained upon."""

from __future__ import annotations

import hashlib
import json

import torch

from recbole_routedk.student.backbone import Student

_VALUES = 64
"""Values of each weight that are read: half a billion would take seconds, and no two students agree in these."""
_PROBE = "It's 2 × 35 mm — café 茶 😀\n\tA B; AA 1234"


def student_fingerprints(student: Student) -> dict[str, str]:
    """Digests of the weights and of the tokenizer's vocabulary, special tokens, template and way to split.

    There is one of the weights as bfloat16 has them too, by which a run that was trained in float32 on a CPU is known
    on a GPU that halves them; one that is held in halves has that alone.
    """
    halved = {"student in bfloat16": _weights(student, torch.bfloat16), "tokenizer": _tokenizer(student)}
    return halved if student.model.dtype == torch.bfloat16 else {"student": _weights(student, torch.float32)} | halved


def _weights(student: Student, dtype: torch.dtype) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(student.model.named_parameters()):
        digest.update(f"{name} {tuple(value.shape)}".encode())
        flat = value.detach().flatten()
        some = flat[:: max(1, len(flat) // _VALUES)][:_VALUES]
        digest.update(some.to("cpu", dtype).float().numpy().tobytes())
    return digest.hexdigest()[:16]


def _tokenizer(student: Student) -> str:
    tokenizer = student.tokenizer
    facts = [
        sorted(tokenizer.get_vocab().items()),
        sorted(tokenizer.all_special_tokens),
        tokenizer.chat_template,
        tokenizer(_PROBE)["input_ids"],
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
