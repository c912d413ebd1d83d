"""Answers to many sessions, batch by batch, given by one process or dealt out over several."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import chain

from recbole_routedk.data.session import Generation, Session
from recbole_routedk.distributed import from_first, gathered, own_share, spread, together
from recbole_routedk.model.bundle_generator import BundleGenerator
from recbole_routedk.progress import progress_bar

Answers = list[list[Generation]]
"""One list of generations a batch."""


def answer_batches(
    model: BundleGenerator, batches: Sequence[Sequence[Session]], title: str, show: bool
) -> tuple[Answers, float]:
    """Return the answers to all batches, and how many sessions were answered a second.

    A batch is one process's whole: rounding depends on what is padded together, so that answers would not be the same
    with any number of processes if its sessions were dealt out.
    """
    if together():
        model.read_ahead(list(chain.from_iterable(batches)))
    seconds = 0.0

    def answer(sessions: Sequence[Session]) -> list[Generation]:
        nonlocal seconds
        started = time.perf_counter()
        generations = model.predict_bundles(sessions)
        seconds += time.perf_counter() - started
        bar.update(len(sessions))
        return generations

    own = batches if model.answers_alone else own_share(batches)
    with progress_bar(sum(map(len, own)), title, "session", show) as bar:
        if model.answers_alone:
            answers = from_first(lambda: [answer(batch) for batch in batches])
        else:
            answers = spread(answer, batches)
    return answers, sum(map(len, batches)) / max(*gathered(seconds), 1e-9)
