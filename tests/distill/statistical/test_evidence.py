"""Evidence about pairs: what it rests on."""

from __future__ import annotations

import numpy as np
from small_store import small_split

from recbole_routedk.distill.encoder import SentenceEncoder
from recbole_routedk.distill.statistical.category import SessionCategories
from recbole_routedk.distill.statistical.evidence import Described, PairEvidence
from recbole_routedk.distill.statistical.features import TitleFeatures
from recbole_routedk.distill.statistical.pairs import co_bundled, pair_table, session_folds


def test_evidence_of_held_pairs_rests_on_the_labels_of_the_others_alone() -> None:
    train = small_split(0, 20)
    sessions = [labelled.session for labelled in train]
    folds = session_folds(len(train), 4, 1)
    categories = SessionCategories(SentenceEncoder(), 2)
    categories.fit(sessions, folds)
    titles = [item.title for session in sessions for item in session.items]
    table = pair_table(sessions, SentenceEncoder().encode(titles))
    features = TitleFeatures()
    features.fit(titles, table.vectors)
    bank = Described(table, categories.training_shares, features.project(table.vectors))
    together = co_bundled(train)
    in_fold = folds[table.pair_session] == 0
    held, others = np.flatnonzero(in_fold), np.flatnonzero(~in_fold)

    def evidence(labels: np.ndarray) -> np.ndarray:
        return PairEvidence(bank, others, labels).transform(bank, held)

    plain = evidence(together)
    assert np.isfinite(plain).all()
    assert np.array_equal(plain, evidence(np.where(in_fold, ~together, together)))
    turned = evidence(np.where(in_fold, together, ~together))
    # Metric and borrowed bundles are learnt: other labels, other columns.
    assert (np.abs(plain - turned)[:, 9:19].max(0) > 1e-3).all()
