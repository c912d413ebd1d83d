"""What an OpenAI-compatible endpoint understands: servers and models differ in the parameters they take."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Any

from recbole_routedk.distill.teachers.protocol import Request
from recbole_routedk.distill.teachers.schemas import ANSWER_SCHEMAS

REFUSALS = (400, 422, 501)
"""HTTP statuses with which endpoints refuse a parameter."""

_POORER_FORM = {"json_schema": "json_object", "json_object": ""}
_LENGTH_WORDS = re.compile(r"\bmax_(completion_)?tokens\b")
_FORM_WORDS = re.compile(r"response_format|json_schema|json_object|schema|grammar|guided", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """The parameters that an endpoint takes: the form of answers ("" is free), the name of the length, the rest."""

    form: str = "json_schema"
    length: str = "max_tokens"
    temperature: bool = True
    seed: bool = True

    def parameters(self, request: Request) -> dict[str, Any]:
        """Return what is sent beside model and messages."""
        sent: dict[str, Any] = {self.length: request.sampling.max_tokens}
        if self.temperature:
            sent["temperature"] = request.sampling.temperature
        if self.seed:
            sent["seed"] = _seed(request)
        if self.form == "json_object":
            sent["response_format"] = {"type": "json_object"}
        if self.form == "json_schema":
            schema = {"name": request.task.value, "strict": True, "schema": ANSWER_SCHEMAS[request.task]}
            sent["response_format"] = {"type": "json_schema", "json_schema": schema}
        return sent

    def after_refusal(self, words: str) -> Dialect | None:
        """Return the next poorer dialect to try, by what the refusal speaks about; None where none is left."""
        if self.length == "max_tokens" and _LENGTH_WORDS.search(words):
            return replace(self, length="max_completion_tokens")
        if self.temperature and re.search(r"\btemperature\b", words):
            return replace(self, temperature=False)
        if self.seed and re.search(r"\bseed\b", words):
            return replace(self, seed=False)
        if self.form and (_FORM_WORDS.search(words) or self.form in _POORER_FORM):
            return replace(self, form=_POORER_FORM[self.form])
        return None

    def lost(self, since: Dialect) -> str:
        """Say in words what this dialect does without that ``since`` had."""
        losses = []
        if self.form != since.form:
            losses.append(f"answers are asked for {f'as {self.form}' if self.form else 'in free form'}")
        if self.length != since.length:
            losses.append(f"the length is called {self.length}")
        if self.temperature != since.temperature:
            losses.append("teacher_temperature is not sent")
        if self.seed != since.seed:
            losses.append("no seed is sent, so that answers may differ from run to run")
        return ", ".join(losses)


def _seed(request: Request) -> int:
    """One seed for each seed and sample index, below 2^31 as every server takes it."""
    digest = hashlib.sha256(f"{request.seed}/{request.sample}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
