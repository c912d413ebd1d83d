"""Item vectors from titles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.errors import UserError
from recbole_routedk.model.content import Content, EncoderContent, StudentContent, TfidfContent, content_of

TITLES = ["red running shoes", "blue running shoes", "garden hose 10 m", "watering can", ""]


def test_alike_titles_have_alike_tfidf_vectors() -> None:
    vectors = TfidfContent(TITLES, width=3, seed=1).vectors(TITLES)
    closeness = vectors @ vectors.T
    assert closeness[0, 1] > 0.5 > closeness[0, 2]
    assert np.allclose(np.linalg.norm(vectors[:4], axis=1), 1)


def test_a_title_without_a_known_term_has_no_direction() -> None:
    assert not TfidfContent(["shoes"], width=3, seed=1).vectors(["ξψω"]).any()


def test_no_title_at_all_is_no_error() -> None:
    content = TfidfContent([], width=3, seed=1)
    assert content.vectors([]).shape == (0, content.width)
    assert content.vectors(["anything"]).shape == (1, content.width)


def test_the_students_vector_of_a_title_does_not_depend_on_the_others(tiny_student_folder: Path) -> None:
    content = StudentContent(str(tiny_student_folder), None)
    together = content.vectors(TITLES)
    alone = StudentContent(str(tiny_student_folder), None).vectors(TITLES[:1])
    assert np.allclose(together[:1], alone, atol=1e-5)
    assert together.shape == (len(TITLES), content.width)
    assert np.allclose(np.linalg.norm(together, axis=1), [1, 1, 1, 1, 0], atol=1e-5)


def test_titles_that_pass_are_forgotten(tiny_student_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recbole_routedk.model.content.REMEMBERED_TITLES", 2)
    content = StudentContent(str(tiny_student_folder), None)
    first = content.vectors(TITLES)
    assert len(content._known) == 2
    assert np.allclose(content.vectors(TITLES), first, atol=1e-5)


@pytest.mark.parametrize(("name", "kind"), [("encoder", EncoderContent), ("tfidf", TfidfContent)])
def test_the_setting_names_the_content(name: str, kind: type[Content]) -> None:
    assert isinstance(content_of({"content": name, "content_width": 8, "seed": 1}, []), kind)


def test_an_unknown_content_is_refused() -> None:
    with pytest.raises(UserError, match="none of encoder, tfidf, student"):
        content_of({"content": "photos"}, [])


def test_only_training_titles_are_looked_at() -> None:
    train = [LabelledSession(Session("s", (Item("a", "running shoes"), Item("b", "garden hose"))), ())]
    content = content_of({"content": "tfidf", "content_width": 8, "seed": 1}, train)
    assert content.vectors(["garden hose"]).any()
    assert not content.vectors(["zzzz"]).any()
