import numpy as np
import pytest
import torch

from latentmap.codes import Codes, Space, pair
from latentmap.errors import MapError
from latentmap.mapping import fit, moments_of, shared_factors
from latentmap.mapping.explaining import (
    effective_rank,
    explained_per_variable,
    factor_shares,
    relevance,
)
from latentmap.mapping.regression import solve_least_squares, solve_reduced_rank, solve_ridge
from latentmap.mapping.selection import assign_folds
from latentmap.mapping.shared_rank import shared_rank


def pairs_of(x, y):
    ids = [str(i) for i in range(len(x))]
    a = Codes.from_array(ids, x, space=Space("z", x.shape[1], "a", "aa"))
    b = Codes.from_array(ids, y, space=Space("z", y.shape[1], "b", "bb"))
    return pair(a, b)


def draw(n=600, p=8, q=6, *, rank=3, noise=0.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=generator) + 1
    left = torch.randn(p, rank, generator=generator)
    weight = left @ torch.randn(rank, q, generator=generator)
    return x, x @ weight + noise * torch.randn(n, q, generator=generator)


def test_factors_of_a_case_solved_by_hand():
    x = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    moments = moments_of(x, x * torch.tensor([1.0, 3.0]))
    found = shared_factors(moments, solve_least_squares(moments).weight)
    assert found.share.tolist() == pytest.approx([0.9, 0.1])
    assert found.source_share.tolist() == pytest.approx([0.5, 0.5])
    assert found.correlation.tolist() == pytest.approx([1, 1])
    np.testing.assert_allclose(found.target_patterns.abs(), [[0, 3], [1, 0]], atol=1e-12)
    codes_x, codes_y = found.traversal(0, torch.tensor([0.0, 2.0]), moments)
    assert codes_x[1].abs().tolist() == pytest.approx([0, 2])
    assert torch.allclose(codes_y, codes_x * torch.tensor([1.0, 3.0]), atol=1e-12)


def test_the_shares_are_what_the_map_explains():
    x, y = draw()
    moments = moments_of(x, y)
    solution = solve_least_squares(moments)
    found = shared_factors(moments, solution.weight)
    missed = moments.squared_error(solution.weight, solution.bias).sum()
    np.testing.assert_allclose(factor_shares(moments, solution.weight), found.share, atol=1e-12)
    assert float(found.share.sum()) == pytest.approx(1 - float(missed / moments.squares_y.sum()))


def test_a_rotation_of_the_target_rotates_the_factors():
    x, y = (part.double() for part in draw())
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.manual_seed(1)).double())[0]
    plain, turned = (
        shared_factors(m, solve_least_squares(m).weight)
        for m in (moments_of(x, y), moments_of(x, y @ rotation))
    )
    assert torch.allclose(plain.share, turned.share)
    expected = (plain.target_patterns @ rotation)[:3].abs()
    assert torch.allclose(expected, turned.target_patterns[:3].abs(), atol=1e-6)


def test_the_effective_rank_counts_equal_shares():
    assert effective_rank(torch.tensor([2.0, 2.0, 2.0, 0.0])) == pytest.approx(3)
    assert effective_rank(torch.tensor([1.0, 0.0])) == pytest.approx(1)
    assert effective_rank(torch.zeros(2)) == 0


def test_relevance_is_what_a_refit_without_the_variable_loses():
    x, y = draw(n=100)
    x[:, 2] = 5.0
    moments = moments_of(x, y)
    lost = relevance(moments)
    for i in (0, 4):
        kept = [j for j in range(8) if j != i]
        other = moments_of(x[:, kept], y)
        errors = []
        for m in (moments, other):
            solution = solve_least_squares(m)
            errors.append(float(m.squared_error(solution.weight, solution.bias).sum()))
        expected = (errors[1] - errors[0]) / float(moments.squares_y.sum())
        assert float(lost[i]) == pytest.approx(expected, rel=1e-6)
    assert lost[2] == 0


@pytest.mark.parametrize("penalty", [0.0, 10.0])
def test_a_variable_that_another_stands_in_for_is_not_missed(penalty):
    x, y = draw(n=100)
    x[:, 1] = x[:, 0]
    moments = moments_of(x, y)
    lost = relevance(moments, penalty)

    def objective(kept):
        m = moments_of(x[:, kept], y)
        solution = solve_ridge(m, penalty=penalty)
        return float(
            m.squared_error(solution.weight, solution.bias).sum()
            + penalty * solution.weight.square().sum()
        )

    for i in range(8):
        without = objective([j for j in range(8) if j != i])
        expected = (without - objective(list(range(8)))) / float(moments.squares_y.sum())
        assert float(lost[i]) == pytest.approx(expected, rel=1e-6, abs=1e-10)


