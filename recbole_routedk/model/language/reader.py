"""Puts together what a student may read about a session: the teacher's knowledge and similar sessions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from recbole_routedk.data.session import LabelledSession, Session
from recbole_routedk.distill.encoder import title_encoder
from recbole_routedk.distill.knowledge import FORMATS, Format, SessionKnowledge
from recbole_routedk.distill.source import KnowledgeSource
from recbole_routedk.distributed import from_first
from recbole_routedk.model.language.lessons import Lesson
from recbole_routedk.model.language.retrieval import SimilarSessions
from recbole_routedk.model.views import Example

REMEMBERED = 4096
"""Sessions whose examples are kept, the latest: those of the valid split are asked about after every epoch."""


class Reader:
    """Makes examples of sessions with all that some lessons need; fitted on training sessions alone.

    The teacher is asked for nothing that no lesson needs, and about each session once. Only thoughts have to be asked
    for anew about each session: where they are learnt but not read at inference, nobody thinks about a test session.
    """

    def __init__(self, config: Any, train: Sequence[LabelledSession], learnt: Iterable[Lesson], asked: Lesson) -> None:
        """``learnt`` are the lessons of training sessions, ``asked`` is how other sessions are answered."""
        needed = {each for lesson in learnt for each in lesson.needs}
        self._learnt: list[Format] = [each for each in FORMATS if each in needed]
        self._asked: list[Format] = [each for each in FORMATS if each in asked.reads]
        self._train = train
        self._source = _source(config, train, [each for each in FORMATS if each in {*self._learnt, *self._asked}])
        self._training_similar = "similar" in needed
        self._similar: SimilarSessions | None = None
        if self._training_similar or "similar" in asked.reads:
            self._similar = SimilarSessions(train, title_encoder(), config["similar_sessions"])
        self._read: dict[Session, Example] = {}
        self._remembered = REMEMBERED

    def for_training(self) -> list[Example]:
        """Return an example for each training session; what is known about one is known without its own label."""
        known = [SessionKnowledge()] * len(self._train)
        if self._source and self._learnt:
            source = self._source
            known = from_first(lambda: source.for_training(self._learnt))
        similar = [""] * len(self._train)
        if self._similar and self._training_similar:
            similar = self._similar.for_training()
        rows = zip(self._train, known, similar, strict=True)
        return [Example(labelled.session, each, labelled.bundles, line) for labelled, each, line in rows]

    def for_sessions(self, sessions: Sequence[Session]) -> list[Example]:
        """Return an example without bundles for each session."""
        unread = [session for session in dict.fromkeys(sessions) if session not in self._read]
        if unread:
            known = [SessionKnowledge()] * len(unread)
            if self._source and self._asked:
                known = self._source.for_sessions(unread, self._asked)
            similar = self._similar.for_sessions(unread) if self._similar else [""] * len(unread)
            for session, each, line in zip(unread, known, similar, strict=True):
                self._read[session] = Example(session, each, similar=line)
        examples = [self._read[session] for session in sessions]
        # A stream of sessions may have no end.
        for session in list(self._read)[: max(0, len(self._read) - self._remembered)]:
            del self._read[session]
        return examples

    def read_ahead(self, sessions: Sequence[Session]) -> None:
        """Let the first of several processes alone ask a teacher whose answers are kept; all remember what it says.

        One store has one writer, and nothing is paid for twice.
        """
        if self._source is not None and self._asked and self._source.keeps_answers:
            unread = [session for session in dict.fromkeys(sessions) if session not in self._read]
            self._remembered += len(unread)
            self._read |= zip(unread, from_first(lambda: self.for_sessions(unread)), strict=True)

    def dollars(self) -> float | None:
        """What the teacher's answers so far cost; None where a price is not known."""
        return self._source.dollars() if self._source is not None else 0.0

    def general(self) -> dict[str, list[dict[str, Any]]]:
        """Return the patterns and rules of all training sessions, as they hold for sessions without labels."""
        patterns, rules = (self._source.patterns(), self._source.rules()) if self._source else ((), ())
        return {"patterns": [asdict(each) for each in patterns], "rules": [asdict(each) for each in rules]}


def _source(config: Any, train: Sequence[LabelledSession], formats: Sequence[Format]) -> KnowledgeSource | None:
    return KnowledgeSource(_OfFormats(config, formats), train) if formats else None


class _OfFormats:
    """The settings of a run, with only those formats of knowledge that are needed."""

    def __init__(self, config: Any, formats: Sequence[str]) -> None:
        self._config = config
        self._formats = formats

    def __getitem__(self, key: str) -> Any:
        return list(self._formats) if key == "knowledge_format" else self._config[key]

    def __contains__(self, key: str) -> bool:
        return key in self._config
