"""Settings that cannot be meant together are told in one error, with both keys and the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_routedk.config import Config
from recbole_routedk.contradictions import READ_BY, SOURCES_OF_USE
from recbole_routedk.errors import UserError
from recbole_routedk.model.language.lessons import THOUGHT_SOURCES
from recbole_routedk.model.routedk import EXPERTS

CONTRADICTIONS = {
    "CLHE heads=3": ["heads: 3 does not divide width: 64", "equal part"],
    "POG width=65": ["heads: 4 does not divide width: 65"],
    "BYOB hidden_size=10": ["attention_heads: 4 does not divide hidden_size: 10"],
    "RouteDK knowledge_format=rules": [
        "knowledge_format: thoughts is read at inference",
        "inference_view: thoughts; knowledge_format: rules",
    ],
    "RouteDK fusion=pattern": [
        "knowledge_format: patterns is read at inference",
        "(fusion: pattern; knowledge_format: rules, thoughts)",
    ],
    "NaiveDK inference_view=patterns": ["knowledge_format: patterns is read at inference and has to be in it"],
    "KD knowledge_use=icl thought_source=target": ["target does not go with knowledge_use=icl", "learns no target"],
    "KD knowledge_use=sft thought_source=written": ["written does not go with knowledge_use=sft"],
    "ZeroShot answered_by=statistical": ["the statistical teacher holds no conversations"],
    "SFT answered_by=local": ["local cannot be tuned"],
    "SFT answered_by=openai epochs=0": ["epochs: a fine-tuning job makes at least 1"],
    "NaiveDK answered_by=openai teacher=openai thought_source=written": ["learnt by the student alone"],
    "RouteDK item_orders=4 decoding=free": ["item_orders: free text is written once", "decoding: constrained"],
    "RouteDK enable_scaler=True": ["needs no loss scaling"],
    "RouteDK knowledge_format=[] clip_grad_norm={'norm_type':2}": ["inference_view: thoughts", "; and ", "max_norm"],
}
AGREED = [
    "RouteDK item_orders=4",
    "RouteDK fusion=base knowledge_format=[]",
    "RouteDK fusion=rule knowledge_format=rules",
    "RouteDK inference_view=[] knowledge_format=patterns",
    "BYOB hidden_size=12 attention_heads=3",
    "ZeroShot answered_by=openai epochs=0",
    "SFT answered_by=openai epochs=0 fine_tuned_model=mine",
    "KD clip_grad_norm=~",
]


def configure(words: str, data_path: Path) -> Config:
    """The settings of "Model key=value ..." on the toy data."""
    model, *pairs = words.split()
    texts = dict(pair.split("=", 1) for pair in pairs)
    return Config(model, "toy", config_dict={"data_path": str(data_path)}, command_line=texts)


@pytest.mark.parametrize("words", CONTRADICTIONS)
def test_a_contradiction_names_both_keys_and_why(words: str, toy_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not even the model's class is imported by then.
    monkeypatch.setattr("recbole_routedk.config.resolve_model", lambda name: pytest.fail(f"{name} was loaded"))

    with pytest.raises(UserError) as error:
        configure(words, toy_data)

    for part in CONTRADICTIONS[words]:
        assert part in str(error.value)


@pytest.mark.parametrize("words", AGREED)
def test_what_goes_together_is_taken(words: str, toy_data: Path) -> None:
    configure(words, toy_data)


def test_the_models_know_the_same() -> None:
    assert {name: READ_BY[name] for name in EXPERTS if name != "base"} == {k: v[0] for k, v in EXPERTS.items() if v}
    assert set(SOURCES_OF_USE) == {"icl", "sft", "icl+sft"}
    assert SOURCES_OF_USE["icl+sft"] == THOUGHT_SOURCES
