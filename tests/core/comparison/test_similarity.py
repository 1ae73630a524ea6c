import json

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from latentmap.codes import one_of_each
from latentmap.comparison.calibration import holm_over_pairs
from latentmap.comparison.indexes import INDEXES
from latentmap.comparison.similarity import compare_codes
from latentmap.errors import MapError, PairError
from latentmap.mapping.moment_sums import MomentSums
from tests.core.comparison.two_spaces import debiased_cka, distance_correlation, mutual_neighbours


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.manual_seed(seed))


def spaces(n, *, seed, shared=True):
    """Three spaces of the same images: two that share what they show, and one by itself."""
    hidden = normal(n, 4, seed=seed)
    way = normal(4, 6, seed=1000)
    other = hidden if shared else normal(n, 4, seed=seed + 1)
    return [
        hidden @ way + 0.7 * normal(n, 6, seed=seed + 2),
        other @ way.flip(1)[:, :5] + 0.7 * normal(n, 5, seed=seed + 3),
        normal(n, 3, seed=seed + 4),
    ]


def fitted(parts):
    sums = MomentSums([part.shape[1] for part in parts])
    sums.update(parts)
    return sums.moments()


def compared(n=100, *, seed=0, permutations=19, shared=True, count=3, **options):
    moments = fitted(spaces(400, seed=seed + 500, shared=shared)[:count])
    parts = spaces(n, seed=seed, shared=shared)[:count]
    return compare_codes(parts, moments, seed=seed, permutations=permutations, **options)


def test_matrices_hold_the_indexes_of_every_two_spaces():
    parts = spaces(100, seed=0)
    found = compared().matrices
    assert list(found) == list(INDEXES)
    for i, j in ((0, 1), (1, 0), (0, 2), (2, 1)):
        x, y = parts[i], parts[j]
        assert found["cka"].value[i, j] == pytest.approx(debiased_cka(x, y), abs=1e-12)
        assert found["neighbours"].value[i, j] == pytest.approx(mutual_neighbours(x, y), abs=1e-12)
        expected = spearmanr(pdist(x.double()), pdist(y.double())).statistic
        assert found["distances"].value[i, j] == pytest.approx(expected, abs=1e-6)


def test_a_space_with_itself_is_the_same_and_has_no_null():
    for matrix in compared().matrices.values():
        for part in (matrix.value, matrix.low, matrix.high):
            assert part.diagonal().tolist() == [matrix.index.same] * 3
        assert np.isnan(matrix.p_value.diagonal()).all()


def test_what_is_symmetric_has_symmetric_matrices():
    for matrix in compared().matrices.values():
        for part in (matrix.value, matrix.low, matrix.null_mean, matrix.p_value):
            alike = np.allclose(part, part.T, equal_nan=True, atol=1e-12)
            assert alike or not matrix.index.symmetric


def test_intervals_are_within_bounds_and_hold_the_value():
    for matrix in compared(40).matrices.values():
        least, most = matrix.index.bounds
        assert (matrix.low >= least).all()
        assert (matrix.high <= most).all()
        assert (matrix.low <= matrix.value).all()
        assert (matrix.value <= matrix.high).all()


def test_intervals_hold_the_value_of_many_images_as_often_as_they_promise():
    many = spaces(3000, seed=7)
    truth = {
        "cka": debiased_cka(many[0], many[1]),
        "distances": distance_correlation(many[0], many[1]),
    }
    held = dict.fromkeys(truth, 0)
    for seed in range(40):
        found = compared(60, seed=100 + 10 * seed, permutations=1, count=2).matrices
        for name, value in truth.items():
            held[name] += found[name].low[0, 1] <= value <= found[name].high[0, 1]
    # 38 are expected; fewer than 33 have a chance of one in two hundred.
    assert min(held.values()) >= 33


def test_related_spaces_are_told_from_unrelated_ones():
    for name, matrix in compared().matrices.items():
        assert matrix.p_value[0, 1] == pytest.approx(1 / 20), name
        assert matrix.p_value[0, 2] > 1 / 20 or matrix.p_value[1, 2] > 1 / 20, name


def test_p_values_of_unrelated_spaces_are_small_as_seldom_as_they_promise():
    small = dict.fromkeys(INDEXES, 0)
    for seed in range(40):
        found = compared(30, permutations=9, seed=20 * seed, shared=False, count=2).matrices
        for name, matrix in found.items():
            small[name] += matrix.p_value[0, 1] <= 0.1
    # 4 of 40 are expected; more than 10 have a chance of one in a thousand.
    assert max(small.values()) <= 10
    assert sum(small.values()) > 0


