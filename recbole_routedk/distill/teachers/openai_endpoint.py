"""A teacher behind any OpenAI-compatible endpoint: OpenAI, vLLM, Ollama, llama.cpp's server, transformers serve."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from recbole_routedk.distill.teachers.address import OPENAI_URL, checked_address, is_private_channel
from recbole_routedk.distill.teachers.answers import Answer, error_words, plain_words, read_answer
from recbole_routedk.distill.teachers.background_loop import background_loop
from recbole_routedk.distill.teachers.dialect import REFUSALS, Dialect
from recbole_routedk.distill.teachers.openai_sdk import openai_sdk, quiet_sdk_logs
from recbole_routedk.distill.teachers.pace import Pace
from recbole_routedk.distill.teachers.protocol import Identity, Request, Response, Task
from recbole_routedk.distill.teachers.secret import Secret
from recbole_routedk.errors import UserError

if TYPE_CHECKING:
    import openai

logger = logging.getLogger(__name__)

_LONGEST_RETRY_AFTER = 60.0
_LIMIT_TURNS = 8
"""How often one request is asked again after the SDK's own retries all met the rate limit."""
_LOST_IN_A_ROW = 10
"""So many failed connections and server errors without an answer between them, and the endpoint counts as gone."""
_QUOTED = 300
_TURNS = 4
"""Requests a slot of a block that is asked apart from others: more waste less time at its end."""


