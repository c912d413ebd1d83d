"""Prefix caching, padding and the loss of the routed student, against plain full passes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recbole_routedk.student.adapters import LoraSettings
from recbole_routedk.student.backbone import Student
from recbole_routedk.student.routed_student import RoutedStudent

PREFIXES = [[11, 12, 13, 14, 15, 16, 17], [21, 22], [31, 32, 33, 34]]
SUFFIXES = [[423, 198, 40], [423, 198, 41, 42, 43], [423, 198, 44, 45]]
ANSWERS = [[330, 331, 2], [332, 333, 43, 334, 335, 2], [2]]
GATES = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 0.6, 0.4]], dtype=torch.float64)


def full_pass(student: RoutedStudent, prefix: list[int], suffix: list[int], gates: Tensor) -> Tensor:
    """Hidden states of the suffix [T, hidden] in one uncached pass; the gates are zero on the prefix."""
    width = student.settings.rank
    scaled = (gates * student.settings.alpha / width).repeat_interleave(width)
    on = torch.tensor([0.0] * len(prefix) + [1.0] * len(suffix), dtype=torch.float64)
    student.bus._rows = (on[:, None] * scaled)[None]
    hidden: Tensor = student.model.get_decoder()(input_ids=torch.tensor([prefix + suffix])).last_hidden_state
    return hidden[0, len(prefix) :]


def extended(student: RoutedStudent, rows: list[int]) -> list[Tensor]:
    """Hidden states of the real suffix tokens of these rows, read as one batch."""
    prefill = student.read_prefix([PREFIXES[row] for row in rows])
    hidden = student.extend(prefill, *student.pad_left([SUFFIXES[row] for row in rows]), GATES[rows])
    assert not hidden.isnan().any()
    return [states[-len(SUFFIXES[row]) :] for states, row in zip(hidden, rows, strict=True)]


def test_a_cached_prefix_gives_what_one_full_pass_gives(routed: RoutedStudent) -> None:
    for row in range(3):
        expected = full_pass(routed, PREFIXES[row], SUFFIXES[row], GATES[row])
        torch.testing.assert_close(extended(routed, [row])[0], expected, atol=1e-9, rtol=0)


def test_a_batch_gives_what_its_rows_give_alone(routed: RoutedStudent) -> None:
    together = extended(routed, [0, 1, 2])
    for row in range(3):
        torch.testing.assert_close(together[row], extended(routed, [row])[0], atol=1e-9, rtol=0)


def test_the_summary_is_the_mean_over_the_real_tokens(routed: RoutedStudent) -> None:
    summary = routed.read_prefix(PREFIXES).summary
    assert summary.shape == (3, routed.hidden_size)
    for row, prefix in enumerate(PREFIXES):
        routed.bus.set(None)
        hidden = routed.model.get_decoder()(input_ids=torch.tensor([prefix])).last_hidden_state
        torch.testing.assert_close(summary[row], hidden[0].mean(dim=0), atol=1e-9, rtol=0)


def test_reading_token_by_token_gives_what_reading_at_once_gives(routed: RoutedStudent) -> None:
    prefill = routed.read_prefix([PREFIXES[0]])
    for token in SUFFIXES[0]:
        hidden = routed.extend(prefill, torch.tensor([[token]]), torch.tensor([[1]]), GATES[[0]])
    torch.testing.assert_close(hidden[0, -1], extended(routed, [0])[0][-1], atol=1e-9, rtol=0)


def test_repeating_a_prefill_repeats_rows_and_leaves_the_original_usable(routed: RoutedStudent) -> None:
    expected = extended(routed, [0, 1])
    prefill = routed.read_prefix(PREFIXES[:2])
    ids, mask = routed.pad_left(SUFFIXES[:2])
    repeated = prefill.repeat(2)
    twice = routed.extend(repeated, ids.repeat_interleave(2, 0), mask.repeat_interleave(2, 0), GATES[[0, 0, 1, 1]])
    once = routed.extend(prefill, ids, mask, GATES[:2])
    torch.testing.assert_close(twice, once.repeat_interleave(2, 0), atol=1e-9, rtol=0)
    torch.testing.assert_close(once[1], expected[1], atol=1e-9, rtol=0)


def test_the_answers_loss_is_the_mean_cross_entropy_of_its_tokens(routed: RoutedStudent) -> None:
    losses = routed.answer_loss(routed.read_prefix(PREFIXES), SUFFIXES, ANSWERS, GATES)
    for row in range(3):
        hidden = full_pass(routed, PREFIXES[row], SUFFIXES[row] + ANSWERS[row], GATES[row])
        before = len(SUFFIXES[row]) - 1  # the state before an answer token predicts it
        chances = routed.model.get_output_embeddings()(hidden).log_softmax(dim=-1)
        expected = -sum(chances[before + place, token] for place, token in enumerate(ANSWERS[row])) / len(ANSWERS[row])
        # The loss is taken in single precision.
        assert losses[row].item() == pytest.approx(expected.item(), rel=1e-5)


def test_weights_say_how_much_each_token_counts(routed: RoutedStudent) -> None:
    def losses(weights: list[list[float]] | None, answers: list[list[int]]) -> Tensor:
        return routed.answer_loss(routed.read_prefix(PREFIXES), SUFFIXES, answers, GATES, weights)

    firsts = losses(None, [answer[:1] for answer in ANSWERS])
    alone = losses([[1.0] + [0.0] * (len(answer) - 1) for answer in ANSWERS], ANSWERS)
    torch.testing.assert_close(alone, firsts, atol=1e-5, rtol=0)

    same = losses([[0.3] * len(answer) for answer in ANSWERS], ANSWERS)
    torch.testing.assert_close(same, losses(None, ANSWERS), atol=1e-5, rtol=0)


def test_logits_over_an_alphabet_are_those_columns_of_all_logits(routed: RoutedStudent) -> None:
    hidden = torch.randn(2, 32, dtype=torch.float64)
    alphabet = torch.tensor([330, 43, 2])
    torch.testing.assert_close(routed.logits(hidden, alphabet), routed.logits(hidden)[:, alphabet])


def test_a_row_trains_the_expert_that_its_gate_names_and_nothing_else(routed: RoutedStudent) -> None:
    gates = torch.eye(3)[[1, 1, 1]]
    routed.answer_loss(routed.read_prefix(PREFIXES), SUFFIXES, ANSWERS, gates).sum().backward()
    for layer in routed.fused.values():
        for expert in range(3):
            part = layer.expert_slice(expert)
            gradients = (layer.lora_a.grad[part], layer.lora_b.grad[:, part])
            assert [bool(gradient.any()) for gradient in gradients] == [expert == 1] * 2
    trained = {id(weight) for weight in routed.expert_parameters()}
    others = [weight for weight in routed.parameters() if id(weight) not in trained]
    assert others
    assert not any(weight.requires_grad or weight.grad is not None for weight in others)


@pytest.mark.parametrize("setting", ["final_logit_softcapping", "logit_scale", "logits_scaling"])
def test_a_setting_that_the_model_does_not_use_changes_no_logits(tiny_student: Student, setting: str) -> None:
    hidden = torch.randn(2, 32, dtype=torch.float64)
    expected = tiny_student.model.get_output_embeddings()(hidden)
    setattr(tiny_student.model.config, setting, 0.5)

    routed = RoutedStudent(tiny_student, ("base",), LoraSettings(rank=2, alpha=4))

    assert torch.equal(routed.logits(hidden), expected)


def test_a_student_without_experts_is_the_model_as_it_is(tiny_student: Student) -> None:
    student = RoutedStudent(tiny_student, (), LoraSettings(rank=1, alpha=1))
    prefill = student.read_prefix(PREFIXES)

    hidden = student.extend(prefill, *student.pad_left(SUFFIXES), torch.zeros(3, 0))

    assert not student.expert_parameters()
    for row in range(3):
        ids = torch.tensor([PREFIXES[row] + SUFFIXES[row]])
        expected = tiny_student.model(input_ids=ids).logits[0, -len(SUFFIXES[row]) :]
        ours = student.logits(hidden[row, -len(SUFFIXES[row]) :])
        torch.testing.assert_close(ours, expected, atol=1e-9, rtol=0)
