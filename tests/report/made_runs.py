"""Run folders with chosen answers and gates, as finished runs leave them, of a small data set with hostile titles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from recbole_routedk.data.atomic import SplitSessions, write_atomic
from recbole_routedk.data.session import Bundle, Item, LabelledSession, Session
from recbole_routedk.evaluation.metrics import gold_bundles, score_sessions
from recbole_routedk.evaluation.session_scores import session_scores

Answers = Mapping[str, Sequence[Bundle]]

HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    '<img src="https://example.invalid/x.png" onerror="window.hacked = 2">',
    "Tripod \u202egnp.exe\u202c",
    "bell\u0007 and escape\u001b[31m",
    "{{ 7 * 7 }} ${window.hacked = 3} &amp; \u2028 end",
)


def labelled(session_id: str, titles: Sequence[str], *gold: set[int]) -> LabelledSession:
    """A session with these titles and gold bundles."""
    items = tuple(Item(f"{session_id}-{place}", title) for place, title in enumerate(titles))
    intents = tuple(f"intent {number}" for number in range(len(gold)))
    return LabelledSession(Session(session_id, items), tuple(map(frozenset, gold)), intents)


def small_test() -> tuple[LabelledSession, ...]:
    """Twelve sessions of four to seven items, a bundle {0, 1} in each and {2, 3} in every second one."""
    sessions = [labelled("hostile", HOSTILE, {0, 1})]
    for number in range(1, 12):
        titles = [f"Thing {number}.{place}" for place in range(4 + number % 4)]
        gold = [{0, 1}, {2, 3}] if number % 2 else [{0, 1}]
        sessions.append(labelled(f"s{number}", titles, *gold))
    return tuple(sessions)


def write_data(folder: Path) -> Path:
    """Write the data set "small"; returns its folder."""
    extra = (labelled("train", ["a", "b"], {0, 1}), labelled("valid", ["c", "d"], {0, 1}))
    write_atomic(folder / "small", "small", SplitSessions(extra[:1], extra[1:], small_test()))
    return folder / "small"


def right(session: LabelledSession) -> list[Bundle]:
    """The gold bundles."""
    return gold_bundles(session)


def whole(session: LabelledSession) -> list[Bundle]:
    """One bundle with every item: partly right."""
    return [frozenset(range(len(session.session)))]


def apart(session: LabelledSession) -> list[Bundle]:
    """A bundle that holds no two items that belong together."""
    return [frozenset({1, 2})]


def write_run(
    output: Path,
    data: Path,
    name: str,
    answers: Sequence[Sequence[Bundle]],
    seed: int = 1,
    gates: Sequence[Sequence[float]] | None = None,
    losses: Sequence[float] = (),
    changed: Mapping[str, Any] | None = None,
    **result: Any,
) -> Path:
    """Write a finished run of "small", with one answer and one list of gates for each test session.

    ``changed`` are settings, ``result`` facts of the result that are not as usual.
    """
    test = small_test()
    model = name.partition(" ")[0]
    folder = output / "small" / model / f"{name}-seed{seed}"
    folder.mkdir(parents=True)
    told = {}
    for place, (session, answer) in enumerate(zip(test, answers, strict=True)):
        own = {"items": len(session.session), **session_scores(gold_bundles(session), answer)}
        told[session.session.session_id] = own | {"agreement": 0.5, "gates": list(gates[place]) if gates else []}
    scores = score_sessions([gold_bundles(session) for session in test], answers)
    known = {"model": model, "name": name, "dataset": "small", "seed": seed, "finished": "2026-01-02T00:00:00+00:00"}
    costs = {"train_seconds": 10.0, "sessions_per_second": 4.0, "trained_parameters": 0, "parameters": 0}
    fusion = name.partition("fusion=")[2].rstrip(")") or "routed"
    settings = {"data_path": str(data), "valid_metric": "MatchedF1", "knowledge_format": ["rules", "thoughts"]}
    settings |= {"fusion": fusion, "seed": seed, **(changed or {})}
    files = {
        "result.json": known | costs | {"test_result": scores, "run_folder": str(folder)} | result,
        "config.json": {"model": model, "dataset": "small", "settings": settings},
        "sessions_test.json": told,
        "predictions_test.json": {
            session.session.session_id: [sorted(bundle) for bundle in answer]
            for session, answer in zip(test, answers, strict=True)
        },
    }
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content), encoding="utf-8")
    if losses:
        write_log(folder / "tensorboard", {"loss/train": losses, "valid/matchedf1": [1 / loss for loss in losses]})
    return folder


def write_log(folder: Path, scalars: Mapping[str, Sequence[float]], first: int = 1) -> None:
    """Write a tensorboard log as the trainer does, from epoch ``first`` on."""
    with SummaryWriter(str(folder)) as writer:
        for tag, values in scalars.items():
            for epoch, value in enumerate(values, start=first):
                writer.add_scalar(tag, value, epoch)


def mean_matched_f1(folder: Path) -> float:
    """What the sessions of a run say."""
    told = json.loads((folder / "sessions_test.json").read_text(encoding="utf-8"))
    return fmean(own["matchedf1"] for own in told.values())


def alternating(*answer: Any) -> list[list[Bundle]]:
    """The answers of functions of a session, taken in turn."""
    return [answer[place % len(answer)](session) for place, session in enumerate(small_test())]
