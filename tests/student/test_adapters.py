"""Experts are ordinary PEFT adapters: PEFT makes them, and PEFT alone can run what is saved."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import pytest
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from recbole_routedk.errors import UserError
from recbole_routedk.manifest import write_manifest
from recbole_routedk.student.adapters import LoraSettings, fuse_experts, load_expert, save_expert
from recbole_routedk.student.backbone import Student
from recbole_routedk.student.routed_student import RoutedStudent
from recbole_routedk.student.targets import expert_layers

SETTINGS = LoraSettings(rank=2, alpha=4)
START = [423, 198]
PREFIX = [11, 423, 198, 25, 30, 31]  # the invocation tokens stand in it too: the last ones count
SUFFIX = [*START, 90, 91, 92, 93]


def saved(routed: RoutedStudent, index: int, folder: Path) -> Path:
    save_expert(folder, routed.fused, index, SETTINGS, START, routed.name)
    return folder


@pytest.mark.parametrize("expert", [0, 1, 2])
def test_plain_peft_runs_a_saved_expert_as_the_student_does(
    expert: int, routed: RoutedStudent, tiny_original: Student, tmp_path: Path
) -> None:
    prefill = routed.read_prefix([PREFIX])
    gates = torch.eye(3)[[expert]]
    ours = routed.logits(routed.extend(prefill, *routed.pad_left([SUFFIX]), gates))

    fresh = copy.deepcopy(tiny_original.model)
    peft = PeftModel.from_pretrained(fresh, str(saved(routed, expert, tmp_path / "adapter"))).double()
    with torch.no_grad():
        theirs = peft(input_ids=torch.tensor([PREFIX + SUFFIX])).logits[:, len(PREFIX) :]
        with peft.disable_adapter():
            base = peft(input_ids=torch.tensor([PREFIX + SUFFIX])).logits[:, len(PREFIX) :]

    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert (ours - base).abs().max() > 0.1


def test_a_saved_expert_can_be_loaded_into_another_place(routed: RoutedStudent, tmp_path: Path) -> None:
    folder = saved(routed, 2, tmp_path / "adapter")
    wanted = {name: [w.clone() for w in layer.expert_weights(2)] for name, layer in routed.fused.items()}
    load_expert(folder, routed.fused, 0, SETTINGS)
    for name, layer in routed.fused.items():
        assert torch.equal(layer.expert_weights(0)[0], wanted[name][0])
        assert torch.equal(layer.expert_weights(0)[1], wanted[name][1])


def test_fresh_experts_change_nothing_and_start_as_peft_starts_them(
    tiny_student: Student, tiny_original: Student
) -> None:
    torch.manual_seed(5)
    copied = copy.deepcopy(tiny_original.model)
    names = expert_layers(copied, SETTINGS.target_modules, SETTINGS.first_layer)
    modules = {name: copied.get_submodule(name) for name in names}
    peft = get_peft_model(copied, SETTINGS.peft_config(modules, [0]))
    theirs = dict(peft.named_parameters())

    torch.manual_seed(5)
    bus, fused = fuse_experts(tiny_student.model, ("one", "two"), SETTINGS)

    for name, layer in fused.items():
        bound = 1 / math.sqrt(layer.base.in_features)  # kaiming_uniform with a = sqrt(5)
        weights = [layer.expert_weights(k)[0] for k in (0, 1)]
        assert all(0.2 * bound < weight.abs().max() <= bound for weight in weights)
        assert not torch.equal(*weights)
        assert torch.equal(layer.lora_b, torch.zeros_like(layer.lora_b))
        peft_a = theirs[f"base_model.model.{name}.lora_A.default.weight"]
        torch.testing.assert_close(weights[0], peft_a.to(weights[0].dtype))

    ids = torch.tensor([SUFFIX])
    with torch.no_grad():
        off = tiny_student.model(input_ids=ids).logits
        bus.set(torch.tensor([[0.3, 0.7]], dtype=torch.float64))
        assert torch.equal(tiny_student.model(input_ids=ids).logits, off)


def test_an_adapter_that_is_not_the_one_of_its_manifest_is_refused(routed: RoutedStudent, tmp_path: Path) -> None:
    folder = saved(routed, 0, tmp_path / "adapter")
    write_manifest(folder)
    load_expert(folder, routed.fused, 0, SETTINGS)

    saved(routed, 1, folder)
    with pytest.raises(UserError, match=r"adapter_model\.safetensors: is damaged, or not the file that manifest\.json"):
        load_expert(folder, routed.fused, 0, SETTINGS)


def test_an_adapter_of_another_rank_or_alpha_is_refused(routed: RoutedStudent, tmp_path: Path) -> None:
    folder = saved(routed, 0, tmp_path / "adapter")
    with pytest.raises(UserError, match="rank 2 and alpha 4, the configuration says 4 and 4"):
        load_expert(folder, routed.fused, 0, LoraSettings(rank=4, alpha=4))
    with pytest.raises(UserError, match="alpha"):
        load_expert(folder, routed.fused, 0, LoraSettings(rank=2, alpha=8))


@pytest.mark.parametrize("changes", [{"num_hidden_layers": 1}, {"num_hidden_layers": 3}, {"intermediate_size": 48}])
def test_an_adapter_of_another_student_is_refused(
    changes: dict[str, int], routed: RoutedStudent, tmp_path: Path
) -> None:
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = LlamaConfig(vocab_size=50, **({"intermediate_size": 64} | shape | changes))
    _, fused = fuse_experts(LlamaForCausalLM(config), ("one",), SETTINGS)
    with pytest.raises(UserError, match="made for another student"):
        load_expert(saved(routed, 0, tmp_path / "adapter"), fused, 0, SETTINGS)


def test_a_folder_without_a_readable_adapter_is_refused(routed: RoutedStudent, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        load_expert(tmp_path / "missing", routed.fused, 0, SETTINGS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no readable PEFT adapter"):
        load_expert(tmp_path / "empty", routed.fused, 0, SETTINGS)
    folder = saved(routed, 0, tmp_path / "broken")
    (folder / "adapter_model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(UserError, match="no readable PEFT adapter"):
        load_expert(folder, routed.fused, 0, SETTINGS)


def test_an_adapter_with_weights_for_more_modules_is_refused(routed: RoutedStudent, tmp_path: Path) -> None:
    folder = saved(routed, 0, tmp_path / "adapter")
    weights = load_file(folder / "adapter_model.safetensors")
    save_file(
        weights | {"base_model.model.lm_head.lora_A.weight": torch.ones(2, 32)}, folder / "adapter_model.safetensors"
    )
    with pytest.raises(UserError, match="lm_head"):
        load_expert(folder, routed.fused, 0, SETTINGS)


def test_the_folder_names_the_student_and_the_invocation_tokens(routed: RoutedStudent, tmp_path: Path) -> None:
    config = json.loads((saved(routed, 0, tmp_path / "adapter") / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == routed.name
    assert config["alora_invocation_tokens"] == START
    assert (config["r"], config["lora_alpha"], config["inference_mode"]) == (2, 4, True)
