"""First distill, then train: what an endpoint answered is what the student reads, and nobody asks twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chat_server import chat_server

from recbole_routedk.cli.dispatch import main

KEY = "sk-never-to-be-seen-anywhere"


@pytest.mark.parametrize(
    "model",
    [
        ["--model=RouteDK", "--knowledge_format=rules,thoughts", "--router_epochs=1"],
        ["--model=KD", "--knowledge_format=patterns,rules,thoughts", "--knowledge_use=icl+sft"],
    ],
)
def test_after_distill_a_run_asks_nothing_not_even_about_sessions_that_are_too_long(
    toy_data: Path, tiny_student_folder: Path, monkeypatch: pytest.MonkeyPatch, model: list[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with chat_server() as server:
        shared = [*model, "--dataset=toy", f"--data_path={toy_data}", "--max_items=4", "--teacher=openai"]
        shared += [f"--teacher_base_url={server.url}", "--teacher_model=m", f"--student={tiny_student_folder}"]

        assert main(["distill", *shared, "--split=valid,test"]) == 0
        asked = len(server.bodies)
        assert not any("\n4: " in body["messages"][-1]["content"] for body in server.bodies)  # of a fifth item
        assert main(["run", *shared, "--epochs=1", "--consensus_samples=1"]) == 0

        assert asked > 16
        assert len(server.bodies) == asked
    (known,) = (json.loads(path.read_text()) for path in Path("output").rglob("knowledge.json"))
    assert any("an intent" in text for texts in known["training_sessions"].values() for text in texts.values())
    assert not [path for path in Path().rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
