"""BundleDataset and BundleDataLoader over atomic files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from toy import TITLES, Threshold, toy_session, toy_splits

from recbole_routedk.config import Config
from recbole_routedk.data.atomic import SplitSessions, write_atomic
from recbole_routedk.data.dataloader import BundleDataLoader
from recbole_routedk.data.dataset import BundleDataset
from recbole_routedk.data.session import LabelledSession
from recbole_routedk.errors import UserError


def config(data_path: Path, **settings: object) -> Config:
    return Config(Threshold, "toy", config_dict={"data_path": str(data_path)} | settings)


def test_the_sessions_of_each_split_come_out_as_written(toy_data: Path) -> None:
    train, valid, test = BundleDataset(config(toy_data)).build()

    written = toy_splits()
    assert train.labelled_sessions == written.train
    assert valid.labelled_sessions == written.valid
    assert test.labelled_sessions == written.test
    assert train.sessions[0] == written.train[0].session


def test_recbole_keeps_awkward_titles_apart_from_padding(toy_data: Path) -> None:
    train = BundleDataset(config(toy_data)).build()[0]

    assert set(train.field2id_token["title"]) == {"[PAD]", *TITLES}
    first = train.token2id("item_id", "i0_0")
    title = train.item_feat["title"][first].item()
    assert train.field2id_token["title"][title] == "None"


def test_recbole_counts_sessions_items_and_interactions(toy_data: Path) -> None:
    train, valid, _ = BundleDataset(config(toy_data)).build()

    assert train.num("session_id") == 16 + 1  # and RecBole's padding
    assert train.inter_num == sum(len(toy_session(n, 3 + n % 3).session) for n in range(10))
    assert valid.inter_feat["position"].tolist()[:4] == [0.0, 1.0, 2.0, 3.0]


def test_a_split_holds_no_gold_bundle_of_another_one(toy_data: Path) -> None:
    train = BundleDataset(config(toy_data)).build()[0]

    held = [value for value in vars(train).values() if isinstance(value, (tuple, SplitSessions))]
    assert train.labelled_sessions in held
    assert not any(isinstance(value, SplitSessions) for value in held)


def test_supersets_and_repeats_of_a_gold_bundle_are_dropped_with_their_intents(tmp_path: Path) -> None:
    small, large = frozenset({0, 1}), frozenset({0, 1, 2})
    session = toy_session(0, 4).session
    doubled = LabelledSession(session, (large, small, small), ("wide", "narrow", "again"))
    splits = toy_splits()
    write_atomic(tmp_path / "toy", "toy", SplitSessions((doubled,), splits.valid, splits.test))

    train = BundleDataset(config(tmp_path)).build()[0]

    assert train.labelled_sessions == (LabelledSession(session, (small,), ("narrow",)),)


def test_dataset_yaml_of_the_public_domains_loads(tmp_path: Path) -> None:
    write_atomic(tmp_path / "food", "food", toy_splits())

    settings = Config(Threshold, "food", config_dict={"data_path": str(tmp_path)})

    assert len(BundleDataset(settings).build()[0].labelled_sessions) == 10


def test_another_way_of_splitting_is_refused(toy_data: Path) -> None:
    with pytest.raises(UserError, match="sessions are split by file"):
        BundleDataset(config(toy_data, benchmark_filename=["train", "test"]))


def test_evaluation_keeps_the_order_of_the_file(toy_data: Path) -> None:
    settings = config(toy_data)
    loader = BundleDataLoader(settings, BundleDataset(settings).build()[0])
    loader.set_batch_size(4)

    assert [batch["session_index"].tolist() for batch in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(loader) == 3


def test_training_order_depends_on_seed_and_epoch_alone(toy_data: Path) -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        settings = config(toy_data, seed=seed, train_batch_size=2)
        loader = BundleDataLoader(settings, BundleDataset(settings).build()[0], shuffle=True)
        loader.set_epoch(epoch)
        return [batch["session_index"].tolist() for batch in loader]

    assert order(1, 5) == order(1, 5)
    assert order(1, 5) != order(1, 6)
    assert order(1, 5) != order(2, 5)
    assert sorted(index for batch in order(1, 5) for index in batch) == list(range(10))


def shared(toy_data: Path, **settings: object) -> list[LabelledSession]:
    return list(BundleDataset(config(toy_data, **settings)).build()[0].labelled_sessions)


def test_a_share_of_the_training_sessions_is_drawn_by_the_seed_and_lies_within_a_larger_one(toy_data: Path) -> None:
    whole, half, fifth = (shared(toy_data, train_share=share) for share in (1.0, 0.5, 0.2))

    assert (len(whole), len(half), len(fifth)) == (10, 5, 2)
    assert half == [labelled for labelled in whole if labelled in half]  # in their order
    assert all(labelled in half for labelled in fifth)
    assert (
        len({tuple(each.session.session_id for each in shared(toy_data, train_share=0.5, seed=n)) for n in range(5)})
        > 1
    )


def test_a_share_leaves_the_other_splits_and_at_least_one_session(toy_data: Path) -> None:
    train, valid, test = BundleDataset(config(toy_data, train_share=0.0)).build()

    assert len(train.labelled_sessions) == 1
    assert (valid.labelled_sessions, test.labelled_sessions) == (toy_splits().valid, toy_splits().test)


# Training sessions of several data sets ------------------------------------------------------------


def pooled(data_path: Path, **settings: object) -> Config:
    given = {"data_path": str(data_path), "knowledge_from": ["other"]} | settings
    return Config("RouteDK", "toy", config_dict=given)


@pytest.fixture
def two_data_sets(toy_data: Path) -> Path:
    """The data set "other" beside "toy", with the same ids for other things."""
    sessions = [toy_session(number, 4) for number in range(5)]
    splits = SplitSessions(tuple(sessions[:3]), tuple(sessions[3:4]), tuple(sessions[4:]))
    write_atomic(toy_data / "other", "other", splits)
    return toy_data


def test_training_sessions_of_another_data_set_follow_the_own_ones(two_data_sets: Path) -> None:
    train, valid, test = BundleDataset(pooled(two_data_sets)).build()

    own = toy_splits()
    assert train.labelled_sessions[:10] == own.train
    assert [each.session.session_id for each in train.labelled_sessions[10:]] == ["other:s0", "other:s1", "other:s2"]
    assert train.labelled_sessions[10].bundles == toy_session(0, 4).bundles
    assert (valid.labelled_sessions, test.labelled_sessions) == (own.valid, own.test)


def test_recbole_sees_the_sessions_that_were_added(two_data_sets: Path) -> None:
    alone = BundleDataset(pooled(two_data_sets, knowledge_from=[])).build()[0]
    train, _, test = BundleDataset(pooled(two_data_sets)).build()

    assert train.inter_num == alone.inter_num + 3 * 4
    assert train.num("session_id") == alone.num("session_id") + 3  # none of the other valid and test splits
    assert train.num("item_id") == alone.num("item_id") + 3 * 4
    title = train.item_feat["title"][train.token2id("item_id", "other:i1_0")].item()
    assert train.field2id_token["title"][title] == TITLES[1]
    assert train.fingerprint() != alone.fingerprint()
    assert test.inter_num == sum(len(labelled.session) for labelled in toy_splits().test)


def test_the_test_split_may_be_that_of_another_data_set(two_data_sets: Path) -> None:
    alone = BundleDataset(config(two_data_sets)).build()
    train, valid, test = BundleDataset(config(two_data_sets, test_on="other")).build()

    (asked,) = test.labelled_sessions
    assert asked.session.session_id == "other:s4"
    assert asked.bundles == toy_session(4, 4).bundles
    assert (train.fingerprint(), valid.fingerprint()) == (alone[0].fingerprint(), alone[1].fingerprint())


def test_models_that_ask_no_teacher_stay_on_their_own_data_set(two_data_sets: Path) -> None:
    settings = config(two_data_sets, knowledge_from=["other"])

    assert len(BundleDataset(settings).build()[0].labelled_sessions) == 10


def test_a_saved_run_finds_the_other_data_set_again(two_data_sets: Path) -> None:
    again = Config.from_plain(pooled(two_data_sets).plain())

    assert len(BundleDataset(again).build()[0].labelled_sessions) == 13


def test_an_id_that_two_sessions_would_share_is_refused(two_data_sets: Path) -> None:
    splits = toy_splits()
    session = toy_session(90, 3).session
    taken = LabelledSession(replace(session, session_id="other:s1"), (frozenset({0, 1}),), ("x",))
    write_atomic(two_data_sets / "toy", "toy", SplitSessions((*splits.train, taken), splits.valid, splits.test))

    with pytest.raises(UserError, match="other brings a second session 'other:s1'"):
        BundleDataset(pooled(two_data_sets))
