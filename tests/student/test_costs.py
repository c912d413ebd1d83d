"""What training and answering cost, counted: operations, passes through the student, bytes kept for gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from recbole_routedk.student.adapters import LoraSettings
from recbole_routedk.student.backbone import Student
from recbole_routedk.student.decoding import Alphabet, SamplingSettings, decode_constrained
from recbole_routedk.student.routed_student import Prefill, RoutedStudent
from recbole_routedk.student.router import SoftmaxRouter
from recbole_routedk.student.targets import expert_layers

RANK, HIDDEN, VOCABULARY = 4, 128, 1000
PREFIXES = [[11, 12, 13, 14, 15, 16, 17, 18], [21, 22, 23, 24, 25], [31, 32, 33, 34]]
SUFFIXES = [[423, 198, 40], [423, 198, 41, 42, 43], [423, 198, 44, 45]]
ANSWERS = [[330, 331, 2], [332, 333, 43, 334, 335, 2], [2]]
ITEMS = [4, 9, 3]
ALPHABET = Alphabet(labels=list(range(330, 340)), separator=43, end=2)


def small_model() -> LlamaForCausalLM:
    """Three layers, wide enough that what an adapter adds is small, as in a real student."""
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=HIDDEN,
            intermediate_size=3 * HIDDEN,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            initializer_range=0.1,
            tie_word_embeddings=True,
            pad_token_id=2,
        )
    ).requires_grad_(False)


@pytest.fixture
def make(tiny_student: Student) -> Callable[..., RoutedStudent]:
    """Make a student with some experts, on a model of its own."""

    def made(experts: int, rank: int = RANK, first_layer: int = 0) -> RoutedStudent:
        settings = LoraSettings(rank=rank, alpha=2 * rank, first_layer=first_layer)
        names = [f"expert {number}" for number in range(experts)]
        return RoutedStudent(replace(tiny_student, model=small_model()), names, settings)

    return made


def with_peft_lora(student: RoutedStudent, rank: int) -> RoutedStudent:
    """Put PEFT's LoRA into all layers of a student that has no experts."""
    names = expert_layers(student.model, ("auto",), 0)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=names, task_type="CAUSAL_LM")
    get_peft_model(student.model, config)
    return student


def trained(student: RoutedStudent) -> Tensor:
    """The loss of a training step in which all experts have a part."""
    experts = len(student.experts)
    gates = torch.full((3, experts), 1 / max(1, experts), requires_grad=True)
    return student.answer_loss(student.read_prefix(PREFIXES), SUFFIXES, ANSWERS, gates).mean()


def flops(work: Callable[[], object]) -> int:
    """Floating-point operations of matrix products and attention."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def kept_bytes(work: Callable[[], Tensor]) -> int:
    """Bytes that autograd keeps for the backward pass, weights not counted, each tensor once."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = work()
    total = sum(kept.values())
    del loss  # alive until here, so that no storage is counted under the address of an earlier one
    return total


