"""Prompts with every kind of tokenizer: they read the same, or the tokenizer is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import toy_tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from recbole_routedk.data.answers import parse_answer
from recbole_routedk.data.prompts import PromptEncoder
from recbole_routedk.data.session import Item, Session
from recbole_routedk.errors import UserError

Make = Callable[[], PreTrainedTokenizerBase]
TITLE_TOKENS, MAX_ITEMS = 12, 20
FIT = (toy_tokenizers.gpt2_like, toy_tokenizers.gemma_like, toy_tokenizers.llama2_like, toy_tokenizers.unigram)
each_that_fits = pytest.mark.parametrize("make", FIT)


@cache
def tokenizer(make: Make) -> PreTrainedTokenizerBase:
    return make()


@cache
def encoder(make: Make) -> PromptEncoder:
    return PromptEncoder(tokenizer(make), TITLE_TOKENS, MAX_ITEMS)


def prefix(make: Make, titles: list[str]) -> list[int]:
    return encoder(make).prefix(Session("s", tuple(Item(str(place), title) for place, title in enumerate(titles))))


def read(make: Make, tokens: list[int]) -> str:
    return str(tokenizer(make).decode(tokens, skip_special_tokens=True))


@each_that_fits
def test_a_prompt_reads_as_it_was_written(make: Make) -> None:
    assert read(make, prefix(make, ["Red bag", "one\ntwo", ""])).split("\n") == [
        "Find the items that belong together.",
        f" {encoder(make).labels[0]}: Red bag",
        f" {encoder(make).labels[1]}: one two",
        f" {encoder(make).labels[2]}: (no title)",
        "",
    ]
    first, second = encoder(make).labels[:2]
    assert read(make, encoder(make).suffix(["Related:", 0, 1, "; next"])) == (
        f"--\nRelated: {first} {second}; next\nBundles:"
    )


@each_that_fits
def test_a_written_answer_is_parsed_as_what_it_was(make: Make) -> None:
    bundles = {frozenset({0, 2}), frozenset({1, 3, 4})}
    tokens = encoder(make).answer(bundles)
    parsed, rejected = parse_answer(str(tokenizer(make).decode(tokens[:-1])), encoder(make).labels)
    assert set(parsed) == bundles
    assert rejected == ()
    assert len(tokens) == 5 + 1 + 1  # items, separator, end
    assert len(set(encoder(make).alphabet(MAX_ITEMS))) == MAX_ITEMS + 2


def test_the_prefix_begins_with_what_the_tokenizer_puts_before_a_text() -> None:
    assert [place for place, token in enumerate(prefix(toy_tokenizers.gemma_like, ["Red bag"])) if token == 1] == [0]
    assert 1 not in prefix(toy_tokenizers.gpt2_like, ["Red bag"])


@given(titles=st.lists(st.text() | st.sampled_from(["<0x0A>", "</s>", "<s> B: x", "a<unk>b", "▁", "\n"]), max_size=4))
@settings(deadline=None, max_examples=60)
@each_that_fits
def test_no_title_leaves_its_line(make: Make, titles: list[str]) -> None:
    tokens = prefix(make, titles)
    assert read(make, tokens).count("\n") == len(titles) + 1
    assert not set(tokens[1:]) & {1, 2}


def test_a_byte_token_that_a_title_spells_is_left_out() -> None:
    """A unigram vocabulary finds its byte tokens in any text."""
    pieces = [("<unk>", 0.0), ("</s>", 0.0), ("<0x0A>", -1.0), ("\n", -1.0), ("▁", -1.0)]
    pieces += [(character, -5.0) for character in "ABCDEFGHIJabcdefghijklmnopqrstuvwxyzFN;:-.()<0x>"]
    pieces += [("▁" + letter, -2.0) for letter in "ABCD"]
    model = Tokenizer(models.Unigram(list(dict(pieces).items()), unk_id=0, byte_fallback=False))
    model.normalizer = normalizers.Replace(" ", "▁")
    model.decoder = toy_tokenizers.SPACES_BACK
    spelled = PreTrainedTokenizerFast(tokenizer_object=model, eos_token="</s>", unk_token="<unk>")
    assert spelled.convert_tokens_to_ids("<0x0A>") in spelled("a<0x0A>b", add_special_tokens=False)["input_ids"]

    prompts = PromptEncoder(spelled, TITLE_TOKENS, 4)
    tokens = prompts.prefix(Session("s", (Item("0", "a<0x0A> B: b"),)))

    assert str(spelled.decode(tokens)).count("\n") == 2


def test_a_tokenizer_without_line_breaks_is_refused() -> None:
    with pytest.raises(UserError, match=r"cannot write '--\\n' of the prompt \(it becomes '- -'\)"):
        PromptEncoder(toy_tokenizers.wordpiece(), TITLE_TOKENS, MAX_ITEMS)


def test_labels_that_are_one_token_to_the_tokenizer_are_used_once() -> None:
    folding = toy_tokenizers.gpt2_like()
    folding.backend_tokenizer.normalizer = normalizers.Lowercase()
    labels = PromptEncoder(folding, TITLE_TOKENS, 10).labels
    assert labels == list("abcdefghij")


def test_a_tokenizer_without_an_end_is_refused() -> None:
    endless = toy_tokenizers.gpt2_like()
    endless.eos_token = None
    with pytest.raises(UserError, match="no end-of-text token"):
        PromptEncoder(endless, TITLE_TOKENS, MAX_ITEMS)
