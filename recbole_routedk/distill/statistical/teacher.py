"""The embedded teacher: rules and per-session reasoning from training statistics, without any LLM.

It takes the place of the large teacher of RouteDK (arXiv 2508.17250): high-level knowledge are verbalised
frequent patterns, fine-grained knowledge are affinities, candidate groups and likely intents of each session.
Neither needs a label of the session it speaks about, so both can be had for test sessions; for training sessions
they are out-of-fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recbole_routedk.cache import cache_folder
from recbole_routedk.data.session import Bundle, LabelledSession, Session
from recbole_routedk.distill.encoder import SentenceEncoder
from recbole_routedk.distill.knowledge import Floats, Rule, RuleMatch, Thought
from recbole_routedk.distill.statistical.affinity import AffinityModel
from recbole_routedk.distill.statistical.category import Shares, label_phrases
from recbole_routedk.distill.statistical.grouping import GroupThreshold, group_items
from recbole_routedk.distill.statistical.intents import IntentBank
from recbole_routedk.distill.statistical.pair_patterns import ItemTraits, PatternCounts, frequent_words, item_traits
from recbole_routedk.distill.statistical.pairs import session_folds
from recbole_routedk.distill.statistical.rules import RuleBook, general_rules
from recbole_routedk.errors import UserError


@dataclass(frozen=True)
class TeacherConfig:
    """Options of the teacher.

    ``category_depth`` is the deepest that is told apart; ``cache_folder`` keeps title vectors between runs.
    """

    encoder: str = "minilm"
    folds: int = 5
    seed: int = 2026
    category_depth: int = 4
    min_support: int = 3
    cache_folder: Path | None = None


class StatisticalTeacher:
    """Learns from training sessions once, then thinks about any session from its titles alone."""

    def __init__(self, config: TeacherConfig) -> None:
        """Raises UserError for an encoder other than "minilm" and for fewer than two folds."""
        if config.encoder != "minilm":
            raise UserError(f"teacher encoder '{config.encoder}' is unknown; use 'minilm'")
        if config.folds < 2:
            raise UserError(f"the teacher needs at least two folds, not {config.folds}")
        self._config = config
        self._encoder = SentenceEncoder(config.cache_folder)

    def fit(self, train: Sequence[LabelledSession]) -> None:
        """Learn patterns, affinities and the grouping from labelled training sessions.

        Raises UserError when there are fewer than two sessions or none holds a bundle.
        """
        if len(train) < 2:
            raise UserError(f"the teacher needs at least two training sessions, not {len(train)}")
        self._train = tuple(train)
        self._sessions = [labelled.session for labelled in train]
        self._folds = session_folds(len(train), self._config.folds, self._config.seed)
        self._affinity = AffinityModel(self._encoder, self._config.category_depth, self._config.seed)
        self._affinity.fit(train, self._folds)
        self._threshold = GroupThreshold(self._affinity.out_of_fold(), train)
        self._intents = IntentBank(train, self._folds, self._encoder)
        self._words = frequent_words(self._sessions)
        self._training_traits = self._traits(self._sessions, self._affinity.categories.training_shares)
        self._phrases = label_phrases(self._affinity.categories.labels)
        self._counts = PatternCounts(train, self._training_traits, self._folds.tolist())
        self._book = self._rule_book(None)

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules of all training sessions: general ones first, then the strongest."""
        return general_rules(self._train) + self._book.all_rules()

    def rules_for(self, sessions: Sequence[Session]) -> list[tuple[RuleMatch, ...]]:
        """Return for each session the rules that fire on it, strongest first."""
        return [
            self._book.matches(traits) for traits in self._traits(sessions, self._affinity.categories.shares(sessions))
        ]

    def rules_for_training(self) -> list[tuple[RuleMatch, ...]]:
        """Return the rules that fire on each training session, counted without the session's fold."""
        books = {fold: self._rule_book(fold) for fold in np.unique(self._folds).tolist()}
        pairs = zip(self._training_traits, self._folds.tolist(), strict=True)
        return [books[fold].matches(traits) for traits, fold in pairs]

    def think(self, sessions: Sequence[Session]) -> list[Thought]:
        """Return a thought for each session; no label is needed."""
        traits = self._traits(sessions, self._affinity.categories.shares(sessions))
        threshold = self._threshold.best()
        affinities = self._affinity.predict(sessions)
        return [
            self._thought(session, matrix, threshold, own, None)
            for session, matrix, own in zip(sessions, affinities, traits, strict=True)
        ]

    def think_training(self) -> list[Thought]:
        """Return a thought for each training session, in the order of ``fit``, out-of-fold."""
        rows = zip(
            self._sessions,
            self._affinity.out_of_fold(),
            self._threshold.best_out_of_fold(self._folds),
            self._training_traits,
            self._folds.tolist(),
            strict=True,
        )
        return [self._thought(*row) for row in rows]

    def category_labels(self, sessions: Sequence[Session]) -> list[tuple[str, ...]]:
        """Return the inferred category of every item of each session ("" without known categories)."""
        return [traits.categories for traits in self._traits(sessions, self._affinity.categories.shares(sessions))]

    def _thought(
        self, session: Session, affinities: Floats, threshold: float, traits: ItemTraits, fold: int | None
    ) -> Thought:
        return self._described(session, affinities, group_items(affinities, threshold), traits, fold)

    def explain(self, labelled: LabelledSession, affinities: Floats, place: int | None) -> Thought:
        """Return the thought that leads to the gold bundles, with an intent for each.

        ``place`` is where the session stands in training, None for any other session.
        """
        if place is None:
            (traits,) = self._traits([labelled.session], self._affinity.categories.shares([labelled.session]))
            return self._described(labelled.session, affinities, labelled.bundles, traits, None)
        traits, fold = self._training_traits[place], int(self._folds[place])
        return self._described(labelled.session, affinities, labelled.bundles, traits, fold)

    def _described(
        self, session: Session, affinities: Floats, groups: tuple[Bundle, ...], traits: ItemTraits, fold: int | None
    ) -> Thought:
        names = [self._phrases[category] for category in traits.categories]
        intents = tuple(self._intents.phrase(session, group, names, fold) for group in groups)
        return Thought(affinities, groups, intents)

    def _traits(self, sessions: Sequence[Session], shares: Shares) -> list[ItemTraits]:
        named = self._affinity.categories.best(sessions, shares)
        return [item_traits(session, own, self._words) for session, own in zip(sessions, named, strict=True)]

    def _rule_book(self, fold: int | None) -> RuleBook:
        tallies, base_rate = self._counts.tallies(fold), self._counts.base_rate(fold)
        return RuleBook(tallies, base_rate, self._config.min_support, self._phrases)


def fitted_teacher(train: Sequence[LabelledSession], seed: int) -> StatisticalTeacher:
    """Return a teacher that learnt from ``train``; its title vectors are kept in the user's cache folder.

    Raises UserError where ``StatisticalTeacher.fit`` does.
    """
    teacher = StatisticalTeacher(TeacherConfig(seed=seed, cache_folder=cache_folder() / "titles"))
    teacher.fit(train)
    return teacher
