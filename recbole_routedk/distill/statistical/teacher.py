"""The embedded teacher: reasoning about single sessions from training statistics, without any LLM.

It takes the place of the large teacher of RouteDK (arXiv 2508.17250): affinities of items, candidate groups and
likely intents of each session, and (``review``) rules from its own errors. No label of the session it speaks about
is needed, so all can be had for test sessions; for training sessions they are out-of-fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from recbole_routedk.cache import cache_folder
from recbole_routedk.data.session import LabelledSession, Session
from recbole_routedk.distill.encoder import SentenceEncoder, title_encoder
from recbole_routedk.distill.knowledge import Floats, Thought
from recbole_routedk.distill.statistical.affinity import AffinityModel
from recbole_routedk.distill.statistical.drawing import Grouping, best_grouping
from recbole_routedk.distill.statistical.intents import IntentBank
from recbole_routedk.distill.statistical.pair_patterns import PairPatterns, frequent_words
from recbole_routedk.distill.statistical.pairs import FOLDS, session_folds
from recbole_routedk.distill.statistical.traits import CATEGORY_DEPTH, ItemTraits, TraitReader
from recbole_routedk.distill.statistical.tuned_titles import TitleTuning, TunedTitles
from recbole_routedk.errors import UserError
from recbole_routedk.progress import progress_bar


@dataclass(frozen=True)
class TeacherConfig:
    """Options of the teacher; ``category_depth`` is the deepest that is told apart.

    In the folder ``store`` its tuned encoders are kept, and taken from where they were learnt before.
    """

    folds: int = FOLDS
    seed: int = 2026
    category_depth: int = CATEGORY_DEPTH
    tuning: TitleTuning = field(default_factory=TitleTuning)
    store: Path | None = None


class StatisticalTeacher:
    """Learns from training sessions once, then thinks about any session from its titles alone."""

    def __init__(self, config: TeacherConfig, encoder: SentenceEncoder) -> None:
        """Raises UserError for fewer than two folds."""
        if config.folds < 2:
            raise UserError(f"the teacher needs at least two folds, not {config.folds}")
        self._config = config
        self._encoder = encoder

    def fit(self, train: Sequence[LabelledSession]) -> None:
        """Learn affinities and intents from labelled training sessions.

        Raises UserError when there are fewer than two sessions or none holds a bundle.
        """
        if len(train) < 2:
            raise UserError(f"the teacher needs at least two training sessions, not {len(train)}")
        self._sessions = [labelled.session for labelled in train]
        self.folds = session_folds(len(train), self._config.folds, self._config.seed)
        config = self._config
        tuned = TunedTitles(config.tuning, config.seed, config.store)
        self._affinity = AffinityModel(self._encoder, tuned, config.category_depth, config.seed)
        self._affinity.fit(train, self.folds)
        self._intents = IntentBank(train, self.folds, self._encoder)
        self.traits = TraitReader(self._affinity.categories, self._sessions)
        self.pair_patterns = PairPatterns(frequent_words(self._sessions))
        self._place = {_name(session): place for place, session in enumerate(self._sessions)}

    def training_places(self, sessions: Sequence[Session]) -> list[int | None]:
        """Return for each session its place among the training sessions (same id and titles), None for others."""
        return [self._place.get(_name(session)) for session in sessions]

    def traits_of(self, sessions: Sequence[Session]) -> list[ItemTraits]:
        """Return the traits of sessions, those of training sessions inferred out-of-fold."""
        places = self.training_places(sessions)
        others = iter(self.traits.read([own for own, place in zip(sessions, places, strict=True) if place is None]))
        return [next(others) if place is None else self.traits.training[place] for place in places]

    def think(self, sessions: Sequence[Session]) -> list[Thought]:
        """Return a thought for each session; no label is needed."""
        affinities = self._affinity.predict(sessions)
        rows = zip(sessions, affinities, self._grouped(sessions, affinities), self.traits.read(sessions), strict=True)
        return [self._thought(*row, None) for row in rows]

    def think_training(self) -> list[Thought]:
        """Return a thought for each training session, in the order of ``fit``, out-of-fold."""
        affinities = self._affinity.out_of_fold()
        rows = zip(
            self._sessions,
            affinities,
            self._grouped(self._sessions, affinities),
            self.traits.training,
            self.folds.tolist(),
            strict=True,
        )
        return [self._thought(*row) for row in rows]

    def _grouped(self, sessions: Sequence[Session], affinities: Sequence[Floats]) -> list[Grouping]:
        groups = []
        with progress_bar(len(sessions), "Teacher groups items", "session") as bar:
            for session, matrix in zip(sessions, affinities, strict=True):
                groups.append(best_grouping(session, matrix, self._config.seed))
                bar.update()
        return groups

    def explain(self, labelled: LabelledSession, thought: Thought) -> Thought:
        """Return the thought about a session led to its gold bundles, with an intent for each."""
        (place,) = self.training_places([labelled.session])
        (traits,) = self.traits_of([labelled.session])
        fold = None if place is None else int(self.folds[place])
        return self._thought(labelled.session, thought.affinities, labelled.bundles, traits, fold)

    def _thought(
        self, session: Session, affinities: Floats, groups: Grouping, traits: ItemTraits, fold: int | None
    ) -> Thought:
        intents = tuple(self._intents.phrase(session, group, traits.categories, fold) for group in groups)
        return Thought(affinities, groups, intents)


def _name(session: Session) -> tuple[str, ...]:
    return (session.session_id, *(item.text for item in session.items))


def fitted_teacher(train: Sequence[LabelledSession], seed: int) -> StatisticalTeacher:
    """Return a teacher that learnt from ``train``; title vectors and encoders are kept in the user's cache folder.

    The last one is remembered: the runs of a benchmark, one after the other in one process, have the same.
    Raises UserError where ``StatisticalTeacher.fit`` does.
    """
    return _fitted(tuple(train), seed, cache_folder() / "tuned")


@lru_cache(maxsize=1)
def _fitted(train: tuple[LabelledSession, ...], seed: int, store: Path) -> StatisticalTeacher:
    teacher = StatisticalTeacher(TeacherConfig(seed=seed, store=store), title_encoder())
    teacher.fit(train)
    return teacher
