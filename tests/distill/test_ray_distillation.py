"""What a teacher says on the workers of a cluster is kept here as if it had been asked here; a killed worker's too."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from ray_workers import kill_a_busy_worker
from scripted_teacher import ScriptedTeacher

from recbole_routedk.cli.dispatch import main
from recbole_routedk.distill.ray_distillation import RayTeacher
from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.store.rows import StoredRow
from recbole_routedk.distill.store.stored_teacher import StoredTeacher
from recbole_routedk.distill.teachers.protocol import Identity, Message, Request, Response, Task, Teacher
from recbole_routedk.ray_cluster import RayOptions, ray_cluster

BLOCK = 4
QUESTIONS = [f"question {number}" for number in range(60)]


def answers(log: Path, request: Request) -> str | None:
    """Note the question and answer it, not even in valid Unicode; fail at every tenth one."""
    question = request.messages[0].content
    with log.open("a", encoding="utf-8") as lines:
        lines.write(f"{question}\n")
    time.sleep(0.02)
    return None if question.endswith("7") else f"answer to {question} \ud83d"


class FourAtOnce(ScriptedTeacher):
    """A worker takes four of its requests at a time."""

    requests_at_once = BLOCK


def teacher_with(log: Path) -> FourAtOnce:
    """What each worker makes for itself."""
    return FourAtOnce(partial(answers, log))


class Deadly:
    """Hands on what another teacher says, and kills a worker once there is something."""

    killed = 0

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher

    @property
    def identity(self) -> Identity:
        """That of the teacher."""
        return self._teacher.identity

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield, and kill."""
        for response in self._teacher.complete(requests):
            yield response
            if not self.killed:
                self.killed = kill_a_busy_worker()


def ask(teacher: Teacher, store: Path) -> list[Response]:
    """Put all questions to a teacher with a store."""
    requests = [Request(Task.THOUGHT, (Message("user", question),)) for question in QUESTIONS]
    with RequestStore(store) as opened:
        responses = list(StoredTeacher(teacher, opened).complete(requests))
    return sorted(responses, key=lambda response: QUESTIONS.index(response.request.messages[0].content))


def stored(store: Path) -> list[StoredRow]:
    """The rows of a store without times."""
    with RequestStore(store) as opened:
        return [replace(row, created=0.0, response=replace(row.response, seconds=0.0)) for row in opened.rows()]


def test_a_killed_worker_loses_and_doubles_nothing(two_ray_workers: None, tmp_path: Path) -> None:
    asked, here, there = tmp_path / "asked", tmp_path / "here.sqlite", tmp_path / "there.sqlite"
    expected = ask(teacher_with(Path(os.devnull)), here)
    deadly = Deadly(RayTeacher(teacher_with(asked), partial(teacher_with, asked), RayOptions()))

    with ray_cluster(RayOptions()):
        responses = ask(deadly, there)

    assert deadly.killed
    assert [response.text for response in responses] == [response.text for response in expected]
    assert [response.failure for response in responses] == [response.failure for response in expected]
    assert stored(there) == stored(here)
    assert {row.attempts for row in stored(there)} == {1}
    times = Counter(asked.read_text(encoding="utf-8").splitlines())
    assert set(times) == set(QUESTIONS)
    assert times.total() <= len(QUESTIONS) + BLOCK  # those that the killed worker had in hand


def test_the_command_keeps_what_workers_answer(
    two_ray_workers: None, toy_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["distill", "--dataset=toy", f"--data_path={toy_data}", "--knowledge_format=thoughts"]

    assert main([*words, "--store=there.sqlite", "--engine=ray", "--workers=1"]) == 0
    assert "store: there.sqlite" in capsys.readouterr().out
    assert main([*words, "--store=here.sqlite"]) == 0

    assert len(stored(Path("there.sqlite"))) == 10
    assert stored(Path("there.sqlite")) == stored(Path("here.sqlite"))
    assert main([*words, "--store=there.sqlite"]) == 0  # one engine goes on with what another has begun
    assert " 10          10           0 " in capsys.readouterr().out
