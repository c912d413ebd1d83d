"""As many sessions at once as memory has room for, worked out from a real model's sizes."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from recbole_routedk.student.room import Appetite, portions

CONFIG = LlamaConfig(
    vocab_size=50,
    hidden_size=24,
    intermediate_size=32,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_a_token_keeps_is_what_the_cache_holds(dtype: torch.dtype) -> None:
    model = LlamaForCausalLM(CONFIG).to(dtype)
    cache = DynamicCache()
    model(input_ids=torch.arange(10).reshape(2, 5), past_key_values=cache)

    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)

    assert Appetite.of(model).kept * 2 * 5 == held


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=30),
    st.integers(1, 16),
    st.integers(0, 10**9),
    st.integers(1, 99),
)
def test_every_portion_has_room_or_is_alone(lengths: list[int], samples: int, free: int, kept: int) -> None:
    appetite = Appetite(kept, 7)

    made = list(portions(list(range(len(lengths))), lengths, appetite, samples, free))

    assert list(chain.from_iterable(made)) == list(range(len(lengths)))
    for portion in made:
        longest = max(lengths[place] for place in portion)
        assert len(portion) == 1 or appetite.of_rows(longest, len(portion), samples) <= free / 2


def test_a_model_whose_layers_differ_in_width_has_an_appetite() -> None:
    model = LlamaForCausalLM(CONFIG)
    alike = Appetite.of(model)
    vars(model.config)["intermediate_size"] = [16, 32, 8]  # as Gemma 3n has it

    assert Appetite.of(model) == alike


def test_with_memory_to_spare_all_are_answered_at_once() -> None:
    assert list(portions("abc", [5, 9, 2], Appetite(100, 100), 8, 10**9)) == [["a", "b", "c"]]


def test_nothing_to_answer_is_no_portion() -> None:
    assert list(portions([], [], Appetite(1, 1), 8, 0)) == []
