"""KD: one small student and the teacher's knowledge, in any format and use (Feng et al., arXiv 2504.17220).

``knowledge_format`` is one or several of patterns, rules and thoughts. ``knowledge_use`` says what becomes of them:

- ``icl``: the student stays as it is and reads the knowledge in its prompt;
- ``sft``: one LoRA learns to answer, and from the same prompt to write the knowledge; it is asked for the answer alone;
- ``icl+sft``: one LoRA learns to answer with the knowledge in the prompt, and is asked in that way.

The paper's study states the three uses. Its prompts, students and hyper-parameters are not known to us; prompts,
student, decoding and consensus are those of RouteDK, so that the two compare. That knowledge is learnt by ``sft`` as
a second target ("distilling step by step", arXiv 2305.02301) is our choice: without a target or a prompt that holds
it, knowledge could not reach the student.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recbole_routedk.distill.knowledge import FORMATS
from recbole_routedk.model.language.lessons import Lesson, lessons_of
from recbole_routedk.model.language.student_model import StudentModel


class KD(StudentModel):
    """One LoRA on one small student; every part is configured in ``KD.yaml``."""

    named_settings = ("knowledge_format", "knowledge_use")

    def __init__(self, config: Any, dataset: Any) -> None:
        use = config["knowledge_use"]
        asked, *others = _lessons(config["knowledge_format"], use, config["thought_source"])
        learnt = () if use == "icl" else (asked, *others)
        super().__init__(config, dataset, {"student": learnt}, asked, config["lora_rank"])
        if use == "icl":
            self.gradient_trained = False
            self.requires_grad_(False)


def _lessons(formats: Sequence[str], use: str, thought_source: str) -> tuple[Lesson, ...]:
    """What is learnt; the first lesson is how the student is asked."""
    if use == "sft":
        return (Lesson(), *(Lesson(writes=each, answers=False) for each in FORMATS if each in formats))
    return lessons_of(formats, thought_source)
