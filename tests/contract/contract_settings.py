"""What the contract knows about each model. A model that is not listed is run with its own settings.

A new model that takes long gets a line in FAST; one that keeps something chosen on valid sessions in ``extra_state``
names it in CHOSEN_ON_VALID; one that learns nothing is listed in FROZEN.
"""

from __future__ import annotations

from typing import Any

_STUDENT = {
    "title_tokens": 3,
    "consensus_samples": 2,
    "answer_tokens": 12,
    "first_adapted_layer": 0,
    "shuffle_items": False,
    "learning_rate": 0.03,
    "lr_scheduler": "constant",
    "epochs": 3,
    "eval_step": 3,
    "train_batch_size": 6,
    "eval_batch_size": 16,
}
_ASKED = {"title_tokens": 3, "consensus_samples": 2, "answer_tokens": 12, "text_tokens": 6}

FAST: dict[str, dict[str, Any]] = {
    "AICL": _ASKED | {"self_correction": True, "feedback_rounds": 1, "consensus_samples": 1},
    "BBPR": {"epochs": 6, "train_batch_size": 8, "starts": 4},
    "BYOB": {"imitation_epochs": 4, "epochs": 1, "consensus_samples": 2, "rollouts": 2, "train_batch_size": 8},
    "CLHE": {"epochs": 3, "train_batch_size": 8},
    "ICL": _ASKED | {"demonstrations": 1},
    "KD": _STUDENT,
    "NaiveDK": _STUDENT,
    "POG": {"epochs": 10, "train_batch_size": 8, "stopping_step": 10},
    "RouteDK": _STUDENT,
    "SFT": _STUDENT,
    "StockBundler": {"epochs": 10},
    "ZeroShot": _ASKED,
}
"""Settings under which a training of the model takes a second."""

FROZEN = frozenset({"AICL", "FirstTwo", "ICL", "WholeSession", "ZeroShot"})
"""Models that learn nothing: they guess, or ask a model that stays as it is."""

CHOSEN_ON_VALID: dict[str, set[str]] = {
    "BBPR": {"margin", "bonus"},
    "CLHE": {"thresholds"},
    "Freq": {"order", "limit"},
    "POG": {"thresholds"},
    "StockBundler": {"cut", "weight"},
    "TitleCluster": {"cut"},
}
"""What ``extra_state`` holds that was chosen on the valid sessions."""
