"""The conversations of a training file: items as data, knowledge by number, the gold bundles as JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recbole_routedk.data.session import Item, Session
from recbole_routedk.distill.knowledge import SessionKnowledge, Thought
from recbole_routedk.distill.teachers.protocol import Message
from recbole_routedk.model.language.lessons import Lesson
from recbole_routedk.model.language.teacher_respondent import written_messages
from recbole_routedk.model.language.tuning_talks import lesson_talk, training_lines
from recbole_routedk.model.views import Example, ViewSettings

SETTINGS = ViewSettings(3, 3, 1.25, 0.25)
THOUGHT = Thought(np.array([[0, 0, 0.7], [0, 0, 0], [0.7, 0, 0]]), (frozenset({0, 2}),), ("photo;\u202e graphy\n",))
PLAIN, THOUGHTFUL = Lesson(), Lesson(("thoughts",))


def example(*titles: str, thought: Thought | None = None, bundles: tuple[frozenset[int], ...] = ()) -> Example:
    items = tuple(Item(f"i{place}", title) for place, title in enumerate(titles))
    return Example(Session("s", items), SessionKnowledge(thought=thought), bundles)


def messages(line: str) -> list[dict[str, str]]:
    content: dict[str, Any] = json.loads(line)
    assert list(content) == ["messages"]
    return list(content["messages"])


def test_a_line_is_the_conversation_that_is_asked_with_its_answer() -> None:
    one = example("camera", "shoe", "lens", bundles=(frozenset({2, 0}),))

    (line,) = training_lines([one], [PLAIN], SETTINGS, 0)

    *asked, answer = messages(line)
    assert [Message(**turn) for turn in asked] == list(written_messages(lesson_talk(one, PLAIN, SETTINGS)))  # type: ignore[arg-type]
    assert asked[1]["content"].startswith('0: "camera"\n1: "shoe"\n2: "lens"\nWhich items form bundles?')
    assert answer == {"role": "assistant", "content": '{"bundles": [[0, 2]]}'}


def test_knowledge_names_items_by_number_between_items_and_question() -> None:
    talk = lesson_talk(example("camera", "shoe", "lens", thought=THOUGHT), THOUGHTFUL, SETTINGS)

    lines = written_messages(talk)[-1].content.split("\n")
    assert len(lines) == 5
    assert lines[3].endswith("Related: 0 2=7. Intents: photo, graphy; Groups: 0 2.")
    assert lines[4].startswith("Which items form bundles?")


def test_sessions_without_bundles_or_without_what_a_lesson_needs_are_left_out() -> None:
    gold = (frozenset({0, 1}),)
    rows = [
        example("a", "b"),
        example("c", "d", bundles=gold),
        example("e", "f", "g", thought=THOUGHT, bundles=gold),
    ]

    lines = training_lines(rows, [PLAIN, THOUGHTFUL], SETTINGS, 0)

    firsts = sorted(messages(line)[1]["content"][:6] for line in lines)
    assert firsts == ['0: "c"', '0: "e"', '0: "e"']


def test_the_order_comes_from_the_seed() -> None:
    rows = [example(title, "x", bundles=(frozenset({0, 1}),)) for title in "abcdefgh"]

    first, again, other = (training_lines(rows, [PLAIN], SETTINGS, seed) for seed in (1, 1, 2))

    assert first == again != other
    assert sorted(first) == sorted(other)


@given(st.lists(st.text(max_size=40), min_size=2, max_size=5))
def test_no_title_leaves_its_line(titles: list[str]) -> None:
    gold = (frozenset({0, 1}),)

    (line,) = training_lines([example(*titles, bundles=gold)], [PLAIN], SETTINGS, 0)

    assert "\n" not in line
    line.encode()
    system, asked, answer = messages(line)
    assert [system["role"], asked["role"], answer["role"]] == ["system", "user", "assistant"]
    *items, question = asked["content"].split("\n")
    assert [item.partition(": ")[0] for item in items] == [str(place) for place in range(len(titles))]
    assert all(isinstance(json.loads(item.partition(": ")[2]), str) for item in items)
    assert question.startswith("Which items form bundles?")
