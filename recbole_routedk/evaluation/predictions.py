"""Predicted bundles from a JSON file: ``{"<session id>": [[0, 3], [1, 2, 4]], ...}``, 0-based positions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from reprlib import Repr
from typing import Any, NoReturn

from recbole_routedk.data.files import read_text
from recbole_routedk.data.session import Bundle, Generation, Rejection, RejectionReason, Session
from recbole_routedk.errors import UserError

_LAYOUT = 'it must hold one object such as {"31": [[0, 3], [1, 2, 4]], "81": []}'

_short = Repr()
_short.maxstring = _short.maxother = _short.maxlong = 80


def read_predictions(
    path: Path, sessions: Sequence[Session], other_splits: Mapping[str, str] | None = None
) -> list[Generation]:
    """Return what the file predicts for each of ``sessions``, in their order.

    A session that the file lacks has an empty generation. A bundle with fewer than two items, or with
    an item twice, is rejected, as a model's own parser would; a bundle given twice is kept as given.
    ``other_splits`` maps the ids of sessions that must not be predicted here to the split they are in,
    for the error message. Raises UserError for a file that is no such JSON, an unknown session, and a
    position that is no whole number or lies outside its session.
    """
    known = {session.session_id: session for session in sessions}
    answers = _read_object(path)
    for session_id in answers:
        if session_id not in known:
            split = (other_splits or {}).get(session_id)
            where = f"is in the {split} split, not in the one scored" if split else "is in no split"
            raise UserError(
                f"{path}: session {_short.repr(session_id)} {where} of the dataset; predict only the "
                f"{len(known)} sessions of the split that you evaluate"
            )
    return [_generation(path, session, answers.get(session.session_id, [])) for session in sessions]


def _generation(path: Path, session: Session, answer: Any) -> Generation:
    where = f"{path}: session {_short.repr(session.session_id)}"
    if not isinstance(answer, list):
        raise UserError(f"{where}: {_short.repr(answer)} is not a list of bundles, such as [[0, 3], [1, 2]]")
    bundles: list[Bundle] = []
    rejected: list[Rejection] = []
    for positions in answer:
        _check_positions(where, len(session), positions)
        reason = _rejection_reason(positions)
        if reason is None:
            bundles.append(frozenset(positions))
        else:
            rejected.append(Rejection(text=json.dumps(positions), reason=reason))
    return Generation(bundles=tuple(bundles), rejected=tuple(rejected))


def _check_positions(where: str, items: int, positions: Any) -> None:
    if not isinstance(positions, list):
        raise UserError(f"{where}: bundle {_short.repr(positions)} is no list of positions such as [0, 3]")
    for position in positions:
        # True and 1.0 equal 1 in Python, but in a file they are slips that would be scored in silence.
        if type(position) is not int or not 0 <= position < items:
            raise UserError(
                f"{where}: position {_short.repr(position)} is not one of its {items} items; use whole "
                f"numbers from 0 to {items - 1}"
            )


def _rejection_reason(positions: list[int]) -> RejectionReason | None:
    if len(set(positions)) < len(positions):
        return RejectionReason.DUPLICATE_ITEM
    return RejectionReason.TOO_FEW_ITEMS if len(positions) < 2 else None


def _read_object(path: Path) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise UserError(f"{path}: the key {_short.repr(key)} is given twice; keep one")
            found[key] = value
        return found

    def refuse(constant: str) -> NoReturn:
        raise UserError(f"{path}: {constant} is not a position; use whole numbers from 0")

    text = read_text(path)
    try:
        answers = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}; {_LAYOUT}") from error
    except RecursionError as error:
        raise UserError(f"{path} is nested too deeply; {_LAYOUT}") from error
    if not isinstance(answers, dict):
        raise UserError(f"{path} holds no JSON object; {_LAYOUT}")
    return answers
