"""SFT: one LoRA on the small student, tuned on sessions alone (a baseline of arXiv 2508.17250 and 2504.17220)."""

from __future__ import annotations

from typing import Any

from recbole_routedk.model.language.lessons import Lesson
from recbole_routedk.model.language.student_model import StudentModel
from recbole_routedk.model.language.tuned import TunedModel

# It reads and writes no knowledge: settings about knowledge mean nothing here, so that SFT.yaml has none of them.
_SESSION_ALONE = Lesson()


class SFT(TunedModel):
    """Supervised fine-tuning: the student reads the items and learns to write the gold bundles, nothing else.

    The plain fine-tuned student that RouteDK (Feng et al., arXiv 2508.17250) and the distillation study
    (arXiv 2504.17220) compare with. It is made for several bundles a session: the answer lists them all. The papers'
    prompts and hyper-parameters are not known to us; prompt, student, decoding and consensus are those of RouteDK, and
    the rank is that of its three experts together, so that the two differ in the knowledge alone.

    With ``answered_by`` other than ``student``, the model behind an OpenAI-compatible endpoint is tuned by the
    endpoint's own service instead (see ``tuned_endpoint``).
    """

    def __init__(self, config: Any, dataset: Any) -> None:
        def student() -> StudentModel:
            lessons = {"student": (_SESSION_ALONE,)}
            return StudentModel(config, dataset, lessons, _SESSION_ALONE, config["lora_rank"])

        super().__init__(config, dataset, student, lambda: ((_SESSION_ALONE,), _SESSION_ALONE))
