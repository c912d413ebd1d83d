"""Fine-tuning at an endpoint: one job for one training file, begun once and taken up wherever it was left.

Every step is on disk before the next one is made. A job costs money, so one that may have been created, though its id
never arrived, is looked for before another is.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole_routedk.data.files import read_text, write_json
from recbole_routedk.distill.pricing import estimated_tokens
from recbole_routedk.errors import UserError
from recbole_routedk.model.language.fine_tuning_service import (
    ENDED_BADLY,
    SUCCEEDED,
    FineTuningService,
    Job,
    ServiceError,
)
from recbole_routedk.progress import progress_bar

logger = getLogger(__name__)

_LOST_IN_A_ROW = 10
"""So many failed looks at a job without one that works between them, and the endpoint counts as gone."""


@dataclass(frozen=True)
class Tuning:
    """What is tuned: the base model at its endpoint, on a training file (one conversation a line), how often."""

    base_url: str
    model: str
    lines: tuple[str, ...]
    epochs: int
    seed: int

    @property
    def content(self) -> bytes:
        """The training file."""
        return "".join(f"{line}\n" for line in self.lines).encode()

    @property
    def key(self) -> str:
        """The same for tunings that give interchangeable models."""
        facts = [self.base_url, self.model, hashlib.sha256(self.content).hexdigest(), self.epochs, self.seed]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class TuningPurse:
    """What a job may cost at most, in US dollars, and prices by model, in US dollars per million trained tokens."""

    budget: float
    prices: Mapping[str, float]

    def check(self, tuning: Tuning) -> None:
        """Tell what a tuning is going to cost; UserError where it may cost more than the budget, or nobody knows."""
        tokens = tuning.epochs * estimated_tokens("".join(tuning.lines))
        most = tuning.epochs * len(tuning.content)  # a byte-level tokenizer makes no more tokens than bytes
        told = (
            f"tuning {tuning.model} on {len(tuning.lines)} examples, {tuning.epochs} times: "
            f"about {tokens:,} tokens, at most {most:,}"
        )
        price = self.prices.get(tuning.model)
        if price is None:
            raise UserError(
                f"fine_tuning_prices: the price of {told}, is not known. Nothing was sent. Give the price per million "
                f"trained tokens (0 for a service of your own): --fine_tuning_prices='{{{tuning.model}: 3.00}}'"
            )
        worst = most * price / 1e6
        told += f"; about ${tokens * price / 1e6:.2f}, at most ${worst:.2f}"
        if worst > self.budget:
            raise UserError(
                f"fine_tuning_budget: {told}; the budget is ${self.budget:.2f}. Nothing was sent; to start it: "
                f"--fine_tuning_budget={math.ceil(100 * worst) / 100:.2f}"
            )
        logger.info("Fine-tuning: %s", told)


@dataclass
class TuningRecord:
    """How far a tuning is; ``creating`` says that a job may have been created whose id is not known."""

    base_url: str
    model: str
    epochs: int
    seed: int
    file_id: str = ""
    creating: bool = False
    job_id: str = ""
    tuned_model: str = ""
    trained_tokens: int | None = None
    ended_badly: list[str] = field(default_factory=list)


class TuningJob:
    """Brings a tuning to its end, whatever a run before this one did of it."""

    def __init__(self, service: FineTuningService, tuning: Tuning, purse: TuningPurse, folder: Path) -> None:
        """``folder`` holds a record of each tuning; runs that share it share tuned models."""
        self._service, self._tuning, self._purse = service, tuning, purse
        self.path = folder / f"{tuning.key}.json"
        self._record = self._read()

    def run(self, wait: float) -> str:
        """Return the tuned model's name, having waited for it, with a look every ``wait`` seconds.

        Raises:
            NoFineTuningError: the endpoint has no fine-tuning API.
            UserError: the cost, the service's refusal, or the job's failure, in words.
        """
        record = self._record
        if not record.tuned_model:
            if record.job_id:
                logger.info("Taking up the fine-tuning job %s (%s)", record.job_id, self.path)
            else:
                self._begin()
            self._await_end(wait)
        logger.info("The tuned model is %s", record.tuned_model)
        return record.tuned_model

    def _begin(self) -> None:
        record, tuning = self._record, self._tuning
        if record.creating and self._adopt():
            return
        self._service.check()
        self._purse.check(tuning)
        if not record.file_id:
            record.file_id = self._service.upload(f"{tuning.key}.jsonl", tuning.content)
            self._save()
        record.creating = True
        self._save()
        try:
            job = self._service.create(tuning.model, record.file_id, tuning.epochs, tuning.seed)
        except ServiceError as error:
            if error.refused:  # maybe for the file, which costs nothing to upload again
                record.creating, record.file_id = False, ""
                self._save()
            raise
        self._take(job)
        logger.info("Created the fine-tuning job %s; if this run is stopped, the job goes on", job.job_id)

    def _adopt(self) -> bool:
        """Look for a job that was created, though its id never arrived."""
        own = (job for job in self._service.jobs_on(self._record.file_id) if job.status not in ENDED_BADLY)
        job = next(own, None)
        if job is not None:
            self._take(job)
            logger.info("Found the fine-tuning job %s, which an earlier run created", job.job_id)
        return job is not None

    def _take(self, job: Job) -> None:
        self._record.job_id, self._record.creating = job.job_id, False
        self._save()

    def _await_end(self, wait: float) -> None:
        """Look at the job until it has ended; the tuned model's name is then in the record."""
        record, lost, status, started = self._record, 0, "", time.time()
        with progress_bar(0, "Fine-tuning", "s") as bar:
            while True:
                try:
                    job, lost = self._service.job(record.job_id), 0
                except ServiceError as error:
                    lost += 1
                    self._stand(error, lost)
                else:
                    if job.status != status:
                        status = job.status
                        logger.info("The fine-tuning job %s is %s", job.job_id, status)
                    if status == SUCCEEDED:
                        record.tuned_model, record.trained_tokens = job.tuned_model, job.trained_tokens
                        self._save()
                        return
                    if status in ENDED_BADLY:
                        raise self._ended_badly(job)
                    bar.total = max(1, round(job.finish - started)) if job.finish else None
                bar.set_postfix_str(status, refresh=False)
                time.sleep(wait)
                bar.update(round(time.time() - started) - bar.n)

    def _stand(self, error: ServiceError, lost: int) -> None:
        """Bear a failed look at the job, unless it is one of many or will not get better."""
        if error.status == 404:
            raise UserError(f"{error}. To begin anew, which is paid again, remove {self.path}") from None
        if error.refused or lost >= _LOST_IN_A_ROW:
            raise UserError(f"{error}. The job goes on there; the same command takes it up again") from None
        logger.warning("%s", error)

    def _ended_badly(self, job: Job) -> UserError:
        record = self._record
        record.ended_badly.append(job.job_id)
        record.job_id, record.file_id = "", ""
        self._save()
        return UserError(
            f"answered_by: the fine-tuning job {job.job_id} of {record.model} at {record.base_url} has {job.status}: "
            f"{job.failure or 'no reason is given'}. The same command begins a new one"
        )

    def _save(self) -> None:
        write_json(self.path, asdict(self._record))

    def _read(self) -> TuningRecord:
        tuning = self._tuning
        if not self.path.exists():
            return TuningRecord(tuning.base_url, tuning.model, tuning.epochs, tuning.seed)
        try:
            return TuningRecord(**json.loads(read_text(self.path)))
        except (TypeError, ValueError):
            raise UserError(
                f"{self.path}: is no record of a fine-tuning; look there for the job's id before you remove it"
            ) from None


def read_prices(table: Any) -> dict[str, float]:
    """Return the prices of ``fine_tuning_prices``; UserError for a table that is none."""
    prices = table or {}
    if not isinstance(prices, Mapping) or not all(map(_is_amount, prices.values())):
        raise UserError("fine_tuning_prices: has to be {model: US dollars per million trained tokens, ...}")
    return {str(model): float(price) for model, price in prices.items()}


def _is_amount(price: Any) -> bool:
    return type(price) in (int, float) and 0 <= price < math.inf  # written so that NaN is refused
