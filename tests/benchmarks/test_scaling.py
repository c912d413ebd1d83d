"""The benchmark of growth answers what it made up, and writes how fast and with how much memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import scaling

from recbole_routedk.data.atomic import read_atomic
from recbole_routedk.registry import shipped_datasets


def test_sessions_are_made_of_known_titles_and_lengths(tmp_path: Path) -> None:
    scaling.write_sessions(tmp_path / "a.jsonl", 50, seed=1, new_titles=False)
    scaling.write_sessions(tmp_path / "b.jsonl", 20, seed=1, new_titles=False)

    known = [own.session for own in read_atomic(shipped_datasets() / "bundle-mini", "bundle-mini").all()]
    made = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(made) == 50
    assert {title for titles in made for title in titles} <= {item.title for own in known for item in own.items}
    assert {len(titles) for titles in made} <= {len(own) for own in known}
    assert all(len(set(titles)) == len(titles) for titles in made)
    # A longer file begins as a shorter one, so that rows differ in nothing but their number.
    assert (tmp_path / "a.jsonl").read_text("utf-8").startswith((tmp_path / "b.jsonl").read_text("utf-8"))


def test_new_titles_are_in_one_session_each(tmp_path: Path) -> None:
    scaling.write_sessions(tmp_path / "a.jsonl", 50, seed=1, new_titles=True)

    titles = [title for line in (tmp_path / "a.jsonl").open(encoding="utf-8") for title in json.loads(line)]
    assert len(set(titles)) == len(titles) > 100


def test_a_row_is_measured_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert scaling.main(["--model=WholeSession", "--sessions=200", "--engines=local", "--json=out.json"]) == 0

    (row,) = json.loads(Path("out.json").read_text(encoding="utf-8"))["rows"]
    assert (row["engine"], row["sessions"], row["workers"]) == ("local", 200, 1)
    assert 0 < row["start_seconds"] <= row["seconds"]
    assert row["sessions_per_second"] > 0
    assert row["driver_mib"] > 50
    assert row["digest"] in capsys.readouterr().out


def test_a_run_that_fails_is_told_with_its_last_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"--checkpoint={tmp_path}", "--sessions=5", "--engines=local"]

    assert scaling.main(words) == 2

    assert "local, 5 sessions: failed\nerror: " in capsys.readouterr().err
