"""A file of answers is whole or not there, and a stopped run goes on as if it had not been stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from recbole_routedk.data.session import Generation, Session
from recbole_routedk.errors import UserError
from recbole_routedk.model.bundle_generator import BundleGenerator
from recbole_routedk.model.generating import WindowAnswerer
from recbole_routedk.serving.answering_files import answer_source
from recbole_routedk.serving.output import Done, OutputFile
from recbole_routedk.serving.sources import JsonLines


class Killed(BaseException):
    """What no handler takes."""


class Stoppable(BundleGenerator):
    """Answers the whole session, with the size of its batch as the score; stops before a batch if told to."""

    gradient_trained = False

    def __init__(self, batches: int = 10_000) -> None:
        super().__init__({"device": "cpu", "eval_batch_size": 2}, None)
        self.left = batches
        self.asked: list[str] = []

    def predict_bundles(self, sessions: Sequence[Session]) -> list[Generation]:
        """One bundle a session."""
        if not self.left:
            raise Killed
        self.left -= 1
        self.asked += [session.session_id for session in sessions]
        return [Generation((frozenset(range(len(own))),), score=len(sessions) / 10) for own in sessions]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Thirty-one lines, every seventh of them bad, one of them blank."""
    lines = [json.dumps([f"{place} of {n}" for place in range(1 + n % 5)]) if n % 7 else "[" for n in range(1, 31)]
    path = tmp_path / "sessions.jsonl"
    path.write_text("\n".join([*lines[:4], "", *lines[4:]]) + "\n", encoding="utf-8")
    return path


def answer(model: Stoppable, source: Path, output: Path, told: list[int] | None = None, **asked: Any) -> Done:
    report = (lambda number, reason: told.append(number)) if told is not None else lambda number, reason: None
    return answer_source(
        WindowAnswerer(model, 2), JsonLines(source), OutputFile(output, asked), 2, report, "Stoppable answers"
    )


def test_every_line_is_answered_in_its_place_and_bad_ones_are_told(source: Path, tmp_path: Path) -> None:
    told: list[int] = []
    done = answer(Stoppable(), source, tmp_path / "out" / "bundles.jsonl", told)

    rows = [json.loads(line) for line in (tmp_path / "out" / "bundles.jsonl").read_text(encoding="utf-8").splitlines()]
    assert told == [8, 15, 22, 29]
    assert [row["line"] for row in rows] == [n for n in range(1, 32) if n not in (5, *told)]
    assert rows[4]["session_id"] == "session-6"
    assert [item["title"] for item in rows[4]["bundles"][0]["items"]] == ["0 of 5"]
    assert (done.entries, done.sessions, done.bad) == (30, 26, 4)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["bundles.jsonl"]


@pytest.mark.parametrize("batches, finished", [(0, 0), (1, 0), (4, 7), (5, 7), (9, 14)])
def test_a_stopped_run_goes_on_and_writes_what_an_unbroken_one_writes(
    source: Path, tmp_path: Path, batches: int, finished: int
) -> None:
    unbroken, stopped = tmp_path / "unbroken.jsonl", tmp_path / "stopped.jsonl"
    answer(Stoppable(), source, unbroken)
    with pytest.raises(Killed):
        answer(Stoppable(batches), source, stopped)
    assert not stopped.exists()

    resumed = Stoppable()
    done = answer(resumed, source, stopped)

    assert stopped.read_bytes() == unbroken.read_bytes()
    assert (done.sessions, done.bad) == (26, 4)
    assert len(resumed.asked) == 26 - finished


def test_what_was_half_written_is_written_anew(source: Path, tmp_path: Path) -> None:
    unbroken, stopped = tmp_path / "unbroken.jsonl", tmp_path / "stopped.jsonl"
    answer(Stoppable(), source, unbroken)
    with pytest.raises(Killed):
        answer(Stoppable(5), source, stopped)
    with (tmp_path / "stopped.jsonl.part").open("ab") as part:
        part.write(b'{"line": 9, "session_id": "session-9", "bun')

    answer(Stoppable(), source, stopped)

    assert stopped.read_bytes() == unbroken.read_bytes()


def test_a_run_killed_between_naming_the_file_and_forgetting_its_state_ends_well(source: Path, tmp_path: Path) -> None:
    output, state = tmp_path / "bundles.jsonl", tmp_path / "bundles.jsonl.part.json"
    with pytest.raises(Killed):
        answer(Stoppable(9), source, output)
    resumed = Stoppable()
    answer(resumed, source, output)
    whole = output.read_bytes()
    size, sessions = len(whole), len(whole.splitlines())
    entries = [entry for _, entry in JsonLines(source).entries()]
    digest = ""
    for entry in entries:
        digest = hashlib.sha256(digest.encode() + entry).hexdigest()
    done = Done(len(entries), sessions, 4, size, digest)
    state.write_text(json.dumps({"asked": {}, "done": asdict(done)}), encoding="utf-8")

    again = Stoppable()
    assert answer(again, source, output) == done
    assert again.asked == []
    assert output.read_bytes() == whole
    assert not state.exists()


def test_other_input_or_other_settings_are_not_gone_on_with(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "bundles.jsonl"
    with pytest.raises(Killed):
        answer(Stoppable(5), source, output, intents=True)

    with pytest.raises(UserError, match=r"was begun otherwise \({'intents': True}\)"):
        answer(Stoppable(), source, output, intents=False)
    source.write_text("[]\n" + source.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(UserError, match="is not what the unfinished output was begun with"):
        answer(Stoppable(), source, output, intents=True)

    OutputFile(output, {"intents": False}, overwrite=True)  # and killed before its first window is done
    answer(Stoppable(), source, output, intents=False)
    assert output.is_file()


def test_a_complete_file_is_kept(source: Path, tmp_path: Path) -> None:
    answer(Stoppable(), source, tmp_path / "bundles.jsonl")
    with pytest.raises(UserError, match="is there already; give another --output, or --overwrite"):
        answer(Stoppable(), source, tmp_path / "bundles.jsonl")
