"""Constrained decoding against brute force, and free decoding against transformers' own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from recbole_routedk.data.session import Bundle
from recbole_routedk.student.decoding import (
    Alphabet,
    SamplingSettings,
    decode_constrained,
    decode_free,
    session_noise,
)
from recbole_routedk.student.grammar import AnswerState
from recbole_routedk.student.routed_student import Prefill, RoutedStudent

ALPHABET = Alphabet(labels=list(range(330, 340)), separator=43, end=2)
SAMPLING = SamplingSettings(samples=4, temperature=2.0, budget=12, seed=7)
GREEDY = replace(SAMPLING, samples=1)
PREFIXES = {"s1": [11, 12, 13, 14, 15], "s2": [21, 22], "s3": [31, 32, 33]}
ITEMS = {"s1": 4, "s2": 9, "s3": 2}
GATES = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64)
SUFFIX = [423, 198, 40]


def read(student: RoutedStudent, names: list[str]) -> tuple[Prefill, torch.Tensor, torch.Tensor]:
    prefill = student.read_prefix([PREFIXES[name] for name in names])
    gates = GATES.expand(len(names), -1)
    with torch.no_grad():
        hidden = student.extend(prefill, *student.pad_left([SUFFIX] * len(names)), gates)
    return prefill, hidden[:, -1], gates


def decode(student: RoutedStudent, names: list[str], settings: SamplingSettings) -> list[list[tuple[Bundle, ...]]]:
    items = [ITEMS[name] for name in names]
    return decode_constrained(student, *read(student, names), items, names, ALPHABET, settings)


@torch.no_grad()
def brute_force(student: RoutedStudent, name: str, noise: torch.Tensor, temperature: float) -> tuple[Bundle, ...]:
    """One symbol after the other, the whole answer read again from the prefix for each."""
    state = AnswerState(ITEMS[name], SAMPLING.budget)
    written: list[int] = []
    for step in range(SAMPLING.budget):
        prefill = student.read_prefix([PREFIXES[name]])
        hidden = student.extend(prefill, *student.pad_left([SUFFIX + written]), GATES)[0, -1]
        logits = student.model.get_output_embeddings()(hidden)

        def score(symbol: int) -> float:
            token = ALPHABET.token(symbol, state.items)
            return float(logits[token] / temperature + noise[step, symbol])  # noqa: B023

        best = max(state.allowed(), key=score)
        state.advance(best)
        written.append(ALPHABET.token(best, state.items))
        if state.finished:
            break
    return state.bundles


@pytest.mark.parametrize("name", PREFIXES)
def test_every_sample_is_the_step_by_step_best_of_logits_and_noise(name: str, routed: RoutedStudent) -> None:
    noise = session_noise(SAMPLING.seed, name, 4, SAMPLING.budget, ITEMS[name] + 2)
    expected = [brute_force(routed, name, noise[sample], SAMPLING.temperature) for sample in range(4)]
    assert decode(routed, [name], SAMPLING) == [expected]


def test_the_first_sample_is_greedy_and_others_differ(routed: RoutedStudent) -> None:
    silence = torch.zeros(SAMPLING.budget, 20)
    sampled = decode(routed, list(PREFIXES), SAMPLING)
    greedy = decode(routed, list(PREFIXES), GREEDY)
    for name, samples, alone in zip(PREFIXES, sampled, greedy, strict=True):
        assert [samples[0]] == alone == [brute_force(routed, name, silence, 1.0)]
    assert len(set(sampled[1])) > 1


def test_the_batch_that_a_session_is_in_does_not_change_its_samples(routed: RoutedStudent) -> None:
    alone = {name: decode(routed, [name], SAMPLING)[0] for name in PREFIXES}
    for names in (["s1", "s2", "s3"], ["s3", "s1"], ["s2", "s3"]):
        assert decode(routed, names, SAMPLING) == [alone[name] for name in names]


def test_another_seed_gives_other_samples(routed: RoutedStudent) -> None:
    assert decode(routed, ["s2"], SAMPLING) != decode(routed, ["s2"], replace(SAMPLING, seed=8))


def test_a_session_of_two_items_has_one_answer(routed: RoutedStudent) -> None:
    assert decode(routed, ["s3"], SAMPLING) == [[(frozenset({0, 1}),)] * 4]


def test_the_noise_is_gumbel_and_depends_on_seed_and_session() -> None:
    noise = session_noise(1, "a", 3, 50, 200)
    assert not noise[0].any()
    assert noise[1:].mean().item() == pytest.approx(0.5772, abs=0.05)  # Euler's constant
    assert torch.equal(noise, session_noise(1, "a", 3, 50, 200))
    assert not torch.equal(noise, session_noise(2, "a", 3, 50, 200))
    assert not torch.equal(noise, session_noise(1, "b", 3, 50, 200))


def test_free_decoding_without_experts_is_what_transformers_generates(routed: RoutedStudent) -> None:
    names = list(PREFIXES)
    gates = torch.zeros(3, 3)
    prefill = routed.read_prefix([PREFIXES[name] for name in names])
    with torch.no_grad():
        last_hidden = routed.extend(prefill, *routed.pad_left([SUFFIX] * 3), gates)[:, -1]
    # An end that the second row really writes, so that one row stops before the others.
    second = decode_free(routed, prefill, last_hidden, gates, end=-1, budget=8)[1]
    end = second[3]
    written = decode_free(routed, prefill, last_hidden, gates, end=end, budget=8)

    routed.bus.set(None)
    for name, tokens in zip(names, written, strict=True):
        prompt = torch.tensor([PREFIXES[name] + SUFFIX])
        generated = routed.model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=8, do_sample=False, eos_token_id=end
        )[0, prompt.shape[1] :].tolist()
        assert tokens == (generated[: generated.index(end)] if end in generated else generated)
    assert len(written[1]) <= 3
