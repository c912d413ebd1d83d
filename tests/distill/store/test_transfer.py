"""Stores as JSON lines and as Batch-API files: everything there and back, whatever the file holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_teacher import IDENTITY, RecordedTeacher, a_request, the_answer

from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.store.rows import BadRowError, parse_line, plain_row
from recbole_routedk.distill.store.stored_teacher import StoredTeacher
from recbole_routedk.distill.store.transfer import (
    StepUnansweredError,
    UnaskedTeacher,
    batch_lines,
    export_lines,
    import_jsonl,
    read_batch,
)
from recbole_routedk.distill.teachers.protocol import Response, request_key

TEXTS = ("one", "two words", "fail", "line\nbreak\u2028and \ud800 half", "nul \0")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RequestStore]:
    """A store with an answer or a failure for each of TEXTS."""
    with RequestStore(tmp_path / "knowledge.sqlite") as opened:
        list(StoredTeacher(RecordedTeacher(), opened).complete(map(a_request, TEXTS)))
        yield opened


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_an_exported_store_is_imported_whole_and_once(store: RequestStore, tmp_path: Path) -> None:
    file = write(tmp_path / "e.jsonl", list(export_lines(store.rows())))

    with RequestStore(tmp_path / "other.sqlite") as other:
        first, again = import_jsonl(other, file), import_jsonl(other, file)
        rows = [plain_row(row) for row in other.rows()]

    assert (first.new, first.known, first.bad) == (len(TEXTS), 0, [])
    assert (again.new, again.known, again.bad) == (0, len(TEXTS), [])
    assert rows == [plain_row(row) for row in store.rows()]


def test_an_answer_beats_a_failure_and_no_answer_is_replaced(store: RequestStore, tmp_path: Path) -> None:
    with RequestStore(tmp_path / "other.sqlite") as other:
        other.put(IDENTITY, Response(a_request("fail"), "it worked here"))
        other.put(IDENTITY, Response(a_request("one"), "another answer"))
        file = write(tmp_path / "e.jsonl", list(export_lines(other.rows())))

    counts = import_jsonl(store, file)

    assert (counts.new, counts.known) == (1, 1)
    kept = [store.get(IDENTITY, a_request(text)) for text in ("fail", "one")]
    assert [answer.text for answer in kept if answer] == ["it worked here", the_answer(a_request("one"))]


def changed(line: str, **values: Any) -> str:
    return json.dumps(json.loads(line) | values)


@pytest.mark.parametrize(
    "values, reason",
    [
        ({"seed": 8}, "a part of it was changed"),
        ({"key": "0" * 64}, "a part of it was changed"),
        ({"seed": "7"}, "'seed' is missing or no int"),
        ({"seed": 2**70}, "'seed' has to be from 0"),
        ({"task": "poem"}, "no task 'poem'"),
        ({"messages": [{"role": "god", "content": ""}]}, "'messages' has to hold"),
        ({"text": 3}, "'text' is missing or no str"),
        ({"sessions": [1]}, "'sessions' has to hold texts"),
        ({"sampling": {"temperature": True, "max_tokens": 1}}, "'temperature' is missing or no number"),
        ({"seconds": -1.0}, "'seconds' is missing or no number"),
    ],
)
def test_a_changed_row_is_refused(store: RequestStore, values: dict[str, Any], reason: str) -> None:
    line = next(export_lines(store.rows()))
    parse_line(line)

    with pytest.raises(BadRowError) as error:
        parse_line(changed(line, **values))

    assert reason in str(error.value)


def test_bad_lines_are_counted_by_number_and_the_others_taken(store: RequestStore, tmp_path: Path) -> None:
    good = list(export_lines(store.rows()))
    file = write(tmp_path / "e.jsonl", [good[0], "{", "[]", "", good[1], '{"seconds": NaN}', "[" * 100_000])

    with RequestStore(tmp_path / "other.sqlite") as other:
        counts = import_jsonl(other, file)

    assert counts.new == 2
    assert [number for number, _ in counts.bad] == [2, 3, 6, 7]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    *("key", "task", "teacher", "model", "revision", "endpoint", "messages", "sampling", "seed", "sample"),
    *("sessions", "text", "failure", "attempts", "input_tokens", "output_tokens", "seconds", "created"),
)


@settings(max_examples=200)
@given(st.sampled_from(FIELDS), json_values)
def test_any_value_in_any_field_is_taken_or_refused(field: str, value: Any) -> None:
    with RequestStore(Path(":memory:")) as store:
        store.put(IDENTITY, Response(a_request("a"), "x"))
        line = changed(next(export_lines(store.rows())), **{field: value})
        try:
            row = parse_line(line)
        except BadRowError:
            return
        store.put_missing([row])


@given(st.text())
def test_any_line_is_taken_or_refused(line: str) -> None:
    with pytest.raises(BadRowError):
        parse_line(line)


# Batch files ------------------------------------------------------------------------------------


def completion(text: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return {"id": "c", "choices": [choice], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}


def answered(line: str, text: str) -> str:
    response = {"status_code": 200, "request_id": "r", "body": completion(text)}
    return json.dumps({"id": "b", "custom_id": json.loads(line)["custom_id"], "response": response, "error": None})


def test_requests_of_the_first_unanswered_step_are_written_and_their_answers_read(
    store: RequestStore, tmp_path: Path
) -> None:
    requests = [a_request(text) for text in ("one", "new", "newer", "new")]
    teacher = UnaskedTeacher(IDENTITY, store)
    known = []
    with pytest.raises(StepUnansweredError):
        known.extend(response.text for response in teacher.complete(requests))
    store.expect(IDENTITY, list(teacher.unanswered.values()))
    lines = list(batch_lines(IDENTITY, teacher.unanswered))

    body = json.loads(lines[0])
    assert (body["method"], body["url"]) == ("POST", "/v1/chat/completions")
    assert body["custom_id"] == request_key(IDENTITY, requests[1])
    assert body["body"]["model"] == "word-counter"
    assert body["body"]["messages"][-1] == {"role": "user", "content": "new"}
    assert (body["body"]["max_tokens"], body["body"]["temperature"]) == (100, 0.0)

    counts = read_batch(store, write(tmp_path / "out.jsonl", [answered(line, '{"bundles": []}') for line in lines]))

    assert (counts.new, counts.known, counts.failed, counts.bad) == (2, 0, 0, [])
    after = list(UnaskedTeacher(IDENTITY, store).complete(requests))
    assert [(r.text, r.usage.output_tokens) for r in after[1:]] == [('{"bundles": []}', 3)] * 3


def test_errors_of_a_batch_are_counted_and_asked_again_later(store: RequestStore, tmp_path: Path) -> None:
    requests = {request_key(IDENTITY, request): request for request in map(a_request, "abcd")}
    store.expect(IDENTITY, list(requests.values()))
    lines = list(batch_lines(IDENTITY, requests))
    keys = list(requests)
    expired = {"custom_id": keys[1], "response": None, "error": {"code": "batch_expired", "message": "too late"}}
    refused = {"custom_id": keys[2], "response": {"status_code": 400, "body": {"error": {"message": "no"}}}}
    stranger = {"custom_id": "0" * 64, "response": {"status_code": 200, "body": completion("x")}}
    output = [answered(lines[0], "fine"), *map(json.dumps, (expired, refused, stranger)), lines[3], "oops"]

    counts = read_batch(store, write(tmp_path / "out.jsonl", output))

    assert (counts.new, counts.failed) == (1, 2)
    assert [number for number, _ in counts.bad] == [4, 5, 6]
    assert "input file" in counts.bad[1][1]
    failures = {row.request.messages[-1].content: row.response.failure for row in store.rows(failures=True)}
    assert "batch_expired" in failures["b"]
    assert "400" in failures["c"]

    again = read_batch(store, write(tmp_path / "again.jsonl", [answered(lines[0], "other")]))
    assert (again.new, again.known) == (0, 1)
