"""The knowledge of a run, from the embedded teacher and from a scripted one, through all formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_teacher import ScriptedTeacher
from small_store import small_split

from recbole_routedk.data.session import LabelledSession
from recbole_routedk.distill.knowledge import ScoredRule, SessionKnowledge
from recbole_routedk.distill.source import KnowledgeSource
from recbole_routedk.distill.store.request_store import RequestStore
from recbole_routedk.distill.teachers.protocol import Request, Task
from recbole_routedk.distill.teachers.statistical import StatisticalCompletion
from recbole_routedk.errors import UserError
from recbole_routedk.evaluation.metrics import score_sessions

TRAIN, TEST = small_split(0, 60), small_split(100, 8)
SESSIONS = [labelled.session for labelled in TEST]
SETTINGS = {"seed": 1, "knowledge_format": ["patterns", "rules", "thoughts"], "show_progress": False}


@pytest.fixture(scope="module")
def embedded() -> StatisticalCompletion:
    return StatisticalCompletion(TRAIN, seed=1)


@pytest.fixture(scope="module")
def source(embedded: StatisticalCompletion) -> KnowledgeSource:
    return KnowledgeSource(SETTINGS, TRAIN, embedded)


def gold_script(request: Request) -> str:
    """A teacher that puts every session into one bundle and states one rule a batch."""
    if request.task is Task.BUNDLES:
        return '{"bundles": [[0, 1, 2, 3, 4]]}'
    if request.task is Task.CAUSES:
        return '{"causes": ["All items were taken."]}'
    if request.task is Task.RULES:
        rule = {"rule": "Phones need phone things", "verdict": "together", "left": "Phones", "right": "phones"}
        return json.dumps({"rules": [rule]})
    return '{"intents": [{"intent": "everything", "items": [0, 1, 2, 3, 4]}]}'


def quality(split: Sequence[LabelledSession], known: Sequence[SessionKnowledge]) -> float:
    groups = [each.thought.groups if each.thought else () for each in known]
    return score_sessions([own.bundles for own in split], groups)["matchedf1"]


def test_every_session_gets_what_was_asked_for(source: KnowledgeSource) -> None:
    for split, known in ((TRAIN, source.for_training()), (TEST, source.for_sessions(SESSIONS))):
        assert quality(split, known) > 0.8
        # Both departments of a session are frequent, and items of one department go together.
        assert sum(bool(each.patterns) and bool(each.rules) for each in known) > 0.9 * len(split)
        assert all(len(match.items) == len(match.pattern.parts) for each in known for match in each.patterns)


def test_the_strongest_rules_hold(source: KnowledgeSource) -> None:
    held = [
        any(set(pair) <= bundle for bundle in own.bundles)
        for own, each in zip(TEST, source.for_sessions(SESSIONS), strict=True)
        for match in each.rules[:2]
        for pair in match.pairs
    ]
    assert sum(held) > 0.8 * len(held)  # of all pairs a fifth is bundled


def test_rules_and_patterns_of_all_sessions_can_be_listed(source: KnowledgeSource) -> None:
    rules = source.rules()
    assert rules[0].text.startswith("a bundle has at least two items")
    assert any(rule.left == rule.right == "Camping" for rule in rules)
    assert {pattern.kind for pattern in source.patterns()} == {"categories", "words"}


def test_the_report_counts_and_says_it_in_words(embedded: StatisticalCompletion) -> None:
    source = KnowledgeSource(SETTINGS, TRAIN, embedded)
    source.for_training()
    report = source.report
    assert dict(report.asked) == {Task.BUNDLES: 60, Task.CAUSES: 10, Task.RULES: 10, Task.THOUGHT: 60}
    assert report.asked == report.valid
    assert report.rules.proposed == report.rules.merged + report.rules.dropped + report.rules.kept
    assert report.rules.kept == len(source.rules())
    assert report.patterns == len(source.patterns())
    lines = report.lines()
    assert lines[0].startswith("requests: 140 (0 from the store, 0 failed)")
    assert "thoughts: 60 kept, 0 asked for again, 0 dropped, 0 answers invalid" in lines


def test_the_embedded_teacher_is_free_and_another_costs_what_its_tokens_do(embedded: StatisticalCompletion) -> None:
    teacher = ScriptedTeacher(gold_script)
    prices = {teacher.identity.model: {"input": 2.0, "output": 6.0}}
    source = KnowledgeSource(SETTINGS | {"teacher_prices": prices}, TRAIN, teacher)
    source.for_training()

    tokens = source.report
    assert source.dollars() == pytest.approx((tokens.input_tokens * 2.0 + tokens.output_tokens * 6.0) / 1e6)
    assert KnowledgeSource(SETTINGS, TRAIN, embedded).dollars() == 0.0


def test_only_formats_that_are_asked_for_are_made(embedded: StatisticalCompletion) -> None:
    source = KnowledgeSource({**SETTINGS, "knowledge_format": ["patterns"]}, TRAIN, embedded)
    assert all(not each.rules and each.thought is None for each in source.for_training())
    assert source.rules() == ()
    assert source.report.requests == 0


def test_labels_of_a_session_do_not_speak_for_its_rules_and_patterns() -> None:
    """With a teacher that knows no label, only counting could give one away: it does not."""
    relabelled = [replace(TRAIN[0], bundles=(frozenset({0, 1, 2, 3, 4}),), intents=("",)), *TRAIN[1:]]
    settings = {**SETTINGS, "knowledge_format": ["patterns", "rules"]}
    before, after = (
        KnowledgeSource(settings, train, ScriptedTeacher(gold_script)).for_training()[0]
        for train in (TRAIN, relabelled)
    )
    assert before == after
    assert before.patterns


def test_only_chosen_sessions_have_thoughts_and_feed_rules(embedded: StatisticalCompletion) -> None:
    settings = {**SETTINGS, "knowledge_ratio": 0.3, "knowledge_sampling": "difficulty"}
    source = KnowledgeSource(settings, TRAIN, embedded)
    known = source.for_training()
    assert sum(each.thought is not None for each in known) == source.report.chosen_sessions == 18
    assert source.report.asked[Task.BUNDLES] == 18
    assert any(each.patterns for each in known if each.thought is None)
    assert all(each.thought is not None for each in source.for_sessions(SESSIONS))


def test_any_teacher_goes_the_same_way() -> None:
    teacher = ScriptedTeacher(gold_script)
    source = KnowledgeSource({**SETTINGS, "thought_check": "drop"}, TRAIN, teacher)
    known = source.for_training()
    # One bundle of five items has MatchedF1 2 * 0.4 / 3 with two gold bundles of two: all are dropped.
    assert all(each.thought is None for each in known)
    assert source.report.thoughts.dropped == 60
    general, *sided = source.rules()
    assert (general.left, general.right, general.verdict) == ("Phones", "phones", "together")
    assert sided == []
    assert isinstance(general, ScoredRule)
    fired = [own for own, each in zip(TRAIN, known, strict=True) if each.rules]
    assert fired
    assert all("Phones" in own.intents for own in fired)


def test_no_request_shows_a_label_of_a_session_that_is_asked_about() -> None:
    teacher = ScriptedTeacher(gold_script)
    source = KnowledgeSource(SETTINGS, TRAIN, teacher)
    source.for_training()
    source.for_sessions(SESSIONS)
    shown = {own.session.session_id for request in teacher.asked for own in request.case.labelled if own.bundles}
    assert shown == {own.session.session_id for own in TRAIN}
    asked = [request for request in teacher.asked if request.task in (Task.THOUGHT, Task.BUNDLES)]
    assert not any(own.bundles for request in asked for own in request.case.labelled)


def test_a_named_teacher_is_asked_once_and_kept_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    teachers = [ScriptedTeacher(gold_script), ScriptedTeacher(gold_script)]
    waiting = iter(teachers)
    monkeypatch.setattr("recbole_routedk.distill.source.make_teacher", lambda settings, train: next(waiting))
    settings = {**SETTINGS, "teacher": "scripted", "output_dir": str(tmp_path)}
    first = KnowledgeSource(settings, TRAIN[:20])
    second = KnowledgeSource(settings, TRAIN[:20])
    assert [each.rules for each in first.for_training()] == [each.rules for each in second.for_training()]
    assert len(teachers[0].asked) == first.report.requests
    assert teachers[1].asked == []
    assert second.report.cached == second.report.requests
    with RequestStore(tmp_path / "knowledge.sqlite") as store:
        assert sum(1 for _ in store.rows()) == first.report.requests


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"knowledge_format": ["poems"]}, "knowledge_format: 'poems' is not known"),
        ({"thought_check": "ignore"}, "thought_check: 'ignore' is not known"),
    ],
)
def test_unknown_settings_are_errors(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        KnowledgeSource({**SETTINGS, **settings}, TRAIN, ScriptedTeacher(gold_script))


def test_a_session_without_items_is_known_too(source: KnowledgeSource) -> None:
    empty = replace(SESSIONS[0], session_id="empty", items=())
    (known,) = source.for_sessions([empty])
    assert known.rules == known.patterns == ()
    assert known.thought is not None
    assert known.thought.groups == ()
    assert source.for_sessions([]) == []
