"""Where models take their knowledge from: one source a run, fitted on training sessions, asked about any session.

Whoever the teacher is, the way is the same: a format makes requests, the teacher answers in JSON, the answers are
parsed, checked and counted. What is known about a training session rests on no label of its own, unless gold is
shown (``thought_gold``) or thoughts are checked against it (``thought_check``), and but for one weak way within the
embedded teacher (``AffinityModel``). Labels of valid and test sessions never get here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np

from recbole_routedk.data.session import LabelledSession, Session
from recbole_routedk.distill.encoder import SentenceEncoder, title_encoder
from recbole_routedk.distill.formats.asking import Interviewer
from recbole_routedk.distill.formats.options import STATISTICAL, KnowledgeOptions
from recbole_routedk.distill.formats.patterns import PatternBook, PatternMiner
from recbole_routedk.distill.formats.report import KnowledgeReport
from recbole_routedk.distill.formats.rules import RuleReview
from recbole_routedk.distill.formats.sampling import chosen_sessions
from recbole_routedk.distill.formats.scoring import RuleBook, RuleScorer
from recbole_routedk.distill.formats.thoughts import ThoughtFormat
from recbole_routedk.distill.knowledge import (
    Format,
    Pattern,
    PatternMatch,
    RuleMatch,
    ScoredRule,
    SessionKnowledge,
    Thought,
)
from recbole_routedk.distill.pricing import price_of
from recbole_routedk.distill.statistical.pairs import FOLDS, Ints, session_folds
from recbole_routedk.distill.statistical.traits import ItemTraits, TraitReader, fitted_traits
from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.store.stored_teacher import StoredTeacher
from recbole_routedk.distill.teachers.factory import make_teacher
from recbole_routedk.distill.teachers.protocol import Teacher
from recbole_routedk.distill.teachers.statistical import StatisticalCompletion
from recbole_routedk.evaluation.metrics import gold_bundles, matched_f1

_TOLD_BY_TRAITS = {"patterns", "rules"}


class KnowledgeSource:
    """The knowledge of one run: what is known about each training session, out-of-fold, and about any other session.

    ``report`` counts everything that was asked so far and what became of it.
    """

    def __init__(self, settings: Any, train: Sequence[LabelledSession], teacher: Teacher | None = None) -> None:
        """``settings`` is anything indexable by key; ``teacher`` takes the place of the one they name.

        Answers of a named teacher are kept in ``knowledge_store``; those of the statistical one, which are made
        again faster than they are read, and those of a given ``teacher`` are not.
        Raises UserError for settings that cannot be used.
        """
        self._options = KnowledgeOptions.read(settings)
        self._train = tuple(train)
        self._sessions = [labelled.session for labelled in train]
        stored = teacher is None and self._options.teacher != STATISTICAL
        if teacher is None:
            teacher = make_teacher(settings, train) if stored else StatisticalCompletion(train, self._options.seed)
        self._teacher, self._store = teacher, self._options.store if stored else None
        self._folds = session_folds(len(train), FOLDS, self._options.seed)
        self._rule_books: dict[int | None, RuleBook] = {}
        self._pattern_books: dict[int | None, PatternBook] = {}
        self.report = KnowledgeReport()

    def for_training(self, formats: Sequence[Format] | None = None) -> list[SessionKnowledge]:
        """What is known about each training session, in order, without a look at its own label.

        A session that knowledge is not taken from (``knowledge_ratio``) has no thought. Of ``formats`` alone, where
        only some are read.
        """
        wanted, folds = self._wanted(formats), self._folds.tolist()
        traits = self._traits.training if wanted & _TOLD_BY_TRAITS else [None] * len(folds)
        patterns = [self._patterns(seen, fold, wanted) for seen, fold in zip(traits, folds, strict=True)]
        rules = [self._rules(seen, fold, wanted) for seen, fold in zip(traits, folds, strict=True)]
        thoughts = self._training_thoughts(wanted)
        return [SessionKnowledge(*known) for known in zip(patterns, rules, thoughts, strict=True)]

    def for_sessions(
        self, sessions: Sequence[Session], formats: Sequence[Format] | None = None
    ) -> list[SessionKnowledge]:
        """What is known about sessions without labels; of ``formats`` alone, where only some are read."""
        wanted = self._wanted(formats)
        traits = self._traits.read(sessions) if wanted & _TOLD_BY_TRAITS else [None] * len(sessions)
        patterns = [self._patterns(seen, None, wanted) for seen in traits]
        rules = [self._rules(seen, None, wanted) for seen in traits]
        thoughts: list[Thought | None] = [None] * len(sessions)
        if "thoughts" in wanted:
            with self._interviewer() as interviewer:
                thoughts = self._thought_format(interviewer).for_sessions(sessions)
        return [SessionKnowledge(*known) for known in zip(patterns, rules, thoughts, strict=True)]

    def rules(self) -> tuple[ScoredRule, ...]:
        """The rules of all training sessions: general ones first, then the strongest."""
        return self._rule_book(None).rules() if "rules" in self._options.formats else ()

    def patterns(self) -> tuple[Pattern, ...]:
        """The patterns of all training sessions, strongest first."""
        return self._pattern_book(None).patterns if "patterns" in self._options.formats else ()

    @property
    def keeps_answers(self) -> bool:
        """Whether a teacher is asked whose answers are kept in ``knowledge_store``."""
        return self._store is not None

    def dollars(self) -> float | None:
        """What the answers so far cost, those from the store at what they cost then; None without a known price."""
        return self.report.dollars(price_of(self._teacher.identity, self._options.prices))

    # Formats ------------------------------------------------------------------------------------

    def _wanted(self, formats: Sequence[Format] | None) -> set[str]:
        return set(self._options.formats) & set(self._options.formats if formats is None else formats)

    def _patterns(self, traits: ItemTraits | None, fold: int | None, wanted: set[str]) -> tuple[PatternMatch, ...]:
        if traits is None or "patterns" not in wanted:
            return ()
        return self._pattern_book(fold).matches(traits)

    def _rules(self, traits: ItemTraits | None, fold: int | None, wanted: set[str]) -> tuple[RuleMatch, ...]:
        if traits is None or "rules" not in wanted:
            return ()
        return self._rule_book(fold).matches(traits)

    def _pattern_book(self, fold: int | None) -> PatternBook:
        if fold not in self._pattern_books:
            self._pattern_books[fold] = self._miner.book(fold)
        return self._pattern_books[fold]

    def _rule_book(self, fold: int | None) -> RuleBook:
        if fold not in self._rule_books:
            self._rule_books[fold] = self._scorer.book(fold)
        return self._rule_books[fold]

    @cached_property
    def _miner(self) -> PatternMiner:
        miner = PatternMiner(*self._chosen_with_traits(), self._options.thresholds)
        self.report.patterns = len(miner.book().patterns)
        return miner

    @cached_property
    def _scorer(self) -> RuleScorer:
        labelled, traits, folds = self._chosen_with_traits()
        with self._interviewer() as interviewer:
            batches = RuleReview(interviewer, self._options.review).proposals(labelled, folds)
        scorer = RuleScorer(batches, labelled, traits, folds, self._options.selection)
        counts = self.report.rules
        counts.proposed = sum(len(batch.rules) for batch in batches)
        counts.merged = counts.proposed - scorer.different
        counts.kept = len(scorer.book().rules())
        counts.dropped = scorer.different - counts.kept
        return scorer

    def _training_thoughts(self, wanted: set[str]) -> list[Thought | None]:
        thoughts: list[Thought | None] = [None] * len(self._train)
        if "thoughts" in wanted:
            chosen = self._chosen_places
            with self._interviewer() as interviewer:
                said = self._thought_format(interviewer).for_training([self._train[place] for place in chosen])
            for place, thought in zip(chosen, said, strict=True):
                thoughts[place] = thought
        return thoughts

    def _thought_format(self, interviewer: Interviewer) -> ThoughtFormat:
        return ThoughtFormat(interviewer, self._options.thoughts, self.report.thoughts)

    # What the formats work with -----------------------------------------------------------------

    @contextmanager
    def _interviewer(self) -> Iterator[Interviewer]:
        """Open the store, if answers are kept in one, for as long as questions are asked."""
        shown = self._options.show_progress
        if self._store is None:
            yield Interviewer(self._teacher, self.report, shown)
            return
        with RequestStore(self._store) as store:
            yield Interviewer(StoredTeacher(self._teacher, store), self.report, shown)

    def _chosen_with_traits(self) -> tuple[list[LabelledSession], list[ItemTraits], Ints]:
        places = self._chosen_places
        training = self._traits.training
        return [self._train[place] for place in places], [training[place] for place in places], self._folds[places]

    @cached_property
    def _chosen_places(self) -> list[int]:
        """Where the sessions stand that knowledge is taken from."""
        options = self._options
        chosen = chosen_sessions(
            self._train, options.ratio, options.strategy, options.seed, self._encoder, self._embedded_quality
        )
        self.report.chosen_sessions = int(chosen.sum())
        return [int(place) for place in np.flatnonzero(chosen)]

    def _embedded_quality(self) -> list[float]:
        """How well the embedded teacher answers each training session out-of-fold: MatchedF1."""
        teacher = self._teacher
        if not isinstance(teacher, StatisticalCompletion):
            teacher = StatisticalCompletion(self._train, self._options.seed)
        answers = zip(self._train, teacher.training_thoughts, strict=True)
        return [matched_f1(gold_bundles(labelled), thought.groups) for labelled, thought in answers]

    @cached_property
    def _encoder(self) -> SentenceEncoder:
        return title_encoder()

    @cached_property
    def _traits(self) -> TraitReader:
        if isinstance(self._teacher, StatisticalCompletion):
            return self._teacher.statistics.traits  # made in the same way; once is enough
        return fitted_traits(self._sessions, self._folds, self._encoder)
