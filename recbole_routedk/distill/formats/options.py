"""The settings of distillation in typed form; ``overall.yaml`` documents each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_routedk.distill.formats.patterns import PatternThresholds
from recbole_routedk.distill.formats.rules import ReviewSettings
from recbole_routedk.distill.formats.scoring import RuleSelection
from recbole_routedk.distill.formats.thoughts import THOUGHT_CHECKS, ThoughtSettings
from recbole_routedk.distill.knowledge import FORMATS
from recbole_routedk.distill.teachers.protocol import Sampling
from recbole_routedk.errors import UserError

STATISTICAL = "statistical"


@dataclass(frozen=True)
class KnowledgeOptions:
    """What a knowledge source is to do; ``formats`` are those that it gives."""

    teacher: str
    store: Path
    formats: tuple[str, ...]
    ratio: float
    strategy: str
    seed: int
    thoughts: ThoughtSettings
    review: ReviewSettings
    selection: RuleSelection
    thresholds: PatternThresholds
    show_progress: bool
    prices: Any  # teacher_prices

    @classmethod
    def read(cls, settings: Any) -> KnowledgeOptions:
        """Read ``settings``, a Config or a dict; what is left out has the default of ``overall.yaml``.

        Raises UserError for a format or check that there is not.
        """

        def setting(key: str, default: Any) -> Any:
            return _setting(settings, key, default)

        formats = tuple(setting("knowledge_format", ("rules", "thoughts")))
        _check("knowledge_format", formats, FORMATS)
        check = setting("thought_check", THOUGHT_CHECKS[0])
        _check("thought_check", (check,), THOUGHT_CHECKS)
        seed, temperature = int(setting("seed", 0)), float(setting("teacher_temperature", 0.0))
        # A greedy answer depends on no seed: then runs with other seeds find it in the store.
        drawn_with = seed if temperature else 0
        sampling = Sampling(temperature, setting("teacher_max_tokens", 512))
        gold, attempts = setting("thought_gold", False), setting("thought_attempts", 3)
        return cls(
            teacher=setting("teacher", STATISTICAL),
            store=Path(setting("knowledge_store", Path(setting("output_dir", "output")) / "knowledge.sqlite")),
            formats=formats,
            ratio=float(setting("knowledge_ratio", 1.0)),
            strategy=setting("knowledge_sampling", "random"),
            seed=seed,
            thoughts=ThoughtSettings(sampling, gold, check, attempts, drawn_with),
            review=ReviewSettings(sampling, setting("rule_batch", 8), drawn_with),
            selection=RuleSelection(setting("rule_least_precision", 0.0), setting("rule_least_coverage", 0.0)),
            thresholds=PatternThresholds(setting("pattern_support", 0.001), setting("pattern_confidence", 0.001)),
            show_progress=setting("show_progress", True),
            prices=setting("teacher_prices", {}),
        )


def _setting(settings: Any, key: str, default: Any) -> Any:
    try:
        value = settings[key]
    except KeyError:
        return default
    return default if value is None else value


def _check(key: str, values: tuple[str, ...], known: tuple[str, ...]) -> None:
    for value in values:
        if value not in known:
            raise UserError(f"{key}: {value!r} is not known; it must be one of {', '.join(known)}")
