"""Affinity: the probability that two items of one session belong to one bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from recbole_routedk.data.session import LabelledSession, Session
from recbole_routedk.distill.encoder import SentenceEncoder
from recbole_routedk.distill.knowledge import Floats
from recbole_routedk.distill.statistical.category import SessionCategories
from recbole_routedk.distill.statistical.evidence import Described, PairEvidence
from recbole_routedk.distill.statistical.features import TitleFeatures, session_context
from recbole_routedk.distill.statistical.neighbours import BundledItems, BundleNeighbours
from recbole_routedk.distill.statistical.pairs import Flags, Ints, PairTable, co_bundled, log_odds, pair_table
from recbole_routedk.distill.statistical.tuned_titles import LabelledPairs, TunedTitles
from recbole_routedk.errors import UserError
from recbole_routedk.progress import progress_bar

_TUNED_SHARE = 0.4  # of a tuned encoder; what logistic regressions on held-out folds of both domains gave it


class PairClassifier:
    """Mean of a logistic regression and gradient-boosted trees over the same pair features."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._members: list[Pipeline | HistGradientBoostingClassifier] = []
        self._base = 0.0

    def fit(self, features: Floats, together: Flags) -> PairClassifier:
        """Fit on pair rows [P, F] and labels [P]; with one kind of label only, its rate is the answer."""
        self._base = float(together.mean()) if len(together) else 0.0
        if 0.0 < self._base < 1.0:
            linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=500))
            trees = HistGradientBoostingClassifier(
                max_iter=60,
                learning_rate=0.08,
                max_leaf_nodes=8,
                max_bins=63,
                min_samples_leaf=40,
                l2_regularization=5.0,
                early_stopping=False,
                random_state=self._seed,
            )
            self._members = [linear.fit(features, together), trees.fit(features, together)]
        return self

    def predict(self, features: Floats) -> Floats:
        """Return the probability of each row, [P]."""
        if not self._members or not len(features):
            return np.full(len(features), self._base)
        return np.mean([member.predict_proba(features)[:, 1] for member in self._members], axis=0)


def pooled(probabilities: Floats, logits: Floats) -> Floats:
    """Return the probabilities [P] with the weighted mean of their log odds and of ``logits`` [P, 0 or 1].

    As columns of the classifiers the logits of a tuned encoder gain a fifth of what they gain here.
    """
    if not logits.shape[1]:
        return probabilities
    odds = log_odds(probabilities)
    return np.asarray(expit((1.0 - _TUNED_SHARE) * odds + _TUNED_SHARE * logits[:, 0]), dtype=np.float64)


@dataclass(frozen=True)
class Evidence:
    """All that labels say about pairs: of pairs, and of whole bundles."""

    pairs: PairEvidence
    bundles: BundleNeighbours

    def transform(self, queries: Described, pairs: Ints) -> Floats:
        """Return one row for each of the pair rows ``pairs`` of ``queries``, the columns of the bundles last."""
        return np.concatenate(
            [self.pairs.transform(queries, pairs), self.bundles.transform(queries.table, pairs)], axis=1
        )


