"""Talks with a teacher: an OpenAI-compatible endpoint or a local model, whose answers are kept in the store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole_routedk.data.session import LabelledSession, Rejection, RejectionReason, Session
from recbole_routedk.distill.formats.asking import Interviewer
from recbole_routedk.distill.formats.options import STATISTICAL
from recbole_routedk.distill.formats.parsing import Parsed, parse_bundles
from recbole_routedk.distill.formats.prompts import SYSTEM, numbered_titles
from recbole_routedk.distill.formats.report import KnowledgeReport
from recbole_routedk.distill.pricing import price_of
from recbole_routedk.distill.store.budget import BudgetedTeacher
from recbole_routedk.distill.store.meter import MeteredTeacher, table_lines
from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.store.stored_teacher import StoredTeacher
from recbole_routedk.distill.teachers.factory import make_teacher
from recbole_routedk.distill.teachers.protocol import Case, Message, Request, Sampling, Task, Teacher
from recbole_routedk.errors import UserError
from recbole_routedk.model.language.talk import Bundles, Part, Question, Reply, Talk

logger = getLogger(__name__)

_FORMS = {
    Task.BUNDLES: '{"bundles": [[item, item], ...]}',
    Task.INTENTS: '{"intents": ["phrase", ...]}',
    Task.ADVICE: '{"rules": ["sentence", ...]}',
}


class TeacherRespondent:
    """Puts talks to a teacher as requests; nothing that the store knows is asked again.

    ``report`` counts what came back, ``lines`` tells what this run asked of the teacher and what it cost.
    """

    def __init__(self, settings: Any, teacher: Teacher | None = None) -> None:
        """``settings`` is anything indexable by key; ``teacher`` takes the place of the one in ``answered_by``.

        Raises UserError for a teacher that holds no conversations, or whose package, model, key or price is missing.
        """
        if settings["answered_by"] == STATISTICAL:
            raise UserError(
                "answered_by: the statistical teacher holds no conversations; take student, openai or local"
            )
        asked = make_teacher(settings, (), settings["answered_by"]) if teacher is None else teacher
        self._prices, self._shown = settings["teacher_prices"], settings["show_progress"]
        if "answer_budget" in settings and settings["answer_budget"] is not None:
            price = price_of(asked.identity, self._prices)
            asked = BudgetedTeacher(asked, price, settings["answer_budget"], "--answer_budget")
        self._asked = MeteredTeacher(asked)
        self._store = Path(settings["knowledge_store"])
        self._sampling = Sampling(float(settings["teacher_temperature"]), settings["teacher_max_tokens"])
        # A greedy answer depends on no seed: then runs with other seeds find it in the store.
        self._seed = settings["seed"] if self._sampling.temperature else 0
        self.report = KnowledgeReport()

    def bundles(self, talks: Sequence[Talk], sessions: Sequence[Session], final: bool = True) -> list[Reply]:
        """Answer talks about bundles; a request that failed is an empty reply."""
        texts: list[str] = [""] * len(talks)
        rejected: list[tuple[Rejection, ...]] = [()] * len(talks)

        def read(index: int, text: str) -> Parsed[Bundles]:
            parsed = parse_bundles(text, len(sessions[index]))
            texts[index], rejected[index] = text, parsed.rejected
            return parsed

        found = self._ask(talks, sessions, read, "Bundles")
        rows = zip(found, rejected, texts, strict=True)
        return [Reply(bundles or (), refused, text or None, _lone(refused)) for bundles, refused, text in rows]

    def texts(self, talks: Sequence[Talk], sessions: Sequence[Session]) -> list[str | None]:
        """Answer other talks: the text as it came."""
        return self._ask(talks, sessions, lambda _, text: Parsed(text), "Words")

    def fits(self, talk: Talk) -> bool:
        """True: what does not fit the endpoint says itself, with a failed answer."""
        return True

    def dollars(self) -> float | None:
        """What the answers cost, those from the store at what they cost then; None without a known price."""
        return self.report.dollars(price_of(self._asked.identity, self._prices))

    def lines(self) -> list[str]:
        """Requests, tokens and cost of this run by task, as a table."""
        identity = self._asked.identity
        return table_lines(self._asked.tallies, price_of(identity, self._prices), identity.model)

    def _ask(self, talks: Sequence[Talk], sessions: Sequence[Session], read: Any, title: str) -> list[Any]:
        before = self.report.failures
        requests = [self._request(talk, session) for talk, session in zip(talks, sessions, strict=True)]
        with self._interviewer() as interviewer:
            said = interviewer.ask(requests, read, title)
        if self.report.failures and not before:
            logger.warning(f"answered_by: a request failed and counts as no answer: {self.report.last_failure}")
        return said

    def _request(self, talk: Talk, session: Session) -> Request:
        case = Case((LabelledSession(session, ()),))
        return Request(_task(talk), written_messages(talk), self._sampling, self._seed, 0, case)

    @contextmanager
    def _interviewer(self) -> Iterator[Interviewer]:
        with RequestStore(self._store) as store:
            yield Interviewer(StoredTeacher(self._asked, store), self.report, self._shown)


def written_messages(talk: Talk) -> tuple[Message, ...]:
    """Return a talk as an endpoint reads it: items numbered and quoted, bundles and answers in JSON."""
    turns = (Message(turn.role, "".join(map(_written, turn.parts))) for turn in talk)
    return (Message("system", SYSTEM), *turns)


def _written(part: Part) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Session):
        return numbered_titles(part)
    if isinstance(part, Question):
        return f"{part.words} {_FORMS[part.task]}"
    if isinstance(part, frozenset):
        return f" {json.dumps(sorted(part))}"
    return json.dumps({"bundles": sorted(sorted(bundle) for bundle in part)})


def _lone(rejected: Sequence[Rejection]) -> Bundles:
    refused = (each for each in rejected if each.reason is RejectionReason.TOO_FEW_ITEMS)
    return tuple(frozenset(json.loads(each.text)) for each in refused if each.text != "[]")


def _task(talk: Talk) -> Task:
    last = talk[-1].parts[-1]
    if not isinstance(last, Question):
        raise ValueError("a talk has to end with a question")
    return last.task
