"""The encoder learns from training sessions which titles belong together, without seeing what it is asked about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.distill.encoder import SentenceEncoder
from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.distill.statistical import tuned_titles
from recbole_routedk.distill.statistical.pairs import co_bundled, pair_table, session_folds
from recbole_routedk.distill.statistical.title_head import split_encoder
from recbole_routedk.distill.statistical.tuned_titles import LabelledPairs, TitleTuning, TunedTitles

COLOURS, THINGS = ("red", "blue", "green", "white"), ("pan", "tent", "lamp", "sofa", "bike", "drum")
SMALL = TitleTuning(layers=1, epochs=3, learning_rate=1e-3, batch=4, least_sessions=2)


def shop(first: int, count: int) -> list[LabelledSession]:
    """Sessions of four things, in which those of one colour are bundled, whatever they are."""
    sessions = []
    for number in range(first, first + count):
        generator = np.random.default_rng(number)
        one, two = generator.choice(COLOURS, 2, replace=False)
        things = generator.choice(THINGS, 2, replace=False)
        titles = [f"{colour} {thing}" for thing in things for colour in (one, two)]
        items = tuple(Item(f"{number}-{place}", title) for place, title in enumerate(titles))
        sessions.append(LabelledSession(Session(f"s{number}", items), (frozenset({0, 2}), frozenset({1, 3}))))
    return sessions


def pairs_of(sessions: list[LabelledSession], folds: int = 2) -> LabelledPairs:
    titles = [item.text for own in sessions for item in own.session.items]
    table = pair_table([own.session for own in sessions], SentenceEncoder().encode(titles))
    return LabelledPairs(table, co_bundled(sessions), session_folds(len(sessions), folds, 0))


TRAIN, NEW = pairs_of(shop(0, 24)), pairs_of(shop(100, 12))


@pytest.fixture(scope="module")
def learnt() -> tuple[TunedTitles, Floats]:
    tuned = TunedTitles(SMALL, seed=1)
    return tuned, tuned.fit(TRAIN)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def cosines(pairs: LabelledPairs) -> Floats:
    vectors, table = pairs.table.vectors, pairs.table
    return np.asarray((vectors[table.left] * vectors[table.right]).sum(1))


def test_it_tells_apart_what_the_encoder_alone_does_not(learnt: tuple[TunedTitles, Floats]) -> None:
    tuned, out_of_fold = learnt
    for pairs, logits in ((TRAIN, out_of_fold), (NEW, tuned.transform(NEW.table))):
        assert logits.shape == (len(pairs.together), 1)
        assert roc_auc_score(pairs.together, logits[:, 0]) > roc_auc_score(pairs.together, cosines(pairs)) + 0.2


def test_a_fold_is_told_nothing_by_its_own_labels(learnt: tuple[TunedTitles, Floats]) -> None:
    first = TRAIN.pair_fold == 0
    other = replace(TRAIN, together=np.where(first, ~TRAIN.together, TRAIN.together))

    again = TunedTitles(SMALL, seed=1).fit(other)

    assert np.array_equal(again[first], learnt[1][first])
    assert not np.array_equal(again[~first], learnt[1][~first])


@pytest.mark.usefixtures("threads")
def test_it_depends_on_the_seed_and_on_no_other_randomness_or_thread(learnt: tuple[TunedTitles, Floats]) -> None:
    torch.set_num_threads(2)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)

    same, other = TunedTitles(SMALL, seed=1).fit(TRAIN), TunedTitles(SMALL, seed=2).fit(TRAIN)

    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == 2
    assert np.array_equal(same, learnt[1])
    assert not np.array_equal(other, same)


def test_few_sessions_teach_nothing() -> None:
    tuned = TunedTitles(replace(SMALL, least_sessions=25), seed=1)
    assert tuned.fit(TRAIN).shape == (len(TRAIN.together), 0)
    assert tuned.transform(NEW.table).shape == (len(NEW.together), 0)


def test_of_many_sessions_some_are_learnt_from(learnt: tuple[TunedTitles, Floats]) -> None:
    """Every second session is enough for all of them to be told something."""
    logits = TunedTitles(replace(SMALL, most_sessions=12), seed=1).fit(TRAIN)[:, 0]
    assert not np.array_equal(logits, learnt[1][:, 0])
    assert roc_auc_score(TRAIN.together, logits) > roc_auc_score(TRAIN.together, cosines(TRAIN)) + 0.1


def test_what_was_learnt_is_kept_and_a_damaged_file_is_learnt_again(
    learnt: tuple[TunedTitles, Floats], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    train = tuned_titles._Training.train
    monkeypatch.setattr(tuned_titles._Training, "train", lambda *given: (trained.append(1), train(*given)))
    calls: list[int] = []

    def fit() -> tuple[Floats, Floats]:
        trained.clear()
        tuned = TunedTitles(SMALL, seed=1, store=tmp_path / "tuned")
        return tuned.fit(TRAIN, lambda: calls.append(1)), tuned.transform(NEW.table)

    first, new = fit()
    assert len(trained) == len(calls) == 3  # without each of two folds, and on all
    again, same = fit()
    assert not trained
    assert np.array_equal(first, learnt[1])
    assert np.array_equal(again, first)
    assert np.array_equal(same, new)

    files = sorted((tmp_path / "tuned").iterdir())
    assert len(files) == 3
    files[0].write_bytes(files[0].read_bytes()[:100])
    assert np.array_equal(fit()[0], first)
    assert len(trained) == 1

    monkeypatch.setattr(tuned_titles, "_method", lambda: "another state of the code")
    fit()
    assert len(trained) == 3


def test_where_nothing_can_be_kept_it_is_learnt_all_the_same(
    learnt: tuple[TunedTitles, Floats], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    assert np.array_equal(TunedTitles(SMALL, seed=1, store=tmp_path / "file").fit(TRAIN), learnt[1])


@pytest.mark.parametrize("layers", [1, 3, 6])
def test_an_untrained_head_on_the_lower_layers_is_the_encoder(layers: int) -> None:
    titles = ["Dome tent for four", "", "Pan", "x" * 3000]
    lower, head = split_encoder(layers, tokens=64)
    with torch.no_grad():
        vectors = head(*lower.read(titles))
    assert np.allclose(vectors.numpy(), SentenceEncoder().encode(titles), atol=1e-5)
    assert head.logits(vectors[:1], vectors[:1]).item() == pytest.approx(8.0 - 4.0, abs=1e-4)
