"""Thoughts: what a teacher makes of one session, from its titles to intents to bundles (arXiv 2508.17250)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from recbole_routedk.data.session import LabelledSession, Session
from recbole_routedk.distill.formats.asking import Interviewer
from recbole_routedk.distill.formats.parsing import Parsed, parse_thought
from recbole_routedk.distill.formats.prompts import thought_messages
from recbole_routedk.distill.formats.report import ThoughtCounts
from recbole_routedk.distill.knowledge import Thought
from recbole_routedk.distill.teachers.protocol import Case, Request, Sampling, Task
from recbole_routedk.evaluation.metrics import gold_bundles, matched_f1

THOUGHT_CHECKS = ("keep", "drop", "regenerate")
LEAST_AGREEMENT = 0.38
"""MatchedF1 below which groups contradict the gold: the first two items of every session score .379 (Electronic)."""
_ANOTHER_TEMPERATURE = 0.7  # of later samples where the first is greedy: a greedy teacher would repeat itself


@dataclass(frozen=True)
class ThoughtSettings:
    """How thoughts of training sessions are asked for and checked.

    ``gold`` shows the teacher the gold bundles of training sessions. ``check`` says what becomes of a thought
    that contradicts them: keep, drop, or regenerate (the next sample, up to ``attempts`` in all).
    """

    sampling: Sampling
    gold: bool = False
    check: str = "keep"
    attempts: int = 3
    seed: int = 0


class ThoughtFormat:
    """Asks for thoughts and keeps what stands the check."""

    def __init__(self, interviewer: Interviewer, settings: ThoughtSettings, counts: ThoughtCounts) -> None:
        self._interviewer = interviewer
        self._settings = settings
        self._counts = counts

    def for_training(self, train: Sequence[LabelledSession]) -> list[Thought | None]:
        """Return a thought for each training session; None where it is invalid or was dropped.

        A session of fewer than two items has no bundle: nobody is asked about it.
        """
        thoughts = [_nothing_to_say(labelled.session) for labelled in train]
        places = [place for place, thought in enumerate(thoughts) if thought is None]
        attempts = self._settings.attempts if self._settings.check == "regenerate" else 1
        for sample in range(attempts):
            last = sample + 1 == attempts
            said = self._ask([train[place] for place in places], self._settings.gold, sample)
            for place, thought in zip(places, said, strict=True):
                thoughts[place] = self._checked(train[place], thought, last)
            places = [place for place in places if thoughts[place] is None]
            self._counts.regenerated += 0 if last else len(places)
        return thoughts

    def _checked(self, labelled: LabelledSession, thought: Thought | None, last: bool) -> Thought | None:
        """Return the thought if it stands the check, and count what became of it."""
        if thought is None:
            self._counts.invalid += 1
        elif self._settings.check == "keep" or not contradicts(labelled, thought, self._settings.gold):
            self._counts.kept += 1
            return thought
        elif last:
            self._counts.dropped += 1
        return None

    def for_sessions(self, sessions: Sequence[Session]) -> list[Thought | None]:
        """Return a thought for each session without labels; None where the answer is invalid."""
        thoughts = [_nothing_to_say(session) for session in sessions]
        places = [place for place, thought in enumerate(thoughts) if thought is None]
        said = self._ask([LabelledSession(sessions[place], ()) for place in places], False, 0)
        for place, thought in zip(places, said, strict=True):
            thoughts[place] = thought
            self._counts.kept += thought is not None
            self._counts.invalid += thought is None
        return thoughts

    def _ask(self, asked: Sequence[LabelledSession], gold: bool, sample: int) -> list[Thought | None]:
        requests = [self._request(labelled, gold, sample) for labelled in asked]

        def read(index: int, text: str) -> Parsed[Thought]:
            return parse_thought(text, len(asked[index].session))

        return self._interviewer.ask(requests, read, "Teacher thinks")

    def _request(self, labelled: LabelledSession, gold: bool, sample: int) -> Request:
        sampling = self._settings.sampling
        if sample and not sampling.temperature:
            sampling = replace(sampling, temperature=_ANOTHER_TEMPERATURE)
        # What is not shown is not in the case either, so that no teacher can look it up there.
        case = Case((labelled if gold else LabelledSession(labelled.session, ()),), gold)
        messages = thought_messages(labelled.session, labelled.bundles if gold else None)
        return Request(Task.THOUGHT, messages, sampling, self._settings.seed, sample, case)


def contradicts(labelled: LabelledSession, thought: Thought, gold_shown: bool) -> bool:
    """Tell whether a thought's groups contradict the gold bundles.

    With the gold shown, any group that is not one of its bundles does; without, groups below
    ``LEAST_AGREEMENT`` in MatchedF1 do.
    """
    if gold_shown:
        return not set(thought.groups) <= set(labelled.bundles)
    return matched_f1(gold_bundles(labelled), thought.groups) < LEAST_AGREEMENT


def _nothing_to_say(session: Session) -> Thought | None:
    items = len(session)
    return Thought(np.zeros((items, items)), (), ()) if items < 2 else None
