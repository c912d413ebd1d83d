"""The model card of an export: what it is, how it was made, what it lost, how it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from recbole_routedk import __version__
from recbole_routedk.data.files import write_texts
from recbole_routedk.model.language.student_model import StudentModel
from recbole_routedk.student.backbone import EMBEDDED_ALIAS

EMBEDDED_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
SHOWN_METRICS = ("matchedf1", "bundlef1", "precision", "recall", "coverage")
_LIBRARY = {"adapters": "peft", "static": "peft", "merged": "transformers"}


@dataclass(frozen=True)
class Measured:
    """The routed model and its export on the same sessions: metrics of each, and the share of equal answers."""

    dataset: str
    split: str
    sessions: int
    routed: Mapping[str, float]
    exported: Mapping[str, float]
    same: float

    def lines(self) -> list[str]:
        """Return a Markdown table: what was lost is a negative difference."""
        rows = [f"| {self.dataset}, {self.split}, {self.sessions} sessions | routed | exported | difference |"]
        rows.append("|---|---|---|---|")
        for name in SHOWN_METRICS:
            before, after = self.routed[name], self.exported[name]
            rows.append(f"| {name} | {before:.4f} | {after:.4f} | {after - before:+.4f} |")
        return [*rows, "", f"{self.same:.0%} of the sessions get exactly the bundles that the routed model gives."]


@dataclass(frozen=True)
class CardFacts:
    """What a card tells besides the model: an example ``prompt``, ``notes`` on how the export was made."""

    form: str
    name: str
    prompt: str
    notes: list[str] = field(default_factory=list)
    measured: Measured | None = None


def write_card(folder: Path, model: StudentModel, facts: CardFacts) -> None:
    """Write ``README.md`` with its YAML header."""
    header = _header(model, facts).to_yaml()
    text = f"---\n{header}\n---\n\n{_body(model, facts)}\n"
    ModelCard(text)  # reads the header back: raises for one that the hub could not read
    write_texts({folder / "README.md": text})


def base_model(student: str) -> str | None:
    """Return the student's name on the hub; None for a folder or a file."""
    if student == EMBEDDED_ALIAS:
        return EMBEDDED_MODEL
    return student if student.count("/") == 1 and not Path(student).expanduser().exists() else None


def _header(model: StudentModel, facts: CardFacts) -> ModelCardData:
    given: dict[str, Any] = {"tags": ["bundle-generation", "recommender-systems", "lora", "recbole_routedk"]}
    base = base_model(str(model.config["student"]))
    if base is not None:
        given["base_model"] = base
    if facts.form == "merged":
        given["pipeline_tag"] = "text-generation"
    if facts.measured is not None:
        told = facts.measured
        given["model_name"] = facts.name
        given["eval_results"] = [
            EvalResult("bundle-generation", told.dataset, told.dataset, name, round(float(told.exported[name]), 6))
            for name in SHOWN_METRICS
        ]
    return ModelCardData(library_name=_LIBRARY[facts.form], **given)


def _body(model: StudentModel, facts: CardFacts) -> str:
    parts = [f"# {facts.name}", _what(model, facts), *facts.notes]
    if facts.measured is not None:
        parts += ["## What it lost against the routed model", "\n".join(facts.measured.lines())]
    parts += ["## How to ask it", _use(facts), _prompt(model, facts.prompt)]
    return "\n\n".join(parts)


def _what(model: StudentModel, facts: CardFacts) -> str:
    form = {
        "adapters": "The LoRA experts of a run, a PEFT folder each. The router that weighs them is not in here: it "
        "works in recbole_routedk alone.",
        "static": "The LoRA experts of a run folded into one LoRA by fixed weights, as a PEFT folder.",
        "merged": "The LoRA experts of a run folded by fixed weights and merged into the student's own weights.",
    }[facts.form]
    config = model.config
    return (
        f"Finds bundles: items of one shopping session that serve one intent. {form}\n\n"
        f"Student `{config['student']}`, trained on the training split of {config['dataset']} (seed {config['seed']}) "
        f"with recbole_routedk {__version__}, after RouteDK (Feng et al., arXiv 2508.17250)."
    )


def _use(facts: CardFacts) -> str:
    if facts.form == "merged":
        load = "model = AutoModelForCausalLM.from_pretrained(FOLDER)\ntokenizer = AutoTokenizer.from_pretrained(FOLDER)"
        imports = "from transformers import AutoModelForCausalLM, AutoTokenizer"
    else:
        place = "FOLDER" if facts.form == "static" else 'f"{FOLDER}/{EXPERT}"'
        load = f"model = PeftModel.from_pretrained(STUDENT, {place})"
        imports = "from peft import PeftModel  # STUDENT is the student as transformers loads it"
    return f"```python\n{imports}\n\n{load}\n```"


def _prompt(model: StudentModel, text: str) -> str:
    reads = " and ".join(model.inference.reads) or "nothing else"
    return (
        f"The prompt for a session of four items; the answer is such as `A C; B D`:\n\n```\n{text}\n```\n\n"
        f"In the run the student also reads {reads} about a session between `--` and `Bundles:`, from a teacher "
        "that is not in here, and several answers are sampled under a grammar and made to agree, as `recbole_routedk` "
        "does it; figures in this card are with all of that."
    )
