"""What is sent to an endpoint, in which dialect, how many at a time, and which settings are refused."""

from __future__ import annotations

import builtins
import pickle
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fault_server import Call, echo, fails, refuses_parameters, says, serving

from recbole_routedk.distill.teachers.openai_endpoint import OpenAITeacher
from recbole_routedk.distill.teachers.protocol import Message, Request, Sampling, Task
from recbole_routedk.distill.teachers.secret import Secret
from recbole_routedk.errors import UserError


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def ask(content: str = "which?", task: Task = Task.BUNDLES, **rest: Any) -> Request:
    return Request(task, (Message("system", "Answer."), Message("user", content)), **rest)


def test_a_request_says_it_all() -> None:
    with serving(says('{"bundles": []}')) as server:
        teacher = OpenAITeacher("small", server.url)
        (response,) = teacher.complete([ask(sampling=Sampling(0.5, 99), seed=7, sample=2)])
    (body,) = server.bodies
    assert response.text == '{"bundles": []}'
    assert (response.usage.input_tokens, response.usage.output_tokens) == (11, 7)
    assert body.pop("response_format")["json_schema"]["schema"]["required"] == ["bundles"]
    seed = body.pop("seed")
    assert 0 <= seed < 2**31
    assert body == {
        "model": "small",
        "messages": [{"role": "system", "content": "Answer."}, {"role": "user", "content": "which?"}],
        "temperature": 0.5,
        "max_tokens": 99,
    }


def test_samples_have_seeds_of_their_own() -> None:
    with serving(echo) as server:
        list(OpenAITeacher("m", server.url).complete(ask(seed=s, sample=i) for s in (1, 2) for i in (0, 1)))
    assert len({body["seed"] for body in server.bodies}) == 4


@pytest.mark.parametrize("task", Task)
def test_schemas_are_strict(task: Task) -> None:
    with serving(echo) as server:
        list(OpenAITeacher("m", server.url).complete([ask(task=task)]))
    form = server.bodies[0]["response_format"]
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
    pending = [form["json_schema"]["schema"]]
    while pending:
        schema = pending.pop()
        if schema["type"] == "object":
            assert (schema["required"], schema["additionalProperties"]) == (list(schema["properties"]), False)
            pending += schema["properties"].values()
        if schema["type"] == "array":
            pending.append(schema["items"])


def test_refused_parameters_are_left_out_from_then_on(caplog: pytest.LogCaptureFixture) -> None:
    with serving(choose=refuses_parameters("response_format", "seed", "temperature", "max_tokens")) as server:
        teacher = OpenAITeacher("o", server.url, concurrency=1)
        first = [response.text for response in teacher.complete([ask(), ask("again")])]
        second = [response.text for response in teacher.complete([ask("once more", Task.RULES)])]
    assert first + second == ["{}", "{}", "{}"]
    # Five refusals: json_schema, json_object, seed, temperature and max_tokens.
    assert len(server.bodies) == 8
    assert all(sorted(body) == ["max_completion_tokens", "messages", "model"] for body in server.bodies[5:])
    assert caplog.text.count("refused parameters") == 1


def test_json_object_is_kept_where_only_schemas_are_refused() -> None:
    def choose(_: int, call: Call) -> Any:
        form = call.body["response_format"]["type"]
        return fails(422, "no such format") if form == "json_schema" else says("{}")

    with serving(choose=choose) as server:
        responses = list(OpenAITeacher("m", server.url, concurrency=1).complete([ask(), ask("again")]))
    assert [response.text for response in responses] == ["{}", "{}"]
    assert [body["response_format"]["type"] for body in server.bodies] == ["json_schema", "json_object", "json_object"]


def test_one_bad_request_does_not_change_the_dialect() -> None:
    def choose(_: int, call: Call) -> Any:
        long = call.body["messages"][1]["content"] == "long"
        return fails(400, "maximum context length exceeded, lower max_tokens or temperature") if long else says("{}")

    with serving(choose=choose) as server:
        teacher = OpenAITeacher("m", server.url, concurrency=1)
        bad, good, bad_again = teacher.complete([ask("long"), ask(), ask("long")])
    assert "answered 400: maximum context length exceeded" in bad.failure
    assert good.text == "{}"
    assert bad_again.failure == bad.failure
    assert server.bodies[-1] == server.bodies[0]
    assert server.bodies[-2]["response_format"]["type"] == "json_schema"


