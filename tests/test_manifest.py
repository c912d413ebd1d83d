"""An exported folder says what its files were, and is refused where they are others."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from recbole_routedk.errors import UserError
from recbole_routedk.manifest import check_manifest, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(bytes(range(256)))
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "another").mkdir()
    write_manifest(tmp_path)
    return tmp_path


def test_it_holds_the_digest_of_every_file(folder: Path) -> None:
    (folder / "README.md").write_text("written later, so that nothing depends on it", encoding="utf-8")

    check_manifest(folder)

    digests = {name: hashlib.sha256((folder / name).read_bytes()) for name in ("config.json", "model.safetensors")}
    told = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert told == {"sha256": {name: digest.hexdigest() for name, digest in digests.items()}}


def test_one_changed_bit_is_found(folder: Path) -> None:
    raw = bytearray((folder / "model.safetensors").read_bytes())
    raw[100] ^= 1
    (folder / "model.safetensors").write_bytes(raw)

    with pytest.raises(UserError, match=r"model\.safetensors: is damaged, or not the file that manifest\.json was"):
        check_manifest(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"config\.json: is missing, though manifest\.json names it"):
        check_manifest(folder)


@pytest.mark.parametrize(
    "text, message", [("{", "cannot be read as JSON"), ('{"sha256": 1}', "has no digests"), ("[]", "JSON object")]
)
def test_a_manifest_that_cannot_be_read_is_no_manifest_at_all(folder: Path, text: str, message: str) -> None:
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        check_manifest(folder)


def test_a_folder_of_others_has_none_and_passes(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    check_manifest(folder)


def test_a_name_leads_to_no_other_folder(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"sha256": {"/etc/../../config.json": "0"}}', encoding="utf-8")
    with pytest.raises(UserError, match=f"{folder.name}/config.json: is damaged"):
        check_manifest(folder)