def test_a_target_that_does_not_vary_shares_nothing():
    x, _ = draw(n=60)
    y = torch.full((60, 2), 3.0)
    moments = moments_of(x, y)
    assert len(shared_factors(moments, torch.ones(8, 2).double()).share) == 0
    assert relevance(moments).tolist() == [0.0] * 8
    result = shared_rank(pairs_of(x, y), seed=0, permutations=19)
    assert result.k == 0
    assert result.r2.tolist() == [0.0] * 3


def test_what_is_explained_of_each_variable_is_its_r2():
    x, y = draw(n=80)
    y[:, 1] = 2.0
    moments = moments_of(x, y)
    solution = solve_least_squares(moments)
    explained = explained_per_variable(moments, solution.weight, solution.bias)
    residual = y.double() - x.double() @ solution.weight - solution.bias
    spread = y.double().var(0, correction=0)
    expected = 1 - residual.square().mean(0) / spread
    assert float(explained[0]) == pytest.approx(float(expected[0]))
    assert np.isnan(explained[1])


@pytest.mark.parametrize(("p", "q"), [(8, 6), (4, 6)])
def test_the_held_out_curve_is_that_of_refits(p, q):
    x, y = draw(n=90, p=p, q=q)
    result = shared_rank(pairs_of(x, y), seed=3, folds=3, penalty=2.0, permutations=2)
    folds = assign_folds(90, folds=3, seed=3)
    missed, spread = np.zeros(min(p, q) + 1), 0.0
    for held in range(3):
        train = moments_of(x[folds != held], y[folds != held])
        test = moments_of(x[folds == held], y[folds == held])
        empty = (torch.zeros_like(train.xy), train.mean_y)
        spread += float(test.squared_error(*empty).sum())
        missed[0] += float(test.squared_error(*empty).sum())
        for rank in range(1, min(p, q) + 1):
            solution = solve_reduced_rank(train, rank=rank, penalty=2.0)
            missed[rank] += float(test.squared_error(solution.weight, solution.bias).sum())
    np.testing.assert_allclose(result.r2, 1 - missed / spread, atol=1e-10)


def test_a_planted_rank_is_found():
    result = shared_rank(pairs_of(*draw()), seed=0, permutations=39)
    assert result.k == 3
    assert float(result.p_values[0]) == pytest.approx(1 / 40)
    assert str(result).startswith("3 of 8 variables are shared, p = 0.025 (39 permutations of 600")
    assert result.to_json()["k"] == 3


def test_noise_shares_nothing():
    x, _ = draw()
    y = torch.randn(600, 6, generator=torch.manual_seed(5))
    result = shared_rank(pairs_of(x, y), seed=0, permutations=39)
    assert result.k == 0
    assert float(result.p_values[0]) > 0.05


def test_the_null_is_the_curve_of_pairs_that_were_shuffled_within_folds():
    x, y = draw(n=90)
    result = shared_rank(pairs_of(x, y), seed=3, folds=3, permutations=1)
    folds = assign_folds(90, folds=3, seed=3)
    generator = torch.manual_seed(3)
    shuffled = y.clone()
    for held in range(3):
        index = torch.from_numpy(np.flatnonzero(folds == held))
        shuffled[index] = y[index[torch.randperm(len(index), generator=generator)]]
    again = shared_rank(pairs_of(x, shuffled), seed=3, folds=3, permutations=1)
    assert float(result.null[0]) == pytest.approx(float(again.gains.max()), abs=1e-10)


def test_a_null_without_permutations_is_refused():
    with pytest.raises(MapError, match="at least 1 permutation, not 0"):
        shared_rank(pairs_of(*draw(n=20)), seed=0, permutations=0)


def test_too_many_folds_are_refused():
    with pytest.raises(MapError, match="4 pairs can be cut into 2 to 4 folds, not 5"):
        shared_rank(pairs_of(*draw(n=20)), seed=0, groups=np.arange(20) % 4)


def test_factors_belong_to_maps_of_any_method():
    x, y = draw()
    for method in ("procrustes", "pls"):
        linear_map = fit(pairs_of(x, y), method=method)
        assert linear_map.moments is not None
        found = shared_factors(linear_map.moments, linear_map.weight)
        assert bool((found.correlation.abs() <= 1 + 1e-9).all())
