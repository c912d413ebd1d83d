"""BBPR on a small store whose bundles are known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from camping_store import TrainSplit, session

from recbole_routedk.data.session import Item, Session
from recbole_routedk.evaluation.metrics import score_sessions
from recbole_routedk.model.statistical.bbpr import BBPR

TRAIN = TrainSplit([session(number) for number in range(12)])
VALID = [session(number) for number in range(20, 24)]
TEST = [session(number) for number in range(30, 36)]
SETTINGS = {
    "device": torch.device("cpu"),
    "seed": 1,
    "content": "tfidf",
    "content_width": 8,
    "factors": 4,
    "dropout": 0.1,
    "negatives": 12,
    "search": "greedy",
    "starts": 5,
    "annealing_steps": 40,
    "annealing_heat": 1.0,
}


def untrained(**changed: Any) -> BBPR:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BBPR(SETTINGS | changed, TRAIN)
    model.prepare(TRAIN.labelled_sessions)
    return model


def reached(model: BBPR) -> float:
    answers = [generation.bundles for generation in model.predict_bundles([each.session for each in TEST])]
    return score_sessions([each.bundles for each in TEST], answers)["matchedf1"]


@pytest.fixture(scope="module")
def trained() -> BBPR:
    model = untrained()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    with torch.random.fork_rng():
        for epoch in range(25):
            model.begin_epoch(epoch)
            optimizer.zero_grad()
            model.calculate_loss({"session_index": torch.arange(12)}).backward()
            optimizer.step()
    model.calibrate(VALID)
    return model


def test_training_finds_the_bundles(trained: BBPR) -> None:
    assert reached(trained) > max(0.9, reached(untrained()))


def test_annealing_finds_them_too(trained: BBPR) -> None:
    annealed = untrained(search="annealed")
    annealed.load_trainable_state(trained.trainable_state())
    annealed.load_extra_state(trained.extra_state())
    assert reached(annealed) > 0.9


def test_the_search_maximises_what_training_ranks(trained: BBPR) -> None:
    """Values of bundles in the loss and in the search are the same."""
    labelled = TEST[0]
    (objective,) = trained.objectives([labelled.session])
    vectors = torch.from_numpy(trained._content.vectors([item.title for item in labelled.session.items]))
    batch = trained._batch([vectors])
    flags = torch.zeros(1, len(labelled.bundles), len(vectors), dtype=torch.bool)
    for row, bundle in enumerate(labelled.bundles):
        flags[0, row, sorted(bundle)] = True
    values = trained._values(trained._terms(*batch), flags, batch[1])[0].tolist()
    assert values == pytest.approx([objective.value(bundle) for bundle in labelled.bundles], abs=1e-4)


def test_a_checkpoint_gives_the_same_answers(trained: BBPR) -> None:
    restored = untrained()
    restored.load_trainable_state(trained.trainable_state())
    restored.load_extra_state(json.loads(json.dumps(trained.extra_state())))
    sessions = [each.session for each in TEST]
    assert restored.predict_bundles(sessions) == trained.predict_bundles(sessions)


def test_sessions_of_two_items_give_no_loss() -> None:
    model = untrained()
    pair = Session("pair", (Item("a", "tent"), Item("b", "phone")))
    model.prepare([type(TEST[0])(pair, (frozenset({0, 1}),))])
    model.begin_epoch(0)
    loss = model.calculate_loss({"session_index": torch.tensor([0])})
    loss.backward()
    assert loss.item() == 0


def test_odd_sessions_are_answered(trained: BBPR) -> None:
    empty = Session("empty", tuple(Item(str(number), "") for number in range(3)))
    single = Session("single", (Item("x", "tent"),))
    long = Session("long", tuple(Item(str(number), f"thing {number}") for number in range(40)))
    answers = [generation.bundles for generation in trained.predict_bundles([empty, single, long])]
    assert [bool(each) for each in answers] == [True, False, True]
    assert all(np.isfinite(each.pairs).all() for each in trained.objectives([empty, single, long]))
