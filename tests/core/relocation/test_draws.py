import math

import numpy as np
import pytest
import torch

from latentmap.codes import Codes, Space
from latentmap.relocation.draws import Missed, in_turn, mapped_in_turn, turns_of


def test_turns_are_as_many_for_each_draw():
    turns = turns_of(23, 5, seed=0)
    assert sorted(np.bincount(turns)) == [4, 4, 5, 5, 5]
    assert not np.array_equal(turns, turns_of(23, 5, seed=1))
    assert set(turns_of(3, 5, seed=0)) <= set(range(5))


def test_draws_that_take_turns_are_told_apart_whatever_the_images_are():
    random = np.random.default_rng(0)
    known, turns = random.gamma(1, 10, 1000), turns_of(1000, 4, seed=0)
    more = np.array([1.0, 2.0, 3.0, 4.0])
    found = in_turn(known + more[turns], turns, known)
    assert found.draws == pytest.approx(known.mean() + more)
    assert found.errors.mean() == pytest.approx(found.draws.mean())
    assert found.away == pytest.approx(more - 2.5)


def test_the_range_holds_another_draw():
    random = np.random.default_rng(0)
    draws = np.exp(random.normal(0, 0.3, (4000, 6)))
    inside = 0
    for one in draws:
        low, high = Missed(np.ones(1), one[:5]).range
        inside += low <= one[5] <= high
    assert inside / len(draws) == pytest.approx(0.95, abs=0.012)


def test_what_is_known_of_images_does_not_count_where_errors_do_not_follow_it():
    known, turns = np.array([1.0, 9, 5, 1, 9, 5]), np.array([0, 0, 0, 1, 1, 0])
    found = in_turn(np.array([2.0, 2, 2, 3, 3, 2]), turns, known)
    assert found.draws == pytest.approx([2, 3])
    assert in_turn(np.arange(4.0), np.array([0, 0, 1, 1]), np.ones(4)).draws.tolist() == [0.5, 2.5]


def test_errors_without_logarithms_have_a_range_too():
    assert Missed(np.ones(1), np.zeros(3)).range == (0, 0)
    low, high = Missed(np.ones(1), np.array([-1.0, 0, 1])).range
    assert low == -high < -1


@pytest.mark.parametrize("draws", [[2.0], [1.0, math.nan]])
def test_one_draw_has_no_range(draws):
    assert all(math.isnan(end) for end in Missed(np.ones(1), np.array(draws)).range)


class _Times:
    def __init__(self, factor):
        self.factor = factor

    def apply(self, codes):
        return self.factor * codes.double()


def test_codes_are_mapped_by_whose_turn_it_is():
    codes = Codes.from_array(list("abcd"), np.arange(8).reshape(4, 2), space=Space("z", 2, "a", ""))
    turns = np.array([1, 0, 0, 1])
    maps = [_Times(1), _Times(10)]
    found = mapped_in_turn(maps, codes, Space("z", 2, "b", "b"), turns)
    expected = torch.tensor([[0.0, 10], [2, 3], [4, 5], [60, 70]])
    assert torch.equal(found.vectors, expected)
    assert torch.equal(found.read(1, 3), expected[1:3])
    assert torch.equal(found.take(np.array([3, 1])).vectors, expected[[3, 1]])
