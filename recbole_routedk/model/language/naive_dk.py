"""NaiveDK: all kinds of knowledge in one LoRA (the baseline of arXiv 2508.17250 that shows knowledge conflict)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recbole_routedk.model.language.lessons import Lesson
from recbole_routedk.model.language.student_model import StudentModel
from recbole_routedk.model.language.tuned import TunedModel
from recbole_routedk.model.routedk import expert_lessons, inference_lesson

_NAIVE = "naive"


class NaiveDK(TunedModel):
    """One LoRA learns from every view of a session: plain, and with each kind of knowledge in the prompt.

    It is asked in the view that RouteDK reads at inference. The paper (Feng et al., arXiv 2508.17250) mixes distilled
    knowledge in one student to show that kinds of knowledge hurt each other; how it does so is not known to us. Here
    it is RouteDK without experts and router: student, lessons, total rank, decoding and consensus are the same, only
    that the teacher has no votes (``teacher_votes: 0``). Several bundles a session are one answer.

    With ``answered_by`` other than ``student``, the model behind an OpenAI-compatible endpoint is tuned by the
    endpoint's own service on one file that mixes all views (see ``tuned_endpoint``).
    """

    def __init__(self, config: Any, dataset: Any) -> None:
        def lessons() -> tuple[Sequence[Lesson], Lesson]:
            by_view = expert_lessons(config).values()
            return [lesson for group in by_view for lesson in group], inference_lesson(config, _NAIVE)

        def student() -> StudentModel:
            learnt, asked = lessons()
            rank = config["lora_rank"] * len(expert_lessons(config))
            return StudentModel(config, dataset, {_NAIVE: tuple(learnt)}, asked, rank)

        super().__init__(config, dataset, student, lessons)
