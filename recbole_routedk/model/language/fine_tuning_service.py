"""The fine-tuning API of OpenAI-compatible services through the official SDK: files, jobs, and faults in words."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from recbole_routedk.distill.teachers.address import OPENAI_URL, checked_address, is_private_channel
from recbole_routedk.distill.teachers.answers import error_words, plain_words
from recbole_routedk.distill.teachers.dialect import REFUSALS
from recbole_routedk.distill.teachers.openai_sdk import openai_sdk, quiet_sdk_logs
from recbole_routedk.distill.teachers.secret import Secret
from recbole_routedk.errors import UserError

logger = logging.getLogger(__name__)

SUCCEEDED = "succeeded"
ENDED_BADLY = ("failed", "cancelled")
_NOT_THERE = (404, 405, 501)
_QUOTED = 500
_LONGEST_NAME = 256
_PAGE = 100
_MOST_PAGES = 20
_SEEDS = 1 << 31
"""Seeds below are taken by every server."""


class ServiceError(UserError):
    """The service did not do what it was asked; ``status`` is its HTTP status, None where none arrived."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def refused(self) -> bool:
        """Whether the service surely did nothing: it understood and said no."""
        return self.status is not None and 400 <= self.status < 500 and self.status not in (408, 409, 429)


class NoFineTuningError(UserError):
    """The endpoint has no fine-tuning API."""


@dataclass(frozen=True, slots=True)
class Job:
    """A fine-tuning job as its service tells it; ``tuned_model`` is empty until it succeeded.

    ``failure`` is the service's reason where it failed, ``finish`` the estimated time of its end (Unix seconds).
    """

    job_id: str
    status: str
    training_file: str = ""
    tuned_model: str = ""
    failure: str = ""
    trained_tokens: int | None = None
    finish: int | None = None


