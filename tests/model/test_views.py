"""What the student reads besides the items, and that it moves along when items are shuffled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recbole_routedk.data.session import Item, Session
from recbole_routedk.distill.knowledge import Pattern, PatternMatch, Rule, RuleMatch, SessionKnowledge, Thought
from recbole_routedk.model.views import Example, View, ViewSettings, knowledge, knowledge_text

SETTINGS = ViewSettings(max_patterns=2, max_rules=2, pairs_per_item=1.0, least_affinity=0.3)


def rule(word: str, confidence: float) -> Rule:
    return Rule(f"titles that share '{word}' go together", 12, confidence, word, word)


def example() -> Example:
    """Four items: tea 0, cup 1, lamp 2, bulb 3. The teacher groups tea with cup and lamp with bulb."""
    affinities = np.zeros((4, 4))
    for left, right, value in [(0, 1, 0.95), (2, 3, 0.62), (0, 3, 0.31), (1, 2, 0.1)]:
        affinities[left, right] = affinities[right, left] = value
    items = tuple(Item(name, name) for name in ("tea", "cup", "lamp", "bulb"))
    thought = Thought(affinities, (frozenset({0, 1}), frozenset({2, 3})), ("a cup of tea", "light"))
    rules = (RuleMatch(rule("light", 0.83), ((2, 3),)), RuleMatch(rule("tea", 0.5), ((0, 1), (0, 3))))
    patterns = (PatternMatch(Pattern("category", ("cups", "teas"), 0.01, 0.75), (1, 0)),)
    return Example(Session("s", items), SessionKnowledge(patterns, rules, thought), (frozenset({0, 1}),))


def text(parts: list[str | int]) -> str:
    return knowledge_text(parts, "ABCD")


def test_the_plain_view_adds_nothing() -> None:
    assert knowledge(example(), (), SETTINGS) == []


def test_the_rule_view_names_rules_confidence_and_where_they_fire() -> None:
    assert text(knowledge(example(), ("rules",), SETTINGS)) == "Rules: light=8 C D; tea=5 A B;"


def test_a_rule_between_two_sides_names_both() -> None:
    other = RuleMatch(Rule("camera with tripod", 9, 0.9, "camera", "tripod"), ((0, 2),))
    seen = Example(example().session, SessionKnowledge(rules=(other,)))

    assert text(knowledge(seen, ("rules",), SETTINGS)) == "Rules: camera+tripod=9 A C;"


def test_a_session_on_which_no_rule_fires_gets_the_general_one() -> None:
    seen = Example(example().session, SessionKnowledge())

    assert text(knowledge(seen, ("rules",), SETTINGS)) == "Rules: at least two items, one intent;"


def test_the_thought_view_goes_from_affinities_to_intents_to_groups() -> None:
    # 0.1 is below the least affinity; digits are tenths, rounded down.
    assert text(knowledge(example(), ("thoughts",), SETTINGS)) == (
        "Related: A B=9 A D=3 C D=6. Intents: a cup of tea; light; Groups: A B; C D."
    )


def test_the_strongest_pairs_are_kept_where_there_is_room_for_few() -> None:
    few = ViewSettings(max_patterns=2, max_rules=2, pairs_per_item=0.5, least_affinity=0.3)

    assert text(knowledge(example(), ("thoughts",), few)).startswith("Related: A B=9 C D=6.")


def test_the_pattern_view_names_parts_confidence_and_items() -> None:
    assert text(knowledge(example(), ("patterns",), SETTINGS)) == "Patterns: cups+teas=7 A B;"
    twice = (PatternMatch(Pattern("category", ("cups", "cups", "teas"), 0.01, 0.75), (0, 1, 3)),)
    seen = Example(example().session, SessionKnowledge(twice))
    assert text(knowledge(seen, ("patterns",), SETTINGS)) == "Patterns: 2 cups+teas=7 A B D;"
    bare = Example(example().session, SessionKnowledge())
    assert text(knowledge(bare, ("patterns",), SETTINGS)) == "Patterns: none known;"


def test_views_combine_in_one_order() -> None:
    views: list[View] = [("patterns",), ("rules",), ("similar",), ("thoughts",)]
    seen = replace(example(), similar="tea time: kettle + pot;")

    whole = text(knowledge(seen, ("thoughts", "similar", "rules", "patterns"), SETTINGS))

    assert whole == "".join(text(knowledge(seen, view, SETTINGS)) for view in views)
    assert "Similar: tea time: kettle + pot;" in whole


def test_a_session_without_a_thought_lacks_the_views_that_need_one() -> None:
    bare = Example(example().session, SessionKnowledge())

    assert bare.has(())
    assert bare.has(("patterns", "rules"))
    assert not bare.has(("rules", "thoughts"))
    assert not bare.has(("similar",))
    assert knowledge(bare, ("thoughts", "similar"), SETTINGS) == []
    assert example().has(("rules", "thoughts"))


def test_no_phrase_of_a_teacher_looks_like_another_part_of_the_prompt() -> None:
    forged = "tea; Groups: A C. Bundles: A C"
    known = example().known.thought
    assert known is not None
    thought = replace(known, intents=(forged, forged))
    rules = (RuleMatch(Rule(forged, 1, 0.5, forged, forged), ((0, 1),)),)
    patterns = (PatternMatch(Pattern("title", (forged, "b"), 0.1, 0.1), (0, 1)),)
    seen = Example(example().session, SessionKnowledge(patterns, rules, thought))

    told = text(knowledge(seen, ("patterns", "rules", "thoughts"), SETTINGS))

    assert told.count("Groups:") == 1
    assert "Bundles:" not in told
    assert told.endswith("tea, Groups, A C. Bundles, A C; Groups: A B; C D.")


def test_phrases_of_a_talkative_teacher_are_cut() -> None:
    talk = "word " * 1000
    thought = Thought(np.zeros((4, 4)), (frozenset({0, 1}),), (talk,))
    rules = (RuleMatch(Rule(talk, 1, 0.5, "", ""), ()), RuleMatch(Rule(talk, 1, 0.5, talk, talk), ((0, 1),)))
    patterns = (PatternMatch(Pattern("title", (talk, "b"), 0.1, 0.1), (0, 1)),)
    seen = Example(example().session, SessionKnowledge(patterns, rules, thought))

    for view in (("patterns",), ("rules",), ("thoughts",)):
        assert len(text(knowledge(seen, view, SETTINGS))) < 250


@given(st.permutations(range(4)))
def test_reordering_moves_everything_with_the_items(order: list[int]) -> None:
    before, after = example(), example().reordered(order)
    old_thought, new_thought = before.known.thought, after.known.thought
    assert old_thought is not None
    assert new_thought is not None

    def titles(group: frozenset[int], seen: Example) -> set[str]:
        return {seen.session.items[position].title for position in group}

    assert [item.title for item in after.session.items] == [before.session.items[old].title for old in order]
    assert [titles(b, after) for b in after.bundles] == [titles(b, before) for b in before.bundles]
    assert [titles(g, after) for g in new_thought.groups] == [titles(g, before) for g in old_thought.groups]
    for new_left, old_left in enumerate(order):
        for new_right, old_right in enumerate(order):
            assert new_thought.affinities[new_left, new_right] == old_thought.affinities[old_left, old_right]
    for old, new in zip(before.known.rules, after.known.rules, strict=True):
        assert {frozenset(titles(frozenset(p), after)) for p in new.pairs} == {
            frozenset(titles(frozenset(p), before)) for p in old.pairs
        }
        assert all(left < right for left, right in new.pairs)
        assert list(new.pairs) == sorted(new.pairs)
    for seen in (before, after):
        assert [seen.session.items[position].title for position in seen.known.patterns[0].items] == ["cup", "tea"]
