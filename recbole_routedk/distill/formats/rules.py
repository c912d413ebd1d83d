"""Rules: the teacher answers training sessions, sees its errors, states causes and summarises (arXiv 2504.17220).

The loop is that of AICL (arXiv 2312.16262: auto-feedback, then rules) in three rounds: the bundles of each
session, the causes of the errors of a batch, and in the same conversation the rules that would have avoided them.
A batch holds sessions of one fold, so that its rules can be kept from the sessions they were made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recbole_routedk.data.session import Bundle, LabelledSession
from recbole_routedk.distill.formats.asking import Interviewer
from recbole_routedk.distill.formats.parsing import Parsed, ProposedRule, parse_bundles, parse_causes, parse_rules
from recbole_routedk.distill.formats.prompts import bundles_messages, causes_messages, rules_messages
from recbole_routedk.distill.formats.scoring import ProposedBatch
from recbole_routedk.distill.statistical.pairs import Ints
from recbole_routedk.distill.teachers.protocol import Case, Message, Request, Sampling, Task

Answer = tuple[Bundle, ...]


@dataclass(frozen=True)
class ReviewSettings:
    """How many sessions of a fold are reviewed in one conversation, and how answers are drawn."""

    sampling: Sampling
    batch_size: int = 8
    seed: int = 0


class RuleReview:
    """Asks for bundles, causes and rules; what fails in one round leaves the next with less to go on."""

    def __init__(self, interviewer: Interviewer, settings: ReviewSettings) -> None:
        self._interviewer = interviewer
        self._settings = settings

    def proposals(self, train: Sequence[LabelledSession], folds: Ints) -> list[ProposedBatch]:
        """Return what the teacher proposes for each batch of ``train``; ``folds`` [S] are those of its sessions.

        A session of fewer than two items has no bundle and is not reviewed.
        """
        places = [place for place, own in enumerate(train) if len(own.session) > 1]
        answers = dict(zip(places, self._answers([train[place] for place in places]), strict=True))
        batches = self._batches(places, folds)
        cases = [
            Case(tuple(train[place] for place in batch), True, tuple(answers[place] for place in batch))
            for batch in batches
        ]
        rules = self._rules(cases, self._causes(cases))
        return [ProposedBatch(int(folds[batch[0]]), proposed) for batch, proposed in zip(batches, rules, strict=True)]

    def _batches(self, places: Sequence[int], folds: Ints) -> list[list[int]]:
        batches = []
        for fold in np.unique(folds).tolist():
            own = [place for place in places if folds[place] == fold]
            size = self._settings.batch_size
            batches += [own[start : start + size] for start in range(0, len(own), size)]
        return batches

    def _answers(self, train: Sequence[LabelledSession]) -> list[Answer]:
        """Return the teacher's own bundles, none where it failed."""
        # The gold is not shown, so it is not in the case either.
        cases = [Case((LabelledSession(own.session, ()),)) for own in train]
        requests = [
            self._request(Task.BUNDLES, bundles_messages(own.session), case)
            for own, case in zip(train, cases, strict=True)
        ]

        def read(index: int, text: str) -> Parsed[Answer]:
            return parse_bundles(text, len(train[index].session))

        return [said or () for said in self._interviewer.ask(requests, read, "Teacher answers")]

    def _causes(self, cases: Sequence[Case]) -> list[tuple[str, ...]]:
        requests = [self._request(Task.CAUSES, causes_messages(case.labelled, case.answers), case) for case in cases]
        found = self._interviewer.ask(requests, lambda _, text: parse_causes(text), "Teacher finds causes")
        return [said or () for said in found]

    def _rules(self, cases: Sequence[Case], causes: Sequence[tuple[str, ...]]) -> list[tuple[ProposedRule, ...]]:
        requests = [
            self._request(Task.RULES, rules_messages(case.labelled, case.answers, why), case)
            for case, why in zip(cases, causes, strict=True)
        ]
        found = self._interviewer.ask(requests, lambda _, text: parse_rules(text), "Teacher summarises")
        return [said or () for said in found]

    def _request(self, task: Task, messages: tuple[Message, ...], case: Case) -> Request:
        return Request(task, messages, self._settings.sampling, self._settings.seed, 0, case)
