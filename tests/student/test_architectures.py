"""A student may be any decoder-only transformer: what holds for one holds for tiny random models of them all."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from recbole_routedk.errors import UserError
from recbole_routedk.student.adapters import LoraSettings, load_expert, save_expert
from recbole_routedk.student.backbone import Student
from recbole_routedk.student.routed_student import RoutedStudent

SHAPE: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,  # wide enough that everything matters
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
OLD = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
HEAD = {"head_dim": 8}
WINDOW = {"sliding_window": 4}  # shorter than the prompts below
CHOSEN = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "apertus": {},
    "biogpt": {},
    "bloom": {"n_layer": 2, "n_head": 4},
    "codegen": OLD | {"rotary_dim": 4},
    "cohere": {"logit_scale": 0.25},
    "cohere2": HEAD | WINDOW | {"logit_scale": 0.25},
    "ernie4_5": HEAD,
    "exaone4": HEAD | WINDOW,
    "falcon": {"new_decoder_architecture": False},
    "falcon+alibi": {"alibi": True},
    "gemma": HEAD,
    "gemma2": HEAD | WINDOW | {"query_pre_attn_scalar": 8, "final_logit_softcapping": 2.0},
    "gemma3_text": HEAD | WINDOW | {"query_pre_attn_scalar": 8, "final_logit_softcapping": 2.0},
    "glm": HEAD,
    "gpt2": OLD,
    "gpt_bigcode": OLD,
    "gpt_neo": {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 4},
    "gpt_neox": {},
    "gpt_oss": HEAD | WINDOW | CHOSEN,
    "gptj": OLD | {"rotary_dim": 4},
    "granite": {"logits_scaling": 3.0, "residual_multiplier": 0.5},
    "granitemoe": CHOSEN | {"logits_scaling": 3.0},
    "llama": {},
    "mistral": WINDOW,
    "mixtral": CHOSEN | WINDOW,
    "mpt": {"d_model": 32, "n_heads": 4, "n_layers": 2, "expansion_ratio": 2, "max_seq_len": 64},
    "nemotron": {},
    "olmo": {},
    "olmo2": {},
    "olmoe": CHOSEN,
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "phi": {},
    "phi3": WINDOW,
    "qwen2": WINDOW | {"use_sliding_window": True, "max_window_layers": 1},
    "qwen2_moe": CHOSEN | {"shared_expert_intermediate_size": 16},
    "qwen3": HEAD,
    "qwen3_moe": HEAD | CHOSEN,
    "smollm3": {},
    "stablelm": {},
    "starcoder2": WINDOW,
    "xglm": {"d_model": 32, "num_layers": 2, "attention_heads": 4, "ffn_dim": 48},
}
PREFIXES = [[11, 12, 13, 14, 15, 16, 17], [21, 22], [31, 32, 33, 34]]
SUFFIXES = [[41, 42, 43], [41, 42, 44, 45, 46, 47], [41, 42]]
START = [41, 42]
GATES = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.3, 0.7]])
each_architecture = pytest.mark.parametrize("kind", ARCHITECTURES)


@cache
def model(kind: str) -> PreTrainedModel:
    """A tiny random model; do not change it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = AutoConfig.for_model(kind.partition("+")[0], **SHAPE | ARCHITECTURES[kind])
        made: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
        for weight in made.parameters():
            if weight.dim() == 1:  # biases begin at zero, where they would go unnoticed
                weight.add_(0.1 * torch.randn_like(weight))
    return made


def student(original: PreTrainedModel) -> RoutedStudent:
    tokenizer: Any = SimpleNamespace(pad_token_id=0)
    return RoutedStudent(Student("tiny", copy.deepcopy(original), tokenizer), ("one", "two"), LoraSettings(2, 4))


@cache
def routed(kind: str) -> RoutedStudent:
    """A student with two experts that do something."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = student(model(kind))
        for layer in made.fused.values():
            torch.nn.init.normal_(layer.lora_b, std=0.1)
    return made


@torch.no_grad()
def answers(kind: str, rows: list[int], gates: Tensor) -> list[Tensor]:
    """Logits of the real suffix tokens of these rows, read as one batch."""
    prefill = routed(kind).read_prefix([PREFIXES[row] for row in rows])
    hidden = routed(kind).extend(prefill, *routed(kind).pad_left([SUFFIXES[row] for row in rows]), gates)
    logits = routed(kind).logits(hidden)
    assert not prefill.summary.isnan().any()
    return [each[-len(SUFFIXES[row]) :] for each, row in zip(logits, rows, strict=True)]


@torch.no_grad()
def own(kind: str, row: int) -> Tensor:
    """The model's own logits of the suffix tokens in one full pass."""
    return model(kind)(input_ids=torch.tensor([PREFIXES[row] + SUFFIXES[row]])).logits[0, len(PREFIXES[row]) :]


