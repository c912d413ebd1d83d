"""A stock recommender as a bundle generator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_run import predictions, small_splits, write_small

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.errors import UserError
from recbole_routedk.model.statistical.stock_bundler import SeenItems, StockBundler, TrainingGroups
from recbole_routedk.quick_start import evaluate_saved, run_recbole_routedk

SETTINGS = {
    "device": "cpu",
    "seed": 1,
    "reproducibility": True,
    "base_model": "ItemKNN",
    "base_settings": {},
    "interactions": "bundle",
    "epochs": 20,
    "learner": "adam",
    "learning_rate": 0.05,
    "weight_decay": 0.0,
    "train_batch_size": 64,
    "neighbours": 3,
    "neighbour_sharpness": 4.0,
    "linkages": ["average"],
    "content": "encoder",
    "content_width": 8,
}
KINDS = ("mint toothpaste", "claw hammer", "folding umbrella", "lined notebook")


def odd_pairs(name: str, *numbers: int) -> LabelledSession:
    """Toothpaste goes with umbrellas and hammers with notebooks: no title tells."""
    items = tuple(Item(f"{name}-{kind}-{n}", f"{kind} model {n}") for n in numbers for kind in KINDS)
    every_other = [frozenset(range(start, len(items), 2)) for start in (0, 1)]
    return LabelledSession(Session(name, items), tuple(every_other))


class Train:
    """Training sessions, as the models know them."""

    labelled_sessions = tuple(odd_pairs(f"t{number}", number) for number in range(8))


def fitted(**settings: Any) -> StockBundler:
    """A model that has learnt from the training sessions."""
    model = StockBundler(SETTINGS | settings, Train())
    model.fit_sessions(Train.labelled_sessions, [odd_pairs("v", 20), odd_pairs("w", 21)])
    return model


@pytest.mark.parametrize("base_model", ["ItemKNN", "EASE", "BPR", "LightGCN"])
def test_unseen_items_are_bundled_as_those_with_similar_titles_were(base_model: str) -> None:
    unseen = odd_pairs("x", 30)
    [answer] = fitted(base_model=base_model, neighbours=8, epochs=100).predict_bundles([unseen.session])
    assert set(answer.bundles) == set(unseen.bundles)


@pytest.mark.parametrize("base_model", ["ItemKNN", "BPR"])
def test_a_checkpoint_gives_the_same_answers_without_training(base_model: str) -> None:
    model = fitted(base_model=base_model)
    restored = StockBundler(SETTINGS | {"base_model": base_model}, Train())
    restored.load_extra_state(json.loads(json.dumps(model.extra_state())))
    restored.load_trainable_state(model.trainable_state())
    sessions = [odd_pairs("x", 30, 31).session, Train.labelled_sessions[0].session]
    assert restored.predict_bundles(sessions) == model.predict_bundles(sessions)
    assert torch.equal(restored.item_vectors, model.item_vectors)
    assert model.extra_state()["weight"] > 0  # or else the vectors would not have been asked


def test_short_sessions_and_empty_titles_are_no_error() -> None:
    model = fitted()
    sessions = [Session("0", ()), Session("1", (Item("a", "umbrella"),)), Session("2", (Item("a", ""), Item("b", "")))]
    assert [generation.bundles for generation in model.predict_bundles(sessions)] == [(), (), (frozenset({0, 1}),)]


def test_before_it_is_fitted_only_titles_speak() -> None:
    [answer] = StockBundler(SETTINGS, Train()).predict_bundles([odd_pairs("x", 30).session])
    assert [len(bundle) for bundle in answer.bundles] == [2]


def test_groups_are_bundles_or_sessions() -> None:
    session = Session("s", tuple(Item(name, f"title {name}") for name in "abcab"))
    labelled = [LabelledSession(session, (frozenset({1, 2}), frozenset({2, 3})))]
    by_bundle, by_session = TrainingGroups.of(labelled, "bundle"), TrainingGroups.of(labelled, "session")
    assert [item.item_id for item in by_bundle.items] == ["b", "c", "a"]
    assert by_bundle.groups == ((0, 1), (1, 2))
    # An item that stands twice in a session is in its group once.
    assert [item.item_id for item in by_session.items] == ["a", "b", "c"]
    assert by_session.groups == ((0, 1, 2),)
    with pytest.raises(UserError, match="no training bundle has two items"):
        TrainingGroups.of([LabelledSession(session, ())], "bundle")


def test_an_unseen_item_borrows_from_its_nearest_and_a_seen_one_has_its_own() -> None:
    titles = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    vectors = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32)
    seen = SeenItems({"a": 0, "b": 1, "c": 2}, titles, vectors, neighbours=2, sharpness=2.0)
    same_title = np.array([[1, 0], [1, 0], [0, -1]], dtype=np.float32)
    own, borrowed, stranger = seen.vectors_for((Item("a", ""), Item("x", ""), Item("y", "")), same_title)
    assert own.tolist() == [1, 0, 0]
    # Cosines 1 and 0.8, squared: 1 and 0.64 before the vector is made one of length 1.
    assert borrowed == pytest.approx(np.array([1, 0.64, 0]) / np.hypot(1, 0.64))
    assert stranger.tolist() == [0, 0, 0]
    everyone = SeenItems({"a": 0, "b": 1, "c": 2}, titles, vectors, neighbours=100, sharpness=0.0)
    assert everyone.vectors_for((Item("x", ""),), same_title[:1])[0] == pytest.approx(np.ones(3) / np.sqrt(3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_model": "ItemKN"}, "Did you mean 'ItemKNN'"),
        ({"base_settings": {"kk": 3}}, "base_settings of ItemKNN: there is no setting 'kk'"),
    ],
)
def test_settings_are_refused_before_anything_is_trained(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        StockBundler(SETTINGS | settings, Train())


def test_a_run_is_saved_and_evaluated_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"data_path": str(write_small(tmp_path / "data", small_splits())), "show_progress": False, "state": "ERROR"}
    result = run_recbole_routedk("StockBundler", "small", config_dict=given | {"base_model": "BPR", "epochs": 3})
    assert result["name"].startswith("StockBundler (base_model=BPR")
    assert all(answers for answers in predictions(result).values())
    assert evaluate_saved(result["run_folder"])["test_result"] == result["test_result"]
    assert {path.name for path in tmp_path.iterdir()} == {"data", "output"}
