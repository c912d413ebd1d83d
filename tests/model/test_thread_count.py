"""How many threads work on a batch changes no more than the last digits of what the embedded student learns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from recbole_routedk.config import Config
from recbole_routedk.data.dataset import BundleDataset
from recbole_routedk.model.routedk import RouteDK


@pytest.fixture
def threads_as_before() -> Iterator[None]:
    """Give torch its threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_loss_and_gradients_are_those_of_one_thread(small_data: Path, threads_as_before: None) -> None:
    config = Config("RouteDK", "small", config_dict={"data_path": str(small_data), "show_progress": False})
    train = BundleDataset(config).build()[0]
    torch.manual_seed(1)
    model = RouteDK(config, train)
    model.prepare(train.labelled_sessions)
    model.begin_stage("experts")
    learnt = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        model.zero_grad(set_to_none=True)
        loss = sum(model.loss_parts({"session_index": torch.tensor([0])}))
        assert isinstance(loss, torch.Tensor)
        loss.backward()
        learnt.append((loss.item(), {name: value.grad for name, value in model.named_parameters()}))

    (loss_of_one, of_one), (loss_of_two, of_two) = learnt
    assert loss_of_two == pytest.approx(loss_of_one, rel=1e-5)
    gradients = [(of_one[name], of_two[name]) for name, value in of_one.items() if value is not None]
    assert len(gradients) > 100
    for one, two in gradients:
        torch.testing.assert_close(two, one, rtol=1e-3, atol=1e-5 * float(one.abs().max()) + 1e-12)
