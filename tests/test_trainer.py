"""Training in stages, early stopping, resuming, and evaluation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import Counting, Threshold, TwoStages

from recbole_routedk.config import Config
from recbole_routedk.data.dataloader import BundleDataLoader
from recbole_routedk.data.dataset import BundleDataset
from recbole_routedk.errors import UserError
from recbole_routedk.model.bundle_generator import TrainingStage
from recbole_routedk.schedule import rate_factor
from recbole_routedk.trainer import BundleTrainer


class Run:
    """A model, its trainer and its loaders."""

    def __init__(self, data_path: Path, model: type, **settings: Any) -> None:
        defaults = {"data_path": str(data_path), "train_batch_size": 4, "learning_rate": 0.5, "epochs": 4}
        self.config = Config(model, "toy", config_dict=defaults | {"show_progress": False} | settings)
        torch.manual_seed(1)
        train, valid, test = BundleDataset(self.config).build()
        self.train = BundleDataLoader(self.config, train, shuffle=True)
        self.valid, self.test = BundleDataLoader(self.config, valid), BundleDataLoader(self.config, test)
        self.model = self.config.model_class(self.config, train)
        self.trainer = BundleTrainer(self.config, self.model)

    def fit(self, **options: Any) -> tuple[float, dict[str, float] | None]:
        return self.trainer.fit(self.train, self.valid, verbose=False, **options)


def whole_session_score(sizes: list[int]) -> float:
    """MatchedF1 of the whole session where all but the first item is the bundle: the mean Jaccard."""
    return sum((size - 1) / size for size in sizes) / len(sizes)


def test_training_finds_the_right_answer_and_reports_every_metric(toy_data: Path) -> None:
    run = Run(toy_data, Threshold)

    score, result = run.fit()

    assert score == 1.0
    assert result is not None
    assert result["matchedf1"] == 1.0
    assert len(result) == 11
    assert run.model.weight.item() > 0


def test_scores_of_the_test_split_are_those_of_the_answers(toy_data: Path) -> None:
    run = Run(toy_data, Threshold, epochs=0)
    run.fit()

    result = run.trainer.evaluate(run.test)

    assert result["matchedf1"] == pytest.approx(whole_session_score([4, 5, 3]))
    assert result["bundlef1"] == 0.0
    assert run.trainer.last_generations["s13"].bundles == (frozenset(range(4)),)
    assert run.trainer.sessions_per_second > 0
    assert 10 < run.trainer.peak_memory < 10_000


def test_the_best_weights_are_kept_not_the_last(toy_data: Path) -> None:
    class Overshooting(Threshold):
        """Answers nothing once its weight has grown too far."""

        def predict_bundles(self, sessions: Any) -> Any:
            answers = super().predict_bundles(sessions)
            return answers if self.weight < 1 else [type(a)(()) for a in answers]

    run = Run(toy_data, Overshooting, learning_rate=1.0, epochs=10, stopping_step=2, lr_scheduler="constant")

    score, _ = run.fit()

    assert score == 1.0
    assert 0 < run.model.weight.item() < 1
    assert run.trainer.progress.epochs_before < 10  # it stopped early


def test_stages_train_their_own_weights_and_a_checkpoint_keeps_both(toy_data: Path) -> None:
    run = Run(toy_data, TwoStages)

    run.fit()

    kept = run.model.trainable_state()
    assert set(kept) == {"weight", "other"}  # never the frozen thousand
    assert kept["weight"] > 0
    assert kept["other"] > 0
    again = Run(toy_data, TwoStages)
    again.trainer.load_best(run.trainer.folder)
    assert again.model.trainable_state() == kept


def test_a_checkpoint_is_small_and_holds_no_frozen_weight(toy_data: Path) -> None:
    run = Run(toy_data, Threshold)
    run.fit()

    sizes = [file.stat().st_size for file in run.trainer.folder.glob("best-*.safetensors")]
    assert len(sizes) == 1
    assert sizes[0] < 1000
    assert not list(run.trainer.folder.glob("*.pth"))


class StopRun(Exception):
    """Stands for whatever stops a run."""


@pytest.mark.parametrize("model", [Threshold, TwoStages])
@pytest.mark.parametrize("stop_after", [0, 1, 2])
def test_a_stopped_run_resumes_to_the_same_weights(toy_data: Path, model: type, stop_after: int) -> None:
    unbroken = Run(toy_data, model, run_name="unbroken")
    unbroken.fit()

    def stop(epoch: int, score: float) -> None:
        if epoch == stop_after:
            raise StopRun

    with pytest.raises(StopRun):
        Run(toy_data, model, run_name="broken").fit(callback_fn=stop)
    resumed = Run(toy_data, model, run_name="broken", resume=True)
    resumed.fit()

    assert resumed.trainer.progress.epochs_before == 4
    assert resumed.model.trainable_state() == unbroken.model.trainable_state()
    assert resumed.trainer.best_valid_result == unbroken.trainer.best_valid_result


def test_resuming_a_finished_run_only_loads_it(toy_data: Path) -> None:
    first = Run(toy_data, Threshold)
    first.fit()
    resumed = Run(toy_data, Threshold, resume=True)

    assert resumed.fit() == (first.trainer.best_valid_score, first.trainer.best_valid_result)
    assert resumed.trainer.train_loss_dict == {}
    assert torch.equal(resumed.model.weight, first.model.weight)


def test_a_stopped_run_of_other_code_is_trained_anew(toy_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(epoch: int, score: float) -> None:
        if epoch == 1:
            raise StopRun

    with pytest.raises(StopRun):
        Run(toy_data, Threshold, run_name="broken").fit(callback_fn=stop)
    monkeypatch.setattr("recbole_routedk.training_state.made_with", lambda: {"digest": "another"})

    resumed = Run(toy_data, Threshold, run_name="broken", resume=True)
    resumed.fit()

    assert sorted(resumed.trainer.train_loss_dict) == [1, 2, 3, 4]


def test_a_run_with_other_settings_is_not_resumed(toy_data: Path) -> None:
    Run(toy_data, Threshold, run_name="mine").fit()

    with pytest.raises(UserError, match=r"had other settings: learning_rate=0.5"):
        Run(toy_data, Threshold, run_name="mine", learning_rate=0.1, resume=True).fit()


def test_a_new_run_in_the_same_folder_cannot_be_mistaken_for_the_old_one(toy_data: Path) -> None:
    Run(toy_data, Threshold).fit()

    def stop(epoch: int, score: float) -> None:
        raise StopRun

    with pytest.raises(StopRun):
        Run(toy_data, Threshold).fit(callback_fn=stop)
    resumed = Run(toy_data, Threshold, resume=True)
    resumed.fit()

    assert len(resumed.trainer.train_loss_dict) == 4
    assert len(list((resumed.trainer.folder / "tensorboard").iterdir())) == 1


def test_a_new_run_that_is_killed_leaves_no_result_of_the_old_one_beside_its_weights(toy_data: Path) -> None:
    def stop(epoch: int, score: float) -> None:
        raise StopRun

    old = Run(toy_data, Threshold)
    old.fit()
    (old.trainer.folder / "result.json").write_text("{}", encoding="utf-8")

    with pytest.raises(StopRun):
        Run(toy_data, Threshold).fit(callback_fn=stop)

    assert not (old.trainer.folder / "result.json").exists()  # a benchmark with --resume would have kept it


@pytest.mark.parametrize("settings", [{"eval_step": 0}, {"eval_step": 9}, {"epochs": 0}])
def test_a_run_without_validation_in_training_keeps_its_last_weights(toy_data: Path, settings: dict[str, int]) -> None:
    run = Run(toy_data, Threshold, **settings)

    score, result = run.fit()

    assert result is not None
    assert score == result["matchedf1"] == (1.0 if run.config["epochs"] else whole_session_score([4, 5, 3]))
    again = Run(toy_data, Threshold)
    again.trainer.load_best(run.trainer.folder)
    assert torch.equal(again.model.weight, run.model.weight)


def test_training_works_without_a_valid_split(toy_data: Path) -> None:
    run = Run(toy_data, Threshold)

    score, result = run.trainer.fit(run.train, None, verbose=False)

    assert (score, result) == (-math.inf, None)
    assert run.model.weight.item() > 0


def test_nothing_is_written_unless_saved(toy_data: Path) -> None:
    run = Run(toy_data, Threshold)

    run.fit(saved=False)
    run.trainer.evaluate(run.test, load_best_model=False)

    assert not run.trainer.folder.exists()
    assert {path.name for path in toy_data.parent.iterdir()} == {"data"}


def test_a_model_without_gradients_is_fitted_once_and_comes_back(toy_data: Path) -> None:
    run = Run(toy_data, Counting)

    score, _ = run.fit()

    assert score == pytest.approx(whole_session_score([4, 5, 3]))
    again = Run(toy_data, Counting)
    again.trainer.load_best()
    assert again.model.sessions_seen == 13


def test_evaluation_alone_needs_no_training(toy_data: Path) -> None:
    run = Run(toy_data, Threshold)

    assert run.trainer.evaluate(run.test, load_best_model=False)["emptyrate"] == 0.0


def test_the_model_never_sees_a_label_in_evaluation(toy_data: Path) -> None:
    seen: list[Any] = []

    class Watching(Threshold):
        """Keeps what it is asked."""

        def predict_bundles(self, sessions: Any) -> Any:
            seen.extend(sessions)
            return super().predict_bundles(sessions)

    run = Run(toy_data, Watching)
    run.trainer.evaluate(run.test, load_best_model=False)

    assert [type(each).__name__ for each in seen] == ["Session"] * 3


def test_evaluation_repeats_itself_and_leaves_the_random_state_alone(toy_data: Path) -> None:
    class Guessing(Threshold):
        """Leaves items out at random."""

        def predict_bundles(self, sessions: Any) -> Any:
            self.drawn = torch.rand(3).tolist()
            return super().predict_bundles(sessions)

    run = Run(toy_data, Guessing)
    before = torch.get_rng_state()
    run.trainer.evaluate(run.test, load_best_model=False)
    first = run.model.drawn
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    run.trainer.evaluate(run.test, load_best_model=False)
    assert run.model.drawn == first


def test_the_trainer_goes_back_through_each_part_of_a_loss_before_it_asks_for_the_next(toy_data: Path) -> None:
    seen: list[float | None] = []

    class InParts(Threshold):
        """A loss of slope 0.25 + 0.75."""

        def loss_parts(self, interaction: Any) -> Any:
            for slope in (0.25, 0.75):
                seen.append(None if self.weight.grad is None else self.weight.grad.item())
                yield slope * self.weight

    settings = {"epochs": 1, "learner": "sgd", "learning_rate": 1.0, "lr_scheduler": "constant", "warmup_ratio": 0.0}
    run = Run(toy_data, InParts, **settings)
    run.fit()

    assert seen == [None, 0.25] * 3  # ten sessions are three batches
    assert run.model.weight.item() == pytest.approx(-1.0 - 3 * 1.0)
    assert run.trainer.train_loss_dict[1] == pytest.approx((-1.0 - 2.0 - 3.0) / 3)


def test_a_stage_may_take_a_share_of_the_batches(toy_data: Path) -> None:
    steps: list[int] = []

    class Part(Threshold):
        """Half of each epoch."""

        def training_stages(self) -> tuple[TrainingStage, ...]:
            return (TrainingStage("part", 2, 0.1, share=0.5),)

        def calculate_loss(self, interaction: Any) -> torch.Tensor:
            steps.append(len(interaction["session_index"]))
            return super().calculate_loss(interaction)

    Run(toy_data, Part).fit()

    assert len(steps) == 2 * 2  # half of three batches, rounded up, in two epochs


def test_a_loss_that_is_not_a_number_names_the_sessions(toy_data: Path) -> None:
    class Broken(Threshold):
        """Has no finite loss for the third session."""

        def calculate_loss(self, interaction: Any) -> torch.Tensor:
            bad = 2 in interaction["session_index"].tolist()
            return self.weight * (math.nan if bad else 1.0)

    with pytest.raises(UserError, match=r"loss is nan in epoch 1, .*\bs2\b.*learning_rate \(now 0.5\)"):
        Run(toy_data, Broken).fit()


@pytest.mark.parametrize(
    "kind, expected",
    [
        ("constant", [1 / 3, 2 / 3, 1, 1, 1, 1]),
        ("linear", [1 / 3, 2 / 3, 1, 3 / 4, 2 / 4, 1 / 4]),
        ("cosine", [1 / 3, 2 / 3, 1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]),
    ],
)
def test_the_learning_rate_climbs_and_falls(kind: str, expected: list[float]) -> None:
    assert [rate_factor(kind, 0.3, step, 6) for step in range(6)] == pytest.approx(expected)


def test_progress_is_on_tensorboard_and_in_json(toy_data: Path) -> None:
    run = Run(toy_data, Threshold)
    run.fit()

    assert list((run.trainer.folder / "tensorboard").glob("events.*"))
    record = json.loads((run.trainer.folder / "last.json").read_text(encoding="utf-8"))
    assert record["progress"]["finished"] is True
    assert record["progress"]["seconds"] > 0


def test_the_checkpoint_of_another_model_is_refused(toy_data: Path) -> None:
    run = Run(toy_data, Threshold)
    run.fit()

    with pytest.raises(UserError, match=r"does not fit TwoStages: it lacks \['other'\]"):
        Run(toy_data, TwoStages).trainer.load_best(run.trainer.folder)