def test_ties_make_no_p_value_smaller():
    # Codes of two values each: most of the distances are equal.
    small = dict.fromkeys(("neighbours", "distances"), 0)
    for seed in range(60):
        parts = [(normal(60, 3, seed=10 * seed + i) > 0).float() for i in range(2)]
        others = [(normal(300, 3, seed=10 * seed + i) > 0).float() for i in (2, 3)]
        found = compare_codes(parts, fitted(others), seed=seed, permutations=19).matrices
        for name in small:
            small[name] += found[name].p_value[0, 1] <= 0.05
    # 3 of 60 are expected; more than 9 have a chance of one in a thousand.
    assert max(small.values()) <= 9


def test_calibrated_values_are_above_zero_where_the_p_value_is_small():
    found = compared(permutations=59).matrices
    for name, matrix in found.items():
        for i, j in ((0, 1), (0, 2), (1, 2)):
            small = matrix.p_value[i, j] <= 0.05
            assert (matrix.calibrated[i, j] > 0) == small, name
            low, high = matrix.calibrated_low[i, j], matrix.calibrated_high[i, j]
            assert 0 <= low <= matrix.calibrated[i, j] <= high <= 1
        away = matrix.value[0, 1] - matrix.threshold[0, 1]
        room = matrix.index.same - matrix.threshold[0, 1]
        assert matrix.calibrated[0, 1] == pytest.approx(away / room)
        assert matrix.calibrated.diagonal().tolist() == [1.0] * 3
        assert np.isnan(matrix.threshold.diagonal()).all()


def test_p_values_are_corrected_over_all_pairs():
    for matrix in compared(permutations=59).matrices.values():
        expected = holm_over_pairs(matrix.p_value, symmetric=matrix.index.symmetric)
        np.testing.assert_array_equal(matrix.p_holm, expected)
        assert matrix.p_holm[0, 1] <= (0.05 if matrix.index.symmetric else 0.1)


def test_spaces_are_more_alike_than_their_spectra_make_them():
    for name, matrix in compared(permutations=59).matrices.items():
        assert matrix.spectra_p[0, 1] == pytest.approx(1 / 61), name
        higher = matrix.index.higher_is_alike
        assert (matrix.value[0, 1] > matrix.spectra_threshold[0, 1]) == higher
        # Both nulls are of spaces that share nothing.
        assert matrix.spectra_mean[0, 1] == pytest.approx(matrix.null_mean[0, 1], abs=0.05), name


def test_a_space_is_nearer_to_the_one_that_it_shares_something_with():
    found = compared()
    for name, tests in found.nearer.items():
        one = tests[0]
        assert (one.space, one.first, one.second) == (0, 1, 2)
        assert one.difference.low > 0, name
        assert one.p_holm <= 0.05


def test_as_many_pairings_are_drawn_as_all_pairs_need():
    assert compared(25, permutations=None).permutations == 119
    assert compared(25, permutations=None, alpha=0.2).permutations == 99


def test_of_too_few_pairings_nothing_is_calibrated():
    matrix = compared(30, permutations=18).matrices["cka"]
    assert np.isnan(matrix.calibrated[0, 1])
    assert np.isfinite(compared(30, permutations=18, alpha=0.1).matrices["cka"].calibrated).all()


def test_nothing_passes_its_bound():
    x = normal(60, 4, seed=1)
    parts = [x, 2 * x, x @ torch.linalg.qr(normal(4, 4, seed=2)).Q]
    found = compare_codes(parts, fitted(parts), seed=0, permutations=3)
    for matrix in found.matrices.values():
        least, most = matrix.index.bounds
        for part in (matrix.value, matrix.low, matrix.high, matrix.null_mean):
            known = part[np.isfinite(part)]
            assert least <= known.min() and known.max() <= most
    assert all(np.abs(one.correlations).max() <= 1 for one in found.variates)


def test_what_does_not_depend_on_the_number_of_images_has_one_mean():
    values = {name: ([], []) for name in INDEXES}
    for seed in range(20):
        for at, n in enumerate((40, 200)):
            found = compared(n, seed=10 * seed, permutations=1, count=2).matrices
            for name, matrix in found.items():
                values[name][at].append(matrix.value[0, 1])
    for name, parts in values.items():
        few, many = (np.array(part) for part in parts)
        error = np.hypot(few.std(), many.std()) / np.sqrt(20)
        differs = abs(few.mean() - many.mean()) > 4 * error + 0.01
        assert differs == INDEXES[name].depends_on_n, name


