"""Whatever an endpoint does, each request gets one response that says what happened, and the key stays where it is."""

from __future__ import annotations

import json
import logging
import random
import re
import time
import traceback
from collections import Counter
from collections.abc import Callable

import pytest
from fault_server import (
    Act,
    Call,
    completion,
    drops_at_once,
    drops_in_the_body,
    echo,
    fails,
    says,
    sends,
    serving,
    trickles,
    waits,
)

from recbole_routedk.distill.teachers.openai_endpoint import OpenAITeacher
from recbole_routedk.distill.teachers.protocol import Message, Request, Response, Task, Usage
from recbole_routedk.errors import UserError

KEY = 'sk-test-8c1f/aa+27\\"e90b'


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key with characters that look otherwise in JSON and in URLs."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def ask(content: str = "which?") -> Request:
    return Request(Task.BUNDLES, (Message("user", content),))


def teacher(url: str, *, retries: int = 0, timeout: float = 20.0, concurrency: int = 4) -> OpenAITeacher:
    return OpenAITeacher("m", url, retries=retries, timeout=timeout, concurrency=concurrency, first_wait=0.01)


def choices(**message: object) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()


FAULTS: dict[str, tuple[Act, str]] = {
    "server error": (fails(500, "out of memory"), "answered 500, tried once: out of memory"),
    "error for this request": (fails(413, "too large"), "answered 413: too large"),
    "error in FastAPI's form": (lambda call: call.send(413, b'{"detail": "too large"}'), "answered 413: too large$"),
    "error in Ollama's form": (lambda call: call.send(500, b'{"error": "no memory"}'), "tried once: no memory$"),
    "error page": (lambda call: call.send(502, b"<h1>Bad gateway</h1>", "text/html"), "502, .*<h1>Bad gateway</h1>"),
    "truncated JSON": (sends(completion("a" * 50)[:90]), "not valid JSON .*cut off"),
    "deep JSON": (sends(b"[" * 100_000), "not valid JSON"),
    "number without end": (sends(b'{"choices": ' + b"9" * 5000 + b"}"), "not valid JSON"),
    "no JSON object": (sends(b"[1, 2]"), "not an object"),
    "web page": (sends(b"<html>hello</html>", "text/html; charset=utf-8"), "text/html and not with JSON.*base_url"),
    "empty body": (sends(b""), "not valid JSON"),
    "empty choices": (sends(b'{"choices": []}'), "without any choice"),
    "choices of another type": (sends(b'{"choices": {"0": 1}}'), "without any choice"),
    "no message": (sends(b'{"choices": [{"message": "hello"}]}'), "without any choice"),
    "error in a good status": (sends(b'{"error": {"message": "overloaded"}}'), "reported an error.*overloaded"),
    "null content": (says(None), "no text"),
    "blank content": (says(" \n"), "no text"),
    "content of another type": (says(["a"]), "no text"),
    "refusal": (sends(choices(content=None, refusal="I will not")), "refused: I will not"),
    "half a character": (sends(rb'{"choices": [{"message": {"content": "\ud83d"}}]}'), "no valid Unicode"),
    "cut off": (says('{"bundles": [[0', finish="length"), "cut off at teacher_max_tokens"),
    "filtered": (says("", finish="content_filter"), "content filter"),
    "ten megabytes": (sends(completion("x" * 10_000_000)), "10,000,2.. bytes"),
    "dropped before the answer": (drops_at_once, "connection failed, tried once"),
    "dropped in the body": (drops_in_the_body, "connection failed, tried once"),
    "key repeated": (fails(500, f"no user {KEY}"), r"no user \[key\]"),
    "key as the answer": (says(f"your key is {KEY}"), "the answer repeats the key"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_a_failed_response_that_says_why(name: str) -> None:
    act, why = FAULTS[name]
    with serving(act) as server:
        (response,) = teacher(server.url).complete([ask()])
    assert response.text is None
    assert re.search(why, response.failure), response.failure
    assert len(response.failure) <= 300


def test_tokens_of_a_failed_answer_are_counted_because_they_are_paid_for() -> None:
    with serving(says("half", finish="length")) as server:
        (response,) = teacher(server.url).complete([ask()])
    assert response.usage == Usage(11, 7)


@pytest.mark.parametrize("act", [waits(3.0), trickles(0.05)], ids=["no byte", "byte by byte"])
def test_a_slow_answer_is_given_up(act: Act) -> None:
    start = time.perf_counter()
    with serving(act) as server:
        (response,) = teacher(server.url, timeout=0.4).complete([ask()])
    assert response.failure == "no answer within 0.4 s (teacher_timeout), tried once"
    assert time.perf_counter() - start < 2.5


@pytest.mark.parametrize(
    "first",
    [fails(429, Retry_After="0.02"), fails(500, Retry_After="0.02"), drops_in_the_body, drops_at_once],
    ids=["rate limit", "server error", "dropped in the body", "dropped"],
)
def test_the_sdk_tries_again(first: Act) -> None:
    with serving(first, echo) as server:
        (response,) = teacher(server.url, retries=1).complete([ask("still there?")])
    assert (response.text, len(server.bodies)) == ("still there?", 2)


def test_the_sdk_waits_as_long_as_retry_after_says() -> None:
    start = time.perf_counter()
    with serving(fails(429, Retry_After="1.2"), echo) as server:
        (response,) = teacher(server.url, retries=1).complete([ask()])
    assert response.text == "which?"
    assert time.perf_counter() - start >= 1.2


def test_a_lasting_rate_limit_lowers_the_concurrency_and_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def choose(number: int, _: Call) -> Act:
        return fails(429, Retry_After="0.01") if number < 12 else echo

    with serving(choose=choose) as server:
        responses = list(teacher(server.url, concurrency=8).complete(ask(f"q{i}") for i in range(12)))
    assert sorted(r.text or "" for r in responses) == sorted(f"q{i}" for i in range(12))
    assert "at most 4 requests at a time, before 8" in caplog.text


def test_nothing_but_rate_limits_ends_the_run() -> None:
    with serving(fails(429, "slow down", Retry_After="0.01")) as server, pytest.raises(UserError, match="slow down"):
        list(teacher(server.url).complete([ask()]))


@pytest.mark.parametrize(
    "act, why",
    [
        (fails(401, f"Incorrect API key provided: {KEY}"), "does not take the key in the environment variable OPENAI"),
        (fails(403), "does not take the key"),
        (fails(404, "The model `m` does not exist", "model_not_found"), "knows no model 'm'.*does not exist"),
        (fails(400, "m is not a served model"), "knows no model 'm'.*not a served model"),
        (fails(405), "is not where the API is"),
        (fails(429, "You exceeded your current quota", "insufficient_quota"), "quota is used up"),
    ],
    ids=["401", "403", "404", "400", "405", "quota"],
)
def test_what_concerns_all_requests_ends_the_run(act: Act, why: str) -> None:
    with serving(act) as server, pytest.raises(UserError, match=why):
        list(teacher(server.url).complete(ask(str(i)) for i in range(50)))
    assert len(server.bodies) <= 12


def test_answers_under_way_are_given_before_the_run_ends() -> None:
    def choose(number: int, call: Call) -> Act:
        return fails(401) if call.body["messages"][0]["content"] == "q3" else echo

    got: list[Response] = []
    with serving(choose=choose) as server, pytest.raises(UserError):
        got.extend(teacher(server.url).complete(ask(f"q{i}") for i in range(100)))
    asked = [body["messages"][0]["content"] for body in server.bodies]
    assert sorted(r.text or "" for r in got) == sorted(set(asked) - {"q3"})


def test_no_server_at_all() -> None:
    with serving(echo) as server:
        url = server.url
    with pytest.raises(UserError, match=r"no connection to http://127.0.0.1:.*is the server running"):
        list(teacher(url).complete([ask()]))


def test_a_server_that_goes_away_fails_a_few_requests_and_then_ends_the_run() -> None:
    with serving(echo) as server:
        answers = teacher(server.url, concurrency=1).complete(ask() for _ in range(100))
        got = [next(answers)]
    with pytest.raises(UserError, match="no connection"):
        got.extend(answers)
    assert [r.text for r in got] == ["which?"] + 9 * [None]
    assert all("connection failed" in r.failure for r in got[1:])


def test_a_server_that_only_fails_ends_the_run() -> None:
    got: list[Response] = []
    with serving(fails(503, "no workers")) as server, pytest.raises(UserError, match=r"failed 10 times.*no workers"):
        got.extend(teacher(server.url, concurrency=1).complete(ask() for _ in range(100)))
    assert [response.failure for response in got] == 9 * ["the endpoint answered 503, tried once: no workers"]


@pytest.mark.parametrize("seed", range(3))
def test_each_request_is_answered_once_whatever_fails(seed: int) -> None:
    rng = random.Random(seed)
    faults = [act for act, _ in FAULTS.values()] + [echo] * 30
    acts = [rng.choice(faults) for _ in range(200)]
    requests = [ask(f"q{i}") for i in range(60)]
    with serving(*acts) as server:
        responses = list(teacher(server.url, concurrency=6).complete(iter(requests)))
    assert Counter(r.request for r in responses) == Counter(requests)
    for response in responses:
        assert (response.text is None) == bool(response.failure)
        assert response.text in (None, response.request.messages[0].content)


def every_failure(url: str) -> str:
    """All that a failure says: response, exception with its causes, and representations."""
    one = teacher(url)
    try:
        return repr([list(one.complete([ask()])), one, vars(one)])
    except UserError as error:
        return "".join(traceback.format_exception(error)) + repr([error, error.__context__, error.__cause__])


def test_the_key_is_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    leaks: list[Callable[[str], Act]] = [
        *(lambda key, status=status: fails(status, f"bad {key}") for status in (400, 401, 403, 404, 413, 429, 500)),
        lambda key: fails(429, f"quota of {key}", "insufficient_quota"),
        lambda key: says(f"it is {key}"),
        lambda key: sends(choices(content=None, refusal=f"no: {key}")),
        lambda key: sends(json.dumps({"error": {"message": "x" * 280 + key}}).encode()),
        lambda key: sends(key.encode(), "text/plain"),
        lambda key: sends(b"", key),
        lambda _: drops_at_once,
    ]
    caplog.set_level(logging.DEBUG)
    said = []
    for leak in leaks:
        with serving(leak(KEY)) as server:
            said.append(every_failure(server.url))
        assert server.keys[0] == f"Bearer {KEY}"
    said.append(caplog.text)
    for part in (KEY, KEY[:12], KEY[-9:], json.dumps(KEY)[1:-1]):
        assert not [text for text in said if part in text]
