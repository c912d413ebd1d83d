"""POG and CLHE: their loss by hand, what they learn from two kinds of items, and runs that load and repeat."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_routedk.data.atomic import SplitSessions, write_atomic
from recbole_routedk.data.session import Item, LabelledSession, Session
from recbole_routedk.errors import UserError
from recbole_routedk.model.statistical.clhe import CLHE, info_nce
from recbole_routedk.model.statistical.completion import BundleCompletion, completion_cross_entropy, mean_inside
from recbole_routedk.model.statistical.item_batches import Lesson, PartialBatch
from recbole_routedk.quick_start import load_data_and_model, run_recbole_routedk

KINDS = (("tent", "stove", "lantern"), ("phone", "charger", "earbuds"))
"""Items of a kind go together, though their titles have nothing in common."""

QUICK = {
    "content": "tfidf",
    "content_width": 8,
    "title_width": 8,
    "width": 8,
    "heads": 2,
    "epochs": 6,
    "train_batch_size": 2,
    "learning_rate": 0.05,
    "stopping_step": 6,
    "eval_step": 6,
    "show_progress": False,
    "state": "ERROR",
}


def shop_session(number: int) -> LabelledSession:
    """Two items of one kind and two or three of the other, mixed up; each kind is a bundle."""
    sizes = (2, 3) if number % 2 else (2, 2)
    titles = [kind[(number + place) % 3] for kind, size in zip(KINDS, sizes, strict=True) for place in range(size)]
    order = sorted(range(len(titles)), key=lambda place: (place * 7 + number) % len(titles))
    items = tuple(Item(f"{number}-{place}", titles[place]) for place in order)
    bundles = tuple(frozenset(k for k, item in enumerate(items) if item.title in kind) for kind in KINDS)
    return LabelledSession(Session(f"s{number}", items), bundles, ("camp", "call"))


def shop() -> SplitSessions:
    sessions = tuple(map(shop_session, range(20)))
    return SplitSessions(sessions[:12], sessions[12:15], sessions[15:])


def run(folder: Path, model: str, splits: SplitSessions | None = None, **settings: Any) -> dict[str, Any]:
    write_atomic(folder / "data" / "shop", "shop", splits or shop())
    given = QUICK | {"data_path": str(folder / "data"), "output_dir": str(folder / "output")} | settings
    return run_recbole_routedk(model, "shop", config_dict=given)


def answers(result: dict[str, Any]) -> dict[str, list[list[int]]]:
    read: dict[str, list[list[int]]] = json.loads(
        (Path(result["run_folder"]) / "predictions_test.json").read_text(encoding="utf-8")
    )
    return read


def test_the_loss_is_the_cross_entropy_of_what_joins_or_of_the_end() -> None:
    inside = torch.tensor([[True, False, False, False], [True, True, False, False]])
    joins = torch.tensor([[False, True, True, False], [False, False, False, False]])
    logits = torch.tensor([[9.0, 1.0, 2.0, 9.0], [9.0, 9.0, 3.0, 9.0]])
    present = torch.tensor([[True, True, True, False], [True, True, True, False]])
    loss = completion_cross_entropy(logits, present, Lesson(PartialBatch(torch.tensor([0, 1]), inside), joins))
    first = torch.logsumexp(torch.tensor([1.0, 2.0, 0.0]), 0) - 1.5  # the mean of both that join
    second = torch.logsumexp(torch.tensor([3.0, 0.0]), 0)  # the end
    assert loss.item() == pytest.approx(((first + second) / 2).item(), abs=1e-5)


def test_the_mean_of_a_partial_bundle_leaves_the_others_out() -> None:
    vectors = torch.tensor([[[2.0, 0.0], [4.0, 2.0], [90.0, 90.0]]])
    assert mean_inside(vectors, torch.tensor([[True, True, False]])).tolist() == [[3.0, 1.0]]


def test_two_views_are_told_from_those_of_others() -> None:
    views = torch.eye(3)
    expected = torch.log(torch.exp(torch.tensor(2.0)) + 2) - 2
    assert info_nce(views, views, 0.5).item() == pytest.approx(expected.item(), abs=1e-5)
    assert info_nce(views[:0], views[:0], 0.5).item() == 0


@pytest.mark.parametrize(("model", "settings"), [("POG", {}), ("POG", {"session_context": False}), ("CLHE", {})])
def test_it_learns_what_goes_together(tmp_path: Path, model: str, settings: dict[str, Any]) -> None:
    assert run(tmp_path, model, **settings)["test_result"]["matchedf1"] > 0.9


def test_heads_have_to_divide_the_width(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="heads: 3 does not divide width: 8"):
        run(tmp_path, "POG", heads=3)


@pytest.mark.parametrize("model", ["POG", "CLHE"])
def test_a_run_repeats_and_loads(tmp_path: Path, model: str) -> None:
    few = {"epochs": 2, "eval_step": 1}
    result = run(tmp_path, model, **few)
    assert answers(run(tmp_path, model, run_name="again", **few)) == answers(result)
    _, loaded, _, _, _, test = load_data_and_model(result["run_folder"])
    sessions = [labelled.session for labelled in test.bundle_dataset.labelled_sessions]
    again = [[sorted(bundle) for bundle in generation.bundles] for generation in loaded.predict_bundles(sessions)]
    assert again == [answers(result)[session.session_id] for session in sessions]

    long = replace(sessions[0], items=tuple(Item(str(place), f"tent {place}") for place in range(100)))
    odd = [Session("none", ()), Session("one", sessions[0].items[:1]), Session("bare", (Item("a", ""), Item("b", "")))]
    counts = [len(generation.bundles) for generation in loaded.predict_bundles([*odd, long])]
    assert counts[:3] == [0, 0, 1]
    assert counts[3] > 0


def test_clhe_reads_training_items_without_their_own_bundles(tmp_path: Path) -> None:
    result = run(tmp_path, "CLHE", epochs=1, eval_step=1)
    model = load_data_and_model(result["run_folder"])[1]
    assert isinstance(model, CLHE)
    assert isinstance(model, BundleCompletion)
    train = [labelled.session for labelled in shop().train]
    width = model.content.width
    seen, read = model.training_items().vectors, model.read(train).vectors
    assert torch.equal(seen[..., :width], read[..., :width])
    assert not torch.equal(seen[..., width:], read[..., width:])
