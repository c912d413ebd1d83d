"""Parsing free answers: total, never outside the session, and every refusal has its reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_routedk.data.answers import parse_answer
from recbole_routedk.data.session import RejectionReason

LABELS = ("A", "B", "C", "D", "a", "AA")


@pytest.mark.parametrize(
    "text, bundles",
    [
        ("A C; B D", [{0, 2}, {1, 3}]),
        (" A B C", [{0, 1, 2}]),
        ("A, B; C, AA\n", [{0, 1}, {2, 5}]),
        ("A a\nB AA", [{0, 4}, {1, 5}]),
        ("", []),
        (" ; \n ;;", []),
    ],
)
def test_answers_that_are_understood(text: str, bundles: list[set[int]]) -> None:
    parsed, rejected = parse_answer(text, LABELS)
    assert parsed == tuple(frozenset(bundle) for bundle in bundles)
    assert rejected == ()


@pytest.mark.parametrize(
    "chunk, reason",
    [
        ("A E", RejectionReason.UNKNOWN_ITEM),
        ("A b", RejectionReason.UNKNOWN_ITEM),
        ("A B A", RejectionReason.DUPLICATE_ITEM),
        ("D", RejectionReason.TOO_FEW_ITEMS),
        ("C B", RejectionReason.DUPLICATE_BUNDLE),
        ("A and B", RejectionReason.UNPARSABLE),
        ("A-B", RejectionReason.UNPARSABLE),
        ("A <|im_end|>", RejectionReason.UNPARSABLE),
    ],
)
def test_a_bundle_that_is_refused_leaves_the_others(chunk: str, reason: RejectionReason) -> None:
    parsed, rejected = parse_answer(f"B C; {chunk}; C D", LABELS)
    assert parsed == (frozenset({1, 2}), frozenset({2, 3}))
    assert [(refusal.text, refusal.reason) for refusal in rejected] == [(chunk, reason)]


def test_every_reason_is_in_the_cases_above() -> None:
    _, rejected = parse_answer("B C; A E; A B A; D; C B; A-B", LABELS)
    # A student's answer is bounded by answer_tokens, so there is never too much of it.
    assert {refusal.reason for refusal in rejected} == set(RejectionReason) - {RejectionReason.TOO_MANY}


def test_a_long_refusal_is_quoted_in_part() -> None:
    _, rejected = parse_answer("x" * 1_000_000, LABELS)
    assert len(rejected[0].text) == 80


@given(st.text() | st.text(alphabet="ABCDEa;,\n -<|>"), st.integers(0, 6))
def test_any_text_gives_distinct_bundles_of_the_session(text: str, items: int) -> None:
    parsed, rejected = parse_answer(text, LABELS[:items])
    assert all(len(bundle) >= 2 and bundle <= set(range(items)) for bundle in parsed)
    assert len(set(parsed)) == len(parsed)
    chunks = [chunk for line in text.split("\n") for chunk in line.split(";") if chunk.replace(",", " ").split()]
    assert len(parsed) + len(rejected) == len(chunks)
