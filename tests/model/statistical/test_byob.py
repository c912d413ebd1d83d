"""BYOB on a small store whose best answers are known: by imitation, and by reward alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from camping_store import TrainSplit, session
from torch.utils.checkpoint import checkpoint

from recbole_routedk.data.session import Item, Session
from recbole_routedk.evaluation.metrics import score_sessions
from recbole_routedk.model.statistical.byob import BYOB

TRAIN = TrainSplit([session(number) for number in range(12)])
TEST = [session(number) for number in range(30, 36)]
SETTINGS = {
    "device": torch.device("cpu"),
    "seed": 1,
    "content": "tfidf",
    "content_width": 8,
    "hidden_size": 16,
    "encoder_layers": 1,
    "attention_heads": 2,
    "dropout": 0.0,
    "imitation_epochs": 5,
    "imitation_learning_rate": 0.01,
    "imitation_orders": 2,
    "epochs": 7,
    "learning_rate": 0.001,
    "eval_step": 1,
    "stopping_step": 3,
    "rollouts": 6,
    "ppo_epochs": 2,
    "reward": "dense",
    "gae_lambda": 0.95,
    "clip_ratio": 0.2,
    "value_weight": 0.5,
    "entropy_weight": 0.01,
    "consensus_samples": 1,
    "temperature": 1.0,
}


def untrained(**changed: Any) -> BYOB:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BYOB(SETTINGS | changed, TRAIN)
    model.prepare(TRAIN.labelled_sessions)
    return model


def reached(model: BYOB) -> float:
    answers = [generation.bundles for generation in model.predict_bundles([each.session for each in TEST])]
    return score_sessions([each.bundles for each in TEST], answers)["matchedf1"]


def test_long_sessions_are_read_in_parts_to_the_same_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    def loss_and_gradient() -> tuple[torch.Tensor, torch.Tensor]:
        model = untrained()
        model.begin_stage("imitation")
        model.begin_epoch(0)
        loss = model.calculate_loss({"session_index": torch.arange(4)})
        assert isinstance(loss, torch.Tensor)
        loss.backward()
        return loss.detach(), model.policy.bilinear.weight.grad

    whole, gradient = loss_and_gradient()
    read: list[object] = []

    def counted(*given: object, **how: object) -> object:
        read.append(given)
        return checkpoint(*given, **how)

    monkeypatch.setattr("recbole_routedk.model.statistical.pointer_policy.LARGEST", 500)
    monkeypatch.setattr("recbole_routedk.model.statistical.pointer_policy.checkpoint", counted)
    parts, of_parts = loss_and_gradient()

    assert len(read) > 1
    assert torch.equal(parts, whole)
    assert torch.allclose(of_parts, gradient, atol=1e-7)


def test_each_stage_names_the_rate_that_it_learns_at() -> None:
    for stage in untrained().training_stages():
        assert stage.learning_rate == SETTINGS[stage.rate_setting]


def test_where_there_is_no_bundle_all_samples_agree() -> None:
    (answer,) = untrained(consensus_samples=3).predict_bundles([Session("one", (Item("a", "a tent"),))])
    assert (answer.bundles, answer.score) == ((), 1.0)


def train(model: BYOB, stage: str, epochs: int, rate: float) -> BYOB:
    model.begin_stage(stage)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for epoch in range(epochs):
        model.train()
        model.begin_epoch(epoch)
        optimizer.zero_grad()
        losses = model.calculate_loss({"session_index": torch.arange(12)})
        total = torch.stack(list(losses)).sum() if isinstance(losses, tuple) else losses
        total.backward()
        optimizer.step()
    return model


@pytest.fixture(scope="module")
def imitator() -> BYOB:
    return train(untrained(), "imitation", 20, 0.01)


def test_imitation_learns_to_write_the_gold_answers(imitator: BYOB) -> None:
    assert reached(imitator) > max(0.95, reached(untrained()))


def test_reward_alone_teaches_the_best_answers() -> None:
    assert reached(train(untrained(), "ppo", 40, 0.01)) > max(0.9, reached(untrained()))


def test_a_reward_at_the_end_raises_the_mean_reward_too() -> None:
    model = untrained(reward="terminal")
    model.begin_stage("ppo")
    model.begin_epoch(0)
    before = sum(float(steps.follows[steps.action == 1].sum()) for steps in model._played_steps)
    train(model, "ppo", 12, 0.01)
    model.begin_stage("ppo")
    model.begin_epoch(0)
    assert sum(float(steps.follows[steps.action == 1].sum()) for steps in model._played_steps) > before


def test_answers_are_written_anew_every_so_many_epochs() -> None:
    model = untrained(ppo_epochs=2)
    model.begin_stage("ppo")
    model.begin_epoch(0)
    first = model._played_steps
    model.begin_epoch(1)
    assert model._played_steps is first
    model.begin_epoch(2)
    assert model._played_steps is not first


def test_a_resumed_run_learns_from_the_answers_of_the_stopped_one() -> None:
    model = train(untrained(ppo_epochs=3), "ppo", 2, 0.01)
    resumed = untrained(ppo_epochs=3)
    resumed.load_trainable_state(model.trainable_state())
    resumed.begin_stage("ppo")
    resumed.begin_epoch(2)
    model.begin_epoch(2)
    for ours, theirs in zip(model._played_steps, resumed._played_steps, strict=True):
        assert torch.equal(ours.action, theirs.action)
        assert torch.equal(ours.advantage, theirs.advantage)


def test_the_first_ppo_step_has_a_ratio_of_one() -> None:
    """What is learned from is what the policy would do: the clipped objective is the mean scaled advantage, 0."""
    model = untrained(dropout=0.5)
    model.begin_stage("ppo")
    model.train()
    model.begin_epoch(0)
    objective, _, _ = model.calculate_loss({"session_index": torch.arange(12)})
    assert objective.item() == pytest.approx(0, abs=1e-4)


def test_a_checkpoint_gives_the_same_answers(imitator: BYOB) -> None:
    restored = untrained(consensus_samples=4)
    restored.load_trainable_state(imitator.trainable_state())
    again = untrained(consensus_samples=4)
    again.load_trainable_state(imitator.trainable_state())
    sessions = [each.session for each in TEST]
    whole = restored.predict_bundles(sessions)
    assert again.predict_bundles(sessions) == whole
    assert [again.predict_bundles([each])[0] for each in sessions] == whole, "whatever is answered together"


def test_odd_sessions_are_answered(imitator: BYOB) -> None:
    empty = Session("empty", tuple(Item(str(number), "") for number in range(3)))
    single = Session("single", (Item("x", "tent"),))
    long = Session("long", tuple(Item(str(number), f"thing {number}") for number in range(40)))
    answers = [generation.bundles for generation in imitator.predict_bundles([empty, single, long])]
    assert [bool(each) for each in answers] == [True, False, True]


def test_a_stage_of_no_epochs_is_left_out() -> None:
    assert [stage.name for stage in untrained().training_stages()] == ["imitation", "ppo"]
    assert [stage.name for stage in untrained(imitation_epochs=0).training_stages()] == ["ppo"]
    assert [stage.name for stage in untrained(epochs=0).training_stages()] == ["imitation"]
