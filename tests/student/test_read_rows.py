"""Rows of tokens that go on are read from where they stand, to the same hidden states."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recbole_routedk.student.adapters import LoraSettings
from recbole_routedk.student.backbone import load_student
from recbole_routedk.student.read_rows import ReadRows
from recbole_routedk.student.routed_student import Prefill, RoutedStudent

SHORT, LONG = [5, 6, 7], [11, 12, 13, 14, 15, 16]


@pytest.fixture(scope="module")
def student(tiny_student_folder: Path) -> RoutedStudent:
    return RoutedStudent(load_student(str(tiny_student_folder)), (), LoraSettings(1, 1.0))


@torch.no_grad()
def extended(student: RoutedStudent, prefill: Prefill, suffixes: list[list[int]]) -> torch.Tensor:
    """The hidden states of the last tokens."""
    return student.extend(prefill, *student.pad_left(suffixes), torch.zeros(len(suffixes), 0))[:, -1]


def read(student: RoutedStudent, rows: list[list[int]]) -> Prefill:
    prefill = student.read_prefix([row[:1] for row in rows])
    extended(student, prefill, [row[1:] for row in rows])
    return prefill


def test_a_row_that_goes_on_is_read_as_if_it_were_read_whole(student: RoutedStudent) -> None:
    known = ReadRows()
    known.keep([SHORT, LONG], read(student, [SHORT, LONG]))
    rows = [[*LONG, 20, 21], [*SHORT, 22], [30, 31]]

    starts = [known.longest(row) for row in rows]
    suffixes = [row[len(start) :] for row, start in zip(rows, starts, strict=True)]
    going_on = extended(student, known.prefill(starts, student.hidden_size), suffixes)

    assert starts == [tuple(LONG), tuple(SHORT), ()]
    for row, hidden in zip(rows, going_on, strict=True):
        whole = extended(student, student.read_prefix([row[:1]]), [row[1:]])
        assert torch.allclose(hidden, whole[0], atol=1e-5)


def test_the_longest_beginning_counts_and_at_least_one_token_is_left_to_read(student: RoutedStudent) -> None:
    known = ReadRows()
    known.keep([SHORT], read(student, [SHORT]))

    assert known.longest(SHORT) == ()
    assert known.longest([9, *SHORT]) == ()
    known.keep([[*SHORT, 8]], read(student, [[*SHORT, 8]]))
    assert known.longest([*SHORT, 8, 9]) == (*SHORT, 8)
    assert known.longest([*SHORT, 9]) == ()  # what a row went on from is not kept beside it


def test_the_oldest_rows_go_when_there_are_too_many(student: RoutedStudent) -> None:
    rows = [[number, *LONG] for number in range(40, 44)]
    one = ReadRows()
    one.keep(rows[:1], read(student, rows[:1]))
    size = sum(each.nbytes for each in one._rows.values())

    known = ReadRows(most_bytes=2 * size)
    for row in rows:
        known.keep([row], read(student, [row]))

    assert [bool(known.longest([*row, 1])) for row in rows] == [False, False, True, True]


def test_keeping_leaves_the_prefill_as_it_is(student: RoutedStudent) -> None:
    prefill = read(student, [SHORT, LONG])
    keys = [layer.keys.clone() for layer in prefill.cache.layers]

    ReadRows().keep([SHORT, LONG], prefill)

    assert all(torch.equal(layer.keys, before) for layer, before in zip(prefill.cache.layers, keys, strict=True))
