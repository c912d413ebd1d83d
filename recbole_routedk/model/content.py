"""Item vectors from titles, the same for every baseline that learns: most items of test sessions were never seen.

The originals of these baselines learn a vector for each item id; in the public data an item of a test session rarely
stands in a training session, so all of them read titles instead (``content`` in their YAML).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union

from recbole_routedk.data.session import LabelledSession
from recbole_routedk.distill.encoder import Vectors, title_encoder
from recbole_routedk.distill.statistical.text import title_words
from recbole_routedk.errors import UserError
from recbole_routedk.progress import progress_bar

CONTENTS = ("encoder", "tfidf", "student")
_STUDENT_BATCH = 64
_STUDENT_TOKENS = 48
_TITLE_CHARACTERS = 400


class Content(Protocol):
    """Anything that turns titles into vectors."""

    @property
    def width(self) -> int:
        """Numbers in a vector."""

    def vectors(self, titles: Sequence[str]) -> Vectors:
        """Return the vectors of titles, [len(titles), width] in float32, each of length 1 (or 0 for nothing known)."""


def content_of(config: Any, train: Sequence[LabelledSession]) -> Content:
    """Make the item content that ``config["content"]`` names, fitted on training titles alone.

    ``encoder`` is the sentence encoder; ``tfidf`` words and character n-grams, reduced to ``content_width`` numbers;
    ``student`` the mean of the student's last hidden states over the title. Raises UserError for another name.
    """
    if config["content"] == "encoder":
        return EncoderContent()
    if config["content"] == "tfidf":
        titles = [item.text for labelled in train for item in labelled.session.items]
        return TfidfContent(titles, config["content_width"], config["seed"])
    if config["content"] == "student":
        return StudentContent(config["student"], config["student_revision"])
    raise UserError(f"content: {config['content']!r} is none of {', '.join(CONTENTS)}")


class EncoderContent:
    """Sentence vectors of MiniLM."""

    def __init__(self) -> None:
        self._encoder = title_encoder()
        self.width = self._encoder.width

    def vectors(self, titles: Sequence[str]) -> Vectors:
        """Return sentence vectors."""
        return self._encoder.encode(titles)


class TfidfContent:
    """Weighted words and character n-grams, reduced by a truncated SVD: what there was before sentence encoders."""

    def __init__(self, titles: Sequence[str], width: int, seed: int) -> None:
        words = TfidfVectorizer(tokenizer=title_words, token_pattern=None, sublinear_tf=True, lowercase=False)
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True)
        # Two of our own, for some vocabulary and some variance even when every title is empty.
        safe = [*dict.fromkeys(titles), "placeholder title", "another one"]
        terms = make_union(words, characters)
        known = terms.fit_transform(safe)
        self.width = max(1, min(width, known.shape[0] - 1, known.shape[1] - 1))
        reduced = TruncatedSVD(self.width, random_state=seed).fit(known)
        self._pipeline = make_pipeline(terms, reduced)

    def vectors(self, titles: Sequence[str]) -> Vectors:
        """Return reduced TF-IDF vectors; a title without any known term gives zeros."""
        if not titles:
            return np.zeros((0, self.width), dtype=np.float32)
        return _unit(np.asarray(self._pipeline.transform(list(titles)), dtype=np.float32))


REMEMBERED_TITLES = 32_768
"""Titles whose vectors are kept, the latest: about 75 MB of the embedded student's."""


class StudentContent:
    """The mean over a title's tokens of the frozen student's last hidden states."""

    def __init__(self, student: str, revision: str | None) -> None:
        # Imported here, because the other contents need no language model and this import takes seconds.
        from recbole_routedk.student.backbone import load_student

        loaded = load_student(student, revision=revision)
        self._decoder = loaded.model.get_decoder()
        self._tokenizer = loaded.tokenizer
        self._known: dict[str, Vectors] = {}
        self.width = int(loaded.model.config.hidden_size)

    def vectors(self, titles: Sequence[str]) -> Vectors:
        """Return hidden states; the latest ``REMEMBERED_TITLES`` titles are not read again."""
        unread = sorted(set(titles) - set(self._known), key=lambda title: (len(title), title))
        with progress_bar(len(unread), "Student reads titles", "title") as bar:
            for start in range(0, len(unread), _STUDENT_BATCH):
                batch = unread[start : start + _STUDENT_BATCH]
                self._known |= zip(batch, self._read(batch), strict=True)
                bar.update(len(batch))
        if not titles:
            return np.zeros((0, self.width), dtype=np.float32)
        vectors = np.stack([self._known[title] for title in titles])
        # A stream of sessions may have no end.
        for title in list(self._known)[: max(0, len(self._known) - REMEMBERED_TITLES)]:
            del self._known[title]
        return vectors

    @torch.no_grad()
    def _read(self, titles: Sequence[str]) -> Vectors:
        # Titles are data: what looks like a special token in one is read as text.
        rows = [
            self._tokenizer.encode(title[:_TITLE_CHARACTERS], add_special_tokens=False, split_special_tokens=True)
            for title in titles
        ]
        said = np.array([bool(row) for row in rows])
        rows = [row[:_STUDENT_TOKENS] or [int(self._tokenizer.pad_token_id)] for row in rows]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [int(self._tokenizer.pad_token_id)] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        states = self._decoder(input_ids=ids, attention_mask=mask).last_hidden_state
        mask = mask.unsqueeze(-1).to(states.dtype)
        means = ((states * mask).sum(1) / mask.sum(1)).float().numpy()
        return _unit(means * said[:, None])  # an empty title says nothing


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-9), dtype=np.float32)
