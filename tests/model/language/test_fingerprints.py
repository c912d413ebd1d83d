"""A checkpoint knows the student and the tokenizer it was trained upon, and meets no other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from small_run import run

from recbole_routedk.errors import UserError
from recbole_routedk.model.bundle_generator import BundleGenerator
from recbole_routedk.model.language.fingerprints import student_fingerprints
from recbole_routedk.student.backbone import load_student


@pytest.fixture
def copied(tiny_student_folder: Path, tmp_path: Path) -> Path:
    """A student that a test may change."""
    return Path(shutil.copytree(tiny_student_folder, tmp_path / "copied"))


def with_other_weights(folder: Path) -> None:
    """Change one layer a little, as fine-tuning does; shapes and names stay."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    name = min(name for name in tensors if "q_proj" in name)
    save_file(tensors | {name: tensors[name] * 1.001}, path, metadata={"format": "pt"})


def with_other_words(folder: Path) -> None:
    """Let two words of the vocabulary change places."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    words = content["model"]["vocab"]
    first, second = list(words)[1000:1002]
    words[first], words[second] = words[second], words[first]
    path.write_text(json.dumps(content), encoding="utf-8")


def test_only_what_differs_has_another_fingerprint(tiny_student_folder: Path, copied: Path) -> None:
    own = student_fingerprints(load_student(str(tiny_student_folder)))
    assert student_fingerprints(load_student(str(copied))) == own

    with_other_words(copied)
    changed = student_fingerprints(load_student(str(copied)))
    assert (changed["student"] == own["student"], changed["tokenizer"] == own["tokenizer"]) == (True, False)
    with_other_weights(copied)
    assert student_fingerprints(load_student(str(copied)))["student"] != own["student"]


def test_a_run_meets_no_other_student(small_data: Path, tiny_student_folder: Path, copied: Path) -> None:
    folder = run(small_data, tiny_student_folder, "SFT")["run_folder"]
    BundleGenerator.from_pretrained(folder, student=str(copied))  # the same one at another place

    with_other_weights(copied)
    with pytest.raises(UserError, match=r"was trained with another student than --student=.*copied is now; put back"):
        BundleGenerator.from_pretrained(folder, student=str(copied))
    with_other_words(copied)
    with pytest.raises(UserError, match="with another student and another tokenizer than"):
        BundleGenerator.from_pretrained(folder, student=str(copied))