class AffinityModel:
    """Pair probabilities from titles, fitted on the co-bundled pairs of training sessions.

    What is predicted for a training session (``out_of_fold``) comes from category votes, evidence and
    classifiers that were fitted on the other folds. Its labels have one weak way left to it: rows of the other
    folds, which the classifier learns from, were described by evidence that rests on all folds but their own.
    Closing it would take five times the work.
    """

    def __init__(self, encoder: SentenceEncoder, tuned: TunedTitles, category_depth: int, seed: int) -> None:
        self._encoder = encoder
        self._tuned = tuned
        self._seed = seed
        self.categories = SessionCategories(encoder, category_depth)

    def fit(self, train: Sequence[LabelledSession], folds: Ints) -> None:
        """Fit on ``train``; ``folds`` [S] says which fold each session is predicted in.

        Raises UserError when no training session holds a pair of bundled items.
        """
        # Evidence, two classifiers and perhaps an encoder a fold, and all of them once more on all sessions.
        fits = (3 + self._tuned.learns_from(len(train))) * (len(np.unique(folds)) + 1)
        with progress_bar(fits, "Teacher learns affinities", "fit") as self._bar:
            self._fit(train, folds)

    def _fit(self, train: Sequence[LabelledSession], folds: Ints) -> None:
        sessions = [labelled.session for labelled in train]
        table = self._table(sessions)
        together = co_bundled(train)
        if not together.any():
            raise UserError("no training session holds a bundle of two items: there is nothing to learn from")
        self._titles = TitleFeatures()
        self._titles.fit(table.titles, table.vectors)
        self.categories.fit(sessions, folds)
        self._bank = Described(table, self.categories.training_shares, self._titles.project(table.vectors))
        self._bundled = BundledItems.of(train, table, self._encoder)
        self._folds = folds
        labelled = LabelledPairs(table, together, folds)
        tuned, pair_fold = self._tuned.fit(labelled, self._bar.update), labelled.pair_fold
        evidence = self._out_of_fold_evidence(pair_fold, together)
        self._evidence = self._evidence_without(None, pair_fold, together)
        self._bar.update()
        features = self._features(table, evidence)
        first = self._cross_fit(features, together, pair_fold)
        self._first = PairClassifier(self._seed).fit(features, together)
        self._bar.update()
        widened = np.concatenate([features, session_context(table, first), first[:, None]], axis=1)
        self._out_of_fold = pooled(self._cross_fit(widened, together, pair_fold), tuned)
        self._second = PairClassifier(self._seed + 1).fit(widened, together)
        self._bar.update()

    def out_of_fold(self) -> list[Floats]:
        """Return the affinity matrix of each training session, predicted without its fold."""
        return self._matrices(self._bank.table, self._out_of_fold)

    def predict(self, sessions: Sequence[Session]) -> list[Floats]:
        """Return for each session its affinities, symmetric [n, n] in [0, 1] with a zero diagonal."""
        if not sessions:
            return []
        table = self._table(sessions)
        described = Described(table, self.categories.shares(sessions), self._titles.project(table.vectors))
        evidence = self._evidence.transform(described, np.arange(len(table.left)))
        features = self._features(table, evidence)
        first = self._first.predict(features)
        widened = np.concatenate([features, session_context(table, first), first[:, None]], axis=1)
        return self._matrices(table, pooled(self._second.predict(widened), self._tuned.transform(table)))

    def _table(self, sessions: Sequence[Session]) -> PairTable:
        titles = [item.text for session in sessions for item in session.items]
        return pair_table(sessions, self._encoder.encode(titles))

    def _out_of_fold_evidence(self, pair_fold: Ints, together: Flags) -> Floats:
        parts, rows = [], []
        for fold in np.unique(pair_fold):
            held = np.flatnonzero(pair_fold == fold)
            parts.append(self._evidence_without(int(fold), pair_fold, together).transform(self._bank, held))
            rows.append(held)
            self._bar.update()
        evidence = np.concatenate(parts)
        return evidence[np.argsort(np.concatenate(rows), kind="stable")]

    def _evidence_without(self, fold: int | None, pair_fold: Ints, together: Flags) -> Evidence:
        pairs = np.flatnonzero(pair_fold != (-1 if fold is None else fold))
        known = self._bundled.of_sessions(self._folds != (-1 if fold is None else fold))
        return Evidence(PairEvidence(self._bank, pairs, together), BundleNeighbours(known))

    def _features(self, table: PairTable, evidence: Floats) -> Floats:
        contexts = [session_context(table, column) for column in evidence[:, -BundleNeighbours.columns :].T]
        return np.concatenate([self._titles.transform(table), evidence, *contexts], axis=1)

    def _cross_fit(self, features: Floats, together: Flags, pair_fold: Ints) -> Floats:
        predicted = np.zeros(len(features))
        for fold in np.unique(pair_fold):
            held = pair_fold == fold
            model = PairClassifier(self._seed).fit(features[~held], together[~held])
            predicted[held] = model.predict(features[held])
            self._bar.update()
        return predicted

    @staticmethod
    def _matrices(table: PairTable, values: Floats) -> list[Floats]:
        # Four decimals: differences of the last bit between thread counts must not reach any text.
        return table.matrices(np.round(np.clip(values, 0.0, 1.0), 4).astype(np.float64))
