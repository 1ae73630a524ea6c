import json

import numpy as np
import pytest
import torch

from latentmap.chances import SIGNIFICANCE
from latentmap.expressiveness.blindness import errors_by_sector, group_codes


def test_the_figures_of_a_sector_are_those_of_its_images():
    mse = np.array([0.1, 0.4, 0.2, 0.3, 0.1])
    sector = np.array([9, 4, 9, 4, 9])
    worst, best = errors_by_sector(mse, sector, own_sector=np.array([9, 9, 9, 4]), seed=0)
    assert (worst.number, best.number) == (4, 9)
    assert worst.positions.tolist() == [1, 3]
    assert best.positions.tolist() == [2, 0, 4]
    assert worst.mse.value == pytest.approx(0.35)
    assert worst.excess == pytest.approx(0.35 / (0.4 / 3))
    assert (worst.share, worst.own_share) == (2 / 5, 1 / 4)


def test_the_chance_is_the_share_of_draws_that_are_as_bad():
    # Of the 1,140 triples among 20 images 120 are all in one half.
    mse, sector = np.full(20, 0.1), np.arange(20) // 10
    mse[-3:] = 0.9
    worst, rest = errors_by_sector(mse, sector, seed=0)
    assert worst.number == 1
    assert worst.p_value == pytest.approx(120 / 1140, abs=0.01)
    assert rest.p_value == pytest.approx(1)
    assert not worst.blind


def test_equal_errors_are_no_blindness():
    found = errors_by_sector(np.full(60, 0.1), np.arange(60) % 4, seed=0)
    assert [one.p_value for one in found] == [1, 1, 1, 1]
    assert [one.excess for one in found] == pytest.approx([1, 1, 1, 1])
    assert not any(one.blind for one in found)


def test_no_error_at_all_is_no_blindness():
    assert not any(one.blind for one in errors_by_sector(np.zeros(8), np.arange(8) % 2, seed=0))


def test_one_sector_alone_is_no_blindness():
    (one,) = errors_by_sector(np.linspace(0, 1, 9), np.zeros(9, dtype=int), seed=0)
    assert (one.excess, one.blind, one.p_value) == (1, False, None)


def test_of_a_sector_of_few_images_nothing_is_told():
    mse, sector = np.full(100, 0.1), np.zeros(100, dtype=int)
    mse[:9], sector[:9] = 5, 1
    worst, rest = errors_by_sector(mse, sector, seed=0)
    assert (worst.number, worst.excess, worst.n_units) == (1, pytest.approx(50), 9)
    assert (worst.p_value, worst.blind, worst.verdict) == (None, False, "too few")
    # Of the rest neither, since what it is held against is that sector.
    assert (rest.n_units, rest.p_value, rest.verdict) == (91, None, "too few")
    assert worst.to_json()["p_value"] is None


def test_a_sector_is_as_many_as_its_groups_of_images():
    mse, sector = np.full(100, 0.1), np.zeros(100, dtype=int)
    mse[:20], sector[:20] = 5, 1
    units = np.arange(100)
    assert errors_by_sector(mse, sector, units=units, seed=0)[0].verdict == "blind"
    units[:20] //= 4
    assert errors_by_sector(mse, sector, units=units, seed=0)[0].verdict == "too few"


def planted(*, times, seed=0):
    """Errors of 300 images in 15 sectors, one of which is so many times as bad."""
    generator = np.random.default_rng(seed)
    sector = generator.integers(0, 15, 300)
    mse = generator.gamma(3, 0.01, 300)
    mse[sector == 6] *= times
    return mse, sector


def test_a_planted_sector_is_the_only_blind_one():
    mse, sector = planted(times=2.5)
    found = errors_by_sector(mse, sector, seed=0)
    assert [one.number for one in found if one.blind] == [6]
    assert found[0].number == 6


def test_a_sector_that_is_certain_but_hardly_worse_is_not_blind():
    generator = np.random.default_rng(1)
    mse, sector = generator.normal(1, 0.05, 400), np.arange(400) % 4
    mse[sector == 2] *= 1.3
    worst = errors_by_sector(mse, sector, seed=0)[0]
    assert (worst.number, worst.blind) == (2, False)
    assert worst.p_value < 0.001


