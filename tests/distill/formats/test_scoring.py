"""Rules merged, scored and selected on sessions counted by hand, and the pairs that they speak about."""

from __future__ import annotations

import numpy as np
import pytest

from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.distill.formats.matching import PairIndex, normalised_sides
from recbole_routedk.distill.formats.parsing import ProposedRule
from recbole_routedk.distill.formats.scoring import ProposedBatch, RuleScorer, RuleSelection
from recbole_routedk.distill.statistical.traits import ItemTraits

TOGETHER = ProposedRule("Tents and stoves go together.", "together", "Tents", "stove")
SWAPPED = ProposedRule("Stoves go with tents", "together", "STOVE", "tents")
APART = ProposedRule("tents and lamps stay apart", "apart", "tents", "lamp")
SEEN = ItemTraits(("Tents", "", ""), (frozenset({"dome"}), frozenset({"gas", "stove"}), frozenset({"lamp"})))


def labelled(number: int, *bundles: frozenset[int]) -> LabelledSession:
    """A tent, a stove and a lamp."""
    items = tuple(Item(str(place), title) for place, title in enumerate(("dome", "gas stove", "lamp")))
    return LabelledSession(Session(str(number), items), bundles)


def scorer(*proposed: tuple[int, list[ProposedRule]], selection: RuleSelection | None = None) -> RuleScorer:
    """Twenty sessions, ten a fold; the tent is bundled with the stove in all but the last, never with the lamp."""
    sessions = [labelled(number, frozenset({0, 1})) for number in range(19)] + [labelled(19, frozenset({1, 2}))]
    batches = [ProposedBatch(fold, tuple(rules)) for fold, rules in proposed]
    folds = np.array([0] * 10 + [1] * 10)
    return RuleScorer(batches, sessions, [SEEN] * 20, folds, selection or RuleSelection())


def test_a_side_is_a_category_or_all_words_of_a_title_in_any_order() -> None:
    index = PairIndex([normalised_sides("Stove", "tents"), normalised_sides("stove gas", "LAMP"), ("boot", "lamp")])
    assert dict(index.pairs(SEEN)) == {0: [(0, 1)], 1: [(1, 2)]}
    twice = PairIndex([normalised_sides("lamp", "lamp")])
    assert twice.pairs(SEEN) == {}
    assert twice.pairs(ItemTraits(("", ""), (frozenset({"lamp"}), frozenset({"lamp"})))) == {0: [(0, 1)]}


def test_the_same_rule_in_other_words_is_one_rule_scored_by_sessions() -> None:
    merged = scorer((0, [TOGETHER, TOGETHER, APART]), (1, [SWAPPED]), (1, [SWAPPED]))
    assert merged.different == 2
    together, apart = merged.book().rules()
    # 19 of the 20 sessions with both sides; the wording that more batches use.
    assert together.text == "Stoves go with tents (support 19, 95%)"
    assert (together.support, together.confidence, together.precision, together.coverage) == (19, 0.95, 0.95, 1.0)
    assert (together.left, together.right, together.verdict) == ("STOVE", "tents", "together")
    assert apart.text == "tents and lamps stay apart (0 of 20 sessions)"
    assert (apart.support, apart.confidence, apart.precision) == (0, 0.0, 1.0)


def test_a_verdict_that_sessions_deny_is_dropped() -> None:
    denied = ProposedRule("tents go with lamps", "together", "tents", "lamp")
    assert scorer((0, [denied])).book().rules() == ()


def test_a_fold_is_spared_its_own_proposals_and_its_own_sessions() -> None:
    own = scorer((0, [TOGETHER]), (1, [SWAPPED]))
    (rule,) = own.book(without_fold=0).rules()
    assert rule.text == "Stoves go with tents (support 9, 90%)"
    (rule,) = own.book(without_fold=1).rules()
    assert rule.text == "Tents and stoves go together (support 10, 100%)"
    assert scorer((0, [TOGETHER])).book(without_fold=0).rules() == ()


@pytest.mark.parametrize(
    ("selection", "verdicts"),
    [
        (RuleSelection(), ["together", "apart"]),
        (RuleSelection(least_precision=0.96), ["apart"]),
        (RuleSelection(least_coverage=1.0), ["together", "apart"]),
        (RuleSelection(least_precision=1.1), []),
    ],
)
def test_rules_below_the_least_precision_or_coverage_are_dropped(selection: RuleSelection, verdicts: list[str]) -> None:
    book = scorer((0, [TOGETHER, APART]), selection=selection).book()
    assert [rule.verdict for rule in book.rules()] == verdicts


def test_rare_sides_are_dropped_by_coverage() -> None:
    rows = [labelled(number, frozenset({0, 1})) for number in range(5)]
    bare = ItemTraits(("", "", ""), (frozenset(), frozenset(), frozenset()))
    traits, folds = [SEEN] * 4 + [bare], np.zeros(5, dtype=np.int64)
    for least, kept in ((0.8, 1), (0.81, 0)):
        own = RuleScorer([ProposedBatch(0, (TOGETHER,))], rows, traits, folds, RuleSelection(0.0, least))
        assert len(own.book().rules()) == kept


def test_general_rules_tell_how_many_batches_state_them_and_match_no_pair() -> None:
    one, two = ProposedRule("One intent a bundle.", "general"), ProposedRule("one intent a bundle", "general")
    book = scorer((0, [one]), (1, [two, one]), (1, [TOGETHER])).book()
    first, second = book.rules()
    assert first.text == "One intent a bundle. (stated by 2 of 3 batches)"
    assert (first.verdict, first.left, first.precision) == ("general", "", 2 / 3)
    assert second.verdict == "together"
    assert [match.rule for match in book.matches(SEEN)] == [second]


def test_matches_are_strongest_first_with_the_pairs_they_speak_about() -> None:
    first, second = scorer((0, [APART, TOGETHER])).book().matches(SEEN)
    assert (first.rule.left, first.pairs) == ("Tents", ((0, 1),))
    assert (second.rule.right, second.pairs) == ("lamp", ((0, 2),))


def test_a_rule_about_many_pairs_is_as_precise_as_the_pairs_that_it_speaks_about() -> None:
    # "gadget" stands in all three titles of every session, and one pair of three is bundled.
    rows = [labelled(number, frozenset({0, 1})) for number in range(20)]
    every = ItemTraits(("", "", ""), (frozenset({"gadget"}),) * 3)
    broad = ProposedRule("gadgets go together", "together", "gadget", "gadget")
    folds = np.zeros(20, dtype=np.int64)
    book = RuleScorer([ProposedBatch(0, (broad,))], rows, [every] * 20, folds, RuleSelection()).book()
    assert book.rules() == ()


def test_no_proposal_is_no_rule() -> None:
    assert scorer().book().rules() == ()
    assert scorer().book().matches(SEEN) == ()
