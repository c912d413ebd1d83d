"""Gold answers as episodes, played answers and their rewards."""

from __future__ import annotations

import pytest
import torch

from recbole_routedk.model.statistical.bundle_episodes import CLOSE, END, FIRST_ITEM, Episodes
from recbole_routedk.model.statistical.imitation import right_actions
from recbole_routedk.model.statistical.pointer_policy import PointerPolicy, masked_log_probabilities
from recbole_routedk.model.statistical.rollouts import Played, collated, gold_steps, gumbel, play, played_steps
from recbole_routedk.model.statistical.session_tensors import gold_rows, padded, present_flags

GOLD = [frozenset({0, 1, 2}), frozenset({3, 4})]


def right(gold: list[frozenset[int]], *actions: int) -> list[int]:
    """The right actions in a session of six items after some actions."""
    episodes = Episodes.begin(torch.ones(1, 6, dtype=torch.bool), 1)
    for action in actions:
        episodes.step(torch.tensor([[action]]))
    flags = right_actions(episodes, gold_rows(6, gold).unsqueeze(0))[0, 0]
    return [index for index, flag in enumerate(flags.tolist()) if flag]


def items(*positions: int) -> list[int]:
    return [FIRST_ITEM + position for position in positions]


def test_any_item_of_any_gold_bundle_begins_and_its_others_go_on() -> None:
    assert right(GOLD) == items(0, 1, 2, 3, 4)
    assert right(GOLD, *items(1)) == items(0, 2)
    assert right(GOLD, *items(1, 0, 2)) == [CLOSE]
    assert right(GOLD, *items(1, 0, 2), CLOSE) == items(3, 4)
    assert right(GOLD, *items(1, 0, 2), CLOSE, *items(3, 4), CLOSE) == [END]
    assert right(GOLD, *items(1, 0, 2), CLOSE, *items(3, 4), CLOSE, END) == []


def test_gold_bundles_that_share_an_item_part_where_they_differ() -> None:
    shared = [frozenset({0, 1}), frozenset({1, 2, 3})]
    assert right(shared, *items(1)) == items(0, 2, 3)
    assert right(shared, *items(1, 0)) == [CLOSE]
    # The second is written without what it shares; of the first a single item would be left.
    assert right(shared, *items(1, 0), CLOSE) == items(2, 3)
    assert right(shared, *items(1, 2, 3), CLOSE) == [END]


def test_gold_steps_end_in_the_gold_answer_whatever_the_order() -> None:
    gold = padded([gold_rows(6, GOLD), gold_rows(2, [frozenset({0, 1})])])
    first, second = gold_steps(present_flags([6, 2]), gold, [6, 2], 3, torch.Generator().manual_seed(0))
    # Five items, two ends of bundles and one of the answer, three times; two items and two ends.
    assert [each.right.shape for each in (first, second)] == [(3 * 8, 8), (3 * 4, 4)]
    assert bool(first.right.any(-1).all())
    batch, flags = collated([first, second])
    assert batch.right.shape == (2, 24, 8)
    assert flags.sum(1).tolist() == [24, 12]


@pytest.fixture
def policy() -> PointerPolicy:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PointerPolicy(width=4, hidden=8, layers=1, heads=2, dropout=0.1).eval()


def drawn(length: int, seed: int = 1) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(length, 4, generator=torch.Generator().manual_seed(seed)), dim=-1)


def no_noise(_: int, shape: torch.Size) -> torch.Tensor:
    return torch.zeros(shape)


def rewarded(dense: bool) -> tuple[list[float], list[float]]:
    """Advantages and returns, under values of 0, of the answer {0, 1} where the gold one is {0, 1, 2}."""
    episodes = Episodes.begin(torch.ones(1, 3, dtype=torch.bool), 1)
    steps: list[tuple[torch.Tensor, ...]] = []
    owners: list[torch.Tensor] = []
    for action in (*items(0, 1), CLOSE, END):
        before = (episodes.current, episodes.free, episodes.closed)
        zero = torch.zeros(1, 1)
        steps.append((*before, torch.tensor([[action]]), zero, zero, ~episodes.done))
        episodes.step(torch.tensor([[action]]))
        owners.append(episodes.owner)
    gold = gold_rows(3, [frozenset({0, 1, 2})]).unsqueeze(0)
    (found,) = played_steps(Played(steps, owners, episodes), gold, [3], dense, decay=0.0)
    assert found.action.tolist() == [*items(0, 1), CLOSE, END]
    return found.advantage.tolist(), found.follows.tolist()


def test_a_dense_reward_is_paid_as_the_answer_gets_better() -> None:
    # MatchedF1 is the Jaccard here: 1/3 after the first item, 2/3 after the second, then it stays.
    assert rewarded(dense=True)[0] == pytest.approx([1 / 3, 1 / 3, 0, 0])


def test_a_terminal_reward_is_the_same_sum_at_the_end() -> None:
    assert rewarded(dense=False)[0] == pytest.approx([0, 0, 0, 2 / 3])


def test_played_answers_are_valid_and_their_steps_whole(policy: PointerPolicy) -> None:
    vectors, present = padded([drawn(6), drawn(2), drawn(1)]), present_flags([6, 2, 1])
    generator = torch.Generator().manual_seed(0)
    played = play(policy, vectors, present, 5, lambda _, shape: gumbel(generator, shape))
    answers = played.episodes.answers()
    assert answers[1:] == [[(frozenset({0, 1}),)] * 5, [()] * 5]
    assert len(set(answers[0])) > 1, "noise draws different answers"
    gold = padded([gold_rows(6, GOLD), gold_rows(2, [frozenset({0, 1})]), gold_rows(1, [])])
    found = played_steps(played, gold, [6, 2, 1], dense=True, decay=0.9)
    assert [each.current.shape[1] for each in found] == [6, 2, 1]
    assert [int((each.action == END).sum()) for each in found] == [5, 5, 5]


def test_order_and_padding_change_nothing(policy: PointerPolicy) -> None:
    vectors, turn = drawn(6), torch.tensor([3, 1, 5, 0, 4, 2])
    alone = play(policy, vectors.unsqueeze(0), present_flags([6]), 1, no_noise).episodes.answers()[0][0]
    turned = play(policy, vectors[turn].unsqueeze(0), present_flags([6]), 1, no_noise).episodes.answers()[0][0]
    assert {frozenset(int(turn[i]) for i in bundle) for bundle in turned} == set(alone)
    batch = play(policy, padded([vectors, drawn(9, 2)]), present_flags([6, 9]), 1, no_noise)
    assert batch.episodes.answers()[0][0] == alone


def test_what_is_not_allowed_has_no_probability() -> None:
    log = masked_log_probabilities(torch.tensor([3.0, 1.0, 1.0]), torch.tensor([False, True, True]))
    assert log.exp().tolist() == pytest.approx([0.0, 0.5, 0.5])
