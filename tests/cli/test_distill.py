"""The distill command, from the words of a user to a store, with the embedded teacher and with a server."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_server import INPUT_TOKENS, OUTPUT_TOKENS, ChatServer, chat_server, completion
from toy import toy_splits

from recbole_routedk.cli.dispatch import main
from recbole_routedk.cli.run import parse_settings
from recbole_routedk.config import Config
from recbole_routedk.data.dataset import BundleDataset
from recbole_routedk.distill.source import KnowledgeSource

KEY = "sk-never-to-be-seen-anywhere"
STORE = Path("output/knowledge.sqlite")
PRICES = "--teacher_prices={m: {input: 100, output: 1000}}"
COST = (INPUT_TOKENS * 100 + OUTPUT_TOKENS * 1000) / 1e6


@pytest.fixture
def server() -> Iterator[ChatServer]:
    """A server that answers everything."""
    with chat_server() as running:
        yield running


@pytest.fixture
def words(toy_data: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command that asks the server for thoughts about the toy data."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    given = ["distill", "--dataset=toy", f"--data_path={toy_data}", "--knowledge_format=thoughts"]
    return [*given, "--teacher=openai", "--teacher_model=m", f"--teacher_base_url={server.url}", PRICES]


def stored_sessions() -> set[str]:
    connection = sqlite3.connect(STORE)
    lists = [json.loads(text) for (text,) in connection.execute("SELECT sessions FROM requests")]
    connection.close()
    return {session for sessions in lists for session in sessions}


def table(output: str) -> dict[str, list[str]]:
    """The lines of the printed table by their first word."""
    lines = [line.split() for line in output.splitlines()]
    return {line[0]: line[1:] for line in lines if len(line) == 8}


def test_the_embedded_teacher_is_asked_once(toy_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["distill", "--dataset=toy", f"--data_path={toy_data}", "--knowledge_format=rules,thoughts"]

    assert main(words) == 0
    first = table(capsys.readouterr().out)
    assert main(words) == 0
    again = table(capsys.readouterr().out)

    assert set(first) >= {"bundles", "thought", "all"}
    assert first["thought"][:4] == ["10", "0", "10", "0"]  # requests, cached, asked, failed
    assert again["all"][0] == first["all"][0] == again["all"][1]
    assert stored_sessions() == {labelled.session.session_id for labelled in toy_splits().train}


def test_other_splits_are_asked_about_without_their_labels(
    words: list[str], server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--split=test,valid", "--thought_gold=True"]) == 0

    assert stored_sessions() == {labelled.session.session_id for labelled in toy_splits().all()}
    gold_shown = [body for body in server.bodies if "Right bundles" in body["messages"][-1]["content"]]
    assert (len(server.bodies), len(gold_shown)) == (16, 10)
    thought = table(capsys.readouterr().out)["thought"]
    assert thought[-3:] == ["1,600", "160", f"${16 * COST:.4f}"]


def test_a_model_that_is_trained_afterwards_asks_nothing(words: list[str], server: ChatServer) -> None:
    assert main([*words, "--split=valid,test"]) == 0
    asked = len(server.bodies)

    config = Config("RouteDK", "toy", command_line=parse_settings(words[2:]))
    train, _, test = BundleDataset(config).build()
    source = KnowledgeSource(config, train.labelled_sessions)
    thoughts = [known.thought for known in [*source.for_training(), *source.for_sessions(test.sessions)]]

    assert all(thought is not None and thought.groups == (frozenset({1, 2}),) for thought in thoughts)
    assert len(thoughts) == 13
    assert len(server.bodies) == asked


def test_a_budget_stops_in_time_and_the_same_command_goes_on(
    words: list[str], server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    # A request's worst case is 1024 tokens out, about $1.2: after two answers a third one might pass $1.25.
    assert main([*words, "--teacher_concurrency=3", "--budget=1.25"]) == 3
    output = capsys.readouterr()
    spent = len(server.bodies) * COST
    assert 0 < len(server.bodies) < 10
    assert f"--budget=1.25: ${spent:.4f} is spent" in output.err
    assert "goes on" in output.err
    assert table(output.out)["all"][-1] == f"${spent:.4f}"

    assert main(words) == 0
    asked = Counter(json.dumps(body) for body in server.bodies)
    assert len(asked) == 10
    assert set(asked.values()) == {1}


def test_killed_in_the_middle_it_goes_on_where_it_was(
    words: list[str], server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.delay = 0.2
    program = [sys.executable, "-m", "recbole_routedk", *words, "--teacher_concurrency=1"]
    running = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while len(server.bodies) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    running.kill()
    running.wait()
    server.delay = 0.0

    assert main(words) == 0

    requests, cached, asked, failed = table(capsys.readouterr().out)["thought"][:4]
    assert (requests, failed) == ("10", "0")
    assert 3 <= int(cached) == 10 - int(asked)
    times = Counter(json.dumps(body) for body in server.bodies)
    assert len(times) == 10
    assert times.total() <= 10 + 1  # the one that was under way


def test_a_budget_without_a_price_names_the_key_to_set(
    words: list[str], server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words[:-1], "--budget=1"]) == 2
    assert "the price of m is not known; give its price per million tokens: --teacher_prices" in capsys.readouterr().err
    assert server.bodies == []


def test_a_dry_run_needs_no_key_asks_nothing_and_leaves_nothing(
    words: list[str], server: ChatServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")

    assert main([*words, "--dry_run"]) == 0

    output = capsys.readouterr().out
    assert server.bodies == []
    assert not STORE.exists()
    assert table(output)["thought"][:3] == ["10", "0", "10"]
    assert "4 characters a token" in output
    assert "estimates from the statistical teacher's answers" in output


def test_a_dry_run_knows_what_is_stored_and_how_long_answers_are(
    words: list[str], server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    capsys.readouterr()

    assert main([*words, "--dry_run", "--split=test", "--budget=0.01"]) == 0

    output = capsys.readouterr().out
    requests, cached, asked, _, _, output_tokens, _ = table(output)["thought"]
    assert (requests, cached, asked, output_tokens) == ("13", "10", "3", "30")
    assert "the mean of the model's stored answers" in output
    assert "--budget=0.01 would stop it on the way" in output
    assert len(server.bodies) == 10


def test_a_dry_run_of_a_model_on_this_machine_counts_its_tokens(
    toy_data: Path, tiny_student_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["distill", "--dataset=toy", f"--data_path={toy_data}", "--knowledge_format=thoughts", "--teacher=local"]

    assert main([*words, f"--teacher_model={tiny_student_folder}", "--dry_run"]) == 0

    output = capsys.readouterr().out
    assert "counted with the teacher's own tokenizer" in output
    assert table(output)["thought"][-1] == "$0.0000"
    assert int(table(output)["thought"][4].replace(",", "")) > 1000


def test_a_batch_file_takes_the_place_of_calls(
    words: list[str], server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = [*words[1:3], "--knowledge_format=rules", *words[4:]]
    steps = []
    for _ in range(5):
        assert main(["distill", "batch", "write", *batch, "--output=in.jsonl"]) == 0
        if "already" in capsys.readouterr().out:
            break
        requests = [json.loads(line) for line in Path("in.jsonl").read_text(encoding="utf-8").splitlines()]
        steps.append({request["body"]["response_format"]["json_schema"]["name"] for request in requests})
        answers = [
            {"custom_id": request["custom_id"], "response": {"status_code": 200, "body": completion(request["body"])}}
            for request in requests
        ]
        Path("out.jsonl").write_text("\n".join(map(json.dumps, answers)), encoding="utf-8")
        assert main(["distill", "batch", "read", "out.jsonl"]) == 0
        assert f"{len(requests)} new, 0 known, 0 failed, 0 bad lines" in capsys.readouterr().out

    assert steps == [{"bundles"}, {"causes"}, {"rules"}]
    assert main(["distill", *batch]) == 0
    assert server.bodies == []


def test_the_store_is_shown_exported_and_imported(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    capsys.readouterr()

    assert main(["distill", "show", "--session=s3", "--task=thought"]) == 0
    shown = capsys.readouterr().out
    assert "sessions: s3" in shown
    assert 'answer: {"related"' in shown
    assert shown.count("asked 1 times") == 1

    assert main(["distill", "export", "--format=jsonl", "--output=all.jsonl"]) == 0
    assert main(["distill", "import", "all.jsonl", "--store=copy.sqlite"]) == 0
    assert main(["distill", "import", "all.jsonl", "--store=copy.sqlite"]) == 0
    assert main(["distill", "export", "--store=copy.sqlite"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[2] for line in lines[1:3]] == [
        "10 new, 0 known, 0 failed, 0 bad lines",
        "0 new, 10 known, 0 failed, 0 bad lines",
    ]
    assert lines[3:] == Path("all.jsonl").read_text(encoding="utf-8").splitlines()


def test_bad_lines_are_named_and_the_exit_code_tells(toy_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.jsonl").write_text("{}\n\x1b[31mred\n", encoding="utf-8")

    assert main(["distill", "import", "bad.jsonl"]) == 1

    output = capsys.readouterr()
    assert "2 bad lines" in output.out
    assert "bad.jsonl, line 1: 'teacher' is missing" in output.err
    assert "\x1b" not in output.err


def test_an_import_of_nothing_leaves_no_store(toy_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["distill", "import", "missing.jsonl"]) == 2

    assert "missing.jsonl: there is no such file" in capsys.readouterr().err
    assert not STORE.parent.exists()


def test_the_key_is_nowhere(words: list[str], toy_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert main(["distill", "show"]) == 0
    printed = capsys.readouterr()

    assert KEY not in printed.out + printed.err
    written = [path for path in toy_data.parent.rglob("*") if path.is_file()]
    assert STORE.resolve() in [path.resolve() for path in written]
    assert not [path for path in written if KEY.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    "more, message",
    [
        (["--teacher=opnai"], "no teacher 'opnai'. Did you mean 'openai'"),
        (["--knowledge_formt=rules"], "Did you mean 'knowledge_format'"),
        (["--knowledge_format=poems"], "some of patterns, rules, thoughts, not 'poems'"),
        (["--openai_api_key=sk-1"], "put the key into an environment variable"),
        (["--teacher_model=m"], "teacher_model is a setting of the teacher"),
        (["--model=Freq"], "Freq reads no knowledge"),
        (["--budget=much"], "--budget has to be an amount"),
        (["--dry_run=ture"], "--dry_run has to be True or False"),
        (["--split=train"], "--split has to be valid, test or both"),
        (["shwo"], "no such form"),
        (["batch", "write"], "--output"),
        (["show"], "there is no such store"),
        (["batch", "write", "--output=x"], "has no Batch API"),
    ],
)
def test_mistakes_are_answered_without_a_call(
    toy_data: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    forms = [word for word in more if not word.startswith("--")]
    rest = [word for word in more if word.startswith("--")]
    where = [] if forms == ["show"] else ["--dataset=toy", f"--data_path={toy_data}"]

    assert main(["distill", *forms, *where, *rest]) == 2

    error = capsys.readouterr().err
    assert message in error
    assert "sk-1" not in error


def test_help_names_teachers_and_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["distill", "--help"]) == 0

    text = capsys.readouterr().out
    assert all(word in text for word in ("openai", "statistical", "--dry_run", "--budget", "batch write", "import"))
    assert max(map(len, text.splitlines())) <= 120
