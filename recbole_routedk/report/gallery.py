"""The test sessions that a reader can look through: what each model answered beside the gold bundles."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from recbole_routedk.data.session import Bundle, LabelledSession
from recbole_routedk.evaluation.metrics import gold_bundles, pair_f1
from recbole_routedk.report.gates import expert_names
from recbole_routedk.report.runs import Run

RIGHT, PARTLY, WRONG = "right", "partly", "wrong"
_DIGITS = 4
_STEERING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""Characters that embed, override and isolate directions of writing: they would reorder what stands beside them."""


def gallery(test: Sequence[LabelledSession], runs: Sequence[Run], most: int) -> dict[str, Any]:
    """The data of the gallery: at most ``most`` sessions, evenly spread over ``test``, and the answers of each run."""
    chosen = spread_out(test, most)
    return {
        "total": len(test),
        "sessions": [_session(labelled) for labelled in chosen],
        "models": [_model(run, chosen) for run in runs],
    }


def spread_out(test: Sequence[LabelledSession], most: int) -> list[LabelledSession]:
    """At most ``most`` of the sessions, in order and evenly spread: files are often sorted by length."""
    count = min(len(test), most)
    return [test[place * len(test) // count] for place in range(count)]


def verdict(gold: Sequence[Bundle], predicted: Sequence[Bundle]) -> str:
    """Right: the gold bundles and nothing else. Wrong: no two items that belong together were put together."""
    if set(gold) == set(predicted):
        return RIGHT
    return PARTLY if pair_f1(gold, predicted) > 0 else WRONG


def shown_text(text: str) -> str:
    """Text of strangers as it is safe beside other text: control and direction characters become visible."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    hidden = code in _STEERING or unicodedata.category(character) in ("Cc", "Cs")
    return "\N{REPLACEMENT CHARACTER}" if hidden else character


def _session(labelled: LabelledSession) -> dict[str, Any]:
    gold = gold_bundles(labelled)
    intents = dict(zip(labelled.bundles, labelled.intents, strict=True)) if labelled.intents else {}
    return {
        "id": shown_text(labelled.session.session_id),
        "titles": [shown_text(item.title) for item in labelled.session.items],
        "gold": [sorted(bundle) for bundle in gold],
        "intents": [shown_text(intents.get(bundle, "")) for bundle in gold],
    }


def _model(run: Run, chosen: Sequence[LabelledSession]) -> dict[str, Any]:
    answers = [_answer(run, labelled) for labelled in chosen]
    count = max((len(answer["gates"]) for answer in answers), default=0)
    experts = expert_names(run, count) if count > 1 else ()
    return {"name": shown_text(run.name), "seed": run.seed, "experts": list(experts), "answers": answers}


def _answer(run: Run, labelled: LabelledSession) -> dict[str, Any]:
    key = labelled.session.session_id
    told, bundles = run.sessions[key], run.answers[key]
    return {
        "bundles": [sorted(bundle) for bundle in bundles],
        "verdict": verdict(gold_bundles(labelled), bundles),
        "score": round(told["matchedf1"], _DIGITS),
        "agreement": round(told["agreement"], _DIGITS),
        "gates": [round(gate, _DIGITS) for gate in told["gates"]],
    }
