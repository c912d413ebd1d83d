"""Reads what an endpoint sent back: a total function from bytes to an answer or the reason why there is none."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from recbole_routedk.distill.teachers.protocol import Usage

MOST_BYTES = 4 << 20
"""A longer body is no answer of a few thousand tokens."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The text of an answer, or None and the failure in words; tokens are paid for either way."""

    text: str | None
    failure: str = ""
    usage: Usage = field(default=Usage())


def read_answer(body: bytes, content_type: str) -> Answer:
    """Read the body of a chat completion; never raises, whatever the bytes are.

    The failure may quote the endpoint at any length: clean it before it is shown.
    """
    if len(body) > MOST_BYTES:
        return _failed(f"the body has {len(body):,} bytes, {MOST_BYTES:,} are read at most")
    try:
        completion = json.loads(body)
    except (ValueError, RecursionError):
        kind = content_type.partition(";")[0].strip() or "an unnamed type"
        if "json" in kind:
            return _failed(f"the body is not valid JSON ({len(body):,} bytes; cut off on the way?)")
        return _failed(f"the endpoint answered with {kind} and not with JSON; is teacher_base_url right?")
    if not isinstance(completion, dict):
        return _failed("the body is JSON but not an object")
    text, failure = _read_choice(completion)
    return Answer(None if failure else text, failure, _read_usage(completion.get("usage")))


def error_words(body: object) -> str:
    """Return what the parsed body of an HTTP error says, whoever's form it has."""
    if isinstance(body, dict):
        for key in ("message", "detail", "error"):
            if body.get(key):
                return error_words(body[key])
    return body if isinstance(body, str) else json.dumps(body)


def plain_words(text: str, most: int) -> str:
    """Return foreign text as one printable line of at most ``most`` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * most]).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _failed(failure: str) -> Answer:
    return Answer(None, failure)


def _read_choice(completion: dict[str, Any]) -> tuple[str, str]:
    """Return the text of the first choice and why it is no answer ("" where it is one)."""
    choices = completion.get("choices")
    if completion.get("error") and not choices:
        return "", f"the endpoint reported an error: {json.dumps(completion['error'])}"
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if choice is None or not isinstance(message, dict):
        return "", "the endpoint answered without any choice"
    text, finish = message.get("content"), choice.get("finish_reason")
    if finish == "length":
        return "", "the answer was cut off at teacher_max_tokens"
    if finish == "content_filter":
        return "", "the endpoint's content filter withheld the answer"
    if message.get("refusal"):
        return "", f"the model refused: {message['refusal']}"
    if not isinstance(text, str) or not text.strip():
        return "", "the answer holds no text"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "", "the answer is no valid Unicode"
    return text, ""


def _read_usage(usage: Any) -> Usage:
    counts = usage if isinstance(usage, dict) else {}
    return Usage(_count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens")))


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 1 << 53 else 0
