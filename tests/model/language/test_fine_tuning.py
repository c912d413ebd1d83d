"""A tuning: told before it is paid, paid once wherever a run was stopped, and told in words where it fails."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai.types.fine_tuning import FineTuningJob, JobCreateParams
from pydantic import TypeAdapter
from tuning_server import TUNED, TuningServer, tuning_server

from recbole_routedk.errors import UserError
from recbole_routedk.model.language.fine_tuning import Tuning, TuningJob, TuningPurse, read_prices
from recbole_routedk.model.language.fine_tuning_service import FineTuningService, NoFineTuningError

KEY = 'sk-test-8c1f/aa+27\\"e90b'
LINES = ('{"messages": [{"role": "user", "content": "é"}]}', '{"messages": []}')
UPLOAD, CREATE, LIST, LOOK = (
    "POST /files",
    "POST /fine_tuning/jobs",
    "GET /fine_tuning/jobs",
    "GET /fine_tuning/jobs/{id}",
)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key with characters that look otherwise in JSON and in URLs."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def server() -> Iterator[TuningServer]:
    """A service that tunes at the third look."""
    with tuning_server() as running:
        yield running


def job(server: TuningServer, folder: Path, budget: float = 0.0, **prices: float) -> TuningJob:
    service = FineTuningService(server.url, "OPENAI_API_KEY", timeout=10, retries=0)
    tuning = Tuning(service.base_url, "m", LINES, 3, 7)
    return TuningJob(service, tuning, TuningPurse(budget, prices or {"m": 0.0}), folder)


def record(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("*.json")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def test_the_file_is_uploaded_and_tuned_as_the_sdk_documents(server: TuningServer, tmp_path: Path) -> None:
    assert job(server, tmp_path).run(0.0) == TUNED

    assert server.files == {"file-0": ("fine-tune", "".join(f"{line}\n" for line in LINES).encode())}
    (asked,) = server.bodies
    assert TypeAdapter(JobCreateParams).validate_python(asked) == asked  # no key that the API does not know
    assert asked == {
        "model": "m",
        "training_file": "file-0",
        "seed": 7,
        "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}},
    }
    assert [server.count(call) for call in (LIST, UPLOAD, CREATE, LOOK)] == [1, 1, 1, 2]
    FineTuningJob.model_validate(server.job(0))  # the server speaks as the API does
    assert record(tmp_path) == {
        "base_url": server.url,
        "model": "m",
        "epochs": 3,
        "seed": 7,
        "file_id": "file-0",
        "creating": False,
        "job_id": "ftjob-0",
        "tuned_model": TUNED,
        "trained_tokens": 1234,
        "ended_badly": [],
    }
    assert server.keys == {f"Bearer {KEY}"}


def test_what_is_tuned_is_not_tuned_again(server: TuningServer, tmp_path: Path) -> None:
    job(server, tmp_path).run(0.0)
    before = list(server.calls)

    assert job(server, tmp_path).run(0.0) == TUNED

    assert server.calls == before


@pytest.mark.parametrize("other", [{"model": "n"}, {"lines": LINES[:1]}, {"epochs": 1}, {"seed": 8}])
def test_another_tuning_is_another_job(other: dict[str, Any]) -> None:
    facts: dict[str, Any] = {"base_url": "http://a/v1", "model": "m", "lines": LINES, "epochs": 3, "seed": 7}

    assert Tuning(**facts).key != Tuning(**{**facts, **other}).key


@pytest.mark.parametrize("stopped_at", [UPLOAD, CREATE, LOOK])
def test_a_run_killed_at_any_step_pays_once(server: TuningServer, tmp_path: Path, stopped_at: str) -> None:
    server.lost = {stopped_at} if stopped_at != LOOK else set()
    server.statuses = ("running",)
    program = (
        "import sys; from pathlib import Path\n"
        "from recbole_routedk.model.language.fine_tuning import Tuning, TuningJob, TuningPurse\n"
        "from recbole_routedk.model.language.fine_tuning_service import FineTuningService\n"
        f"service = FineTuningService({server.url!r}, 'OPENAI_API_KEY', timeout=60, retries=100)\n"
        f"tuning = Tuning(service.base_url, 'm', {LINES!r}, 3, 7)\n"
        f"TuningJob(service, tuning, TuningPurse(0.0, {{'m': 0.0}}), Path({str(tmp_path)!r})).run(0.01)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as run:
        limit = time.monotonic() + 60
        while not server.count(stopped_at) and time.monotonic() < limit:
            time.sleep(0.005)
        os.kill(run.pid, signal.SIGKILL)
    server.lost, server.statuses = set(), ("running", "succeeded")

    assert job(server, tmp_path).run(0.0) == TUNED

    assert len(server.jobs) == 1
    assert server.count(CREATE) == 1
    if stopped_at != UPLOAD:  # which costs nothing
        assert len(server.files) == 1


def test_a_job_whose_creation_was_lost_on_the_way_is_found_among_others(server: TuningServer, tmp_path: Path) -> None:
    server.lost = {CREATE}
    with pytest.raises(UserError, match=r"no answer from .*, creating a fine-tuning job for m"):
        job(server, tmp_path).run(0.0)
    assert record(tmp_path)["creating"]
    others = [
        {"looks": 0, "id": f"other-{number}", "model": "m", "training_file": "x", "seed": 1} for number in range(5)
    ]
    server.jobs += others
    server.lost = set()

    assert job(server, tmp_path).run(0.0) == TUNED

    assert record(tmp_path)["job_id"] == "ftjob-0"
    assert server.count(CREATE) == 1


def test_a_job_that_was_never_created_is_created_then(server: TuningServer, tmp_path: Path) -> None:
    server.refusals = {CREATE: (503, {"error": {"message": "busy"}})}
    with pytest.raises(UserError, match="answered 503, creating a fine-tuning job for m: busy"):
        job(server, tmp_path).run(0.0)
    server.refusals = {}

    assert job(server, tmp_path).run(0.0) == TUNED

    assert (len(server.files), len(server.jobs)) == (1, 1)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_job_that_ends_badly_says_why_and_the_next_run_begins_anew(
    server: TuningServer, tmp_path: Path, status: str
) -> None:
    server.statuses = ("running", status)
    server.error = {"code": "invalid_file", "message": f"line 2:\nno messages ({KEY})", "param": "training_file"}
    why = r"line 2: no messages \(\[key\]\)" if status == "failed" else "no reason is given"

    with pytest.raises(UserError, match=f"job ftjob-0 of m at .* has {status}: {why}. The same command begins a new"):
        job(server, tmp_path).run(0.0)

    assert record(tmp_path)["ended_badly"] == ["ftjob-0"]
    server.statuses = ("succeeded",)
    assert job(server, tmp_path).run(0.0) == TUNED
    assert (len(server.files), len(server.jobs)) == (2, 2)


NOT_THERE: dict[str, tuple[int, Any]] = {
    "vLLM": (404, {"detail": "Not Found"}),
    "Ollama": (404, "404 page not found"),
    "llama.cpp": (404, {"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}),
    "LM Studio": (200, {"error": "Unexpected endpoint or method. (GET /v1/fine_tuning/jobs)"}),
    "a web page": (200, "<html>hello</html>"),
    "another method": (405, {"detail": "Method Not Allowed"}),
}


@pytest.mark.parametrize("answer", NOT_THERE.values(), ids=NOT_THERE.keys())
def test_a_server_without_fine_tuning_gets_no_file(
    server: TuningServer, tmp_path: Path, answer: tuple[int, Any]
) -> None:
    server.refusals = {LIST: answer}

    with pytest.raises(NoFineTuningError, match="has no fine-tuning API"):
        job(server, tmp_path).run(0.0)

    assert server.calls == [LIST]


def test_the_cost_is_told_and_nothing_is_sent_beyond_the_budget(
    server: TuningServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    most = 3 * sum(len(line.encode()) + 1 for line in LINES)  # a token a byte, three epochs
    about = 3 * math.ceil(sum(map(len, LINES)) / 4)  # four characters a token
    dear = 1e6 * 2.501 / most  # so that the most is a little over $2.50

    told = f"tuning m on 2 examples, 3 times: about {about} tokens, at most {most}; about .*, at most .2.50; the budget"
    with pytest.raises(UserError, match=rf"{told} is .2.50. Nothing was sent; to start it: --fine_tuning_budget=2.51"):
        job(server, tmp_path, 2.50, m=dear).run(0.0)
    assert UPLOAD not in server.calls

    with caplog.at_level(logging.INFO):
        assert job(server, tmp_path, 2.51, m=dear).run(0.0) == TUNED
    assert "at most $2.50" in caplog.text
    assert KEY not in caplog.text


def test_a_model_without_a_price_is_not_tuned(server: TuningServer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"fine_tuning_prices: .*--fine_tuning_prices='\{m: 3.00\}'"):
        job(server, tmp_path, 1e9, other=1.0).run(0.0)

    assert UPLOAD not in server.calls


def test_an_older_service_is_asked_in_the_older_form(server: TuningServer, tmp_path: Path) -> None:
    class Older(dict[str, tuple[int, Any]]):
        def __contains__(self, call: object) -> bool:
            return call == CREATE and server.count(CREATE) == 1

    server.refusals = Older({CREATE: (422, {"detail": "extra field: method"})})

    assert job(server, tmp_path).run(0.0) == TUNED

    (asked,) = server.bodies
    assert asked == {"model": "m", "training_file": "file-0", "seed": 7, "hyperparameters": {"n_epochs": 3}}


def test_looks_that_fail_are_borne_for_a_while(server: TuningServer, tmp_path: Path) -> None:
    server.refusals = {LOOK: (502, "<h1>Bad gateway</h1>")}

    with pytest.raises(UserError, match=r"answered 502, telling about the job ftjob-0.*the same command takes it up"):
        job(server, tmp_path).run(0.0)
    assert server.count(LOOK) == 10

    server.refusals = {}
    assert job(server, tmp_path).run(0.0) == TUNED
    assert server.count(CREATE) == 1


def test_a_job_that_the_service_forgot_is_not_paid_again_unasked(server: TuningServer, tmp_path: Path) -> None:
    server.statuses = ("running",)
    server.refusals = {LOOK: (404, {"error": {"message": "no such job"}})}

    with pytest.raises(UserError, match=r"To begin anew, which is paid again, remove .*\.json"):
        job(server, tmp_path).run(0.0)

    assert server.count(CREATE) == 1


@pytest.mark.parametrize("call", [LIST, UPLOAD, CREATE])
def test_a_wrong_key_is_named_by_its_variable_alone(server: TuningServer, tmp_path: Path, call: str) -> None:
    server.refusals = {call: (401, {"error": {"message": f"Incorrect API key provided: {KEY[:9]}***"}})}

    with pytest.raises(UserError, match="does not take the key in the environment variable OPENAI_API_KEY") as raised:
        job(server, tmp_path).run(0.0)

    assert KEY[:9] not in str(raised.value)
    assert raised.value.__cause__ is raised.value.__context__ is None


@pytest.mark.parametrize("answer", ["", "[]", "null", '{"id": 5}', '{"id": ""}', '{"id": "a\\nb"}', "[" * 100_000])
def test_an_answer_without_an_id_is_an_error(server: TuningServer, tmp_path: Path, answer: str) -> None:
    server.refusals = {UPLOAD: (200, answer)}

    with pytest.raises(UserError, match="answered without the training file's id"):
        job(server, tmp_path).run(0.0)


@pytest.mark.parametrize("content", ["", "[]", '{"job_id": "x", "other": 1}', "{"])
def test_a_damaged_record_is_not_taken_for_a_new_tuning(server: TuningServer, tmp_path: Path, content: str) -> None:
    job(server, tmp_path).path.write_text(content, encoding="utf-8")

    with pytest.raises(UserError, match="is no record of a fine-tuning"):
        job(server, tmp_path)


@pytest.mark.parametrize("table", [{"m": "3"}, {"m": -1}, {"m": float("nan")}, {"m": True}, [1], "m"])
def test_prices_that_are_none_are_refused(table: Any) -> None:
    with pytest.raises(UserError, match="fine_tuning_prices: has to be"):
        read_prices(table)


def test_openai_wants_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")

    with pytest.raises(UserError, match="OpenAI wants a key; set the environment variable OPENAI_API_KEY"):
        FineTuningService("https://api.openai.com/v1", "OPENAI_API_KEY")
