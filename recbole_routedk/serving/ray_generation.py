"""Answers a source of sessions on Ray Data: the same bytes as on one machine, by as many workers as there are.

A task on the driver's machine reads windows and runs no further ahead than workers take them; workers parse and answer
them; the driver writes them in the order in which they were read. Nobody else touches the output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from recbole_routedk.errors import UserError
from recbole_routedk.model.generating import WindowAnswerer
from recbole_routedk.ray_cluster import FAULT, Workers, read_here, work_in, worked_on
from recbole_routedk.saved_run import load_generator
from recbole_routedk.serving.answering_files import (
    AnsweredWindow,
    Report,
    Window,
    answer_window,
    read_windows,
    write_answers,
)
from recbole_routedk.serving.output import Done, Output
from recbole_routedk.serving.sources import SessionSource


@dataclass(frozen=True)
class AnsweringRun:
    """A saved run that every worker loads, ``settings`` replacing its own; with what ``WindowAnswerer`` takes.

    ``home`` is the folder from which relative paths start, the run's own among them: on every machine of the cluster.
    """

    run: Path
    home: Path
    settings: Mapping[str, Any]
    batch_size: int
    intents: bool = False

    def load(self) -> WindowAnswerer:
        """Load the model into this process."""
        return WindowAnswerer(load_generator(self.run, self.settings), self.batch_size, self.intents)


def answer_source_on_ray(
    asked: AnsweringRun, source: SessionSource, output: Output, workers: Workers, report: Report, title: str
) -> Done:
    """Answer what the output lacks on the cluster that is joined, otherwise as ``answer_source`` does."""
    data = read_here(partial(_read, source, output.done, asked))
    rows = worked_on(data, _Answering, (source, asked), workers, ordered=True)
    answered = (
        AnsweredWindow(
            row["lines"], row["entries"], list(zip(row["numbers"], row["reasons"], strict=True)), row["digest"]
        )
        for row in rows
        if not row[FAULT]
    )
    return write_answers(answered, source, output, report, title)


def _read(source: SessionSource, done: Done, asked: AnsweringRun, _: Any) -> Iterator[Any]:
    """Yield the windows that are not done; at last, where the source cannot be read on, why."""
    work_in(asked.home)
    try:
        for window in read_windows(source, done, asked.batch_size):
            yield _window_table(window)
    except UserError as error:
        yield _window_table(Window((), ""), str(error))


class _Answering:
    """A worker; it loads the run when the first window comes."""

    def __init__(self, source: SessionSource, asked: AnsweringRun) -> None:
        self._source, self._asked = source, asked

    def __call__(self, table: Any) -> Any:
        (row,) = table.to_pylist()
        answered, fault = AnsweredWindow((), 0, (), ""), row[FAULT]
        if not fault:
            window = Window(list(zip(row["numbers"], row["entries"], strict=True)), row["digest"])
            try:
                answered = answer_window(self._answerer, self._source, window)
            except UserError as error:
                fault = str(error)
        return _answered_table(answered, fault)

    @cached_property
    def _answerer(self) -> WindowAnswerer:
        work_in(self._asked.home)
        return self._asked.load()


def _window_table(window: Window, fault: str = "") -> Any:
    import pyarrow as pa

    columns = {
        "numbers": pa.array([[number for number, _ in window.entries]], pa.list_(pa.int64())),
        "entries": pa.array([[entry for _, entry in window.entries]], pa.list_(pa.binary())),
        "digest": [window.digest],
        FAULT: [fault],
    }
    return pa.table(columns)


def _answered_table(answered: AnsweredWindow, fault: str) -> Any:
    import pyarrow as pa

    columns = {
        "lines": pa.array([answered.lines], pa.list_(pa.string())),
        "entries": [answered.entries],
        "numbers": pa.array([[number for number, _ in answered.bad]], pa.list_(pa.int64())),
        "reasons": pa.array([[reason for _, reason in answered.bad]], pa.list_(pa.string())),
        "digest": [answered.digest],
        FAULT: [fault],
    }
    return pa.table(columns)
