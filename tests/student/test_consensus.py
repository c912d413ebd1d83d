"""Consensus on hand-computed cases."""

from __future__ import annotations

import pytest

from recbole_routedk.data.session import Bundle
from recbole_routedk.evaluation.bayes_risk import Answer
from recbole_routedk.evaluation.metrics import matched_f1
from recbole_routedk.student.consensus import Advice, agreed, bundle_vote, minimum_bayes_risk, paired_groups

AB, CD, EF, GH = (frozenset(pair) for pair in ((0, 1), (2, 3), (4, 5), (6, 7)))


def exact_f1(reference: tuple[Bundle, ...], answer: tuple[Bundle, ...]) -> float:
    """F1 of the bundles that are in both."""
    return 2 * len(set(reference) & set(answer)) / (len(reference) + len(answer))


def test_mbr_returns_the_sample_that_agrees_best() -> None:
    samples: list[Answer] = [(AB,), (AB, CD), (AB, EF)]
    # (AB): (1 + 2/3 + 2/3) / 3 = 7/9; (AB, CD): (2/3 + 1 + 1/2) / 3 = 13/18; the vote gives (AB) again.
    answer, agreement = minimum_bayes_risk(samples, exact_f1)
    assert answer == (AB,)
    assert agreement == pytest.approx(7 / 9)


def test_mbr_can_answer_what_no_sample_is() -> None:
    samples: list[Answer] = [(AB, CD), (AB, EF), (CD, EF)]
    # Each sample: (1 + 1/2 + 1/2) / 3 = 2/3. Voted (AB, CD, EF): 4/5 with each of the three.
    answer, agreement = minimum_bayes_risk(samples, exact_f1)
    assert answer == (AB, CD, EF)
    assert agreement == pytest.approx(4 / 5)


def test_mbr_gives_ties_to_the_earlier_sample() -> None:
    assert minimum_bayes_risk([(CD,), (AB,), (EF,)], exact_f1) == ((CD,), 1 / 3)


@pytest.mark.parametrize("consensus", [lambda s: minimum_bayes_risk(s, matched_f1), lambda s: bundle_vote(s, 0.5)])
def test_a_single_sample_answers_itself_with_agreement_one(consensus) -> None:  # type: ignore[no-untyped-def]
    assert consensus([(AB, EF)]) == ((AB, EF), 1.0)


def test_advice_votes_with_its_share_and_can_be_answered() -> None:
    samples: list[Answer] = [(AB,), (AB,)]
    # (CD): 0.6 of the votes; (AB): 0.4.
    assert minimum_bayes_risk(samples, exact_f1, advice=Advice([(CD,)], 0.6)) == ((CD,), pytest.approx(0.6))
    assert minimum_bayes_risk(samples, exact_f1, advice=Advice([(CD,)], 0.4)) == ((AB,), pytest.approx(0.6))
    # Two advisers share the 0.6: (AB) has 0.4 + 0.3 / 3 * 2 = 0.6 with (AB, EF) meeting it half, 2/3.
    answer, agreement = minimum_bayes_risk(samples, exact_f1, advice=Advice([(CD,), (AB, EF)], 0.6))
    assert (answer, agreement) == ((AB,), pytest.approx(0.4 + 0.3 * 2 / 3))


def test_without_a_share_or_without_advice_the_samples_decide() -> None:
    samples: list[Answer] = [(AB,), (AB,), (CD,)]
    for advice in (Advice([(EF,)], 0.0), Advice([], 0.9)):
        assert minimum_bayes_risk(samples, exact_f1, advice=advice) == ((AB,), pytest.approx(2 / 3))
    assert agreed(samples, "vote", 0.5, exact_f1, advice=Advice([(EF,)], 0.9)) == bundle_vote(samples, 0.5)


def test_vote_keeps_the_bundles_that_reach_the_share_in_canonical_order() -> None:
    samples: list[Answer] = [(CD, EF), (AB, CD), (AB,), (GH,)]
    # Votes: AB 2, CD 2, EF 1, GH 1 of four.
    assert bundle_vote(samples, 0.5) == ((AB, CD), 0.5)
    assert bundle_vote(samples, 0.25) == ((AB, CD, EF, GH), (2 + 2 + 1 + 1) / 16)


def test_where_none_reaches_the_share_the_most_frequent_of_all_is_answered() -> None:
    assert bundle_vote([(CD,), (AB,), (AB, EF)], 0.9) == ((AB,), 2 / 3)
    assert bundle_vote([(EF,), (CD,), (AB,)], 0.9) == ((EF,), 1 / 3)


def test_a_share_that_is_met_exactly_counts() -> None:
    # 0.28 * 25 is 7.000000000000001 in floating point.
    assert bundle_vote([(AB,)] * 7 + [(CD,)] * 18, 0.28)[0] == (AB, CD)


def test_empty_samples_give_an_empty_answer() -> None:
    assert bundle_vote([(), ()], 0.5) == ((), 0.0)


def test_pairs_that_samples_agree_on_make_groups() -> None:
    samples: list[Answer] = [(frozenset({0, 1, 2}), EF), (AB, frozenset({3, 6})), (frozenset({1, 2}), EF), (EF,)]
    # 0-1 and 1-2 are together in two of four samples, 4-5 in three, 0-2 and 3-6 in one.
    assert paired_groups(samples, 0.75) == (EF,)
    assert paired_groups(samples, 0.5) == (frozenset({0, 1, 2}), EF)
    assert paired_groups(samples, 0.25) == (frozenset({0, 1, 2}), frozenset({3, 6}), EF)
    assert paired_groups(samples, 1.0) == ()


def test_mbr_may_answer_what_it_is_given_beside_the_samples() -> None:
    samples: list[Answer] = [(AB,), (CD,), (frozenset({0, 2}),), (frozenset({1, 3}),)]
    whole = frozenset({0, 1, 2, 3})
    # Each sample agrees with itself and shares a third with two others: (1 + 1/3 + 1/3) / 4 = 5/12. The whole has
    # a Jaccard of 1/2 with each.
    assert minimum_bayes_risk(samples, matched_f1, [(whole,)]) == ((whole,), pytest.approx(1 / 2))
    assert minimum_bayes_risk([(AB,)], matched_f1, [(whole,)]) == ((AB,), 1.0)
