"""Streams of sessions are answered in order, a window at a time, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import Threshold, toy_splits

from recbole_routedk import BundleGenerator, UserError, run_recbole_routedk
from recbole_routedk.data.plain import SessionLike
from recbole_routedk.data.session import Generation, Item, Rejection, RejectionReason, Session
from recbole_routedk.distill.encoder import SentenceEncoder
from recbole_routedk.distill.intent_phrases import IntentPhrases
from recbole_routedk.model.generating import SessionBundles, WindowAnswerer, windows


class Recording(BundleGenerator):
    """Answers the whole session and writes down which sessions came together."""

    gradient_trained = False

    def __init__(self) -> None:
        super().__init__({"device": "cpu", "eval_batch_size": 3, "item_fields": []}, None)
        self.batches: list[list[int]] = []

    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """One bundle a session."""
        self.batches.append([len(session) for session in sessions])
        return [Generation((frozenset(range(len(session))),)) for session in sessions]


def titles(sizes: Sequence[int]) -> list[SessionLike]:
    return [[f"title {place} of {number}" for place in range(size)] for number, size in enumerate(sizes)]


@given(st.lists(st.integers(1, 6), max_size=40), st.integers(1, 5))
def test_answers_come_in_the_order_of_the_sessions(sizes: list[int], batch_size: int) -> None:
    model = Recording()

    answers = list(model.generate(titles(sizes), batch_size=batch_size))

    assert [answer.session.session_id for answer in answers] == [f"session-{n + 1}" for n in range(len(sizes))]
    assert [answer.bundles for answer in answers] == [(frozenset(range(size)),) for size in sizes]
    assert all(len(batch) <= batch_size for batch in model.batches)


def test_like_lengths_go_together_within_a_window() -> None:
    model = Recording()

    list(model.generate(titles([5, 2, 4, 2, 5, 2])))

    assert model.batches == [[2, 2, 2], [4, 5, 5]]


def test_no_more_than_a_window_is_read_ahead() -> None:
    taken = 0

    def endless() -> Iterator[SessionLike]:
        nonlocal taken
        while True:
            taken += 1
            yield [f"a {taken}", f"b {taken}"]

    answers = Recording().generate(endless(), batch_size=2)
    for _ in range(9):
        next(answers)

    assert taken == 16


def test_what_is_no_session_is_told_with_its_number() -> None:
    answers = Recording().generate([["Tea", "Cup"], "Tea"], batch_size=1)
    with pytest.raises(UserError, match="session 2: is no session; give titles"):
        list(answers)


def test_an_answer_is_told_with_ids_titles_gates_and_refusals() -> None:
    session = Session("s", (Item("a", "Tea"), Item("b", "Rope"), Item("c", "Cup")))
    rejected = (Rejection("B", RejectionReason.TOO_FEW_ITEMS),)
    answer = SessionBundles(session, (frozenset({2, 0}),), ("tea time",), 0.75, {"base": 0.25, "rule": 0.75}, rejected)

    assert answer.titles() == [["Tea", "Cup"]]
    assert answer.as_dict() == {
        "session_id": "s",
        "bundles": [
            {"items": [{"item_id": "a", "title": "Tea"}, {"item_id": "c", "title": "Cup"}], "intent": "tea time"}
        ],
        "score": 0.75,
        "gates": {"base": 0.25, "rule": 0.75},
        "rejected": [{"text": "B", "reason": "fewer than two items"}],
    }


def test_titles_of_a_stream_are_forgotten_and_those_fitted_on_are_not(toy_data: Path) -> None:
    result = run_recbole_routedk("TitleCluster", "toy", config_dict={"data_path": str(toy_data), "state": "ERROR"})
    model = BundleGenerator.from_pretrained(result["run_folder"])
    answerer = WindowAnswerer(model, 4)
    first, later = ([Session("s", (Item("1", f"{w} one"), Item("2", f"{w} two")))] for w in ("first", "later"))

    answerer.answer(first)
    known = set(SentenceEncoder._memory)
    answerer.answer(later)

    assert "first one" in known
    assert set(SentenceEncoder._memory) == known


def test_threads_answer_one_after_the_other() -> None:
    class Slow(Recording):
        """Tells when it is asked while it answers."""

        busy = False

        def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
            assert not self.busy
            self.busy = True
            sleep(0.01)
            answers = super().predict_bundles(sessions)
            self.busy = False
            return answers

    model = Slow()
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(lambda: list(model.generate(titles([3, 4])))) for _ in range(8)]
        answered = [each.result() for each in asked]

    assert [len(each) for each in answered] == [2] * 8


def test_passing_titles_are_not_written_to_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SentenceEncoder, "_memory", {})  # the user's cache may have been read by another test
    encoder = SentenceEncoder(tmp_path)
    with SentenceEncoder.passing():
        passing = encoder.encode(["a title that nobody else uses"])
    assert list(tmp_path.iterdir()) == []
    assert (encoder.encode(["a title that nobody else uses"]) == passing).all()
    assert len(list(tmp_path.iterdir())) == 1


def test_intents_are_those_of_bundles_alike() -> None:
    train = toy_splits().train
    phrases = IntentPhrases(train, seed=1)

    named = phrases.name([train[0].session], [train[0].bundles])

    assert named == [("an intent",)]


def test_windows_of_a_stream() -> None:
    assert list(windows(range(5), 2)) == [[0, 1], [2, 3], [4]]


def test_a_trained_model_generates_in_evaluation_mode(toy_data: Path) -> None:
    given: dict[str, Any] = {"data_path": str(toy_data), "state": "ERROR", "epochs": 1}
    model = Threshold.from_pretrained(run_recbole_routedk(Threshold, "toy", config_dict=given)["run_folder"])

    (answer,) = model.generate([["Tea", "Cup"]], intents=True)

    assert not model.training
    assert len(answer.intents) == len(answer.bundles) == 1
