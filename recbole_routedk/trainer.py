"""RecBole's Trainer for bundle generators: stages, early stopping, checkpoints that resume, evaluation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from itertools import chain, islice
from logging import getLogger
from pathlib import Path
from typing import Any, TypeVar

import torch
from recbole.evaluator import Evaluator
from recbole.trainer import Trainer
from recbole.trainer.trainer import AbstractTrainer
from recbole.utils import WandbLogger, early_stopping, init_seed
from torch.nn.utils.clip_grad import clip_grad_norm_

from recbole_routedk.batch_answers import Answers, answer_batches
from recbole_routedk.checkpoint import (
    Checkpoint,
    of_prefix,
    optimizer_tensors,
    random_state,
    restore_optimizer,
    restore_random_state,
    with_prefix,
)
from recbole_routedk.config import Config
from recbole_routedk.curve_writer import CurveWriter
from recbole_routedk.data.dataloader import BundleDataLoader
from recbole_routedk.data.session import Generation, LabelledSession
from recbole_routedk.distributed import from_first, is_first, together
from recbole_routedk.errors import UserError
from recbole_routedk.evaluation.collector import BundleCollector
from recbole_routedk.measure import peak_memory_mib, reset_peak_memory
from recbole_routedk.model.bundle_generator import BundleGenerator, TrainingStage
from recbole_routedk.progress import progress_bar
from recbole_routedk.provenance import made_with
from recbole_routedk.reuse import trained_alike
from recbole_routedk.run_log import NoWriter
from recbole_routedk.schedule import rate_factor
from recbole_routedk.training_state import BEST, LAST, Progress, RunCheckpoints
from recbole_routedk.training_step import fuse_steps, learn_batch

T = TypeVar("T")


class BundleTrainer(Trainer):
    """Trains a ``BundleGenerator`` and evaluates it with the metrics of its configuration.

    Everything is written below ``config.run_folder``: ``best`` and ``last`` checkpoints and the
    tensorboard log. ``fit`` and ``evaluate`` are called as RecBole's; under torchrun every process calls them, and all
    learn from each batch together (``divides_batches``) or wait for the first one, which alone writes.
    """

    def __init__(self, config: Config, model: BundleGenerator) -> None:
        # The stock __init__ writes to the working directory and builds one optimizer for all stages.
        AbstractTrainer.__init__(self, config, model)
        self.logger = getLogger()
        self.wandblogger = WandbLogger(config) if is_first() else NoWriter()
        self.folder = config.run_folder
        self._checkpoints = RunCheckpoints(self.folder, config, model.dataset.fingerprint(), model.fits())
        self.tensorboard: Any = NoWriter()
        self._saved = self._show = self._verbose = False
        self._callback: Callable[[int, float], object] | None = None
        self._best: Checkpoint | None = None
        self._started = 0.0
        self.learner = config["learner"]
        self.learning_rate = config["learning_rate"]
        self.weight_decay = config["weight_decay"]
        self.clip_grad_norm = config["clip_grad_norm"]
        self.valid_metric = config["valid_metric"]
        self.valid_metric_bigger = config["valid_metric_bigger"]
        self.device = config["device"]
        self.eval_collector = BundleCollector(config)
        self.evaluator = Evaluator(config)
        self.progress = Progress()
        self.train_loss_dict: dict[int, float] = {}
        self.last_generations: dict[str, Generation] = {}
        self.best_generations: dict[str, Generation] = {}
        self.sessions_per_second = 0.0
        self.peak_memory = 0.0

    @property
    def best_valid_score(self) -> float:
        """The best ``valid_metric`` of the current stage; infinitely bad before the first evaluation."""
        worst = -math.inf if self.valid_metric_bigger else math.inf
        return worst if self.progress.best_score is None else self.progress.best_score

    @property
    def best_valid_result(self) -> dict[str, float] | None:
        """Every metric of the best evaluation on the valid split."""
        return self.progress.best_result or None

    # Training -----------------------------------------------------------------------------------

    def fit(
        self,
        train_data: BundleDataLoader,
        valid_data: BundleDataLoader | None = None,
        verbose: bool = True,
        saved: bool = True,
        show_progress: bool = False,
        callback_fn: Callable[[int, float], object] | None = None,
    ) -> tuple[float, dict[str, float] | None]:
        """Train to the end, the best weights in the model; returns the best valid score and result.

        With ``config["resume"]`` a stopped run goes on after its last finished epoch; with ``config["reuse"]`` a new
        one begins after the stages that a finished run has trained alike.
        """
        self._saved, self._show, self._verbose = saved and is_first(), show_progress, verbose
        self._callback = callback_fn
        reset_peak_memory(self.device)
        self._started = time.perf_counter()
        self._chosen_on = valid_data.bundle_dataset.fingerprint() if valid_data else None
        self.eval_collector.data_collect(train_data)
        resumed = from_first(self._checkpoints.last) if saved and self.config["resume"] else None
        if saved and self.config["resume"] and resumed is None:
            self._say(f"There is no stopped run in {self.folder}; training starts anew")
        if resumed is not None and resumed.record["progress"]["finished"]:
            self.progress = Progress(**resumed.record["progress"])
            self.load_best()
            self._say(f"The run in {self.folder} is finished; nothing to resume")
        else:
            if self._saved and resumed is None:
                self._checkpoints.clear()
            if saved and resumed is None and self.config["reuse"]:
                resumed = from_first(lambda: trained_alike(self.config, self.model, self._chosen_on))
            self._where_learnt(lambda: self.model.prepare(train_data.bundle_dataset.labelled_sessions))
            with closing(self._open_tensorboard()) as self.tensorboard:
                self._learn(train_data, valid_data, resumed)
        return self.best_valid_score, self.best_valid_result

    def _learn(
        self, train_data: BundleDataLoader, valid_data: BundleDataLoader | None, resumed: Checkpoint | None
    ) -> None:
        if self.model.gradient_trained:
            self.model.trainable_state()  # remembers what is trainable before a stage freezes it
            stages = self.model.training_stages()
            self._resume(resumed)
            while self.progress.stage < len(stages):
                self._train_stage(stages[self.progress.stage], train_data, valid_data, resumed)
                resumed = None
        else:
            valid = valid_data.bundle_dataset.labelled_sessions if valid_data else ()
            from_first(lambda: self.model.fit_sessions(train_data.bundle_dataset.labelled_sessions, valid))
        if self.progress.best_score is None and valid_data:
            self._validate(valid_data)
        elif self.progress.best_score is None:
            self._keep_best()
        self.progress.finished = True
        self._save_last(None)

    def _train_stage(
        self,
        stage: TrainingStage,
        train_data: BundleDataLoader,
        valid_data: BundleDataLoader | None,
        resumed: Checkpoint | None,
    ) -> None:
        progress = self.progress
        self.model.begin_stage(stage.name)
        trained = [value for value in self.model.parameters() if value.requires_grad]
        if not trained:
            raise RuntimeError(f"stage {stage.name} of {self.config['model']} trains no parameter")
        self.optimizer = fuse_steps(self._build_optimizer(params=trained, learning_rate=stage.learning_rate))
        if progress.epoch == 0 and not progress.stage_done:
            progress.best_score, progress.best_result, progress.waited = None, {}, 0
            self._best = None
        if resumed is not None:
            restore_optimizer(self.optimizer, of_prefix("optimizer", resumed.tensors))
            restore_random_state(Checkpoint(of_prefix("random", resumed.tensors), resumed.record["random"]))
        steps = stage.steps(len(train_data)) * (stage.epochs - progress.epoch)
        title = f"{self.config['model']} {stage.name}"
        with progress_bar(steps, title, "batch", self._show) as self._progress_bar:
            while progress.epoch < stage.epochs and not progress.stage_done:
                self._epoch(stage, train_data, valid_data)
        if self._best is not None:
            self._restore(self._best)
        progress.stage, progress.epoch, progress.stage_done = progress.stage + 1, 0, False
        progress.stage_epochs.append(progress.epochs_before)
        progress.stage_seconds.append(self._seconds())
        # Before the next stage writes its own best weights over those that it starts from.
        self._save_last(None)

    def _epoch(self, stage: TrainingStage, train_data: BundleDataLoader, valid_data: BundleDataLoader | None) -> None:
        progress = self.progress
        loss = self._where_learnt(lambda: self._train_epoch(train_data, stage))
        progress.epoch += 1
        progress.epochs_before += 1
        self.train_loss_dict[progress.epochs_before] = loss
        self._scalar("stage", progress.stage + 1)
        self._scalar("loss/train", loss)
        line = f"{stage.name}, epoch {progress.epoch} of {stage.epochs}: loss {loss:.4f}"
        if valid_data and stage.eval_step and progress.epoch % stage.eval_step == 0:
            line += f", valid {self.valid_metric} {self._validate(valid_data, stage.stopping_step):.4f}"
        elif progress.epoch == stage.epochs and progress.best_score is None:
            self._best = self._state()  # a stage without evaluation keeps its last weights
        self._say(line)
        self._save_last(self.optimizer)

    def _train_epoch(self, train_data: BundleDataLoader, stage: TrainingStage) -> float:
        """Train on the batches of an epoch; returns the mean loss of a batch."""
        self.model.begin_epoch(self.progress.epoch)
        train_data.set_epoch(self.progress.epochs_before)
        self.model.train()
        trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        total, steps = 0.0, stage.steps(len(train_data))
        schedule = (self.config["lr_scheduler"], self.config["warmup_ratio"])
        for step, interaction in enumerate(islice(train_data, steps), start=self.progress.epoch * steps):
            rate = stage.learning_rate * rate_factor(*schedule, step, stage.epochs * steps)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.zero_grad(set_to_none=True)
            loss = learn_batch(self.model, interaction, trained, self.config["enable_amp"])
            self._check_loss(loss, interaction["session_index"].tolist(), train_data)
            if self.clip_grad_norm:
                clip_grad_norm_(trained, **self.clip_grad_norm)  # what is frozen keeps its last gradient
            self.optimizer.step()
            total += loss
            self._progress_bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            self._progress_bar.update()
        return total / max(1, steps)

    def _check_loss(self, loss: float, index: Sequence[int], train_data: BundleDataLoader) -> None:
        if not math.isfinite(loss):
            sessions = train_data.bundle_dataset.labelled_sessions
            names = ", ".join(sessions[i].session.session_id for i in index)
            stage = self.model.training_stages()[self.progress.stage]
            raise UserError(
                f"The training loss is {loss} in epoch {self.progress.epoch + 1}, in the batch of the "
                f"sessions {names}. Lower {stage.rate_setting} (now {stage.learning_rate}) or set "
                "clip_grad_norm; if it stays, look at these sessions."
            )

    def _validate(self, valid_data: BundleDataLoader, patience: int | None = None) -> float:
        """Evaluate on the valid split; keeps the weights if they are the best of the stage."""
        if self.model.gradient_trained:
            from_first(lambda: self._calibrate(valid_data))
        result = self.evaluate(valid_data, load_best_model=False, show_progress=self._show)
        score = float(result[self.valid_metric])
        progress = self.progress
        best, progress.waited, stop, update = early_stopping(
            score,
            self.best_valid_score,
            progress.waited,
            max_step=math.inf if patience is None else patience,
            bigger=self.valid_metric_bigger,
        )
        progress.stage_done = bool(stop)
        for name, value in result.items():
            self._scalar(f"valid/{name}", value)
        self.wandblogger.log_metrics(dict(result), head="valid")
        if update:
            progress.best_score, progress.best_result = float(best), dict(result)
            self.best_generations = self.last_generations
            self._keep_best()
        if self._callback:
            self._callback(progress.epochs_before - 1, score)
        return score

    @torch.no_grad()
    def _calibrate(self, valid_data: BundleDataLoader) -> None:
        self.model.eval()
        self.model.calibrate(valid_data.bundle_dataset.labelled_sessions)
        self.model.train()

    # Checkpoints --------------------------------------------------------------------------------

    def _state(self) -> Checkpoint:
        """The model as a checkpoint keeps it."""
        record = {
            "model": self.config["model"],
            "config": self.config.plain(),
            "progress": asdict(self.progress),
            "extra_state": self.model.extra_state(),
            "training_data": self.model.dataset.fingerprint(),
            "chosen_on": self._chosen_on,
            "fits": self.model.fits(),
            "made_with": made_with(),
        }
        return Checkpoint(self.model.trainable_state(), record)

    def _restore(self, state: Checkpoint) -> None:
        self.model.load_extra_state(state.record["extra_state"])
        self.model.load_trainable_state(state.tensors)

    def _keep_best(self) -> None:
        self._best = self._state()
        if self._saved:
            self._checkpoints.save(BEST, self._best)

    def _save_last(self, optimizer: torch.optim.Optimizer | None) -> None:
        """Write what a resumed run needs; between two stages there is no optimizer."""
        self._seconds()
        if not self._saved:
            return
        state = self._state()
        generators = random_state()
        state.tensors = (
            with_prefix("model", state.tensors)
            | with_prefix("optimizer", optimizer_tensors(optimizer) if optimizer else {})
            | with_prefix("random", generators.tensors)
        )
        state.record["random"] = generators.record
        self._checkpoints.save(LAST, state)

    def _seconds(self) -> float:
        """What training has taken until now, before stops too."""
        now = time.perf_counter()
        self.progress.seconds, self._started = self.progress.seconds + now - self._started, now
        return self.progress.seconds

    def _resume(self, last: Checkpoint | None) -> None:
        """Put model and progress where ``last`` was taken."""
        if last is None:
            return
        self.progress = Progress(**last.record["progress"])
        self._restore(Checkpoint(of_prefix("model", last.tensors), last.record))
        has_best = self.progress.best_score is not None
        self._best = from_first(self._checkpoints.best) if has_best else None
        source = "" if has_best else self.progress.weights_from
        self._say(f"Going on from {source or self.folder} after {self.progress.epochs_before} epochs")

    def load_best(self, folder: Path | None = None) -> None:
        """Load the best weights of the run in ``folder`` (default: this one) into the model."""
        self._restore(from_first(lambda: self._checkpoints.best(folder)))

    def _where_learnt(self, step: Callable[[], T]) -> T:
        """Take a step of learning in each process or, where they cannot share batches, in the first one alone."""
        return step() if self.model.divides_batches else from_first(step)

    # Evaluation ---------------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(
        self,
        eval_data: BundleDataLoader,
        load_best_model: bool = True,
        model_file: str | Path | None = None,
        show_progress: bool = False,
    ) -> dict[str, float]:
        """Let the model answer every session and score the answers; the model sees no label.

        ``model_file`` is a run folder, by default this run's. Random choices of the model start from
        ``config["seed"]`` here, so that a saved run scores again what it scored after training.
        Leaves ``last_generations``, ``sessions_per_second`` and ``peak_memory`` (MiB, of this process) behind.
        """
        if load_best_model:
            self.load_best(Path(model_file) if model_file else None)
        generators = random_state()
        init_seed(self.config["seed"], self.config["reproducibility"])
        training = self.model.training
        self.model.eval()
        if together():
            self._restore(from_first(self._state))
        labelled = eval_data.bundle_dataset.labelled_sessions
        batches = [[labelled[index] for index in each["session_index"].tolist()] for each in eval_data]
        sessions = [[each.session for each in batch] for batch in batches]
        title = f"{self.config['model']} answers"
        answers, self.sessions_per_second = answer_batches(self.model, sessions, title, show_progress)
        self.model.train(training)
        restore_random_state(generators)
        self.peak_memory = peak_memory_mib(self.device)
        asked = [session.session_id for batch in sessions for session in batch]
        self.last_generations = dict(zip(asked, chain.from_iterable(answers), strict=True))
        return from_first(lambda: self._scored(batches, answers))

    def _scored(self, batches: Sequence[Sequence[LabelledSession]], answers: Answers) -> dict[str, float]:
        for batch, generations in zip(batches, answers, strict=True):
            self.eval_collector.eval_batch_collect(batch, generations)
        result: dict[str, float] = self.evaluator.evaluate(self.eval_collector.get_data_struct())
        return result

    # Watching -----------------------------------------------------------------------------------

    def _open_tensorboard(self) -> Any:
        """A writer to the run folder, or None's stand-in where nothing is saved."""
        return CurveWriter(self.folder / "tensorboard") if self._saved else NoWriter()

    def _scalar(self, name: str, value: float) -> None:
        self.tensorboard.add_scalar(name, value, self.progress.epochs_before)

    def _say(self, line: str) -> None:
        if self._verbose:
            self.logger.info(line)
