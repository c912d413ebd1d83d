"""A session's items in several orders: bundles do not hang on the order, a language model's answer does.

Answers to the same session in several orders are put back into its own and agree with one another as samples do
("permutation self-consistency", Tang et al. 2024, arXiv 2310.07712, there for rankings).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from recbole_routedk.data.session import Session
from recbole_routedk.evaluation.bayes_risk import Answer


def item_order(session: Session, number: int, seed: int) -> list[int]:
    """Return the places of a session's items in its order ``number``: 0 is its own, others are drawn.

    They depend on seed, number and session id alone, whatever else is answered.
    """
    if number == 0:
        return list(range(len(session)))
    name = zlib.crc32(session.session_id.encode("utf-8", "surrogatepass"))
    return [int(place) for place in np.random.default_rng([seed, number, name]).permutation(len(session))]


def put_back(answer: Answer, order: Sequence[int]) -> Answer:
    """Return an answer to a session read in ``order`` as one to the session in its own order."""
    return tuple(sorted((frozenset(order[place] for place in bundle) for bundle in answer), key=sorted))
