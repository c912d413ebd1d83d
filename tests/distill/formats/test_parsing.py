"""Answers of teachers, well and badly formed: what is read, what is refused and why."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_routedk.data.session import RejectionReason
from recbole_routedk.distill.formats.parsing import (
    ProposedRule,
    clean_phrase,
    parse_bundles,
    parse_causes,
    parse_rules,
    parse_thought,
)

UNREADABLE = [
    "",
    "the bundles are [[0, 1]]",
    '{"bundles": [[0, 1]]} I hope this helps',
    '[{"bundles": [[0, 1]]}]',
    '{"bundles": [[0, 1]]',
    '{"bundles": [[0, 1]], "bundles": [[0, 2]]}',
    '{"bundles": {"0": [0, 1]}}',
    '{"bundle": [[0, 1]]}',
    '{"bundles": [[0, NaN]]}',
    '{"bundles": [[0, ' + "9" * 5000 + "]]}",
    "[" * 100_000,
    '{"bundles":' * 100_000,
    "null",
]
REASONS = [
    ([0, 4], RejectionReason.UNKNOWN_ITEM),
    ([-1, 0], RejectionReason.UNKNOWN_ITEM),
    ([0, 1, 0], RejectionReason.DUPLICATE_ITEM),
    ([3], RejectionReason.TOO_FEW_ITEMS),
    ([], RejectionReason.TOO_FEW_ITEMS),
    ([2, 1], RejectionReason.DUPLICATE_BUNDLE),
    ([0, 1.0], RejectionReason.UNPARSABLE),
    ([True, 0], RejectionReason.UNPARSABLE),
    (["0", "1"], RejectionReason.UNPARSABLE),
    ({"0": 1}, RejectionReason.UNPARSABLE),
    (None, RejectionReason.UNPARSABLE),
]


@pytest.mark.parametrize("around", ["{}", " \n{}\n", "```json\n{}\n```", "```\n{}```", "  ```JSON\n{}\n```\n"])
def test_an_object_may_stand_in_white_space_and_a_fence(around: str) -> None:
    text = around.replace("{}", '{"bundles": [[0, 2], [3, 1]], "note": "not asked for"}')
    parsed = parse_bundles(text, 4)
    assert parsed.value == (frozenset({0, 2}), frozenset({1, 3}))
    assert parsed.rejected == ()


@pytest.mark.parametrize("text", UNREADABLE)
def test_whatever_else_is_refused_as_a_whole(text: str) -> None:
    parsed = parse_bundles(text, 4)
    assert parsed.value is None
    assert [refusal.reason for refusal in parsed.rejected] == [RejectionReason.UNPARSABLE]
    assert len(parsed.rejected[0].text) <= 80


@pytest.mark.parametrize(("entry", "reason"), REASONS)
def test_a_bundle_that_is_refused_leaves_the_others(entry: object, reason: RejectionReason) -> None:
    parsed = parse_bundles(json.dumps({"bundles": [[1, 2], entry, [0, 3]]}), 4)
    assert parsed.value == (frozenset({1, 2}), frozenset({0, 3}))
    assert [refusal.reason for refusal in parsed.rejected] == [reason]


def test_no_bundle_is_an_answer() -> None:
    assert parse_bundles('{"bundles": []}', 4).value == ()


def test_a_thought_holds_affinities_groups_and_intents() -> None:
    related = [[0, 2, 0.75], [3, 1, 1.5], [1, 2, -3], [2, 0, 0.1], [0, 0, 1], [0, 1, "much"], [0, 9, 1]]
    intents = [{"intent": " take\tphotos\u202e ", "items": [2, 0]}, {"intent": "", "items": [1, 3]}, {"items": [1, 3]}]
    parsed = parse_thought(json.dumps({"related": related, "intents": intents}), 4)
    expected = np.zeros((4, 4))
    expected[0, 2] = expected[2, 0] = 0.75
    expected[1, 3] = expected[3, 1] = 1.0
    assert parsed.value is not None
    assert np.array_equal(parsed.value.affinities, expected)
    assert parsed.value.groups == (frozenset({0, 2}),)
    assert parsed.value.intents == ("take photos",)
    assert sorted(refusal.reason.value for refusal in parsed.rejected) == [
        "duplicate bundle",
        "duplicate item",
        "unknown item",
        "unparsable",
        "unparsable",
        "unparsable",
    ]


def test_affinities_may_be_left_out_but_a_group_must_be_there() -> None:
    spoken = parse_thought('{"intents": [{"intent": "tea", "items": [0, 1]}]}', 2)
    assert spoken.value is not None
    assert not spoken.value.affinities.any()
    assert parse_thought('{"related": [[0, 1, 0.5]], "intents": []}', 2).value is None
    assert parse_thought('{"related": 3, "intents": []}', 2).value is None


def test_rules_have_a_verdict_and_two_sides_or_none() -> None:
    said = [
        {"rule": "Tents and stoves go together.", "verdict": "together", "left": "tents", "right": "stoves"},
        {"rule": "One intent a bundle.", "verdict": "general", "left": "anything", "right": ""},
        {"rule": "No sides.", "verdict": "apart", "left": "", "right": "tents"},
        {"rule": "Perhaps.", "verdict": "maybe", "left": "a", "right": "b"},
        {"rule": ["list"], "verdict": "apart", "left": "a", "right": "b"},
        "sentence",
    ]
    parsed = parse_rules(json.dumps({"rules": said}))
    assert parsed.value == (
        ProposedRule("Tents and stoves go together.", "together", "tents", "stoves"),
        ProposedRule("One intent a bundle.", "general"),
    )
    assert len(parsed.rejected) == 4


def test_causes_are_sentences() -> None:
    parsed = parse_causes('{"causes": ["too  large\\u0000", 7, " "]}')
    assert parsed.value == ("too large",)
    assert len(parsed.rejected) == 2


def test_phrases_are_cut_and_on_one_line() -> None:
    assert clean_phrase("a\n\x1b[31mb\ud800\u200bc", 60) == "a [31mbc"
    assert clean_phrase("word " * 100, 9) == "word word"


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**30) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={key: JSON_VALUES | st.lists(JSON_VALUES) for key in ("bundles", "causes", "rules", "related", "intents")},
)


@settings(max_examples=150, deadline=None)
@given(st.text() | ANSWERS.map(json.dumps) | JSON_VALUES.map(json.dumps), st.integers(0, 5))
def test_no_text_raises_and_what_is_read_is_valid(text: str, items: int) -> None:
    parse_causes(text)
    parse_rules(text)
    for group in parse_bundles(text, items).value or ():
        assert len(group) >= 2
        assert group <= set(range(items))
    thought = parse_thought(text, items).value
    if thought is not None:
        assert len(thought.groups) == len(thought.intents) >= 1
        assert thought.affinities.min() >= 0.0
        assert thought.affinities.max() <= 1.0


def test_an_answer_without_measure_is_read_up_to_a_measure() -> None:
    # All 1,013 groups of ten items are valid, but no session has more bundles than items.
    groups = [[item for item in range(10) if number >> item & 1] for number in range(1024)]
    groups = [group for group in groups if len(group) > 1]

    bundles = parse_bundles(json.dumps({"bundles": groups}), 10)
    thought = parse_thought(json.dumps({"intents": [{"intent": "x", "items": group} for group in groups]}), 10)
    causes = parse_causes(json.dumps({"causes": ["why"] * 1000}))
    rule = {"rule": "r", "verdict": "general", "left": "", "right": ""}
    rules = parse_rules(json.dumps({"rules": [rule] * 6000}))

    assert bundles.value is not None
    assert thought.value is not None
    assert list(bundles.value) == list(thought.value.groups) == [frozenset(group) for group in groups[:10]]
    assert causes.value == ("why",) * 50
    assert rules.value is not None
    assert len(rules.value) == 5000
    for parsed in (bundles, thought, causes, rules):
        assert {rejection.reason for rejection in parsed.rejected} == {RejectionReason.TOO_MANY}
    assert len(bundles.rejected) == 1003


def test_related_pairs_are_not_limited_by_the_number_of_items() -> None:
    pairs = [[left, right, 0.5] for left in range(9) for right in range(left + 1, 9)]
    parsed = parse_thought(json.dumps({"related": pairs, "intents": [{"intent": "x", "items": [0, 1]}]}), 9)
    assert parsed.rejected == ()