def test_hard_images_are_no_blindness_when_they_are_hard_for_another_model():
    mse, sector = planted(times=2.5)
    hard = np.where(sector == 6, 0.05, 0.02)
    assert not any(one.blind for one in errors_by_sector(mse, sector, reference=hard, seed=0))
    mse[sector == 3] *= 3
    found = errors_by_sector(mse, sector, reference=hard, seed=0)
    assert [one.number for one in found if one.blind] == [3]


def test_easy_images_are_no_blindness_however_easy_they_are_for_another_model():
    mse, sector = planted(times=0.8)
    easy = np.where(sector == 6, 0.005, 0.02)
    worst = errors_by_sector(mse, sector, reference=easy, seed=0)[0]
    assert worst.number == 6
    assert worst.excess > 2
    assert worst.p_value < 0.001
    assert not worst.blind


def test_a_reference_without_error_divides_by_the_error_of_rounding():
    mse, sector = planted(times=2.5)
    plain = errors_by_sector(mse, sector, seed=0)
    exact = errors_by_sector(mse, sector, reference=np.zeros(300), seed=0)
    assert [one.excess for one in exact] == pytest.approx([one.excess for one in plain])


def test_a_blind_sector_is_found_by_chance_as_rarely_as_the_level_says(monkeypatch):
    monkeypatch.setattr("latentmap.expressiveness.blindness._PERMUTATIONS", 999)
    rounds, wrong = 30, 0
    for seed in range(rounds):
        mse, sector = planted(times=1, seed=seed)
        found = errors_by_sector(mse, sector, seed=seed)
        chances = [one.p_value for one in found if one.p_value is not None]
        wrong += min(chances) <= SIGNIFICANCE / len(chances)
    assert wrong <= 5  # Of 30 draws at 5 %, more have a chance of 0.3 %.


def test_the_order_of_images_changes_nothing_but_chance():
    mse, sector = planted(times=2.5)
    order = np.random.default_rng(2).permutation(300)
    first = errors_by_sector(mse, sector, seed=0)
    second = errors_by_sector(mse[order], sector[order], seed=0)
    assert [one.number for one in first] == [one.number for one in second]
    for one, other in zip(first, second, strict=True):
        assert sorted(order[other.positions]) == sorted(one.positions)
        assert other.p_value == pytest.approx(one.p_value, abs=0.02)


def test_a_seed_gives_the_same_and_blocks_change_little(monkeypatch):
    mse, sector = planted(times=1.2)
    first = [one.to_json() for one in errors_by_sector(mse, sector, seed=3)]
    assert [one.to_json() for one in errors_by_sector(mse, sector, seed=3)] == first
    assert json.loads(json.dumps(first)) == first
    monkeypatch.setattr("latentmap.expressiveness.blindness._PERMUTED_NUMBERS", 1000)
    again = errors_by_sector(mse, sector, seed=3)
    assert [one.p_value for one in again] == pytest.approx([one["p_value"] for one in first])


def test_codes_in_separate_clouds_are_grouped_by_cloud():
    generator = torch.Generator().manual_seed(0)
    cloud = torch.arange(6).repeat_interleave(6)
    codes = 20 * torch.eye(6)[cloud] + torch.randn(36, 6, generator=generator)
    cells = group_codes(codes, seed=0)
    assert len(cells.centers) == 6
    for number in range(6):
        assert len(set(cells.number[cloud.numpy() == number])) == 1
    assert np.array_equal(cells.nearest(codes), cells.number)


def test_groups_have_a_seed_of_any_size():
    codes = torch.randn(30, 2, generator=torch.Generator().manual_seed(1))
    large, small = (group_codes(codes, seed=seed).number for seed in (2**32 + 5, 5))
    assert np.array_equal(large, small)


def test_equal_codes_are_one_group():
    assert set(group_codes(torch.zeros(9, 3), seed=0).number) == {0}
