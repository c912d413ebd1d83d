"""RouteDK end to end on students of other kinds than the embedded one, each with a tokenizer of its kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import toy_tokenizers
from peft import PeftModel
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from recbole_routedk.data.atomic import SplitSessions, read_atomic, write_atomic
from recbole_routedk.errors import UserError
from recbole_routedk.quick_start import run_recbole_routedk
from recbole_routedk.registry import shipped_datasets

IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def gpt2(vocabulary: int) -> PreTrainedModel:
    shape = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}
    return GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary, **shape, **IDS))


def gemma3(vocabulary: int) -> PreTrainedModel:
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    heads = {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 16, "final_logit_softcapping": 5.0}
    return Gemma3ForCausalLM(Gemma3TextConfig(vocab_size=vocabulary, **shape, **heads, **IDS))


def mamba(vocabulary: int) -> PreTrainedModel:
    return MambaForCausalLM(MambaConfig(vocab_size=vocabulary, hidden_size=16, num_hidden_layers=1, **IDS))


def run(folder: Path, model: Any, tokenizer: PreTrainedTokenizerBase, **settings: Any) -> dict[str, Any]:
    whole = read_atomic(shipped_datasets() / "bundle-mini", "bundle-mini")
    write_atomic(folder / "data" / "few", "few", SplitSessions(whole.train[:6], whole.valid[:2], whole.test[:3]))
    tokenizer.save_pretrained(folder / "student")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model(len(tokenizer)).save_pretrained(folder / "student")
    given = {
        "data_path": str(folder / "data"),
        "student": str(folder / "student"),
        "max_items": 20,
        "train_batch_size": 3,
        "consensus_samples": 2,
        "show_progress": False,
        "state": "ERROR",
    }
    return run_recbole_routedk("RouteDK", "few", config_dict=given | settings)


@pytest.mark.parametrize("decoding", ["constrained", "free"])
@pytest.mark.parametrize(
    "model, tokenizer", [(gpt2, toy_tokenizers.gpt2_like), (gemma3, toy_tokenizers.gemma_like)], ids=["gpt2", "gemma3"]
)
def test_another_student_is_trained_and_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Any, tokenizer: Any, decoding: str
) -> None:
    monkeypatch.chdir(tmp_path)

    result = run(tmp_path, model, tokenizer(), decoding=decoding)

    folder = Path(result["run_folder"])
    weights = load_file(next(folder.glob("best-*.safetensors")))
    updates = [value for name, value in weights.items() if name.endswith("lora_b")]
    assert updates
    assert all(value.abs().sum() > 0 for value in updates)
    assert 0 <= result["test_result"]["matchedf1"] <= 1
    if decoding == "constrained":
        assert result["test_result"]["invalidrate"] == 0
    student = AutoModelForCausalLM.from_pretrained(tmp_path / "student")
    assert PeftModel.from_pretrained(student, folder / "experts" / "base").peft_config["default"].r == 8


def test_a_model_without_a_key_value_cache_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"student: .*Mamba"):
        run(tmp_path, mamba, toy_tokenizers.gpt2_like())
