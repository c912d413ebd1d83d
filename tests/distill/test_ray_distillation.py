"""What a teacher says on the workers of a cluster is what it says here, also where one of them is killed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from ray_workers import kill_a_busy_worker
from small_store import small_split

from recbole_routedk.distill.knowledge import SessionKnowledge
from recbole_routedk.distill.ray_distillation import RayTeacher
from recbole_routedk.distill.source import KnowledgeSource
from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.store.rows import StoredRow
from recbole_routedk.distill.store.stored_teacher import StoredTeacher
from recbole_routedk.distill.teachers.protocol import Identity, Request, Response, Teacher
from recbole_routedk.distill.teachers.statistical import StatisticalCompletion
from recbole_routedk.ray_cluster import RayOptions, ray_cluster

TRAIN = small_split(0, 60)
SETTINGS = {"seed": 1, "knowledge_format": ["thoughts"], "show_progress": False}


class FourAtOnce(StatisticalCompletion):
    """The embedded teacher, of which a worker takes four requests: fifteen blocks."""

    requests_at_once = 4


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


def learnt(teacher: Teacher, store: Path) -> tuple[list[SessionKnowledge], list[StoredRow]]:
    """What is known about the training sessions, and the rows that are stored, without times."""
    with RequestStore(store) as opened:
        known = KnowledgeSource(SETTINGS, TRAIN, StoredTeacher(teacher, opened)).for_training()
        rows = [replace(row, created=0.0, response=replace(row.response, seconds=0.0)) for row in opened.rows()]
    return known, rows


def thoughts(known: Iterable[SessionKnowledge]) -> list[object]:
    """Thoughts that can be compared."""
    found = [each.thought for each in known]
    return [each and (each.groups, each.intents, np.asarray(each.affinities).tolist()) for each in found]


def test_a_killed_worker_loses_and_doubles_nothing(two_ray_workers: None, tmp_path: Path) -> None:
    here, expected_rows = learnt(StatisticalCompletion(TRAIN, 1), tmp_path / "here.sqlite")
    teacher = Deadly(RayTeacher(FourAtOnce(TRAIN, 1), partial(FourAtOnce, TRAIN, 1), RayOptions()))

    with ray_cluster(RayOptions()):
        there, rows = learnt(teacher, tmp_path / "there.sqlite")

    assert teacher.killed
    assert thoughts(there) == thoughts(here)
    assert rows == expected_rows
    assert [row.attempts for row in rows] == [1] * 60
    again, _ = learnt(teacher, tmp_path / "there.sqlite")  # outside of any cluster: nobody is asked
    assert thoughts(again) == thoughts(here)
