"""What is computed fast is what is computed slowly: in single precision, through the whole student, with gradients."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from recbole_routedk.student.adapters import LoraSettings
from recbole_routedk.student.backbone import load_student
from recbole_routedk.student.experts import FusedExpertLinear
from recbole_routedk.student.routed_student import RoutedStudent

EXPERTS = ("base", "rule", "thought")
SETTINGS = LoraSettings(rank=2, alpha=4)
PREFIXES = [[11, 12, 13, 14, 15, 16, 17], [21, 22], [31, 32, 33, 34]]
VIEWS = [
    [[423, 198, 40], [423, 198, 41, 42, 43], [423, 198, 44, 45]],
    [[423, 198, 50, 51], [423, 198], [423, 198, 52]],
    [[423, 198, 60], [423, 198, 61], [423, 198, 62, 63, 64, 65]],
]
ANSWERS = [[330, 331, 2], [332, 333, 43, 334, 335, 2], [2]]


class LoopedExperts(FusedExpertLinear):
    """The definition of the mixture, one expert after the other."""

    def forward(self, inputs: Tensor) -> Tensor:
        """base(x) + sum over experts k of gate_k * alpha / rank * B_k A_k x; the base alone where gates are off."""
        output = self.base(inputs)
        scaled = self._bus.rows(self.layer)  # [batch, 1, E * rank]
        if scaled is not None:
            for k in range(len(EXPERTS)):
                weight_a, weight_b = self.expert_weights(k)
                gate = scaled[:, :, self.expert_slice(k)][:, :, :1]
                output = output + gate * (inputs @ weight_a.T @ weight_b.T)
        return output


@pytest.fixture
def single(tiny_student_folder: Path) -> RoutedStudent:
    """The tiny student in single precision with three experts that all do something."""
    torch.manual_seed(1)
    student = RoutedStudent(load_student(str(tiny_student_folder)), EXPERTS, SETTINGS)
    with torch.no_grad():
        for layer in student.fused.values():
            layer.lora_b.normal_(std=0.2)
    return student


def losses(student: RoutedStudent, gates: Tensor, view: int = 0, rows: Sequence[int] = (0, 1, 2)) -> Tensor:
    """The losses of some rows, their prefixes read for them alone."""
    prefill = student.read_prefix([PREFIXES[row] for row in rows])
    return student.answer_loss(prefill, [VIEWS[view][row] for row in rows], [ANSWERS[row] for row in rows], gates)


def gradients(student: RoutedStudent, loss: Tensor, *others: Tensor) -> list[Tensor]:
    """Gradients of all experts' weights, in the order of the layers, and of others."""
    return list(torch.autograd.grad(loss, [*student.expert_parameters(), *others]))


def assert_close(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> None:
    """Equal to 1e-5 of the largest value of each tensor."""
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5 * max(1.0, other.abs().max().item()), rtol=0)


def test_fused_experts_equal_the_loop_over_experts_through_the_whole_student(single: RoutedStudent) -> None:
    looped = copy.deepcopy(single)
    for layer in looped.fused.values():
        layer.__class__ = LoopedExperts
    weights = torch.rand(3, 3).softmax(dim=-1)
    ours, theirs = (weights.clone().requires_grad_() for _ in range(2))

    fused_loss, looped_loss = losses(single, ours).sum(), losses(looped, theirs).sum()

    assert_close([fused_loss], [looped_loss])
    assert_close(gradients(single, fused_loss, ours), gradients(looped, looped_loss, theirs))


def test_a_batch_trains_as_its_rows_do_one_at_a_time(single: RoutedStudent) -> None:
    gates = torch.rand(3, 3).softmax(dim=-1)
    together = losses(single, gates)
    alone = [losses(single, gates[[row]], rows=[row]) for row in range(3)]

    assert_close([together], [torch.cat(alone)])
    one_by_one = [gradients(single, loss.sum()) for loss in alone]
    assert_close(gradients(single, together.sum()), [sum(each) for each in zip(*one_by_one, strict=True)])


def test_views_that_share_a_prefill_train_as_with_a_prefill_each(single: RoutedStudent) -> None:
    gates = [torch.eye(3)[[view] * 3] for view in range(3)]
    prefill = single.read_prefix(PREFIXES)
    shared = [single.answer_loss(prefill.repeat(1), VIEWS[view], ANSWERS, gates[view]) for view in range(3)]
    apart = [losses(single, gates[view], view) for view in range(3)]

    assert_close(shared, apart)
    assert_close(gradients(single, torch.stack(shared).sum()), gradients(single, torch.stack(apart).sum()))


def test_training_with_the_cache_equals_one_pass_without_it(single: RoutedStudent) -> None:
    gates = torch.rand(3, 3).softmax(dim=-1)
    scaled = (gates * SETTINGS.alpha / SETTINGS.rank).repeat_interleave(SETTINGS.rank, dim=1)
    cached = losses(single, gates)
    expected = []
    for row, (prefix, suffix, answer) in enumerate(zip(PREFIXES, VIEWS[0], ANSWERS, strict=True)):
        whole = torch.tensor([prefix + suffix + answer])
        on = (torch.arange(whole.shape[1]) >= len(prefix)).float()
        single.bus._rows = (on[:, None] * scaled[row])[None]
        logits = single.model(input_ids=whole, use_cache=False).logits[0, -len(answer) - 1 : -1]
        expected.append(torch.nn.functional.cross_entropy(logits, torch.tensor(answer)))

    assert_close([cached], [torch.stack(expected)])
    # The prefix is frozen in both: no expert acts there, so that nothing flows back through it.
    whole_gradients = gradients(single, torch.stack(expected).sum())
    assert_close(gradients(single, cached.sum()), whole_gradients)
