"""Sessions and their labels."""

from __future__ import annotations

import pytest

from recbole_routedk.data.session import Bundle, Item, LabelledSession, Session, with_counted_bundles

SESSION = Session("s", tuple(Item(f"i{place}", f"title {place}") for place in range(4)))
WHOLE, PAIR, OTHER = frozenset(range(4)), frozenset({0, 1}), frozenset({2, 3})


@pytest.mark.parametrize(
    ("bundles", "intents", "counted", "theirs"),
    [
        ((WHOLE, PAIR), ("everything", "a pair"), (PAIR,), ("a pair",)),
        ((PAIR, OTHER, PAIR), ("first", "other", "again"), (PAIR, OTHER), ("first", "other")),
        ((WHOLE, PAIR), (), (PAIR,), ()),
        ((), (), (), ()),
    ],
    ids=["superset", "annotated twice", "no intents", "no bundle"],
)
def test_gold_bundles_that_do_not_count_go_with_their_intents(
    bundles: tuple[Bundle, ...], intents: tuple[str, ...], counted: tuple[Bundle, ...], theirs: tuple[str, ...]
) -> None:
    kept = with_counted_bundles(LabelledSession(SESSION, bundles, intents))

    assert (kept.bundles, kept.intents) == (counted, theirs)
