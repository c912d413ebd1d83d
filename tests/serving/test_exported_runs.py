"""What is exported is loaded by plain PEFT and transformers, and its loss is measured, not assumed."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from quick_settings import QUICK
from toy import toy_splits
from transformers import AutoModelForCausalLM, AutoTokenizer

from recbole_routedk import BundleGenerator, UserError, run_recbole_routedk
from recbole_routedk.data.atomic import write_atomic
from recbole_routedk.model.language.student_model import StudentModel
from recbole_routedk.serving.export import export_run
from recbole_routedk.serving.mixtures import mean_gates, student_of


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, tiny_student_folder: Path) -> Path:
    """A run of RouteDK whose layers have gates of their own."""
    folder = tmp_path_factory.mktemp("exported")
    write_atomic(folder / "data" / "toy", "toy", toy_splits())
    given = {"data_path": str(folder / "data"), "output_dir": str(folder / "output"), "router_gates": "layer"}
    settings: dict[str, Any] = QUICK | given | {"student": str(tiny_student_folder)}
    return Path(run_recbole_routedk("RouteDK", "toy", config_dict=settings)["run_folder"])


@pytest.fixture(scope="module")
def routed(run_folder: Path) -> StudentModel:
    """The trained model."""
    return student_of(BundleGenerator.from_pretrained(run_folder))


@pytest.fixture(scope="module")
def prompt(routed: StudentModel) -> tuple[list[int], list[int]]:
    """A prompt in its two parts."""
    session = toy_splits().test[2].session
    return routed.prompts.prefix(session), routed.prompts.suffix()


@torch.no_grad()
def ours(model: StudentModel, prompt: tuple[list[int], list[int]], gates: torch.Tensor) -> torch.Tensor:
    """The logits of the suffix, the items read with all experts off."""
    prefill = model.student.read_prefix([prompt[0]])
    return model.student.logits(model.student.extend(prefill, *model.student.pad_left([prompt[1]]), gates))[0]


@torch.no_grad()
def theirs(model: Any, prompt: tuple[list[int], list[int]]) -> torch.Tensor:
    """The logits of the suffix in one pass of a model that knows nothing of us."""
    return model(input_ids=torch.tensor([[*prompt[0], *prompt[1]]])).logits[0, len(prompt[0]) :]


def test_plain_peft_answers_the_same_with_each_adapter(
    run_folder: Path,
    routed: StudentModel,
    prompt: tuple[list[int], list[int]],
    tiny_student_folder: Path,
    tmp_path: Path,
) -> None:
    told: list[str] = []
    folder = export_run(run_folder, tmp_path / "adapters", "adapters", say=told.append)

    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "base", "rule", "thought"]
    for index, expert in enumerate(("base", "rule", "thought")):
        base = AutoModelForCausalLM.from_pretrained(tiny_student_folder)
        plain = PeftModel.from_pretrained(base, str(folder / expert)).eval()
        wanted = ours(routed, prompt, torch.eye(3)[[index]])
        torch.testing.assert_close(theirs(plain, prompt), wanted, atol=1e-4, rtol=0)
        assert_manifest_names(folder / expert, "adapter_config.json", "adapter_model.safetensors")
    assert told[0].startswith("Plain PEFT computes the same logits with each adapter on 3 training prompts")


def test_the_static_adapter_is_the_mixture_at_mean_gates(
    run_folder: Path,
    routed: StudentModel,
    prompt: tuple[list[int], list[int]],
    tiny_student_folder: Path,
    tmp_path: Path,
) -> None:
    told: list[str] = []
    folder = export_run(run_folder, tmp_path / "static", "static", say=told.append)

    sessions = [labelled.session for labelled in toy_splits().train]
    alone = [routed.gates(routed.student.read_prefix([routed.prompts.prefix(each)])) for each in sessions]
    gates = torch.cat(alone).mean(dim=0).detach()  # [L, E]
    torch.testing.assert_close(mean_gates(routed, sessions).float(), gates)
    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_student_folder), str(folder)).eval()
    torch.testing.assert_close(theirs(plain, prompt), ours(routed, prompt, gates[None]), atol=1e-4, rtol=0)
    assert "means over the prompts of 10 training sessions: base " in told[0]
    assert_card_tells_all(folder)
    assert_manifest_names(folder, "adapter_config.json", "adapter_model.safetensors")


def assert_manifest_names(folder: Path, *files: str) -> None:
    """These files, with the digests that they have."""
    digests = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["sha256"]
    assert digests.keys() >= set(files)
    for name, digest in digests.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def assert_card_tells_all(folder: Path) -> None:
    """The hub can read the header, and nothing that was lost is left out."""
    card = ModelCard.load(folder / "README.md")
    assert card.data.library_name == "peft"
    assert "lora" in card.data.tags
    figures = {each.metric_type: each.metric_value for each in card.data.eval_results}
    assert 0 <= figures["matchedf1"] <= 1
    assert "| matchedf1 | " in card.text
    assert "A: Aluminium travel tripod\n" in card.text
    assert "fixed to their means" in card.text


def test_merged_weights_need_transformers_alone_and_say_what_they_lose(
    run_folder: Path, routed: StudentModel, tiny_student_folder: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    folder = export_run(run_folder, tmp_path / "merged", "merged", split="test", sessions=2, say=told.append)

    merged = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    base = AutoModelForCausalLM.from_pretrained(tiny_student_folder).state_dict()
    gates = mean_gates(routed, [labelled.session for labelled in toy_splits().train]).float()
    name, layer = next(iter(routed.student.fused.items()))
    update = sum(
        gates[layer.layer, index] * 2 * (weight_b @ weight_a)  # alpha / rank = 16 / 8
        for index, (weight_a, weight_b) in enumerate(layer.expert_weights(expert) for expert in range(3))
    )
    torch.testing.assert_close(merged[f"{name}.weight"], base[f"{name}.weight"] + update.detach(), atol=1e-5, rtol=0)
    assert AutoTokenizer.from_pretrained(folder)("Tea").input_ids
    assert any("toy, test, 2 sessions" in line for line in told)
    assert any(line.startswith("| matchedf1 | ") for line in told)
    assert any("an approximation" in line for line in told)
    assert_manifest_names(folder, "config.json", "model.safetensors", "tokenizer.json")


def test_what_cannot_be_exported_is_told(run_folder: Path, toy_data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--format has to be one of adapters, static, merged, not 'gguf'"):
        export_run(run_folder, tmp_path / "out", "gguf")
    with pytest.raises(UserError, match="--split has to be one of"):
        export_run(run_folder, tmp_path / "out", "static", split="train")
    with pytest.raises(UserError, match="is there already"):
        export_run(run_folder, tmp_path, "static")
    other = run_recbole_routedk("WholeSession", "toy", config_dict={"data_path": str(toy_data), "state": "ERROR"})
    with pytest.raises(UserError, match="WholeSession has no student with adapters"):
        export_run(other["run_folder"], tmp_path / "out", "adapters")
    assert not (tmp_path / "out").exists()


def test_without_the_data_set_nothing_is_measured_and_nothing_written(run_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run_folder, tmp_path / "copy")
    with pytest.raises(UserError, match="There is no data set 'toy'"):
        export_run(copy, tmp_path / "out", "static", {"data_path": str(tmp_path / "nowhere")})
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