class OpenAITeacher:
    """Asks a chat-completions endpoint through the official SDK, several requests at a time."""

    def __init__(
        self,
        model: str,
        base_url: str = OPENAI_URL,
        *,
        revision: str = "",
        key_variable: str = "OPENAI_API_KEY",
        concurrency: int = 8,
        timeout: float = 300.0,
        retries: int = 4,
        first_wait: float = 1.0,
    ) -> None:
        """Nothing is sent yet. ``timeout`` and ``first_wait`` (after a rate limit) are in seconds.

        Raises:
            UserError: no ``openai`` package, no model, a base_url that is none or holds a secret, or no key for OpenAI.
        """
        openai_sdk()
        if not model:
            raise UserError("teacher_model: name the model that the endpoint is to answer with")
        self._base_url = checked_address(base_url)
        self._secret = Secret(key_variable)
        if not self._secret and self._base_url == OPENAI_URL:
            raise UserError(f"teacher: OpenAI wants a key; set the environment variable {key_variable}")
        if self._secret and not is_private_channel(self._base_url):
            logger.warning("The key in %s goes over the net unencrypted: %s is not https", key_variable, base_url)
        self._model, self._revision, self._key_variable = model, revision, key_variable
        self._concurrency, self._timeout, self._retries = concurrency, timeout, retries
        self._first_wait = first_wait
        self._dialect = Dialect()
        self._spoken: set[Task] = set()
        self._reached = False
        self._lost = 0

    @classmethod
    def from_settings(cls, settings: Any) -> OpenAITeacher:
        """Make the teacher that properties/teacher/openai.yaml and the user describe."""
        return cls(
            settings["teacher_model"],
            settings["teacher_base_url"],
            revision=settings["teacher_revision"],
            key_variable=settings["teacher_key_variable"],
            concurrency=settings["teacher_concurrency"],
            timeout=settings["teacher_timeout"],
        )

    @property
    def identity(self) -> Identity:
        """The model at its endpoint; the key is no part of it."""
        return Identity("openai", self._model, self._revision, self._base_url)

    @property
    def requests_at_once(self) -> int:
        """As many requests as keep all slots busy; a worker that is killed loses the answers to no more of them."""
        return _TURNS * self._concurrency

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield responses as they arrive; at most ``concurrency`` requests are read and not yet answered.

        Raises:
            UserError: what concerns all requests (key, model, address, quota), after the answers under way are given.
        """
        source = iter(requests)
        trouble: UserError | None = None
        with self._line() as ask:
            under_way: set[Future[Response]] = set()
            while True:
                while trouble is None and len(under_way) < self._concurrency:
                    request = next(source, None)
                    if request is None:
                        break
                    under_way.add(ask(request))
                if not under_way:
                    break
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    error = future.exception()
                    if isinstance(error, UserError):
                        trouble = trouble or error
                    else:
                        yield future.result()
        if trouble is not None:
            raise trouble

    @contextmanager
    def _line(self) -> Iterator[Callable[[Request], Future[Response]]]:
        """A line to the endpoint: a function that asks without waiting. What is under way at the end is dropped."""
        with background_loop() as loop:
            client, pace = asyncio.run_coroutine_threadsafe(self._open(), loop).result()
            try:
                yield lambda request: asyncio.run_coroutine_threadsafe(self._respond(client, pace, request), loop)
            finally:
                asyncio.run_coroutine_threadsafe(client.close(), loop).result()

    async def _open(self) -> tuple[openai.AsyncOpenAI, Pace]:
        quiet_sdk_logs()
        client = openai_sdk().AsyncOpenAI(
            # Without a key a placeholder: the SDK would take OPENAI_API_KEY, which is another endpoint's.
            api_key=self._secret.reveal() or "none",
            base_url=self._base_url,
            timeout=self._timeout,
            max_retries=self._retries,
        )
        return client, Pace(self._concurrency, self._first_wait)

    async def _respond(self, client: openai.AsyncOpenAI, pace: Pace, request: Request) -> Response:
        start = time.perf_counter()
        answer = await self._answer_at_pace(client, pace, request)
        if answer.text is not None and self._secret.stands_in(answer.text):
            answer = Answer(None, "the answer repeats the key", answer.usage)
        failure = plain_words(self._secret.scrubbed(answer.failure), _QUOTED)
        return Response(request, answer.text, failure, answer.usage, time.perf_counter() - start)

    async def _answer_at_pace(self, client: openai.AsyncOpenAI, pace: Pace, request: Request) -> Answer:
        before = pace.total
        for _ in range(_LIMIT_TURNS):
            async with pace:
                try:
                    answer = await self._answer(client, request)
                except openai_sdk().RateLimitError as error:
                    limit = error
                else:
                    pace.answered()
                    return answer
                if limit.code == "insufficient_quota":
                    raise self._user_error(f"the account's quota is used up: {self._words(limit)}")
                pace.limited(_retry_after(limit))
        if pace.total == before:
            raise self._user_error(
                f"{self._base_url} answers nothing but rate limits ({self._words(limit)}); try later"
            )
        return Answer(None, f"the endpoint's rate limit still held after {_LIMIT_TURNS} waits")

    async def _answer(self, client: openai.AsyncOpenAI, request: Request) -> Answer:
        """Ask once, with the SDK's retries, and say in words what went wrong; rate limits are raised."""
        longest = (self._retries + 1) * self._timeout + self._retries * _LONGEST_RETRY_AFTER
        try:
            # The SDK's timeout is one for each read: a body that trickles in would never end.
            body, kind = await asyncio.wait_for(self._spoken_to(client, request), longest)
        except (openai_sdk().APIError, asyncio.TimeoutError, UnicodeEncodeError) as error:
            trouble = error
        else:
            self._reached, self._lost = True, 0
            return read_answer(body, kind)
        # Outside of "except", so that no error of ours carries one that may repeat the key.
        return self._explained(trouble)

    async def _spoken_to(self, client: openai.AsyncOpenAI, request: Request) -> tuple[bytes, str]:
        """Send a request in the richest dialect that the endpoint takes; return body and content type."""
        dialect = self._dialect
        while True:
            try:
                raw = await client.chat.completions.with_raw_response.create(
                    model=self._model,
                    messages=[{"role": m.role, "content": m.content} for m in request.messages],  # type: ignore[misc]
                    **dialect.parameters(request),
                )
            except openai_sdk().APIStatusError as error:
                # Where this kind of request was answered before, the refusal is about this one.
                known = request.task in self._spoken and dialect == self._dialect
                poorer = dialect.after_refusal(error.response.text[:10_000])
                if error.status_code not in REFUSALS or known or poorer is None:
                    raise
                dialect = poorer
            else:
                self._learn(dialect, request.task)
                return raw.http_response.content, raw.headers.get("content-type", "")

    def _learn(self, dialect: Dialect, task: Task) -> None:
        if dialect != self._dialect:
            lost = dialect.lost(self._dialect)
            self._dialect = dialect
            self._spoken.clear()
            logger.warning("The teacher's endpoint refused parameters; from now on %s", lost)
        self._spoken.add(task)

    def _explained(self, error: Exception) -> Answer:
        """Say why there is no answer; UserError for what concerns all requests, rate limits as they are."""
        sdk = openai_sdk()
        if isinstance(error, UnicodeEncodeError):
            return Answer(None, "the request holds text that is no valid Unicode")
        if isinstance(error, sdk.APIStatusError):
            return self._refused(error)
        if isinstance(error, sdk.APIConnectionError) and not isinstance(error, sdk.APITimeoutError):
            return self._unreached(error)
        return Answer(None, f"no answer within {self._timeout:g} s (teacher_timeout), {self._tries()}")

    def _unreached(self, error: openai.APIConnectionError) -> Answer:
        cause = plain_words(self._secret.scrubbed(str(error.__cause__ or error)), _QUOTED)
        self._lost += 1
        # Compared by name: the SDK's HTTP library is httpx or httpx2, by version.
        never = not self._reached and type(error.__cause__).__name__ == "ConnectError"
        if never or self._lost >= _LOST_IN_A_ROW:
            raise self._user_error(
                f"no connection to {self._base_url} ({cause}); is the server running, and teacher_base_url right?"
            )
        return Answer(None, f"the connection failed, {self._tries()}: {cause}")

    def _refused(self, error: openai.APIStatusError) -> Answer:
        status = error.status_code
        if status == 429:
            raise error
        # The server's own words are left out here: they may repeat part of the key.
        if status in (401, 403):
            have = "does not take the key in" if self._secret else "wants a key; set"
            raise self._user_error(f"{self._base_url} {have} the environment variable {self._key_variable} ({status})")
        names_model = re.search(rf"(?<!\w){re.escape(self._model)}(?!\w)", error_words(error.body))
        if not self._spoken and (status in (404, 405) or (status in REFUSALS and names_model)):
            raise self._user_error(
                f"{self._base_url} knows no model {self._model!r}, or is not where the API is (an OpenAI-compatible "
                f"server's often ends in /v1); it answered {status}: {self._words(error)}"
            )
        self._reached = True
        if status < 500:
            return Answer(None, f"the endpoint answered {status}: {self._words(error)}")
        self._lost += 1
        if self._lost >= _LOST_IN_A_ROW:
            raise self._user_error(
                f"{self._base_url} failed {self._lost} times in a row ({status}: {self._words(error)})"
            )
        return Answer(None, f"the endpoint answered {status}, {self._tries()}: {self._words(error)}")

    def _words(self, error: openai.APIStatusError) -> str:
        return plain_words(self._secret.scrubbed(error_words(error.body)), _QUOTED)

    def _tries(self) -> str:
        return f"tried {self._retries + 1} times" if self._retries else "tried once"

    def _user_error(self, what: str) -> UserError:
        return UserError(f"teacher: {self._secret.scrubbed(what)}")


def _retry_after(error: openai.APIStatusError) -> float | None:
    try:
        seconds = float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None
