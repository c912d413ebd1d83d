"""A stock RecBole recommender trained on groups of items, in memory and without a trace in the working directory."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.data.utils import get_dataloader
from recbole.sampler import Sampler
from recbole.trainer import trainer as recbole_trainer
from recbole.utils import FeatureSource, FeatureType, get_trainer, init_seed
from scipy.sparse import dok_matrix

from recbole_routedk.checkpoint import random_state, restore_random_state
from recbole_routedk.data.dataset import BundleDataset
from recbole_routedk.distill.encoder import Vectors
from recbole_routedk.errors import UserError
from recbole_routedk.literals import LiteralLoader
from recbole_routedk.progress import progress_bar
from recbole_routedk.run_log import NoWriter

_USER, _ITEM = "user_id", "item_id"
_SCORES_AT_ONCE = 2**17


def item_score_vectors(
    model_class: type, groups: Sequence[Sequence[int]], settings: Mapping[str, Any], device: torch.device
) -> Vectors:
    """Train a recommender on groups of items as its users; returns each item's scores for all of them, [items, groups].

    ``groups[g]`` holds the items of group g, numbered from 0 without a gap. What a recommender says about an item it
    says in these scores, so they describe items of any recommender alike: of factors, neighbours or networks.
    Raises UserError where the recommender needs a package that is not installed, and where its scores are no numbers.
    """
    generators = random_state()
    with TemporaryDirectory() as folder, _at_home():
        config = _StockConfig(model_class, dict(settings) | _places(folder), device)
        init_seed(config["seed"], config["reproducibility"])
        train = _Groups(config, groups).build()[0]
        scores = _scores(_trained(config, model_class, train), train)
    restore_random_state(generators)
    if not np.isfinite(scores).all():
        raise UserError(
            f"base_model: the scores of {model_class.__name__} are no numbers after training; "
            f"lower learning_rate (now {config['learning_rate']})"
        )
    items = 1 + max(max(group) for group in groups)
    # RecBole numbers users and items anew, from 1.
    columns = train.token2id(_ITEM, [str(item) for item in range(items)])
    rows = train.token2id(_USER, [str(group) for group in range(len(groups))])
    return np.ascontiguousarray(scores[rows][:, columns].T)


def _places(folder: str) -> dict[str, Any]:
    return {"data_path": folder, "checkpoint_dir": folder, "benchmark_filename": ["train"], "show_progress": False}


class _StockConfig(RecBoleConfig):
    """RecBole's Config of these settings alone: it reads no command line and evaluates no text."""

    def __init__(self, model: type, settings: dict[str, Any], device: torch.device) -> None:
        self._device = device
        super().__init__(model, "groups", config_dict=settings)

    def compatibility_settings(self) -> None:
        """Nothing: the run's own Config has given numpy its old names."""

    def _build_yaml_loader(self) -> type:
        return LiteralLoader

    def _load_variable_config_dict(self, config_dict: dict[str, Any]) -> dict[str, Any]:
        return config_dict

    def _load_cmd_line(self) -> dict[str, Any]:
        return {}

    def _init_device(self) -> None:
        # The stock version sets CUDA_VISIBLE_DEVICES of the whole process.
        self.final_config_dict |= {"device": self._device, "single_spec": True, "local_rank": 0}


class _Groups(BundleDataset):
    """RecBole's Dataset of groups as users, from memory, with the mended reading of its parent."""

    def __init__(self, config: Any, groups: Sequence[Sequence[int]]) -> None:
        self._rows = [(str(user), str(item)) for user, group in enumerate(groups) for item in group]
        Dataset.__init__(self, config)

    def build(self) -> list[Any]:
        """Return the one dataset, of all groups."""
        built: list[Any] = Dataset.build(self)
        return built

    def _load_data(self, token: str, dataset_path: str) -> None:
        users = (FeatureType.TOKEN, FeatureSource.USER_ID)
        self.inter_feat = self._frame(self._rows, {_USER: users, _ITEM: (FeatureType.TOKEN, FeatureSource.ITEM_ID)})
        self.file_size_list = [len(self._rows)]
        self.user_feat = self.item_feat = None


def _trained(config: Any, model_class: type, train: Any) -> Any:
    name, args = config["model"], config["train_neg_sample_args"]
    try:
        sampler = None
        if args["distribution"] != "none":
            sampler = Sampler(["train"], [train], args["distribution"], args["alpha"]).set_phase("train")
        loader = get_dataloader(config, "train")(config, train, sampler, shuffle=True)
        model = model_class(config, train).to(config["device"])
        trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
        with progress_bar(trainer.epochs, f"{name} trains", "epoch") as bar:
            _count_epochs(trainer, bar)
            trainer.fit(loader, saved=False, verbose=False)
    except ImportError as error:
        raise UserError(f"base_model: {name} needs a package that is not installed: {error}") from None
    except ValueError as error:  # so RecBole says that settings do not fit the data, or that the loss is NaN
        raise UserError(f"base_model: {name} cannot be trained on these groups as it is set: {error}") from None
    return model.eval()


def _count_epochs(trainer: Any, bar: Any) -> None:
    epoch = trainer._train_epoch

    def counted(*args: Any, **kwargs: Any) -> Any:
        loss = epoch(*args, **kwargs)
        bar.update()
        return loss

    trainer._train_epoch = counted


@torch.no_grad()
def _scores(model: Any, train: Any) -> Vectors:
    """The scores of every item for every user, [users, items], padding included."""
    users, items = train.num(_USER), train.num(_ITEM)
    rows = []
    for some in torch.arange(users).split(max(1, _SCORES_AT_ONCE // items)):
        try:
            scores = model.full_sort_predict(Interaction({_USER: some}).to(model.device))
        except NotImplementedError:  # RecBole's own way of saying that a model scores pair by pair
            pairs = {_USER: some.repeat_interleave(items), _ITEM: torch.arange(items).repeat(len(some))}
            scores = model.predict(Interaction(pairs).to(model.device))
        rows.append(scores.view(len(some), items).float().cpu().numpy())
    return np.concatenate(rows)


class _NoBoard(NoWriter):
    def add_hparams(self, *_: Any) -> None:
        """Drop them."""


@contextmanager
def _at_home() -> Iterator[None]:
    """Within the block RecBole's trainer writes no tensorboard log into the working directory and says nothing.

    Its graph recommenders also find ``dok_matrix._update`` there, which scipy removed in 1.13.
    """
    board, level = recbole_trainer.get_tensorboard, logging.root.manager.disable
    lacking = not hasattr(dok_matrix, "_update")
    recbole_trainer.get_tensorboard = lambda _: _NoBoard()
    logging.disable(logging.WARNING)
    if lacking:
        dok_matrix._update = lambda matrix, entries: matrix._dict.update(entries)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # all of them are about RecBole's own code
            yield
    finally:
        recbole_trainer.get_tensorboard = board
        logging.disable(level)
        if lacking:
            del dok_matrix._update
