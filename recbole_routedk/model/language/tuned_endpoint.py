"""A model behind an OpenAI-compatible endpoint that its service tunes on the training sessions, and that then answers.

The training file is one conversation a session and lesson: the items (and what is known about them), the question for
the bundles, and the gold bundles as JSON. It is written into the run folder, whatever becomes of it. The service then
gets it (``/files``, ``/fine_tuning/jobs``), unless ``fine_tuned_model`` names a model that was tuned already.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from contextlib import closing
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole_routedk.data.files import write_texts
from recbole_routedk.data.session import Generation, LabelledSession, Session, first_labelled, within_limit
from recbole_routedk.distill.teachers.openai_endpoint import OpenAITeacher
from recbole_routedk.errors import UserError
from recbole_routedk.model.bundle_generator import BundleGenerator
from recbole_routedk.model.language.fine_tuning import Tuning, TuningJob, TuningPurse, read_prices
from recbole_routedk.model.language.fine_tuning_service import FineTuningService, NoFineTuningError
from recbole_routedk.model.language.lessons import Lesson
from recbole_routedk.model.language.reader import Reader
from recbole_routedk.model.language.teacher_respondent import TeacherRespondent
from recbole_routedk.model.language.tuning_talks import lesson_talk, training_lines
from recbole_routedk.model.views import ViewSettings
from recbole_routedk.plugins import plugin_class

logger = getLogger(__name__)

TRAINING_FILE = "fine_tuning.jsonl"
RECORDS = "fine_tuning"
"""The folder of the records of tunings, beside the store of paid answers."""


class TunedEndpoint(BundleGenerator):
    """Tunes ``teacher_model`` at ``teacher_base_url`` and asks the tuned model, at temperature ``teacher_temperature``.

    ``epochs`` and ``seed`` are handed to the service; its other hyper-parameters are its own.
    """

    gradient_trained = False
    answers_alone = True

    def __init__(self, config: Any, dataset: Any, learnt: Sequence[Lesson], asked: Lesson) -> None:
        """``learnt`` is what a session is shown as, ``asked`` how it is asked about.

        Raises:
            UserError: ``answered_by`` is no endpoint, or a lesson wants knowledge to be written.
        """
        super().__init__(config, dataset)
        who = config["answered_by"]
        if not issubclass(plugin_class("teacher", who), OpenAITeacher):
            raise UserError(
                f"answered_by: {who} cannot be tuned; openai tunes a model behind an endpoint, student one on this "
                "machine (--student takes any causal language model)"
            )
        if any(lesson.writes for lesson in (*learnt, asked)):
            raise UserError(
                f"thought_source: {config['thought_source']} is learnt by the student alone; with answered_by={who} "
                "take teacher or retrieved"
            )
        self._learnt, self._asked = tuple(learnt), asked
        self._view = ViewSettings(
            config["max_patterns"], config["max_rules"], config["pairs_per_item"], config["least_affinity"]
        )
        self._reader: Reader | None = None
        self._respondent: TeacherRespondent | None = None
        self._tuned_model: str = config["fine_tuned_model"]

    def fit_sessions(self, train: Sequence[LabelledSession], valid: Sequence[LabelledSession]) -> None:
        """Have the model tuned, or take the named one; the valid sessions are not looked at."""
        if self.config["fine_tuned_model"]:
            logger.info("No fine-tuning: fine_tuned_model is %s", self._tuned_model)
            return
        self._reader = self._fitted_reader(train, self._learnt)
        lines = training_lines(self._reader.for_training(), self._learnt, self._view, self.config["seed"])
        path = Path(self.config.run_folder) / TRAINING_FILE
        write_texts({path: "".join(f"{line}\n" for line in lines)})
        with closing(FineTuningService.from_settings(self.config)) as service:
            try:
                self._tuned_model = self._job(service, lines).run(self.config["fine_tuning_wait"])
            except NoFineTuningError as error:
                raise UserError(
                    f"answered_by: {error}. Tune {self.config['teacher_model']} elsewhere with {path}, serve it there, "
                    "and name it: --fine_tuned_model=NAME"
                ) from None

    def _job(self, service: FineTuningService, lines: tuple[str, ...]) -> TuningJob:
        config = self.config
        if config["epochs"] < 1:
            raise UserError("epochs: a fine-tuning job makes at least 1")
        tuning = Tuning(service.base_url, config["teacher_model"], lines, config["epochs"], config["seed"])
        purse = TuningPurse(config["fine_tuning_budget"], read_prices(config["fine_tuning_prices"]))
        return TuningJob(service, tuning, purse, Path(config["knowledge_store"]).expanduser().parent / RECORDS)

    def _fitted_reader(self, train: Sequence[LabelledSession], learnt: Sequence[Lesson]) -> Reader:
        limit = self.config["max_items"]
        return Reader(self.config, [first_labelled(each, limit) for each in train], learnt, self._asked)

    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """Answer each session; one with fewer than two items has no bundle and is not asked about."""
        asked = [within_limit(session, self.config["max_items"]) for session in sessions if len(session) >= 2]
        generations = iter(self._answer(asked) if asked else [])
        return [next(generations) if len(session) >= 2 else Generation(()) for session in sessions]

    def _answer(self, sessions: Sequence[Session]) -> list[Generation]:
        if self._reader is None:
            self._reader = self._fitted_reader(self.dataset.labelled_sessions, ())
        if self._respondent is None:
            self._respondent = TeacherRespondent(ChainMap({"teacher_model": self._tuned_model}, self.config))
        examples = self._reader.for_sessions(sessions)
        talks = [lesson_talk(example, self._asked, self._view) for example in examples]
        return [reply.generation for reply in self._respondent.bundles(talks, sessions)]

    def teacher_dollars(self) -> float | None:
        """What the answers cost; None where a model was tuned, which its service alone can bill."""
        tuned = not self.config["fine_tuned_model"]
        return None if tuned or self._respondent is None else self._respondent.dollars()

    def save_artefacts(self, folder: Path) -> None:
        """Write what was asked of the tuned model and what it cost into ``usage.txt``, and say it."""
        if self._respondent is not None:
            told = "\n".join(self._respondent.lines())
            logger.info(told)
            write_texts({folder / "usage.txt": f"{told}\n"})

    def extra_state(self) -> dict[str, Any]:
        """The tuned model's name at its endpoint."""
        return {"tuned_model": self._tuned_model}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """A name in the settings comes before the saved one."""
        self._tuned_model = self.config["fine_tuned_model"] or state["tuned_model"]
