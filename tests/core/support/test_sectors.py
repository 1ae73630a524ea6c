"""Sectors are numbered by signs, and a code is a member of one or of none."""

import numpy as np
import pytest

from latentmap.codes import Codes, Space
from latentmap.errors import SupportError
from latentmap.support.sectors import (
    Sectors,
    check_count,
    members_at,
    reach_of,
    sector_numbers,
)
from latentmap.support.thresholds import choose_threshold


def codes_of(vectors, *, kind="z"):
    vectors = np.asarray(vectors, dtype=np.float32)
    names = [f"{i}.png" for i in range(len(vectors))]
    return Codes.from_array(names, vectors, space=Space(kind, vectors.shape[1], "a", "aa"))


def numbers(sectors, codes):
    return sector_numbers(sectors.coordinates(codes))


def reach(sectors, codes, others=None):
    chosen = numbers(sectors, codes) if others is None else np.array(others)
    return reach_of(sectors.coordinates(codes), sectors.directions[chosen])


def occupancy(codes, variables, threshold, center="mean"):
    sectors = Sectors.of(codes, variables, threshold=threshold, center=center)
    return members_at(sectors.coordinates(codes), [threshold])[0]


def gaussian(n=4000, d=4, *, kind="z", seed=0):
    return codes_of(np.random.default_rng(seed).standard_normal((n, d)), kind=kind)


def test_bit_i_is_set_where_the_ith_leading_variable_is_above_its_center():
    codes = codes_of([[9, 1, 1], [9, -1, 1], [9, 1, -1], [9, -1, -1]])
    sectors = Sectors.of(codes, (2, 1), threshold=0.5)
    assert numbers(sectors, codes).tolist() == [3, 1, 2, 0]
    assert sectors.directions.tolist() == [[-1, -1], [1, -1], [-1, 1], [1, 1]]


def test_the_reach_is_the_least_distance_along_the_directions_of_a_sector():
    codes = codes_of([[2.0, 0.5], [-1.0, 3.0]])
    sectors = Sectors.of(codes, (0, 1), threshold=0.75, center="zero")
    assert reach(sectors, codes).tolist() == [0.5, 1.0]
    assert reach(sectors, codes, [3, 3]).tolist() == [0.5, -1.0]
    assert occupancy(codes, (0, 1), 0.75, "zero").tolist() == [0, 0, 1, 0]


def test_a_code_on_the_threshold_is_no_member():
    codes = codes_of([[0.5, 0.5], [-0.5, 2.0], [0.75, 0.75]])
    assert occupancy(codes, (0, 1), 0.5, "zero").tolist() == [0, 0, 0, 1]


def test_every_code_is_in_one_sector_at_threshold_zero_and_in_fewer_beyond():
    codes = gaussian()
    counts = [occupancy(codes, range(3), t) for t in (0, 0.5, 1)]
    assert counts[0].sum() == len(codes)
    assert (counts[0] >= counts[1]).all()
    assert (counts[1] >= counts[2]).all()


def test_members_are_counted_as_one_by_one():
    codes = gaussian(300)
    sectors = Sectors.of(codes, (3, 0, 2), threshold=0.3, center="zero")
    expected = np.zeros(8, int)
    for number, directions in enumerate(sectors.directions):
        for z in codes.vectors.numpy():
            expected[number] += all(
                d * z[v] > 0.3 for d, v in zip(directions, sectors.variables, strict=True)
            )
    assert occupancy(codes, sectors.variables, 0.3, "zero").tolist() == expected.tolist()


def test_a_space_without_prior_has_sectors_about_the_mean_in_standard_deviations():
    codes = gaussian(kind="w")
    moved = codes_of(codes.vectors.numpy() * [1, 5, 0.1, 2] + [0, 7, -3, 100], kind="w")
    own, other = (Sectors.of(c, (1, 3), threshold=0.5) for c in (codes, moved))
    assert numbers(own, codes).tolist() == numbers(other, moved).tolist()
    np.testing.assert_allclose(reach(own, codes), reach(other, moved), atol=1e-4)


def test_z_has_sectors_about_the_mean_in_units_of_the_prior():
    codes = codes_of([[2.0, 0.5], [-1.0, 3.0], [0.5, 1.0], [0.5, 1.5]])
    sectors = Sectors.of(codes, (0, 1), threshold=0.75)
    assert sectors.coordinates(codes).tolist() == [[1.5, -1], [-1.5, 1.5], [0, -0.5], [0, 0]]
    assert occupancy(codes, (0, 1), 0.75).tolist() == [0, 1, 1, 0]


