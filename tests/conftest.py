"""Fixtures of the whole suite: a small data set whose right answers are known, and a small student."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recbole_routedk.threads import calm_openmp

calm_openmp()  # before torch is imported: what needs it, fixtures import themselves


BUSY = {
    f"tests/{name}.py"
    for name in ("test_distributed", "test_ray_cluster", "serving/test_ray_generation", "distill/test_ray_distillation")
}
"""Files of tests whose own processes keep every core busy: side by side they would starve each other."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the busy files come first."""
    items.sort(key=lambda item: item.nodeid.partition("::")[0] not in BUSY)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out whole files, so that what a module's fixture makes is made once; the busy ones go to one worker."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class WholeFiles(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "busy" if file in BUSY else file

    return WholeFiles(config, log)


@pytest.fixture
def toy_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data path that holds the data set "toy"; what the test writes beside it stays out of the checkout."""
    from toy import toy_splits

    from recbole_routedk.data.atomic import write_atomic

    write_atomic(tmp_path / "data" / "toy", "toy", toy_splits())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


@pytest.fixture
def toy_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy models under their names, each with a setting of its own, and quick to train."""
    folder = tmp_path / "properties" / "model"
    folder.mkdir(parents=True)
    for name, setting in {"Threshold": "start", "Counting": "fingers"}.items():
        quick = "train_batch_size: 4\nlearning_rate: 0.5\nepochs: 4\n" if name == "Threshold" else ""
        text = f"model_class: toy:{name}\n{setting}: 1\n{quick}"
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    from recbole_routedk import plugins

    monkeypatch.setattr(plugins, "properties_folder", lambda: folder.parent)


@pytest.fixture
def one_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the embedded teacher learn once from the same sessions: most runs of a folder of tests share theirs."""
    from fitted_teachers import fitted_once

    from recbole_routedk.distill.teachers import statistical
    from recbole_routedk.model.statistical import teacher

    monkeypatch.setattr(statistical, "fitted_teacher", fitted_once)
    monkeypatch.setattr(teacher, "fitted_teacher", fitted_once)


@pytest.fixture(scope="session")
def tiny_student_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved two-layer Llama with random weights and the tokenizer of the embedded student."""
    # Imported here, because most tests need no language model and these imports take seconds.
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from recbole_routedk.student.backbone import embedded_folder

    folder = tmp_path_factory.mktemp("tiny-student")
    AutoTokenizer.from_pretrained(embedded_folder()).save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        # Wide enough that logits differ by more than rounding, so that an argmax is never a near tie.
        initializer_range=0.3,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def two_ray_workers() -> Iterator[None]:
    """A Ray cluster on this machine that has room for two workers; what asks for one joins it."""
    from recbole_routedk.ray_cluster import ray_package

    ray = ray_package()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # workers import what tests hand them
        ray.init(address="local", num_cpus=2, num_gpus=0, object_store_memory=100 << 20, log_to_driver=False)
    yield
    ray.shutdown()
