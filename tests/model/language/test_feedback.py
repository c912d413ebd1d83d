"""What a model is told about its answer."""

from __future__ import annotations

import pytest

from recbole_routedk.data.session import Bundle, Rejection, RejectionReason
from recbole_routedk.model.language.feedback import feedback, is_right
from recbole_routedk.model.language.talk import Reply

GOLD = (frozenset({0, 1, 2}), frozenset({3, 4}))
UNREADABLE = Rejection("[9]", RejectionReason.UNKNOWN_ITEM)
LONE = Rejection("[3]", RejectionReason.TOO_FEW_ITEMS)


def bundles(*positions: set[int]) -> tuple[Bundle, ...]:
    return tuple(map(frozenset, positions))


def told(reply: Reply) -> str:
    return "".join(part if isinstance(part, str) else f" {sorted(part)}" for part in feedback(reply, GOLD))  # type: ignore[type-var]


@pytest.mark.parametrize(
    "reply, words",
    [
        (Reply(bundles({0, 1, 2}, {3, 4})), "Bundle [0, 1, 2]: right.\nBundle [3, 4]: right.\n"),
        (
            Reply(bundles({5, 6}, {0, 3})),
            "Bundle [5, 6]: shares no item with a right bundle.\nBundle [0, 3]: holds items that do not belong.\n"
            "Right bundles that none of yours is near to: 1.\n",
        ),
        (
            Reply(bundles({0, 1}), (LONE,), lone_items=bundles({3})),
            "Bundle [0, 1]: misses items.\nBundle [3]: has one item only.\n"
            "Right bundles that none of yours is near to: 1.\n",
        ),
        (
            Reply((), (UNREADABLE, UNREADABLE)),
            "A part of your answer cannot be read.\nA part of your answer cannot be read.\n"
            "Right bundles that none of yours is near to: 2.\n",
        ),
        (Reply(()), "Right bundles that none of yours is near to: 2.\n"),
    ],
)
def test_every_error_type_has_its_words(reply: Reply, words: str) -> None:
    assert told(reply) == words


def test_an_answer_is_right_when_it_is_the_gold_bundles_alone() -> None:
    assert is_right(Reply(bundles({3, 4}, {0, 1, 2})), GOLD)
    assert not is_right(Reply(bundles({3, 4})), GOLD)
    assert not is_right(Reply(bundles({3, 4}, {0, 1, 2}), (UNREADABLE,)), GOLD)