@each_architecture
def test_with_experts_at_zero_it_is_the_model_itself(kind: str) -> None:
    for row, logits in enumerate(answers(kind, [0, 1, 2], torch.zeros(3, 2))):
        torch.testing.assert_close(logits, own(kind, row), atol=1e-4, rtol=0)


@each_architecture
def test_a_batch_gives_what_its_rows_give_alone_and_experts_matter(kind: str) -> None:
    together = answers(kind, [0, 1, 2], GATES)
    for row in range(3):
        torch.testing.assert_close(together[row], answers(kind, [row], GATES[[row]])[0], atol=1e-4, rtol=0)
        assert (together[row] - own(kind, row)).abs().max() > 1e-2


@each_architecture
def test_the_gradient_reaches_every_expert(kind: str) -> None:
    rows = routed(kind)
    losses = rows.answer_loss(rows.read_prefix(PREFIXES), SUFFIXES, [[50, 2], [51, 2], [52, 53, 2]], GATES)
    losses.sum().backward()
    assert rows.fused
    for layer in rows.fused.values():
        assert layer.lora_a.grad is not None
        assert layer.lora_b.grad is not None
        assert layer.lora_a.grad.abs().sum() > 0
        assert layer.lora_b.grad.abs().sum() > 0
    rows.zero_grad(set_to_none=True)


# PEFT sends MPT around its own handling of activation tokens, so that an adapter of this kind does nothing there.
@pytest.mark.parametrize("kind", [kind for kind in ARCHITECTURES if kind != "mpt"])
def test_plain_peft_answers_the_same_from_a_saved_expert(kind: str, tmp_path: Path) -> None:
    rows = routed(kind)
    save_expert(tmp_path, rows.fused, 1, rows.settings, START, rows.name)
    load_expert(tmp_path, rows.fused, 1, rows.settings)
    peft = PeftModel.from_pretrained(copy.deepcopy(model(kind)), str(tmp_path)).eval()
    with torch.no_grad():
        theirs = peft(input_ids=torch.tensor([PREFIXES[0] + SUFFIXES[0]])).logits[0, len(PREFIXES[0]) :]
    torch.testing.assert_close(answers(kind, [0], torch.tensor([[0.0, 1.0]]))[0], theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["cohere", "gemma2", "granite", "gptj", "phi", "llama"])
def test_logits_over_an_alphabet_are_those_columns(kind: str) -> None:
    hidden = torch.randn(2, 32)
    alphabet = torch.tensor([50, 3, 2])
    torch.testing.assert_close(routed(kind).logits(hidden, alphabet), routed(kind).logits(hidden)[:, alphabet])


@pytest.mark.parametrize(
    "kind, settings, said",
    [
        ("mamba", {"state_size": 4}, "MambaForCausalLM"),
        ("rwkv", {}, r"RwkvForCausalLM.*recurrent"),
        ("lfm2", {"layer_types": ["conv", "full_attention"]}, "Lfm2ForCausalLM"),
    ],
)
def test_what_cannot_be_read_in_steps_is_refused(kind: str, settings: dict[str, Any], said: str) -> None:
    config = AutoConfig.for_model(kind, **SHAPE | settings)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unfit = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    with pytest.raises(UserError, match=said):
        student(unfit)


def test_an_unknown_change_of_the_logits_is_refused() -> None:
    odd = copy.deepcopy(model("llama"))

    def change(_: Any, __: Any, output: Any) -> None:
        output.logits = output.logits + 0.01 * output.logits**2

    odd.register_forward_hook(change)
    with pytest.raises(UserError, match="LlamaForCausalLM changes its logits after the output layer"):
        student(odd)


def test_making_a_student_draws_nothing_but_the_experts_and_leaves_its_mode() -> None:
    watched = copy.deepcopy(model("gpt2"))
    watched.transformer.drop.train()
    torch.manual_seed(3)
    made = student(watched)
    drawn = torch.rand(2)

    torch.manual_seed(3)
    for layer in [*made.fused.values()] * 2:  # PEFT draws A [rank, in] of every layer, for each of two experts
        torch.nn.Linear(layer.lora_a.shape[1], 2, bias=False)  # its own first values
        torch.nn.Linear(2, layer.lora_b.shape[0], bias=False)
        torch.nn.init.kaiming_uniform_(torch.empty(2, layer.lora_a.shape[1]), a=5**0.5)
    assert torch.equal(drawn, torch.rand(2))
    assert [name for name, module in made.model.named_modules() if module.training] == ["transformer.drop"]