class _Products(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.mm.default:
            self.shapes.append(tuple(result.shape))
        return result


def products(work: Callable[[], object]) -> list[tuple[int, ...]]:
    """The shapes of the results of all matrix products."""
    with _Products() as seen:
        work()
    return seen.shapes


@contextmanager
def passes_counted(student: RoutedStudent) -> Iterator[list[tuple[int, ...]]]:
    """Collect the shape of the token ids of every pass through the student."""
    seen: list[tuple[int, ...]] = []
    handle = student.model.get_decoder().register_forward_pre_hook(
        lambda _, __, given: seen.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    yield seen
    handle.remove()


def test_three_experts_take_the_operations_of_one_lora_of_their_rank_together(make: Callable[..., Any]) -> None:
    fused, lora = make(3), with_peft_lora(make(0), 3 * RANK)
    # PEFT's adapters act on the prefix too, which is read apart here.
    with torch.no_grad():
        ours, theirs = fused.read_prefix(PREFIXES), lora.read_prefix(PREFIXES)

    def step(student: RoutedStudent, prefill: Prefill) -> int:
        gates = torch.full((3, len(student.experts)), 0.3, requires_grad=True)
        return flops(lambda: student.answer_loss(prefill, SUFFIXES, ANSWERS, gates).mean().backward())

    assert step(fused, ours) == step(lora, theirs)
    assert sum(weight.numel() for weight in fused.expert_parameters()) == sum(
        weight.numel() for weight in lora.model.parameters() if weight.requires_grad
    )


@pytest.mark.parametrize("experts", [2, 3, 6])
def test_the_number_of_experts_changes_neither_operations_nor_products(experts: int, make: Callable[..., Any]) -> None:
    several, single = make(experts, rank=12 // experts), make(1, rank=12)
    assert flops(lambda: trained(several).backward()) == flops(lambda: trained(single).backward())
    assert products(lambda: trained(several).backward()) == products(lambda: trained(single).backward())


def test_what_is_kept_for_gradients_is_what_one_lora_keeps(make: Callable[..., Any]) -> None:
    fused, lora = make(3, rank=1), with_peft_lora(make(0), 3)
    with torch.no_grad():
        ours, theirs = fused.read_prefix(PREFIXES), lora.read_prefix(PREFIXES)
    gates = torch.full((3, 3), 1 / 3, requires_grad=True)
    mine = kept_bytes(lambda: fused.answer_loss(ours, SUFFIXES, ANSWERS, gates).mean())
    other = kept_bytes(lambda: lora.answer_loss(theirs, SUFFIXES, ANSWERS, torch.zeros(3, 0)).mean())
    assert mine <= 1.05 * other


def test_reading_the_items_keeps_nothing_for_gradients(make: Callable[..., Any]) -> None:
    student = make(3)
    assert kept_bytes(lambda: student.read_prefix(PREFIXES).summary) == 0


def test_layers_without_experts_take_no_part_in_the_backward_pass(make: Callable[..., Any]) -> None:
    student = make(3, first_layer=2)
    needed = []
    for layer in student.model.get_decoder().layers:
        layer.register_forward_hook(lambda _, __, output: needed.append(output.requires_grad))
    prefill = student.read_prefix(PREFIXES)
    needed.clear()
    student.answer_loss(prefill, SUFFIXES, ANSWERS, torch.full((3, 3), 1 / 3))
    assert needed == [False, False, True]


def test_logits_are_computed_only_where_there_is_a_target(make: Callable[..., Any]) -> None:
    student = make(3)  # which asks the model for a few logits of its own
    heads = [shape for shape in products(lambda: trained(student)) if shape[1] == VOCABULARY]
    assert heads == [(sum(map(len, ANSWERS)), VOCABULARY)]


def test_the_router_takes_less_than_a_hundredth_of_the_prefill(make: Callable[..., Any]) -> None:
    student = make(3)
    router = SoftmaxRouter(student.hidden_size, 3)
    prefill = student.read_prefix(PREFIXES)
    cost = flops(lambda: router(prefill.summary))
    assert cost == 2 * len(PREFIXES) * HIDDEN * 3
    assert cost < 0.01 * flops(lambda: student.read_prefix(PREFIXES))


def test_views_and_samples_share_one_reading_of_the_items(make: Callable[..., Any]) -> None:
    student = make(3)
    with passes_counted(student) as passes:
        prefill = student.read_prefix(PREFIXES)
        for view in range(3):
            student.answer_loss(prefill.repeat(1), SUFFIXES, ANSWERS, torch.eye(3)[[view] * 3])
    longest = max(len(s) + len(a) - 1 for s, a in zip(SUFFIXES, ANSWERS, strict=True))
    assert passes == [(3, 8), *[(3, longest)] * 3]


def decoded(student: RoutedStudent, samples: int, temperature: float) -> list[tuple[int, ...]]:
    """The passes that writing the answers takes."""
    prefill = student.read_prefix(PREFIXES)
    gates = torch.full((3, 3), 1 / 3)
    with torch.no_grad():
        hidden = student.extend(prefill, *student.pad_left([[423, 198, 40]] * 3), gates)[:, -1]
    settings = SamplingSettings(samples, temperature, budget=12, seed=7)
    with passes_counted(student) as passes:
        decode_constrained(student, prefill, hidden, gates, ITEMS, ["s1", "s2", "s3"], ALPHABET, settings)
    return passes


def test_samples_that_agree_cost_what_one_costs(make: Callable[..., Any]) -> None:
    student = make(3)
    greedy = decoded(student, 1, 1.0)
    # So cold that no noise turns a choice round.
    assert decoded(student, 8, 1e-6) == greedy
    assert all(tokens == 1 for _, tokens in greedy)


def test_all_sessions_and_samples_take_a_step_in_one_pass(make: Callable[..., Any]) -> None:
    passes = decoded(make(3), 8, 5.0)
    # At most one pass a symbol, but for the last: the end is read by nobody.
    assert len(passes) <= 11
    assert 3 < max(rows for rows, _ in passes) <= 3 * 8


def test_constrained_answers_are_scored_over_their_own_symbols(make: Callable[..., Any]) -> None:
    student = make(3)
    prefill = student.read_prefix(PREFIXES)
    gates = torch.full((3, 3), 1 / 3)
    settings = SamplingSettings(1, 1.0, budget=12, seed=7)
    hidden = torch.randn(3, HIDDEN)
    names = ["s1", "s2", "s3"]
    shapes = products(lambda: decode_constrained(student, prefill, hidden, gates, ITEMS, names, ALPHABET, settings))
    assert not any(shape[1] == VOCABULARY for shape in shapes)
    assert (3, max(ITEMS) + 2) in shapes