def test_no_more_requests_are_read_than_may_be_under_way() -> None:
    read = 0

    def source() -> Iterator[Request]:
        nonlocal read
        for i in range(40):
            read += 1
            yield ask(f"{i}")

    with serving(echo) as server:
        answers = OpenAITeacher("m", server.url, concurrency=3).complete(source())
        assert read == 0
        for given, response in enumerate(answers, start=1):
            assert response.text == response.request.messages[1].content
            assert read <= given + 2
    assert read == 40


def test_requests_are_under_way_together_up_to_the_concurrency() -> None:
    together, most, lock = 0, 0, threading.Lock()

    def count(call: Call) -> None:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        time.sleep(0.1)
        with lock:
            together -= 1
        echo(call)

    with serving(count) as server:
        list(OpenAITeacher("m", server.url, concurrency=3).complete(ask(str(i)) for i in range(12)))
    assert most == 3


def test_who_stops_listening_waits_for_nothing() -> None:
    def choose(number: int, _: Call) -> Any:
        return echo if number == 0 else lambda call: time.sleep(3)

    with serving(choose=choose) as server:
        answers = OpenAITeacher("m", server.url, concurrency=2).complete(ask(str(i)) for i in range(9))
        next(answers)
        start = time.perf_counter()
        answers.close()
        assert time.perf_counter() - start < 2


def test_a_local_endpoint_needs_no_key_and_gets_none_of_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-openai-alone")
    with serving(echo) as server:
        list(OpenAITeacher("m", server.url, key_variable="MY_SERVER_KEY").complete([ask()]))
        monkeypatch.setenv("MY_SERVER_KEY", " sk-mine-0123456789\n")
        list(OpenAITeacher("m", server.url, key_variable="MY_SERVER_KEY").complete([ask()]))
    assert server.keys == ["Bearer none", "Bearer sk-mine-0123456789"]


def test_the_key_does_not_follow_a_redirect_to_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine-0123456789")
    with serving(echo) as other:
        away = other.url.replace("127.0.0.1", "localhost") + "/chat/completions"
        with serving(lambda call: call.send(307, b"", Location=away)) as server:
            list(OpenAITeacher("m", server.url).complete([ask()]))
    assert (server.keys, other.keys) == (["Bearer sk-mine-0123456789"], [None])


def test_openai_itself_wants_a_key() -> None:
    with pytest.raises(UserError, match="set the environment variable OPENAI_API_KEY"):
        OpenAITeacher("gpt-4o-mini")


def test_a_key_over_the_open_net_is_warned_about(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine-0123456789")
    OpenAITeacher("m", "http://models.example.org/v1")
    assert "unencrypted" in caplog.text
    assert "sk-mine" not in caplog.text


@pytest.mark.parametrize("key", ["sk-one two", "sk-ключ", "sk-a\nb"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UserError, match="OPENAI_API_KEY") as error:
        OpenAITeacher("m")
    assert key not in str(error.value)


def test_a_key_is_neither_shown_nor_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "sk-mine-0123456789")
    assert "mine" not in repr(Secret("A_KEY")) + str(Secret("A_KEY"))
    with pytest.raises(TypeError, match="not to be saved"):
        pickle.dumps(Secret("A_KEY"))


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://host/v1", "http://", "http://host:port/v1", "http://[::1/v1"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="teacher_base_url"):
        OpenAITeacher("m", url)


@pytest.mark.parametrize("url", ["http://me:pw@host/v1", "https://host/v1?api_key=pw", "https://host/v1#pw"])
def test_an_address_with_a_secret_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(UserError, match="the key is read from the environment") as error:
        OpenAITeacher("m", url)
    assert "pw" not in str(error.value)


def test_identity_is_model_revision_and_address() -> None:
    identity = OpenAITeacher("m", "http://127.0.0.1:9/v1/", revision="r").identity
    assert (identity.teacher, identity.model, identity.revision) == ("openai", "m", "r")
    assert identity.endpoint == "http://127.0.0.1:9/v1"


def test_a_missing_package_is_named_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_openai(name: str, *rest: Any, **named: Any) -> Any:
        if name == "openai":
            raise ModuleNotFoundError("No module named 'openai'", name="openai")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_openai)
    with pytest.raises(UserError, match=r"pip install 'recbole_routedk\[openai\]'"):
        OpenAITeacher("m", "http://127.0.0.1:9/v1")
