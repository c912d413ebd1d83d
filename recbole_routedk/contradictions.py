"""Settings that are each allowed and cannot be meant together: told before any model is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from recbole_routedk.errors import UserError

Settings = Mapping[str, Any]

READ_BY = {"pattern": "patterns", "rule": "rules", "thought": "thoughts"}
"""Which knowledge the expert of this name reads (RouteDK's ``fusion``)."""
SOURCES_OF_USE = {
    "icl": ("teacher", "retrieved", "written"),
    "sft": ("teacher", "target"),
    "icl+sft": ("teacher", "retrieved", "target", "written"),
}
"""What ``thought_source`` may be for each ``knowledge_use`` of KD: a frozen student learns no target, and ``sft``
has thoughts as a target anyway."""
WRITTEN_BY_STUDENT = ("target", "written")
"""The ``thought_source`` for which the student itself learns to write."""
_DIVIDED = {"width": "heads", "hidden_size": "attention_heads"}


def check_together(settings: Settings) -> None:
    """Raise one UserError that names every contradiction among the settings, with the reason for each."""
    found = [told for rule in _RULES for told in rule(settings)]
    if found:
        raise UserError("; and ".join(found))


def _heads(settings: Settings) -> Iterator[str]:
    for width, heads in _DIVIDED.items():
        if heads in settings and settings[width] % settings[heads]:
            yield (
                f"{heads}: {settings[heads]} does not divide {width}: {settings[width]}, and each head of attention "
                "takes an equal part of it; choose one that does"
            )


def _views(settings: Settings) -> Iterator[str]:
    """What is read at inference, or by the one expert that is asked, is knowledge that is taken."""
    if "inference_view" not in settings:
        return
    expert = settings.get("fusion")
    read = [] if expert == "base" else [READ_BY[expert]] if expert in READ_BY else settings["inference_view"]
    reader = f"fusion: {expert}" if expert in READ_BY else f"inference_view: {', '.join(read)}"
    missing = [each for each in read if each not in settings["knowledge_format"]]
    if missing:
        yield (
            f"knowledge_format: {', '.join(missing)} is read at inference and has to be in it ({reader}; "
            f"knowledge_format: {', '.join(settings['knowledge_format']) or 'empty'})"
        )


def _thoughts(settings: Settings) -> Iterator[str]:
    source, use = settings.get("thought_source"), settings.get("knowledge_use")
    if use is not None and source not in SOURCES_OF_USE[use]:
        why = "learns no target" if use == "icl" else "has thoughts as a target and no thought in the prompt"
        yield (
            f"thought_source: {source} does not go with knowledge_use={use}; "
            f"take one of {', '.join(SOURCES_OF_USE[use])}, since {use} {why}"
        )
    who = settings.get("answered_by", "student")
    if source in WRITTEN_BY_STUDENT and who != "student" and "thoughts" in settings["knowledge_format"]:
        yield (
            f"thought_source: {source} is learnt by the student alone, and answered_by is {who}; "
            "take teacher or retrieved"
        )


def _respondent(settings: Settings) -> Iterator[str]:
    who = settings.get("answered_by")
    tuned = "fine_tuning_budget" in settings
    if who == "statistical" and not tuned:
        yield "answered_by: the statistical teacher holds no conversations; take student, openai or local"
    if who in ("statistical", "local") and tuned:
        yield (
            f"answered_by: {who} cannot be tuned; openai tunes a model behind an endpoint, student one on this machine "
            "(--student takes any causal language model)"
        )
    if who == "openai" and settings["epochs"] < 1 and settings.get("fine_tuned_model") == "":
        yield "epochs: a fine-tuning job makes at least 1, and answered_by is openai"


def _clipping(settings: Settings) -> Iterator[str]:
    given = settings["clip_grad_norm"]
    if given and type(given.get("max_norm")) not in (int, float):
        yield f"clip_grad_norm: {given} lacks the number max_norm, without which torch clips nothing; ~ switches it off"


def _precision(settings: Settings) -> Iterator[str]:
    if settings["enable_scaler"]:
        yield "enable_scaler: enable_amp trains in bfloat16, which needs no loss scaling; leave it out"


def _orders(settings: Settings) -> Iterator[str]:
    if settings.get("item_orders", 1) > 1 and settings["decoding"] == "free":
        yield "item_orders: free text is written once and agrees with nothing; take decoding: constrained, or one order"


_RULES = (_heads, _views, _thoughts, _respondent, _clipping, _precision, _orders)
