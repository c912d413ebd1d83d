"""Where experts go: the decoder's linear layers that see every token, from the first third on, or those named."""

from __future__ import annotations

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel
from transformers.models.qwen2_moe import Qwen2MoeConfig, Qwen2MoeForCausalLM

from recbole_routedk.errors import UserError
from recbole_routedk.student.probe import looking_at
from recbole_routedk.student.targets import AUTO, expert_layers

LLAMA_MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SHAPE = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2}


def llama(layers: int) -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=1, num_hidden_layers=layers))


def leaves(names: list[str]) -> list[str]:
    return [name.rpartition(".")[2] for name in names]


def test_llama_carries_experts_on_its_seven_projections() -> None:
    assert leaves(expert_layers(llama(1), AUTO, None)) == LLAMA_MODULES


def test_gpt2_carries_them_on_its_conv1d_layers() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=1, n_head=2))
    assert expert_layers(model, AUTO, None) == [
        f"transformer.h.0.{name}" for name in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    ]


@pytest.mark.parametrize("layers, first", [(1, 0), (2, 0), (3, 1), (12, 4), (30, 10)])
def test_the_first_third_carries_none(layers: int, first: int) -> None:
    numbers = {int(name.split(".")[2]) for name in expert_layers(llama(layers), ("q_proj",), None)}
    assert numbers == set(range(first, layers))


def test_the_first_layer_can_be_said() -> None:
    assert expert_layers(llama(3), ("mlp.up_proj",), 2) == ["model.layers.2.mlp.up_proj"]
    with pytest.raises(UserError, match="first_adapted_layer: 3 leaves no layer to adapt; the student has 3"):
        expert_layers(llama(3), AUTO, 3)


def mixture() -> PreTrainedModel:
    sizes = {"moe_intermediate_size": 8, "shared_expert_intermediate_size": 8, "num_experts": 4}
    return Qwen2MoeForCausalLM(
        Qwen2MoeConfig(**SHAPE, **sizes, num_key_value_heads=1, num_hidden_layers=1, num_experts_per_tok=2)
    )


def test_a_mixture_of_experts_of_its_own_is_adapted_in_its_attention() -> None:
    assert leaves(expert_layers(mixture(), AUTO, None)) == ["q_proj", "k_proj", "v_proj", "o_proj"]


@pytest.mark.parametrize("target", ["shared_expert.up_proj", "input_layernorm", "self_attn"])
def test_what_can_carry_no_experts_is_refused(target: str) -> None:
    with pytest.raises(UserError, match=rf"lora_target_modules: .*{target}.* can carry no experts"):
        expert_layers(mixture(), (target,), None)


@pytest.mark.parametrize("target", ["no_such_layer", "lm_head", "_proj"])
def test_a_name_that_is_in_no_layer_is_refused_with_those_there_are(target: str) -> None:
    with pytest.raises(UserError, match=rf"no module '{target}'; there are down_proj, gate_proj, k_proj"):
        expert_layers(llama(1), ("q_proj", target), None)


def test_looking_disturbs_neither_random_state_nor_modes() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=1, n_head=2)).train()
    model.transformer.h[0].attn.eval()
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    with looking_at(model):
        assert not any(module.training for module in model.modules())
        torch.rand(3)
    expert_layers(model, AUTO, None)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