class FineTuningService:
    """Files and jobs of one account at one endpoint."""

    def __init__(self, base_url: str, key_variable: str, *, timeout: float = 300.0, retries: int = 4) -> None:
        """Nothing is sent yet. ``timeout`` is in seconds.

        Raises:
            UserError: no ``openai`` package, a base_url that is none or holds a secret, or no key for OpenAI.
        """
        self.base_url = checked_address(base_url)
        self._secret, self._key_variable = Secret(key_variable), key_variable
        if not self._secret and self.base_url == OPENAI_URL:
            raise UserError(f"answered_by: OpenAI wants a key; set the environment variable {key_variable}")
        if self._secret and not is_private_channel(self.base_url):
            logger.warning("The key in %s goes over the net unencrypted: %s is not https", key_variable, base_url)
        quiet_sdk_logs()
        self._client = openai_sdk().OpenAI(
            # Without a key a placeholder: the SDK would take OPENAI_API_KEY, which is another endpoint's.
            api_key=self._secret.reveal() or "none",
            base_url=self.base_url,
            timeout=timeout,
            max_retries=retries,
        )

    @classmethod
    def from_settings(cls, settings: Any) -> FineTuningService:
        """Make the service at the endpoint that properties/teacher/openai.yaml and the user describe."""
        return cls(settings["teacher_base_url"], settings["teacher_key_variable"], timeout=settings["teacher_timeout"])

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def check(self) -> None:
        """Raise NoFineTuningError where the endpoint has no fine-tuning API."""
        try:
            found = self._page("")
        except ServiceError as error:
            if error.status not in _NOT_THERE:
                raise
            found = None
        # Some servers answer unknown addresses with a page or an error in a good status.
        if not isinstance((found or {}).get("data"), list):
            raise NoFineTuningError(
                f"{self.base_url} has no fine-tuning API (vLLM, Ollama, llama.cpp and most local servers have none)"
            )

    def upload(self, name: str, content: bytes) -> str:
        """Upload a training file; returns its id."""
        files = self._client.files.with_raw_response
        body = self._ask("taking the training file", lambda: files.create(file=(name, content), purpose="fine-tune"))
        return self._name(body.get("id"), "the training file's id")

    def create(self, model: str, file_id: str, epochs: int, seed: int) -> Job:
        """Create a job; it is asked for once, since a request that was lost on the way may have created one."""
        jobs = self._client.with_options(max_retries=0).fine_tuning.jobs.with_raw_response
        settings = {"n_epochs": epochs}
        method = {"type": "supervised", "supervised": {"hyperparameters": settings}}

        def ask(**how: Any) -> Job:
            given = {"model": model, "training_file": file_id, "seed": seed % _SEEDS, **how}
            return self._job(self._ask(f"creating a fine-tuning job for {model}", lambda: jobs.create(**given)))

        try:
            return ask(method=method)
        except ServiceError as error:
            # Services that know the API's older form only; they have begun nothing.
            if error.status not in REFUSALS or "method" not in str(error):
                raise
        return ask(hyperparameters=settings)

    def job(self, job_id: str) -> Job:
        """Return how a job is."""
        jobs = self._client.fine_tuning.jobs.with_raw_response
        return self._job(self._ask(f"telling about the job {job_id}", lambda: jobs.retrieve(job_id)))

    def jobs_on(self, file_id: str) -> Iterator[Job]:
        """Yield the account's latest jobs that train on a file, latest first."""
        after = ""
        for _ in range(_MOST_PAGES):
            page = self._page(after)
            listed = page.get("data")
            rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
            yield from (self._job(row) for row in rows if row.get("training_file") == file_id)
            if not rows or page.get("has_more") is not True:
                return
            after = self._name(rows[-1].get("id"), "a job's id")

    def _page(self, after: str) -> dict[str, Any]:
        jobs = self._client.fine_tuning.jobs.with_raw_response
        where = {"after": after} if after else {}
        return self._ask("listing fine-tuning jobs", lambda: jobs.list(limit=_PAGE, **where))

    def _job(self, body: dict[str, Any]) -> Job:
        error = body.get("error")
        told = isinstance(error, dict) and any(error.values())  # a good job may have an error of nulls
        status = str(body.get("status", "")).lower()
        tuned = body.get("fine_tuned_model")
        return Job(
            self._name(body.get("id"), "the job's id"),
            self._words(status, 40),
            str(body.get("training_file", "")),
            self._name(tuned, "the tuned model's name") if status == SUCCEEDED else "",
            self._words(error_words(error)) if told and status in ENDED_BADLY else "",
            _count(body.get("trained_tokens")),
            _count(body.get("estimated_finish")),
        )

    def _ask(self, doing: str, call: Callable[[], Any]) -> dict[str, Any]:
        """Return the object that the service answers with, {} where it is none; ServiceError where it is an error."""
        sdk = openai_sdk()
        try:
            raw = call()
        except (sdk.APIError, UnicodeEncodeError) as error:
            trouble = error
        else:
            return _object(raw.http_response.content)
        # Outside of "except", so that no error of ours carries one that may repeat the key.
        raise self._explained(doing, trouble)

    def _explained(self, doing: str, error: Exception) -> ServiceError:
        sdk = openai_sdk()
        if not isinstance(error, sdk.APIStatusError):
            why = self._words(str(error.__cause__ or error))
            return ServiceError(f"answered_by: no answer from {self.base_url}, {doing} ({why})")
        status: int = error.status_code
        # The server's own words are left out where they may repeat part of the key.
        if status == 401:
            have = "does not take the key in" if self._secret else "wants a key; set"
            return ServiceError(
                f"answered_by: {self.base_url} {have} the environment variable {self._key_variable} (401)", status
            )
        words = self._words(error_words(error.body))
        return ServiceError(f"answered_by: {self.base_url} answered {status}, {doing}: {words}", status)

    def _words(self, text: str, most: int = _QUOTED) -> str:
        return plain_words(self._secret.scrubbed(text), most)

    def _name(self, value: Any, what: str) -> str:
        """Return a name that the service gave, which is going to stand in files and requests."""
        fits = isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable()
        if not fits or self._secret.stands_in(value):
            raise ServiceError(f"answered_by: {self.base_url} answered without {what}")
        return str(value)


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
