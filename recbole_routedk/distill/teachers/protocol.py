"""What every teacher speaks: requests in, responses out, in any order, one response a request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Literal, Protocol

from recbole_routedk.data.session import Bundle, LabelledSession


class Task(str, Enum):
    """What a teacher is asked for."""

    BUNDLES = "bundles"
    CAUSES = "causes"
    RULES = "rules"
    THOUGHT = "thought"
    INTENTS = "intents"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation with a teacher."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an answer is drawn: temperature (0 is greedy) and the longest answer in tokens."""

    temperature: float = 0.0
    max_tokens: int = 512


@dataclass(frozen=True, slots=True)
class Case:
    """What a request is about, for teachers that read data and not prose.

    ``labelled`` are the sessions in question; ``gold_shown`` says whether the messages show their bundles,
    ``answers`` are the teacher's own earlier bundles for each of them (to find causes and rules in).
    """

    labelled: tuple[LabelledSession, ...] = ()
    gold_shown: bool = False
    answers: tuple[tuple[Bundle, ...], ...] = ()


@dataclass(frozen=True)
class Request:
    """A conversation to be continued; ``case`` says the same as the messages and is no part of the key."""

    task: Task
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    seed: int = 0
    sample: int = 0
    case: Case = field(default=Case(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which teacher answers. Two teachers with the same identity give interchangeable answers."""

    teacher: str
    model: str
    revision: str = ""
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request."""

    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True)
class Response:
    """What came back for a request: its text, or None and the failure in words (never a secret).

    ``seconds`` is the time it took, ``cached`` whether it comes from the store.
    """

    request: Request
    text: str | None
    failure: str = ""
    usage: Usage = Usage()
    seconds: float = 0.0
    cached: bool = False


class Teacher(Protocol):
    """Anything that continues conversations.

    One with an attribute ``deterministic`` that is true gives the same answer whenever it is asked the same, so that
    what it failed at is not worth asking again.
    """

    @property
    def identity(self) -> Identity:
        """Which teacher this is."""

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield one response for each request as it is ready; requests are read no further ahead than needed.

        A request that fails gives a response with ``failure``; what concerns all of them (no such model, no
        key) raises UserError.
        """


def is_deterministic(teacher: Teacher) -> bool:
    """Return whether a teacher says that asking it again is of no use."""
    return bool(getattr(teacher, "deterministic", False))


def request_key(identity: Identity, request: Request) -> str:
    """Return the hash under which a response is kept: teacher, messages, parameters, seed and sample index."""
    content = {
        "identity": asdict(identity),
        "task": request.task.value,
        "messages": [asdict(message) for message in request.messages],
        "sampling": asdict(request.sampling),
        "seed": request.seed,
        "sample": request.sample,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()
