"""One row of the store, and its plain JSON form: read back by a function that takes any text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from recbole_routedk.distill.teachers.protocol import (
    Identity,
    Message,
    Request,
    Response,
    Sampling,
    Task,
    Usage,
    request_key,
)

LARGEST = 2**63 - 1
"""The largest whole number that SQLite holds."""


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One request as it stands in the store, with what came back: ``response.text`` is None where nothing did yet.

    ``sessions`` are the ids of those it is about, ``attempts`` how often a teacher was asked, ``created`` when it
    last was, in seconds since 1970.
    """

    key: str
    identity: Identity
    response: Response
    sessions: tuple[str, ...]
    attempts: int
    created: float

    @property
    def request(self) -> Request:
        """The request, without its case."""
        return self.response.request


class BadRowError(ValueError):
    """Content that is no row of a store; the message says why."""


def row_of(identity: Identity, response: Response, attempts: int, created: float) -> StoredRow:
    """Return the row in which a response is kept."""
    request = response.request
    sessions = tuple(labelled.session.session_id for labelled in request.case.labelled)
    return StoredRow(request_key(identity, request), identity, response, sessions, attempts, created)


def plain_row(row: StoredRow) -> dict[str, Any]:
    """Return a row as JSON-able values, by column."""
    request, response = row.request, row.response
    return {
        "key": row.key,
        "task": request.task.value,
        **asdict(row.identity),
        "messages": [asdict(message) for message in request.messages],
        "sampling": asdict(request.sampling),
        "seed": request.seed,
        "sample": request.sample,
        "sessions": list(row.sessions),
        "text": response.text,
        "failure": response.failure,
        "attempts": row.attempts,
        **asdict(response.usage),
        "seconds": response.seconds,
        "created": row.created,
    }


def parse_line(line: str) -> StoredRow:
    """Read one line of an exported store; BadRowError for anything else."""
    try:
        content = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadRowError(f"is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise BadRowError("is no JSON object")
    return parse_row(content)


def parse_row(content: Mapping[str, Any]) -> StoredRow:
    """Read what ``plain_row`` gave; BadRowError where a value has another type or the key is not the request's."""
    identity = Identity(*(_text(content, name) for name in ("teacher", "model", "revision", "endpoint")))
    sampling = _value(content, "sampling", dict)
    request = Request(
        task=_task(content),
        messages=tuple(map(_message, _value(content, "messages", list))),
        sampling=Sampling(_number(sampling, "temperature"), _whole(sampling, "max_tokens")),
        seed=_whole(content, "seed"),
        sample=_whole(content, "sample"),
    )
    response = Response(
        request,
        None if content.get("text") is None else _text(content, "text"),
        failure=_text(content, "failure"),
        usage=Usage(_whole(content, "input_tokens"), _whole(content, "output_tokens")),
        seconds=_number(content, "seconds"),
        cached=True,
    )
    sessions = _value(content, "sessions", list)
    if not all(isinstance(session, str) for session in sessions):
        raise BadRowError("'sessions' has to hold texts")
    key = request_key(identity, request)
    if key != _text(content, "key"):
        raise BadRowError("its key is not that of its request: a part of it was changed")
    return StoredRow(key, identity, response, tuple(sessions), _whole(content, "attempts"), _number(content, "created"))


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _value(content: Mapping[str, Any], name: str, kind: type) -> Any:
    value = content.get(name)
    if type(value) is not kind:
        raise BadRowError(f"{name!r} is missing or no {kind.__name__}")
    return value


def _text(content: Mapping[str, Any], name: str) -> str:
    return str(_value(content, name, str))


def _whole(content: Mapping[str, Any], name: str) -> int:
    value = _value(content, name, int)
    if not 0 <= value <= LARGEST:
        raise BadRowError(f"{name!r} has to be from 0 to {LARGEST}")
    return int(value)


def _number(content: Mapping[str, Any], name: str) -> float:
    # An int stays an int: 0 and 0.0 have different keys.
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LARGEST:  # NaN is refused
        raise BadRowError(f"{name!r} is missing or no number from 0")
    return value


def _task(content: Mapping[str, Any]) -> Task:
    name = _text(content, "task")
    if name not in {task.value for task in Task}:
        raise BadRowError(f"there is no task {name!r}")
    return Task(name)


def _message(content: Any) -> Message:
    if not isinstance(content, dict) or content.get("role") not in ("system", "user", "assistant"):
        raise BadRowError("'messages' has to hold objects with a role and a content")
    return Message(content["role"], _text(content, "content"))
