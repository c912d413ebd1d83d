"""A model that a real endpoint answers, from the command's settings to the metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chat_server import chat_server
from prompted_run import run_prompted
from served_student import PATIENCE, serving
from small_run import predictions, small_splits

from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.quick_start import load_data_and_model


def test_a_served_model_is_asked_once_about_each_session(
    small_data: Path, tiny_student_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(tiny_student_folder, tmp_path / "log") as server:
        settings = {
            "answered_by": "openai",
            "teacher_model": str(tiny_student_folder),
            "teacher_base_url": f"{server.url}/v1",
            "teacher_timeout": float(PATIENCE),
            "teacher_max_tokens": 6,
            "teacher_prices": {str(tiny_student_folder): {"input": 0.0, "output": 1000.0}},
        }
        server.wait_until_up()
        result = run_prompted("ZeroShot", small_data, **settings)
    # Random weights answer no JSON within six tokens: every request fails, and is counted.
    assert set(map(len, predictions(result).values())) == {0}
    assert result["test_result"]["emptyrate"] == 1
    told = (Path(result["run_folder"]) / "usage.txt").read_text(encoding="utf-8").splitlines()
    assert told[1].split()[:5] == ["bundles", "7", "0", "7", "7"]
    with RequestStore(Path("output/knowledge.sqlite")) as store:
        (counts,) = store.counts()
    assert (counts.task, counts.answers, counts.failures) == ("bundles", 0, 7)
    assert counts.output_tokens == 7 * 6
    assert result["teacher_dollars"] == pytest.approx(7 * 6 * 1000 / 1e6)


@pytest.mark.parametrize(
    "name, settings, turns, tasks",
    [
        ("ZeroShot", {}, 1, {"bundles"}),
        ("ICL", {"demonstrations": 2}, 5, {"bundles"}),
        # Bundles, intents, bundles, intents, two rounds of feedback and the rules about the neighbour; then the target:
        # bundles, intents, bundles. Every question but the last has an answer beside it.
        ("AICL", {"self_correction": True, "feedback_rounds": 2}, 19, {"bundles", "intents", "advice"}),
    ],
)
def test_every_asked_model_is_answered_by_an_endpoint(
    name: str,
    settings: dict[str, Any],
    turns: int,
    tasks: set[str],
    small_data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-any")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    test = [labelled.session for labelled in small_splits().test]
    with chat_server() as server:
        endpoint = {"answered_by": "openai", "teacher_model": "m", "teacher_base_url": server.url, "teacher_prices": {}}

        result = run_prompted(name, small_data, **endpoint, **settings)
        asked = list(server.bodies)
        model = load_data_and_model(result["run_folder"])[1]
        again = model.predict_bundles(test)

        assert server.bodies == asked, "answers are kept: what was asked once is not asked again"
    assert predictions(result) == {session.session_id: [[0, 1]] for session in test}
    assert [generation.bundles for generation in again] == [(frozenset({0, 1}),)] * len(test)
    assert max(len(body["messages"]) for body in asked) == 1 + turns  # the system's words come first
    assert {body["response_format"]["json_schema"]["name"] for body in asked} == tasks
