"""What is read and what is written, as text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from recbole_routedk.data.prompts import PromptEncoder
from recbole_routedk.data.session import Item, Session
from recbole_routedk.distill.knowledge import Rule, RuleMatch, SessionKnowledge, Thought
from recbole_routedk.model.language.lessons import Lesson, LessonEncoder, lessons_of
from recbole_routedk.model.views import Example, ViewSettings


@pytest.fixture(scope="module")
def tokenizer(tiny_student_folder: Path) -> PreTrainedTokenizerBase:
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(tiny_student_folder)
    return loaded


@pytest.fixture(scope="module")
def encoder(tokenizer: PreTrainedTokenizerBase) -> LessonEncoder:
    return LessonEncoder(PromptEncoder(tokenizer, 8, 10), ViewSettings(2, 2, 1.0, 0.3), knowledge_weight=0.5)


def example() -> Example:
    affinities = np.zeros((3, 3))
    affinities[0, 1] = affinities[1, 0] = 0.95
    thought = Thought(affinities, (frozenset({0, 1}),), ("a cup of tea",))
    rules = (RuleMatch(Rule("tea goes with tea", 12, 0.5, "tea", "tea"), ((0, 1),)),)
    items = tuple(Item(name, name) for name in ("tea", "cup", "lamp"))
    known = SessionKnowledge(rules=rules, thought=thought)
    return Example(Session("s", items), known, (frozenset({0, 1}),), "light: lamp + bulb;")


def test_a_thought_comes_from_one_of_four_sources() -> None:
    assert lessons_of(["thoughts"], "teacher") == (Lesson(("thoughts",)),)
    assert lessons_of(["thoughts"], "retrieved") == (Lesson(("similar",)),)
    assert lessons_of(["thoughts"], "target") == (Lesson(), Lesson(writes="thoughts", answers=False))
    assert lessons_of(["thoughts"], "written") == (Lesson(writes="thoughts"),)


@pytest.mark.parametrize("source", ["teacher", "retrieved", "target", "written"])
def test_other_formats_are_read_whatever_the_source(source: str) -> None:
    assert lessons_of(["rules", "patterns"], source) == (Lesson(("patterns", "rules")),)
    assert all(set(lesson.reads) >= {"rules"} for lesson in lessons_of(["thoughts", "rules"], source))


@pytest.mark.parametrize(
    "lesson, read, written",
    [
        (Lesson(), "--\n\nBundles:", " A B<|im_end|>"),
        (Lesson(("rules",)), "--\nRules: tea=5 A B;\nBundles:", " A B<|im_end|>"),
        (Lesson(("similar",)), "--\nSimilar: light: lamp + bulb;\nBundles:", " A B<|im_end|>"),
        (
            Lesson(writes="thoughts", answers=False),
            "--\n\nThought:",
            "Related: A B=9. Intents: a cup of tea; Groups: A B.<|im_end|>",
        ),
        (
            Lesson(("rules",), writes="thoughts"),
            "--\nRules: tea=5 A B;\nThought:",
            "Related: A B=9. Intents: a cup of tea; Groups: A B.\nBundles: A B<|im_end|>",
        ),
        (Lesson(writes="rules", answers=False), "--\n\nRules:", "Rules: tea=5 A B;<|im_end|>"),
    ],
)
def test_what_is_read_and_written(
    encoder: LessonEncoder, tokenizer: PreTrainedTokenizerBase, lesson: Lesson, read: str, written: str
) -> None:
    tokens, weights = encoder.target(example(), lesson)

    assert tokenizer.decode(encoder.suffix(example(), lesson)) == read
    assert tokenizer.decode(tokens) == written
    assert len(weights) == len(tokens)


def test_a_written_thought_and_its_answer_weigh_as_configured(encoder: LessonEncoder) -> None:
    tokens, weights = encoder.target(example(), Lesson(writes="thoughts"))
    answer = len(encoder.target(example(), Lesson())[0])

    assert sum(weights[-answer:]) == pytest.approx(1.0)
    assert sum(weights[:-answer]) == pytest.approx(0.5)
    assert len(tokens) > 3 * answer  # which is why tokens do not count alike


def test_a_shuffled_thought_is_written_with_the_new_labels(
    encoder: LessonEncoder, tokenizer: PreTrainedTokenizerBase
) -> None:
    shuffled = example().reordered([2, 0, 1])  # lamp, tea, cup

    tokens, _ = encoder.target(shuffled, Lesson(writes="thoughts"))

    assert tokenizer.decode(tokens).startswith("Related: B C=9. Intents: a cup of tea; Groups: B C.\nBundles: B C")
    assert tokenizer.decode(encoder.suffix(shuffled, Lesson(("rules",)))) == "--\nRules: tea=5 B C;\nBundles:"
