"""Every metric against cases worked out by hand, brute force and properties that must always hold."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_routedk.data.session import Bundle, LabelledSession, Session
from recbole_routedk.evaluation import metrics
from recbole_routedk.evaluation.metrics import score_sessions

BUNDLE = st.frozensets(st.integers(0, 7), min_size=2, max_size=5)
BUNDLES = st.lists(BUNDLE, max_size=4)
GOLD_BUNDLES = st.lists(BUNDLE, min_size=1, max_size=4, unique=True)
SESSIONS = st.lists(st.tuples(GOLD_BUNDLES, BUNDLES), min_size=1, max_size=5)


def bundles(*texts: str) -> list[Bundle]:
    """``bundles("01", "234")`` is [{0, 1}, {2, 3, 4}]."""
    return [frozenset(map(int, text)) for text in texts]


def brute_force_matched_f1(gold: list[Bundle], predicted: list[Bundle]) -> float:
    few, many = sorted([set(gold), set(predicted)], key=len)
    best = max(
        sum(Fraction(len(a & b), len(a | b)) for a, b in zip(few, chosen, strict=True))
        for chosen in permutations(many, len(few))
    )
    return float(2 * best / (len(few) + len(many))) if many else 0.0


def test_gold_bundles_drop_repeats_and_strict_supersets_and_keep_the_order() -> None:
    labelled = LabelledSession(Session("s", ()), tuple(bundles("345", "012", "34", "01", "34", "67")))
    assert metrics.gold_bundles(labelled) == bundles("34", "01", "67")


def test_a_prediction_hits_the_first_gold_bundle_that_holds_it() -> None:
    gold = bundles("0123", "014")
    assert metrics.hit_coverages(gold, bundles("01", "14", "04", "05")) == [2 / 4, 2 / 3, 2 / 3]
    assert metrics.hit_coverages(gold[::-1], bundles("01")) == [2 / 3]
    assert metrics.hit_coverages(gold, bundles("01234")) == []


@pytest.mark.parametrize(
    ("gold", "predicted", "precision", "recall", "bundle_f1", "matched_f1", "pair_f1"),
    [
        # One exact and one wrong prediction for two gold bundles.
        (["01", "23"], ["01", "45"], 1 / 2, 1 / 2, 1 / 2, 1 / 2, 1 / 2),
        # A subset hits, is not exact, has Jaccard 2/3 (F1 2*(2/3)/2) and one of the three pairs (2/(1+3)).
        (["012"], ["01"], 1, 1, 0, 2 / 3, 1 / 2),
        # A superset does not hit, yet is as near.
        (["01"], ["012"], 0, 0, 0, 2 / 3, 1 / 2),
        # All three pairs of one bundle: recall counts hits over predictions. One of three is matched:
        # 2*(2/3)/(3+1); together they are exactly the gold pairs.
        (["012"], ["01", "02", "12"], 1, 3, 0, 1 / 3, 1),
        # A repeated bundle counts twice for the published three and once for the sets.
        (["01", "23"], ["01", "01"], 1, 1, 2 / 3, 2 / 3, 2 / 3),
        # An exact match and 012 with 0124 (3/4); six of the nine gold pairs are found.
        (["0123", "0124"], ["0123", "012"], 1, 1, 1 / 2, (1 + 3 / 4) / 2, 12 / 15),
        (["01"], [], 0, 0, 0, 0, 0),
        ([], ["01"], 0, 0, 0, 0, 0),
        ([], [], 0, 0, 0, 0, 0),
    ],
)
def test_one_session_by_hand(
    gold: list[str],
    predicted: list[str],
    precision: float,
    recall: float,
    bundle_f1: float,
    matched_f1: float,
    pair_f1: float,
) -> None:
    g, p = bundles(*gold), bundles(*predicted)
    assert metrics.session_precision(g, p) == pytest.approx(precision)
    assert metrics.session_recall(g, p) == pytest.approx(recall)
    assert metrics.bundle_f1(g, p) == pytest.approx(bundle_f1)
    assert metrics.matched_f1(g, p) == pytest.approx(matched_f1)
    assert metrics.pair_f1(g, p) == pytest.approx(pair_f1)


def test_matched_f1_takes_the_best_assignment_where_greedy_would_not() -> None:
    # Greedy takes 012~0123 (3/4) and is left with 034~01 (1/4),
    # 1 in all; 012~01 with 034~0123 is 2/3 + 2/5 = 16/15.
    assert metrics.matched_f1(bundles("01", "0123"), bundles("012", "034")) == pytest.approx(2 * 16 / 15 / 4)


def test_many_sessions_by_hand() -> None:
    gold = [bundles("01", "23"), bundles("0123"), bundles("12")]
    predictions = [bundles("01", "02"), bundles("012", "01", "23"), []]
    scores = score_sessions(gold, predictions, rejected_counts=[1, 0, 2])
    assert scores == pytest.approx(
        {
            "precision": (1 / 2 + 1 + 0) / 3,
            "recall": (1 / 2 + 3 + 0) / 3,
            "coverage": (1 + 3 / 4 + 2 / 4 + 2 / 4) / 4,
            "precision_drop_empty": (1 / 2 + 1) / 2,
            "recall_drop_empty": (1 / 2 + 3) / 2,
            "coverage_drop_empty": (1 + 3 / 4 + 2 / 4 + 2 / 4) / 4,
            "bundlef1": (2 * 1 / 4 + 0 + 0) / 3,
            # Session 1: 01~01 and 02~23 (1/3): 2(4/3)/4. Session 2: 012~0123 alone: 2(3/4)/4.
            "matchedf1": (2 / 3 + 3 / 8 + 0) / 3,
            # Session 1: one common pair of two and two. Session 2: 01, 02, 12, 23 of six: 2*4/10.
            "pairf1": (1 / 2 + 4 / 5 + 0) / 3,
            "emptyrate": 1 / 3,
            "invalidrate": 3 / (3 + 5),
        }
    )


def test_no_session_and_nothing_generated_score_zero() -> None:
    assert set(score_sessions([], []).values()) == {0.0}
    scores = score_sessions([bundles("01")], [[]])
    assert scores.pop("emptyrate") == 1
    assert set(scores.values()) == {0.0}


def test_sessions_that_do_not_line_up_are_refused() -> None:
    with pytest.raises(ValueError, match="hold 1, 2 and 1"):
        score_sessions([bundles("01")], [[], []])


@settings(max_examples=150, deadline=None)
@given(GOLD_BUNDLES, st.lists(BUNDLE, min_size=1, max_size=4))
def test_matched_f1_equals_brute_force_over_all_assignments(gold: list[Bundle], predicted: list[Bundle]) -> None:
    assert metrics.matched_f1(gold, predicted) == pytest.approx(brute_force_matched_f1(gold, predicted))


@settings(max_examples=100, deadline=None)
@given(SESSIONS)
def test_scores_lie_between_zero_and_one_except_recall(
    sessions: list[tuple[list[Bundle], list[Bundle]]],
) -> None:
    scores = score_sessions([gold for gold, _ in sessions], [predicted for _, predicted in sessions])
    for key in ("recall", "recall_drop_empty"):
        assert 0 <= scores.pop(key) <= 4
    assert all(0 <= value <= 1 + 1e-12 for value in scores.values())
    assert scores["bundlef1"] <= scores["matchedf1"] + 1e-12


@settings(max_examples=100, deadline=None)
@given(SESSIONS, st.randoms(use_true_random=False))
def test_the_order_of_sessions_and_predictions_does_not_matter(
    sessions: list[tuple[list[Bundle], list[Bundle]]], random: Random
) -> None:
    shuffled = [(gold, random.sample(predicted, len(predicted))) for gold, predicted in sessions]
    random.shuffle(shuffled)
    before = score_sessions(*map(list, zip(*sessions, strict=True)))
    after = score_sessions(*map(list, zip(*shuffled, strict=True)))
    assert after == pytest.approx(before)


@settings(max_examples=100, deadline=None)
@given(st.lists(GOLD_BUNDLES, min_size=1, max_size=5))
def test_a_perfect_prediction_scores_one(sessions: list[list[Bundle]]) -> None:
    labelled = [LabelledSession(Session("s", ()), tuple(gold)) for gold in sessions]
    gold = [metrics.gold_bundles(session) for session in labelled]
    scores = score_sessions(gold, gold)
    assert (scores.pop("emptyrate"), scores.pop("invalidrate")) == (0, 0)
    assert all(value == pytest.approx(1) for value in scores.values())


@settings(max_examples=50, deadline=None)
@given(GOLD_BUNDLES, BUNDLES)
def test_a_repeated_prediction_does_not_move_the_set_metrics(gold: list[Bundle], predicted: list[Bundle]) -> None:
    for score in (metrics.bundle_f1, metrics.matched_f1, metrics.pair_f1):
        assert score(gold, predicted * 2) == pytest.approx(score(gold, predicted))