def test_no_leading_variables_make_one_sector_that_has_all():
    codes = gaussian(10)
    sectors = Sectors.of(codes, (), threshold=1)
    assert occupancy(codes, (), 1).tolist() == [10]
    assert numbers(sectors, codes).tolist() == [0] * 10


@pytest.mark.parametrize(
    ("variables", "threshold", "message"),
    [
        ((0, 4), 0.5, "variables of a 4-d space are 0 to 3: there is no variable 4"),
        ((0, 1, 0), 0.5, "variable 0 is given twice"),
        ((0, 1, 2, 3, 0), 0.5, "there are 4 latent variables, fewer than 5 leading ones"),
        ((0,), -1, "threshold of sectors must be at least 0, not -1"),
        ((0,), float("nan"), "threshold of sectors must be at least 0, not nan"),
    ],
)
def test_what_is_no_sector_is_refused(variables, threshold, message):
    with pytest.raises(SupportError, match=message):
        Sectors.of(gaussian(10), variables, threshold=threshold)


def test_more_sectors_than_images_are_refused_before_any_work():
    with pytest.raises(SupportError, match="7 leading variables have 128 sectors, more than the 1"):
        check_count(7, 64, 100)
    with pytest.raises(SupportError, match="at least 128 images, or at most 6 variables"):
        check_count(7, 64, 127)
    check_count(7, 64, 128)
    with pytest.raises(SupportError, match="take at most 16 variables"):
        check_count(17, 64)


def test_a_constant_variable_has_no_sectors():
    vectors = gaussian(50).vectors.numpy()
    vectors[:, 2] = 0.3
    vectors[::2, 2] += np.float32(3e-8)
    with pytest.raises(SupportError, match=r"variable 2 of z of a .* has one value for all 50"):
        Sectors.of(codes_of(vectors), (0, 2), threshold=0)


@pytest.mark.parametrize("strict", [False, True])
def test_the_chosen_threshold_is_the_lowest_with_nearly_the_largest_balance(strict):
    codes = gaussian(2000, 6)
    choice = choose_threshold(codes, range(6), strict=strict)
    largest = max(one.balance for one in choice.candidates)
    chosen = next(one for one in choice.candidates if one.threshold == choice.threshold)
    assert chosen.balance >= 0.9 * largest
    assert all(
        o.balance < 0.9 * largest for o in choice.candidates if o.threshold < choice.threshold
    )
    assert 0 < choice.threshold < 1.5
    occupied = occupancy(codes, range(6), choice.threshold) > 0
    assert chosen.occupied == occupied.sum()
    share = chosen.occupied / 64 if strict else 1
    assert chosen.balance == pytest.approx(chosen.spread * share)


def test_images_that_stand_for_empty_sectors_count_where_they_lie():
    codes = gaussian(60, 4)
    (candidate,) = (c for c in choose_threshold(codes, range(4)).candidates if c.threshold == 0.6)
    sectors = Sectors.of(codes, range(4), threshold=0.6)
    t, own = sectors.coordinates(codes), numbers(sectors, codes)
    groups = []
    for number, directions in enumerate(sectors.directions):
        into = reach_of(t, directions)
        members = t[(own == number) & (into > 0.6)]
        groups.append(members if len(members) else t[[into.argmax()]])
    assert min(len(group) for group in groups) == 1 and candidate.occupied < 16
    between = np.mean(
        [
            np.square(a[:, None] - b[None]).sum(-1).mean()
            for i, a in enumerate(groups)
            for j, b in enumerate(groups)
            if i != j
        ]
    )
    at_random = np.square(t[:, None] - t[None]).sum(-1).sum() / (len(t) * (len(t) - 1))
    assert candidate.spread == pytest.approx(between / at_random, rel=1e-9)


def test_the_spread_of_a_threshold_is_that_of_random_members_of_its_sectors():
    codes = gaussian(800, 3)
    (candidate,) = (c for c in choose_threshold(codes, range(3)).candidates if c.threshold == 0.8)
    sectors = Sectors.of(codes, range(3), threshold=0.8)
    z, own = codes.vectors.numpy().astype(float), numbers(sectors, codes)
    members = reach(sectors, codes) > 0.8
    groups = [z[members & (own == number)] for number in range(8)]
    between = np.mean(
        [
            np.square(a[:, None] - b[None]).sum(-1).mean()
            for i, a in enumerate(groups)
            for j, b in enumerate(groups)
            if i != j
        ]
    )
    at_random = np.square(z[:, None] - z[None]).sum(-1).sum() / (len(z) * (len(z) - 1))
    assert candidate.spread == pytest.approx(between / at_random, rel=1e-9)
