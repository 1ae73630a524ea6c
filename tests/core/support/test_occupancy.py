"""Counts of sectors beside what the prior expects."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from latentmap.codes import Codes, Space, units_of
from latentmap.support import ChoiceOptions, SupportSet, choose_support_set
from latentmap.support import occupancy as occupancy_module
from latentmap.support.occupancy import (
    RESAMPLINGS,
    cell_starts,
    count_units,
    occupancies_of,
    pearson,
)
from latentmap.support.tables import occupancies_table


def support_of(
    vectors, *, kind="z", k=3, threshold=0.5, center="mean", posterior=None, groups=None
):
    vectors = np.asarray(vectors, dtype=np.float32)
    space = Space(kind, vectors.shape[1], "a", "aa")
    codes = Codes.from_array(np.arange(len(vectors)).astype(str), vectors, space=space)
    options = ChoiceOptions(threshold=threshold, size=2**k, center=center)
    support = choose_support_set(codes, range(k), options)
    if groups is not None:
        support = count_units(support, codes, units_of(codes.digests, groups))
    if posterior is None:
        return support
    return support.with_settings(posterior_variance=[posterior] * k)


def gaussian(n=3000, d=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def at_threshold(*given, **options):
    return occupancies_of(support_of(*given, **options))[0]


def by_sides(*given, **options):
    return occupancies_of(support_of(*given, **options))[-1]


def test_the_expectation_is_the_product_of_normal_tails():
    occupancy = at_threshold(gaussian())
    assert occupancy.expected == pytest.approx(3000 * (1 - stats.norm.cdf(0.5)) ** 3)
    assert occupancy.n == 3000
    assert by_sides(gaussian()).expected == pytest.approx(3000 / 8)
    # Of posterior means only as much of the prior's variance as the posterior leaves.
    means = at_threshold(gaussian(), posterior=0.36)
    assert means.expected == pytest.approx(3000 * stats.norm.sf(0.5 / 0.8) ** 3)


def test_sets_at_threshold_zero_are_counted_once():
    (one,) = occupancies_of(support_of(gaussian(), threshold=0))
    assert one.threshold == 0 and one.counts.sum() == 3000


# What is right in each space, and how its codes come about.
RIGHT = {
    "w": {"kind": "w"},
    "z": {},
    "z about zero": {"center": "zero"},
    "posterior means": {"posterior": 0.19},
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_test_rejects_what_is_right_as_seldom_as_it_says(name):
    scale, shift = (np.array([3.0, 0.1, 1, 1]), 5.0) if name == "w" else (1.0, 0.0)
    if name == "posterior means":
        scale = 0.9
    values = np.array(
        [
            [
                one.test.p_value
                for one in occupancies_of(
                    support_of(gaussian(600, seed=seed) * scale + shift, **RIGHT[name])
                )
            ]
            for seed in range(100)
        ]
    )
    # 5 of 100 are expected; more than 12 have a chance of one in a thousand.
    assert (values < 0.05).sum(axis=0).max() <= 12
    assert min(stats.kstest(column, "uniform").pvalue for column in values.T) > 0.001


@pytest.mark.parametrize("kind", ["w", "z"])
def test_images_of_one_unit_do_not_reject_what_is_right(kind):
    # 200 persons of four all but equal images: over all images 31 to 34 of 40 draws are rejected.
    groups = np.arange(200).repeat(4)
    values = []
    for seed in range(40):
        codes = gaussian(200, seed=seed).repeat(4, axis=0) + 0.01 * gaussian(800, seed=seed)
        found = occupancies_of(support_of(codes, kind=kind, groups=groups))
        assert (found[0].n, found[0].n_units) == (800, 200)
        values.append([one.test.p_value for one in found])
    # 2 of 40 are expected; more than 7 have a chance of one in a thousand.
    assert (np.array(values) < 0.05).sum(axis=0).max() <= 7


def test_all_images_are_counted_and_one_of_each_unit_is_tested(tmp_path):
    vectors, groups = gaussian(600), np.arange(600) // 3
    grouped, alone = support_of(vectors, groups=groups), support_of(vectors)
    first = occupancies_of(grouped)[0]
    assert first.counts.tolist() == alone.occupancy.tolist()
    assert first.expected == pytest.approx(600 * stats.norm.sf(0.5) ** 3)
    assert first.to_json()["n_units"] == grouped.to_json()["n_units"] == 200
    assert grouped.unit_orthants.sum() == 200
    assert occupancies_table([first]).note.endswith("one random image of each of 200 groups")
    assert "of 600 (of 200 groups), by" in grouped.summary
    # What was counted is in the file.
    grouped.save(tmp_path / "s.h5")
    read = occupancies_of(SupportSet.load(tmp_path / "s.h5"))
    assert [one.to_json() for one in read] == [one.to_json() for one in occupancies_of(grouped)]
    # Each its own: as without groups.
    own = support_of(vectors, groups=np.arange(600))
    assert own.unit_occupancy is None and own.n_units == 600
    assert occupancies_of(own)[0].to_json() == occupancies_of(alone)[0].to_json()
    assert occupancies_table(occupancies_of(own)).note.endswith("standard normal")


def test_one_unit_leaves_no_test():
    assert at_threshold(gaussian(100), kind="w", groups=np.zeros(100)).test is None


def test_another_distribution_is_found():
    narrow = at_threshold(0.7 * gaussian())
    assert narrow.test.p_value == 1 / (1 + RESAMPLINGS)
    assert narrow.test.p_text == f"p <= {1 / (1 + RESAMPLINGS):.2g}"
    assert narrow.test.excess > 2
    tied = gaussian()
    tied[:, 1] = tied[:, 0] + 0.5 * tied[:, 1]
    for kind in ("z", "w"):
        assert by_sides(tied, kind=kind).test.p_value == 1 / (1 + RESAMPLINGS)
    # Posterior means that have all of the prior's variance: the two together have more.
    assert at_threshold(gaussian(), posterior=0.3).test.p_value == 1 / (1 + RESAMPLINGS)
    # About zero, as in earlier files, a mean that is another is found too.
    assert by_sides(gaussian() + 0.3, center="zero").test.p_value == 1 / (1 + RESAMPLINGS)
    assert by_sides(gaussian() + 0.3).test.p_value > 1 / (1 + RESAMPLINGS)


def test_the_reference_is_named():
    assert at_threshold(gaussian()).to_json()["reference"] == "standard normal"
    moved = at_threshold(gaussian() * [3, 0.1, 1, 1] + 5, kind="w").to_json()
    assert moved["reference"] == "independent normal"
    means = at_threshold(gaussian(), posterior=0.1).to_json()
    assert means["reference"] == "normal, variance 1 - mean s2"
    assert means["chi_square"]["resamplings"] == RESAMPLINGS


def test_a_file_of_an_earlier_version_has_sectors_about_zero():
    new = support_of(gaussian() + 0.3, center="zero")
    old = new.with_settings()
    del old.settings["centered_on"]
    for one, other in zip(occupancies_of(new), occupancies_of(old), strict=True):
        assert one.to_json() == other.to_json()
    of_w = support_of(gaussian(), kind="w")
    del of_w.settings["centered_on"]
    assert occupancies_of(of_w)[0].reference.fitted


def test_variables_that_say_nothing_have_a_test_all_the_same():
    wide = at_threshold(gaussian(), posterior=1.1)
    assert wide.expected == 0
    assert by_sides(gaussian(), posterior=1.1).expected == pytest.approx(3000 / 8)


def test_without_merging_the_statistic_is_pearsons():
    counts, expected = np.array([18, 25, 57]), np.array([20.0, 30.0, 50.0])
    starts = cell_starts(expected)
    assert starts.tolist() == [0, 1, 2]
    found = pearson(counts, expected, starts)
    assert found == pytest.approx(stats.chisquare(counts, expected).statistic)
    assert found == pytest.approx(4 / 20 + 25 / 30 + 49 / 50)


def test_small_cells_are_merged_and_the_rest_joins_the_last():
    counts = np.array([50, 3, 1, 4, 2, 1])
    expected = np.array([44.0, 3, 3, 3, 3, 3])
    starts = cell_starts(expected)
    assert starts.tolist() == [0, 1, 3]
    merged = stats.chisquare([50, 4, 7], [44.0, 6, 9], sum_check=False).statistic
    assert pearson(counts, expected, starts) == pytest.approx(merged)
    assert cell_starts(np.array([2.0, 1.0])).tolist() == []


def test_known_parameters_give_the_chi_square_distribution():
    # About zero nothing is estimated, so that Pearson's own distribution holds.
    test = by_sides(gaussian(), center="zero").test
    known = stats.chi2.sf(test.statistic, test.cells - 1)
    assert test.p_value == pytest.approx(known, abs=4 * np.sqrt(0.25 / RESAMPLINGS))
    assert test.null_mean == pytest.approx(test.cells - 1, abs=4 * np.sqrt(14 / RESAMPLINGS))


def test_too_few_members_leave_no_test():
    occupancy = at_threshold(gaussian(100), threshold=1.4)
    assert occupancy.test is None
    assert occupancy.to_json()["chi_square"] is None


def test_all_images_are_counted_in_or_outside_the_sectors():
    support = support_of(gaussian())
    record = occupancies_of(support)[0].to_json()
    assert record["members"] == support.occupancy.sum() < record["n"]
    assert record["chi_square"]["cells"] == 9


def test_one_set_is_resampled_once(monkeypatch):
    support = support_of(gaussian(seed=5))
    first = occupancies_of(support)[0].to_json()
    monkeypatch.setattr(occupancy_module, "members_at", None)
    assert occupancies_of(support)[0].to_json() == first


def test_a_resampling_has_no_more_codes_than_it_needs(monkeypatch):
    monkeypatch.setattr(occupancy_module, "_MOST_CODES", 2000)
    support = support_of(gaussian(n=20_001, seed=6))
    assert all(one.test.p_value > 0.05 for one in occupancies_of(support))
    shifted = gaussian(n=20_002, seed=6) ** 3
    assert all(one.test.p_value < 0.01 for one in occupancies_of(support_of(shifted))[:1])
    # As a file may say.
    many = replace(support, n_candidates=10**12, n_units=10**12)
    assert len(occupancies_of(many)) == 2
