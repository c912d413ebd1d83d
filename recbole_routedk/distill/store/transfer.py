"""Stores as files: JSON lines to look at and to hand on, and the input and output files of OpenAI's Batch API."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recbole_routedk.data.files import read_text
from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.store.rows import BadRowError, StoredRow, parse_line, plain_row
from recbole_routedk.distill.teachers.answers import plain_words, read_answer
from recbole_routedk.distill.teachers.dialect import Dialect
from recbole_routedk.distill.teachers.protocol import Identity, Request, Response, request_key

_ROWS_A_TRANSACTION = 500
_QUOTED = 300


class StepUnansweredError(Exception):
    """The requests of one step are known but not answered, so that the next step's cannot be made."""


@dataclass
class TransferCounts:
    """What became of the lines of a file: ``bad`` holds line numbers (from 1) with the reason."""

    new: int = 0
    known: int = 0
    failed: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)


def export_lines(rows: Iterable[StoredRow]) -> Iterator[str]:
    """Yield one line of JSON a row."""
    for row in rows:
        yield json.dumps(plain_row(row))


def import_jsonl(store: RequestStore, path: Path) -> TransferCounts:
    """Take the rows of an exported file that the store does not have; a bad line is counted and left out.

    Raises UserError for a file that cannot be read.
    """
    counts = TransferCounts()
    rows: list[StoredRow] = []
    for number, line in _lines(path):
        try:
            rows.append(parse_line(line))
        except BadRowError as error:
            counts.bad.append((number, str(error)))
        if len(rows) >= _ROWS_A_TRANSACTION:
            _take(store, rows, counts)
    _take(store, rows, counts)
    return counts


class UnaskedTeacher:
    """Answers from the store and collects the requests that it cannot answer, up to the end of the first such step."""

    def __init__(self, identity: Identity, store: RequestStore) -> None:
        self.identity = identity
        self.unanswered: dict[str, Request] = {}
        self._store = store

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield stored answers; raises StepUnansweredError at the end where one was missing."""
        for request in requests:
            stored = self._store.get(self.identity, request)
            if stored is None:
                self.unanswered.setdefault(request_key(self.identity, request), request)
            else:
                yield stored
        if self.unanswered:
            raise StepUnansweredError


def batch_lines(identity: Identity, requests: dict[str, Request]) -> Iterator[str]:
    """Yield the lines of a Batch-API input file; ``custom_id`` is the key by which the answer finds its request."""
    for key, request in requests.items():
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        body = {"model": identity.model, "messages": messages, **Dialect().parameters(request)}
        yield json.dumps({"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body})


def read_batch(store: RequestStore, path: Path) -> TransferCounts:
    """Take the answers of a Batch-API output or error file to requests that the store waits for.

    Raises UserError for a file that cannot be read.
    """
    counts = TransferCounts()
    for number, line in _lines(path):
        try:
            key, failure, body = _batch_answer(line)
            row = store.row(key)
            if row is None:
                raise BadRowError("its custom_id is of no request that was written for this store")
        except BadRowError as error:
            counts.bad.append((number, str(error)))
            continue
        answer = read_answer(body, "application/json")
        text = None if failure else answer.text
        words = plain_words(failure or answer.failure, _QUOTED)
        response = Response(row.request, text, words, answer.usage)
        taken = store.put_rows([replace(row, response=response, attempts=1, created=time.time())])
        if not taken:
            counts.known += 1
        elif text is None:
            counts.failed += 1
        else:
            counts.new += 1
    return counts


def _batch_answer(line: str) -> tuple[str, str, bytes]:
    """Return custom_id, failure ("" for none) and body of a line; BadRowError where it is no line of such a file."""
    try:
        content: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRowError(f"is not JSON ({error})") from None
    if not isinstance(content, dict) or not isinstance(content.get("custom_id"), str):
        raise BadRowError("is no line of a Batch-API file: it has no custom_id")
    response, trouble = content.get("response"), content.get("error")
    if not isinstance(response, dict) and not trouble:
        raise BadRowError("has no response; is it the batch's input file and not its output file?")
    body = json.dumps(response.get("body") if isinstance(response, dict) else None)
    status = response.get("status_code") if isinstance(response, dict) else None
    failure = ""
    if trouble:
        failure = f"the batch reported an error: {json.dumps(trouble)}"
    elif status != 200:
        failure = f"the batch answered {status}: {body}"
    return content["custom_id"], failure, body.encode()


def _take(store: RequestStore, rows: list[StoredRow], counts: TransferCounts) -> None:
    new = store.put_missing(rows)
    counts.new += new
    counts.known += len(rows) - new
    rows.clear()


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank with their numbers; only a line feed ends a line of JSON."""
    for number, line in enumerate(read_text(path.expanduser()).split("\n"), start=1):
        if line.strip():
            yield number, line
