"""Puts an exported folder onto the Hugging Face hub, when that is asked for."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError, HTTPError, LocalTokenNotFoundError
from huggingface_hub.utils import validate_repo_id

from recbole_routedk.errors import UserError


def check_repository(name: str) -> None:
    """Raise UserError for a name that is not ``owner/name`` as the hub allows it."""
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise UserError(f"--push_to_hub={name}: {error}") from None
    if name.count("/") != 1:
        raise UserError(f"--push_to_hub={name} has to be owner/name")


def push(folder: Path, name: str) -> str:
    """Upload the folder to the model repository ``name``, made private where it is new; returns its address.

    The key is huggingface_hub's own: ``hf auth login`` or HF_TOKEN. Raises UserError where the hub refuses.
    """
    check_repository(name)
    api = HfApi(library_name="recbole_routedk")
    try:
        address = api.create_repo(name, private=True, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="Exported by recbole_routedk")
    except (HTTPError, LocalTokenNotFoundError, OSError) as error:  # refusals of the hub, and no way to it
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"--push_to_hub={name}: {reason}; the export lies in {folder}. Log in with `hf auth login`, or set HF_TOKEN"
        ) from None
    return str(address)
