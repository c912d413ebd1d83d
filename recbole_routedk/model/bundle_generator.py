"""The abstract class that every bundle generator shares."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.utils import InputType, ModelType
from torch import Tensor

from recbole_routedk.data.plain import BadSessionError, SessionLike, plain_session
from recbole_routedk.data.session import Generation, LabelledSession, Session
from recbole_routedk.errors import UserError
from recbole_routedk.model.generating import BATCHES_A_WINDOW, SessionBundles, WindowAnswerer, windows

OWN = "own_session"
"""The column of a training batch that says which sessions this process learns from; without it, from all."""


@dataclass(frozen=True)
class TrainingStage:
    """One stage of training: a new optimizer and its own early stopping; ``eval_step`` 0 never validates.

    ``share`` is the part of an epoch's batches that it takes, in (0, 1]. ``settings`` are those that no earlier stage
    reads: a run that differs from a finished one in these alone takes over what the earlier stages learnt.
    ``rate_setting`` names the setting that the learning rate is.
    """

    name: str
    epochs: int
    learning_rate: float
    eval_step: int = 1
    stopping_step: int | None = None
    share: float = 1.0
    settings: frozenset[str] = frozenset()
    rate_setting: str = "learning_rate"

    def steps(self, batches: int) -> int:
        """The steps of an epoch that has so many batches."""
        return math.ceil(self.share * batches)


class BundleGenerator(AbstractRecommender):
    """A model that answers a session with bundles; RecBole trains and evaluates it.

    A gradient model implements ``calculate_loss``. A model without trainable parameters sets
    ``gradient_trained = False`` and implements ``fit_sessions``. Both implement ``predict_bundles``.
    """

    input_type = InputType.POINTWISE
    type = ModelType.GENERAL
    gradient_trained: bool = True
    named_settings: tuple[str, ...] = ()
    """Settings that the name in tables tells even where they are not changed."""
    answering_settings: frozenset[str] = frozenset()
    """Settings that no training reads: runs that differ in these alone have the same weights (``reuse``)."""
    divides_batches: bool = False
    """Whether several processes may learn from a batch together: ``loss_parts`` then heeds the column ``OWN``."""
    answers_alone: bool = False
    """Whether one process has to answer all sessions, because a teacher is asked that has one budget."""

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__()
        self.config = config
        self.dataset = dataset
        self.device = config["device"]
        self._trained_names: set[str] = set()

    @property
    def display_name(self) -> str:
        """The name in tables: the class, and the settings it computes with that differ from its YAML."""
        changed = {key: self.config[key] for key in self.named_settings}
        changed |= self.config.changed_model_settings(self.gradient_trained)
        settings = ", ".join(f"{key}={_shown(value)}" for key, value in changed.items())
        return f"{type(self).__name__} ({settings})" if settings else type(self).__name__

    def prepare(self, train: Sequence[LabelledSession]) -> None:
        """Get ready for training, from training sessions only (RouteDK distils here)."""

    def training_stages(self) -> tuple[TrainingStage, ...]:
        """The stages of training, in order; one stage from the configuration unless overridden."""
        config = self.config
        stage = TrainingStage(
            name="train",
            epochs=config["epochs"],
            learning_rate=config["learning_rate"],
            eval_step=config["eval_step"],
            stopping_step=config["stopping_step"],
        )
        return (stage,)

    def begin_stage(self, name: str) -> None:
        """Called before the optimizer of stage ``name`` is built: set ``requires_grad`` here."""

    def begin_epoch(self, epoch: int) -> None:
        """Called before each training epoch, counted from 0 within its stage."""

    def fit_sessions(self, train: Sequence[LabelledSession], valid: Sequence[LabelledSession]) -> None:
        """Learn without gradients; called once where ``gradient_trained`` is false."""

    def calibrate(self, valid: Sequence[LabelledSession]) -> None:
        """Choose what is chosen on the valid sessions, such as a threshold; called before each evaluation on them.

        Only for models trained by gradient: the others choose in ``fit_sessions``. What is chosen has to be part of
        ``extra_state``. Nothing unless overridden.
        """

    def calculate_loss(self, interaction: Any) -> Tensor | tuple[Tensor, ...]:
        """The loss of a batch; ``interaction["session_index"]`` [B] indexes the training sessions."""
        raise NotImplementedError(f"{type(self).__name__} is not trained by gradient")

    def loss_parts(self, interaction: Any) -> Iterator[Tensor]:
        """The parts whose sum is the loss of a batch; the trainer goes back through each before it asks for the next.

        One part unless overridden: a loss of several passes saves memory, since only one graph is kept at a time.
        With ``divides_batches``, the losses for the sessions that the column ``OWN`` marks and for the others sum to
        the loss of the whole batch.
        """
        loss = self.calculate_loss(interaction)
        yield torch.stack(loss).sum() if isinstance(loss, tuple) else loss

    def read_ahead(self, sessions: Sequence[Session]) -> None:
        """Take from the first of several processes what it alone may ask for about sessions that all will answer.

        Nothing unless overridden.
        """

    @abstractmethod
    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """Answer each session, in order, without any label."""
        raise NotImplementedError

    @classmethod
    def from_pretrained(cls, folder: str | Path, **settings: Any) -> BundleGenerator:
        """Load the model of a saved run, whatever its class, ready to ``generate``; it needs the run folder alone.

        ``settings`` replace those of the run, such as ``consensus_samples=1``. Raises UserError for a folder without a
        run, a run of another class than this one, and unknown settings.
        """
        # Here and not above: what loads a run stands on top of all models.
        from recbole_routedk.saved_run import load_generator

        return load_generator(folder, settings, None if cls is BundleGenerator else cls)

    def generate(
        self, sessions: Iterable[SessionLike], *, intents: bool = False, batch_size: int | None = None
    ) -> Iterator[SessionBundles]:
        """Answer a stream of sessions in order, in bounded memory; sessions are titles, mappings or ``Session``s.

        ``data.plain`` says which mappings. ``intents`` names the intent of each bundle. ``batch_size`` sessions
        (``eval_batch_size``) are answered at once; four batches are read before the first is answered, so that like
        lengths go together. Raises UserError for what is no session, with its number, when the stream gets there.
        """
        size = batch_size or int(self.config["eval_batch_size"])
        answerer = WindowAnswerer(self, size, intents)
        for window in windows(self._read_sessions(sessions), BATCHES_A_WINDOW * size):
            yield from answerer.answer(window)

    def _read_sessions(self, sessions: Iterable[SessionLike]) -> Iterator[Session]:
        for number, value in enumerate(sessions, start=1):
            try:
                yield plain_session(value, f"session-{number}", self.config["item_fields"]).session
            except BadSessionError as error:
                raise UserError(f"session {number}: {error}") from None

    def save_artefacts(self, folder: Path) -> None:
        """Write what others than this package may want to read into the run folder; nothing unless overridden."""

    def teacher_dollars(self) -> float | None:
        """US dollars that the teacher's answers cost which this run read, those from the store at what they cost then.

        None where a price is not known. 0 unless overridden.
        """
        return 0.0

    def trainable_state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps: every parameter that was trainable at some call, and the buffers.

        Names are remembered over calls, because a later stage may freeze what an earlier one trained.
        """
        parameters = dict(self.named_parameters())
        self._trained_names |= {name for name, value in parameters.items() if value.requires_grad}
        state = {name: parameters[name] for name in parameters if name in self._trained_names}
        buffers = dict(self.named_buffers())
        state |= {name: buffers[name] for name in self.checkpoint_buffers()}
        return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in state.items()}

    def checkpoint_buffers(self) -> tuple[str, ...]:
        """The names of the buffers that a checkpoint keeps; none unless overridden."""
        return ()

    def load_trainable_state(self, state: dict[str, Tensor]) -> None:
        """Copy a checkpoint's tensors into the model; UserError where names or shapes do not fit."""
        own = dict(self.named_parameters()) | dict(self.named_buffers())
        missing = sorted(set(self.trainable_state()) - set(state))
        unknown = sorted(set(state) - set(own))
        if missing or unknown:
            raise UserError(
                f"The checkpoint does not fit {type(self).__name__}: it lacks {missing or 'nothing'} and has "
                f"{unknown or 'nothing'} unknown to the model. Use the settings it was trained with."
            )
        with torch.no_grad():
            for name, value in state.items():
                if own[name].shape != value.shape:
                    raise UserError(
                        f"The checkpoint does not fit {type(self).__name__}: {name} has shape "
                        f"{tuple(value.shape)}, the model {tuple(own[name].shape)}."
                    )
                own[name].copy_(value)
        self._trained_names |= set(state) & set(dict(self.named_parameters()))

    def fits(self) -> dict[str, str]:
        """Fingerprints of what the weights were trained upon and a checkpoint does not hold, by what it is.

        A checkpoint with other ones is refused. Nothing unless overridden.
        """
        return {}

    def extra_state(self) -> dict[str, Any]:
        """What a checkpoint keeps besides tensors, as JSON-able values."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what ``extra_state`` gave."""


def _shown(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) and value else str(value)