def test_the_null_of_neighbours_is_chance():
    matrix = compared().matrices["neighbours"]
    assert matrix.null_mean[0, 1] == pytest.approx(10 / 99, abs=0.01)
    assert compared().matrices["cka"].null_mean[0, 1] == pytest.approx(0, abs=0.03)


def test_one_image_of_each_unit_is_compared():
    parts = spaces(50, seed=0)
    repeated = [part.repeat(4, 1) + 0.01 * normal(200, part.shape[1], seed=9) for part in parts]
    units = np.tile(np.arange(50), 4)
    moments = fitted(spaces(400, seed=500))
    found = compare_codes(repeated, moments, seed=0, units=units, permutations=9)
    chosen = torch.from_numpy(one_of_each(units, seed=0))
    alone = compare_codes([one[chosen] for one in repeated], moments, seed=0, permutations=9)
    assert found.n == 50
    for name, matrix in found.matrices.items():
        np.testing.assert_array_equal(matrix.value, alone.matrices[name].value)
        np.testing.assert_array_equal(matrix.p_value, alone.matrices[name].p_value)


def test_unrelated_spaces_of_few_persons_are_seldom_taken_for_alike():
    small = dict.fromkeys(INDEXES, 0)
    units = np.repeat(np.arange(30), np.random.default_rng(0).integers(1, 8, 30))
    for seed in range(40):
        # Codes are mostly of the person, who looks the same in each space by himself.
        x, y = (
            normal(30, 4, seed=20 * seed + one)[torch.from_numpy(units)]
            + 0.5 * normal(len(units), 4, seed=20 * seed + 10 + one)
            for one in range(2)
        )
        moments = fitted([normal(200, 4, seed=20 * seed + 5), normal(200, 4, seed=20 * seed + 6)])
        found = compare_codes([x, y], moments, seed=seed, units=units, permutations=9)
        for name, matrix in found.matrices.items():
            small[name] += matrix.p_value[0, 1] <= 0.1
    # 4 of 40 are expected; more than 10 have a chance of one in a thousand.
    assert max(small.values()) <= 10


def test_shared_variates_are_those_above_chance():
    hidden = normal(700, 3, seed=0)
    x = torch.cat([hidden, normal(700, 4, seed=1)], 1) + 0.1 * normal(700, 7, seed=2)
    y = torch.cat([hidden, normal(700, 2, seed=3)], 1) @ normal(5, 5, seed=4)
    moments = fitted([x[:500], y[:500]])
    found = compare_codes([x[500:], y[500:]], moments, seed=0)
    (one,) = found.variates
    assert (one.first, one.second, one.shared) == (0, 1, 3)
    assert (one.correlations[:3] > 0.9).all()
    assert (np.abs(one.correlations[3:]) < one.level).all()


def test_a_space_that_does_not_vary_has_no_figures():
    parts = [normal(40, 3, seed=0), torch.full((40, 2), 1.5)]
    found = compare_codes(parts, fitted(parts), seed=0, permutations=3)
    for name, matrix in found.matrices.items():
        assert np.isnan(matrix.value[0, 1]), name
        assert np.isnan(matrix.p_value[0, 1]), name
        assert matrix.to_json()["value"] == [[matrix.index.same, None], [None, matrix.index.same]]
    assert found.variates[0].shared == 0


def test_one_seed_gives_the_same_and_json_takes_it():
    one, same = compared(40), compared(40)
    texts = [
        json.dumps(
            [
                part.to_json()
                for part in (*found.matrices.values(), *found.variates, *found.nearer["gulp"])
            ],
            allow_nan=False,
        )
        for found in (one, same)
    ]
    assert texts[0] == texts[1]
    described = one.matrices["procrustes"].to_json()
    assert described["higher_is_alike"] is False
    assert described["invariances"]["orthogonal"] is True


def test_progress_ends_at_its_total():
    seen = []
    compared(30, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] == len(seen)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(PairError, match="20 or more, not of 19, 19, 19: give more test images"):
        compared(19)
    with pytest.raises(MapError, match="a null needs at least 1 permutation, not 0"):
        compared(permutations=0)
