"""A tiny student with three experts that all do something."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recbole_routedk.data.prompts import PromptEncoder
from recbole_routedk.student.adapters import LoraSettings
from recbole_routedk.student.backbone import Student, load_student
from recbole_routedk.student.routed_student import RoutedStudent

EXPERTS = ("base", "rule", "thought")
SETTINGS = LoraSettings(rank=2, alpha=4)


@pytest.fixture(scope="session")
def tiny_original(tiny_student_folder: Path) -> Student:
    """The tiny student in float64, so that two ways to compute a thing differ by rounding alone; do not change it."""
    return load_student(str(tiny_student_folder), dtype=torch.float64)


@pytest.fixture
def tiny_student(tiny_original: Student) -> Student:
    """A copy of the tiny student for this test."""
    return replace(tiny_original, model=copy.deepcopy(tiny_original.model))


@pytest.fixture
def routed(tiny_student: Student) -> RoutedStudent:
    """The tiny student with three experts whose B is random too, as after training."""
    torch.manual_seed(1)
    student = RoutedStudent(tiny_student, EXPERTS, SETTINGS)
    with torch.no_grad():
        for layer in student.fused.values():
            layer.lora_b.normal_(std=0.2)
    return student


@pytest.fixture
def prompts(tiny_student: Student) -> PromptEncoder:
    """Prompts for up to thirty items with titles of eight tokens."""
    return PromptEncoder(tiny_student.tokenizer, title_tokens=8, max_items=30)
