import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge

from latentmap.errors import MapError
from latentmap.mapping.moments import moments_of_blocks
from latentmap.mapping.solvers import SOLVERS, solve_least_squares, solve_ridge, source_spectrum


def draw(n=400, p=12, q=5, *, decades=2.0, mean=1.0, noise=0.1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=generator) * torch.logspace(0, -decades, p) + mean
    y = x @ torch.randn(p, q, generator=generator) + noise * torch.randn(n, q, generator=generator)
    return x, y


def moments(x, y):
    return moments_of_blocks(zip(x.split(5000), y.split(5000), strict=True))


def solve(name, values):
    return SOLVERS[name](values, penalty=1e-3) if name == "ridge" else SOLVERS[name](values)


@pytest.mark.parametrize("penalty", [1e-6, 1.0, 1e4])
def test_ridge_agrees_with_scikit_learn(penalty):
    x, y = draw()
    solution = solve_ridge(moments(x, y), penalty=penalty)
    other = Ridge(alpha=penalty, solver="svd").fit(x.double().numpy(), y.double().numpy())
    np.testing.assert_allclose(solution.weight.T, other.coef_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(solution.bias, other.intercept_, rtol=1e-8, atol=1e-10)


def test_least_squares_agrees_with_scikit_learn_and_numpy():
    x, y = draw()
    solution = solve_least_squares(moments(x, y))
    other = LinearRegression(tol=1e-12).fit(x.double().numpy(), y.double().numpy())
    np.testing.assert_allclose(solution.weight.T, other.coef_, rtol=1e-7)
    ones = np.c_[x.double().numpy(), np.ones(len(x))]
    weight = np.linalg.lstsq(ones, y.double().numpy(), rcond=None)[0]
    np.testing.assert_allclose(torch.cat([solution.weight, solution.bias[None]]), weight, rtol=1e-7)
    assert solution.rank == 12


def test_four_decades_and_a_mean_ten_times_the_spread_keep_eight_digits():
    x, y = draw(n=5000, p=40, decades=4.0, mean=10.0)
    solution = solve_least_squares(moments(x, y))
    q, r = np.linalg.qr(x.double().numpy() - x.double().numpy().mean(0))
    yc = y.double().numpy() - y.double().numpy().mean(0)
    weight = np.linalg.solve(r, q.T @ yc)
    error = np.linalg.norm(solution.weight.numpy() - weight) / np.linalg.norm(weight)
    assert error < 1e-8
    assert solution.rank == 40
    assert solution.condition == pytest.approx(np.linalg.cond(r), rel=1e-4)


def test_fewer_pairs_than_variables_give_the_map_of_smallest_norm():
    x, y = draw(n=8)
    solution = solve_least_squares(moments(x, y))
    xc, yc = (part.double().numpy() - part.double().numpy().mean(0) for part in (x, y))
    np.testing.assert_allclose(solution.weight, np.linalg.pinv(xc) @ yc, rtol=1e-6, atol=1e-8)
    assert solution.rank == 7


@pytest.mark.parametrize("name", SOLVERS)
def test_the_identity_and_a_rotation_are_found(name):
    x, _ = draw(p=6, decades=0.5)
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.manual_seed(1)).double())[0]
    for matrix in (torch.eye(6, dtype=torch.float64), rotation):
        solution = solve(name, moments(x, (x.double() @ matrix + 3)))
        assert torch.allclose(solution.weight, matrix, atol=1e-4)
        assert torch.allclose(solution.bias, torch.full_like(solution.bias, 3), atol=1e-3)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_shift_of_the_codes_changes_the_bias_alone(name):
    x, y = draw()
    plain, shifted = solve(name, moments(x, y)), solve(name, moments(x, y.double() + 7))
    assert torch.allclose(plain.weight, shifted.weight, atol=1e-9)
    assert torch.allclose(plain.bias + 7, shifted.bias, atol=1e-8)


@pytest.mark.parametrize("name", SOLVERS)
def test_the_order_of_pairs_does_not_matter(name):
    x, y = draw()
    order = torch.randperm(len(x), generator=torch.manual_seed(1))
    left, right = solve(name, moments(x, y)), solve(name, moments(x[order], y[order]))
    assert torch.allclose(left.weight, right.weight, atol=1e-9)


@pytest.mark.parametrize("name", SOLVERS)
def test_dead_and_repeated_variables_never_blow_a_map_up(name):
    x, y = draw(n=20_000, decades=0.5)
    x[:, 3] = 5.0
    x[:, 4] = 5.0 + 1e-7 * torch.randn(len(x), generator=torch.manual_seed(2))
    x[:, 5] = x[:, 0]
    x[:, 6] = 0.0
    solution = solve(name, moments(x, y))
    assert solution.rank == 12 - 4
    assert solution.weight.abs().max() < 10
    assert solution.weight[3].abs().max() < 1e-6
    assert torch.allclose(solution.weight[5], solution.weight[0], atol=1e-6)
    assert math.isfinite(solution.condition)


@pytest.mark.parametrize("name", SOLVERS)
def test_source_codes_that_do_not_vary_predict_the_mean(name):
    _, y = draw()
    solution = solve(name, moments(torch.full((len(y), 3), 0.3), y))
    assert solution.rank == 0
    assert solution.condition == 1
    assert solution.weight.abs().max() == 0
    assert torch.allclose(solution.bias, y.double().mean(0))


def test_a_ridge_solved_by_hand():
    x = torch.tensor([[0.0], [1.0], [2.0]])
    solution = solve_ridge(moments(x, 2 * x + 1), penalty=2.0)
    assert float(solution.weight) == pytest.approx(4 / (2 + 2))
    assert float(solution.bias) == pytest.approx(3 - 1)


def test_a_penalty_shrinks_and_an_infinite_one_is_the_limit_zero():
    x, y = draw()
    norms = [float(solve_ridge(moments(x, y), penalty=a).weight.norm()) for a in (0, 1, 1e3, 1e12)]
    assert norms == sorted(norms, reverse=True)
    assert norms[-1] < 1e-6


@pytest.mark.parametrize("penalty", [-1e-9, math.nan, math.inf])
def test_a_penalty_that_cannot_be_is_refused(penalty):
    with pytest.raises(
        MapError, match=f"a penalty must be a number of at least 0, not {penalty:g}"
    ):
        solve_ridge(moments(*draw(n=10)), penalty=penalty)


def test_the_spectrum_rebuilds_the_products():
    values = moments(*draw())
    spectrum = source_spectrum(values)
    rebuilt = spectrum.directions * spectrum.values @ spectrum.directions.T
    assert torch.allclose(rebuilt, values.xx, atol=1e-9)
    assert (spectrum.values.diff() <= 0).all()
