"""A model that a real endpoint answers, from the command's settings to the metrics."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompted_run import run_prompted
from served_student import PATIENCE, serving
from small_run import predictions

from recbole_routedk.distill.store.request_store import RequestStore


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
