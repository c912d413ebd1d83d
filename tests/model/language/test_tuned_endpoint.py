"""SFT and NaiveDK on a model that its endpoint tunes: the training file, the job, the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import TypeAdapter
from small_run import predictions, run, small_splits
from tuning_server import TUNED, TuningServer, tuning_server

from recbole_routedk.errors import UserError
from recbole_routedk.quick_start import load_data_and_model

KEY = "sk-test-8c1f-aa-27-e90b"
NO_STUDENT = "no-student-is-loaded"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def server() -> Iterator[TuningServer]:
    """A service that tunes at the third look and answers every session with its first two items."""
    with tuning_server() as running:
        yield running


def tuned(data: Path, server: TuningServer, model: str = "SFT", **settings: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "answered_by": "openai",
        "teacher_base_url": server.url,
        "teacher_model": "m",
        "fine_tuning_prices": {"m": 0.0},
        "fine_tuning_wait": 0.0,
    }
    return run(data, NO_STUDENT, model, **(given | settings))


def training_file(result: dict[str, Any]) -> list[list[dict[str, str]]]:
    text = (Path(result["run_folder"]) / "fine_tuning.jsonl").read_text(encoding="utf-8")
    return [json.loads(line)["messages"] for line in text.splitlines()]


def test_sft_is_tuned_on_every_training_session_and_the_tuned_model_answers(
    small_data: Path, server: TuningServer
) -> None:
    result = tuned(small_data, server, epochs=2)

    splits = small_splits()
    conversations = training_file(result)
    assert len(conversations) == len(splits.train)
    for conversation in conversations:
        assert [TypeAdapter(ChatCompletionMessageParam).validate_python(turn) for turn in conversation]
        assert [turn["role"] for turn in conversation] == ["system", "user", "assistant"]
    told = [(asked["content"].count("\n"), json.loads(answer["content"])) for _, asked, answer in conversations]
    gold = [(len(own.session), {"bundles": sorted(map(sorted, own.bundles))}) for own in splits.train]
    assert sorted(told, key=str) == sorted(gold, key=str)  # a line an item, then the question
    (uploaded,) = server.files.values()
    assert uploaded == ("fine-tune", (Path(result["run_folder"]) / "fine_tuning.jsonl").read_bytes())
    assert server.bodies[0]["model"] == "m"
    assert server.bodies[0]["method"]["supervised"]["hyperparameters"] == {"n_epochs": 2}
    assert {asked["model"] for asked in server.asked} == {TUNED}
    assert len(server.asked) == len(splits.valid) + len(splits.test)
    assert predictions(result) == {labelled.session.session_id: [[0, 1]] for labelled in splits.test}
    assert result["name"].startswith("SFT (answered_by=openai, ")
    assert "fine_tuning" not in result["name"]  # budget, prices and wait change no answer


def test_a_saved_run_answers_the_same_with_the_tuned_model_and_asks_nothing_twice(
    small_data: Path, server: TuningServer
) -> None:
    result = tuned(small_data, server)
    jobs, asked = list(server.jobs), len(server.asked)

    _, model, _, _, _, test_data = load_data_and_model(result["run_folder"])
    sessions = [labelled.session for labelled in test_data.bundle_dataset.labelled_sessions]
    generations = model.predict_bundles(sessions)

    assert {s.session_id: [sorted(b) for b in g.bundles] for s, g in zip(sessions, generations, strict=True)} == (
        predictions(result)
    )
    assert (server.jobs, len(server.asked)) == (jobs, asked)


def test_another_run_on_the_same_file_takes_the_same_tuned_model(small_data: Path, server: TuningServer) -> None:
    tuned(small_data, server)

    tuned(small_data, server, run_name="another")

    assert (len(server.files), len(server.jobs)) == (1, 1)


def test_no_label_of_valid_or_test_sessions_and_no_key_is_sent_or_written(
    small_data: Path, server: TuningServer, tmp_path: Path
) -> None:
    tuned(small_data, server)

    ((_, uploaded),) = server.files.values()
    for labelled in (*small_splits().valid, *small_splits().test):
        assert json.dumps(labelled.session.items[0].title)[:40].encode() not in uploaded
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if KEY.encode() in path.read_bytes()]


def test_naive_dk_mixes_all_views_in_one_file_and_asks_in_the_view_of_inference(
    small_data: Path, server: TuningServer
) -> None:
    result = tuned(small_data, server, "NaiveDK")

    users = [conversation[1]["content"] for conversation in training_file(result)]
    assert len(users) == 3 * len(small_splits().train)
    plain = [text for text in users if "What is known" not in text]
    rules, thoughts = ([text for text in users if f": {head}:" in text] for head in ("Rules", "Related"))
    assert len(plain) == len(rules) == len(thoughts) == len(small_splits().train)
    kinds = ["plain" if text in plain else "rules" if text in rules else "thoughts" for text in users]
    assert kinds != sorted(kinds)  # mixed
    assert all(": Related:" in asked["messages"][-1]["content"] for asked in server.asked)


def test_a_model_that_was_tuned_elsewhere_is_only_asked(small_data: Path, server: TuningServer) -> None:
    result = tuned(small_data, server, fine_tuned_model="mine")

    assert set(server.calls) == {"POST /chat/completions"}
    assert {asked["model"] for asked in server.asked} == {"mine"}
    assert len(predictions(result)) == 4


def test_an_endpoint_without_fine_tuning_leaves_the_file_and_says_what_to_do(
    small_data: Path, server: TuningServer
) -> None:
    server.refusals = {"GET /fine_tuning/jobs": (404, {"detail": "Not Found"})}

    with pytest.raises(UserError, match=r"Tune m elsewhere with .*fine_tuning.jsonl, .*--fine_tuned_model=NAME"):
        tuned(small_data, server, run_name="here")

    (written,) = small_data.parent.rglob("here/fine_tuning.jsonl")
    assert len(written.read_text(encoding="utf-8").splitlines()) == len(small_splits().train)
    assert server.calls == ["GET /fine_tuning/jobs"]


def test_without_a_budget_nothing_is_sent(small_data: Path, server: TuningServer) -> None:
    with pytest.raises(UserError, match=r"fine_tuning_budget: tuning gpt-4o-mini on 9 examples, 3 times: about .*\$0"):
        tuned(small_data, server, teacher_model="gpt-4o-mini", fine_tuning_prices={"gpt-4o-mini": 3.0}, epochs=3)

    assert "POST /files" not in server.calls


def test_answers_have_a_budget_of_their_own(small_data: Path, server: TuningServer) -> None:
    with pytest.raises(UserError, match=f"--answer_budget: the price of {TUNED} is not known"):
        tuned(small_data, server, answer_budget=1.0)
    assert not server.asked

    tuned(small_data, server, answer_budget=1.0, teacher_prices={TUNED: {"input": 0.3, "output": 1.2}})

    assert (len(server.jobs), len(server.asked)) == (1, 7)


@pytest.mark.parametrize(
    "settings, fault",
    [
        ({"answered_by": "statistical"}, "statistical cannot be tuned; openai tunes a model behind an endpoint"),
        ({"answered_by": "local"}, "local cannot be tuned; .* student one on this machine"),
        ({"thought_source": "target"}, "thought_source: target is learnt by the student alone"),
        ({"thought_source": "written"}, "thought_source: written is learnt by the student alone"),
        ({"epochs": 0}, "epochs: a fine-tuning job makes at least 1"),
    ],
)
def test_what_an_endpoint_cannot_do_is_refused(
    small_data: Path, server: TuningServer, settings: dict[str, Any], fault: str
) -> None:
    given: dict[str, Any] = {"answered_by": "openai", "fine_tuning_prices": {"gpt-4o-mini": 0.0}} | settings
    if given["answered_by"] == "openai":
        given["teacher_base_url"] = server.url

    with pytest.raises(UserError, match=fault):
        run(small_data, NO_STUDENT, "NaiveDK", **given)

    assert not server.files
