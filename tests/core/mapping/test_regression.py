from itertools import product

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge

from latentmap.mapping import moments_of
from latentmap.mapping.regression import (
    solve_errors_in_variables,
    solve_least_squares,
    solve_published,
    solve_reduced_rank,
    solve_ridge,
)
from tests.core.mapping.drawing import centred, draw, error_of


@pytest.mark.parametrize("penalty", [1e-6, 1.0, 1e4])
def test_ridge_agrees_with_scikit_learn(penalty):
    x, y = draw()
    solution = solve_ridge(moments_of(x, y), penalty=penalty)
    other = Ridge(alpha=penalty, solver="svd").fit(x.double().numpy(), y.double().numpy())
    np.testing.assert_allclose(solution.weight.T, other.coef_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(solution.bias, other.intercept_, rtol=1e-8, atol=1e-10)
    zero = solve_ridge(moments_of(x, y).about_zero(), penalty=penalty)
    other = Ridge(alpha=penalty, solver="svd", fit_intercept=False)
    other.fit(x.double().numpy(), y.double().numpy())
    np.testing.assert_allclose(zero.weight.T, other.coef_, rtol=1e-8, atol=1e-10)


def test_least_squares_agrees_with_scikit_learn_and_numpy():
    x, y = draw()
    solution = solve_least_squares(moments_of(x, y))
    other = LinearRegression().fit(x.double().numpy(), y.double().numpy())
    np.testing.assert_allclose(solution.weight.T, other.coef_, rtol=1e-7)
    ones = np.c_[x.double().numpy(), np.ones(len(x))]
    weight = np.linalg.lstsq(ones, y.double().numpy(), rcond=None)[0]
    np.testing.assert_allclose(torch.cat([solution.weight, solution.bias[None]]), weight, rtol=1e-7)
    assert solution.rank == 12


def test_four_decades_and_a_mean_ten_times_the_spread_keep_eight_digits():
    x, y = draw(n=5000, p=40, decades=4.0, mean=10.0)
    solution = solve_least_squares(moments_of(x, y))
    xc, yc = centred(x, y)
    q, r = np.linalg.qr(xc)
    weight = np.linalg.solve(r, q.T @ yc)
    error = np.linalg.norm(solution.weight.numpy() - weight) / np.linalg.norm(weight)
    assert error < 1e-8
    assert solution.rank == 40
    assert solution.condition == pytest.approx(np.linalg.cond(r), rel=1e-4)


def test_fewer_pairs_than_variables_give_the_map_of_smallest_norm():
    x, y = draw(n=8)
    solution = solve_least_squares(moments_of(x, y))
    xc, yc = centred(x, y)
    np.testing.assert_allclose(solution.weight, np.linalg.pinv(xc) @ yc, rtol=1e-6, atol=1e-8)
    assert solution.rank == 7


def test_a_ridge_solved_by_hand():
    x = torch.tensor([[0.0], [1.0], [2.0]])
    solution = solve_ridge(moments_of(x, 2 * x + 1), penalty=2.0)
    assert float(solution.weight) == pytest.approx(4 / (2 + 2))
    assert float(solution.bias) == pytest.approx(3 - 1)


def test_a_penalty_shrinks_and_an_infinite_one_is_the_limit_zero():
    moments = moments_of(*draw())
    norms = [float(solve_ridge(moments, penalty=a).weight.norm()) for a in (0, 1, 1e3, 1e12)]
    assert norms == sorted(norms, reverse=True)
    assert norms[-1] < 1e-6


@pytest.mark.parametrize(("penalty", "activity"), [(1e-4, 1e-4), (1.5e-3, 0.1), (0.0, 0.5)])
def test_the_published_map_solves_its_normal_equations(penalty, activity):
    x, y = draw()
    solution = solve_published(moments_of(x, y), penalty=penalty, activity=activity)
    xd, yd = x.double().numpy(), y.double().numpy()
    left = (1 + 5 * activity) * xd.T @ xd + penalty * 400 * 5 * np.eye(12)
    np.testing.assert_allclose(
        solution.weight, np.linalg.solve(left, xd.T @ yd), rtol=1e-7, atol=1e-9
    )
    assert (solution.bias == 0).all()
    again = solve_published(moments_of(x, y).about_zero(), penalty=penalty, activity=activity)
    assert torch.equal(again.weight, solution.weight)


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_the_published_map_is_what_training_would_reach(optimiser):
    x, y = (part.double() for part in draw(n=100, p=4, q=3, decades=0.5))
    penalty, activity = 1e-2, 3e-2
    weight = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)

    def objective():
        mapped = x @ weight
        loss = (mapped - y).square().mean()
        loss = loss + penalty * weight.square().sum()
        return loss + activity * mapped.square().sum() / len(x)

    def closure():
        trained.zero_grad()
        loss = objective()
        loss.backward()
        return loss

    if optimiser == "lbfgs":
        trained = torch.optim.LBFGS(
            [weight],
            max_iter=60,
            tolerance_grad=1e-10,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )
        trained.step(closure)
    else:
        trained = torch.optim.Adam([weight], lr=0.05)
        slower = torch.optim.lr_scheduler.CosineAnnealingLR(trained, 1000)
        for _ in range(1000):
            trained.step(closure)
            slower.step()
    solution = solve_published(moments_of(x, y), penalty=penalty, activity=activity)
    atol = 1e-6 if optimiser == "lbfgs" else 1e-4
    np.testing.assert_allclose(solution.weight, weight.detach(), atol=atol)


@pytest.mark.parametrize(("p", "q"), [(8, 5), (5, 8), (6, 6)])
@pytest.mark.parametrize("penalty", [0.0, 10.0])
def test_a_reduced_rank_map_is_the_projection_of_the_fitted_values(p, q, penalty):
    x, y = draw(p=p, q=q, decades=1.0, noise=1.0)
    xc, yc = centred(x, y)
    rows = np.r_[xc, np.sqrt(penalty) * np.eye(p)]
    full = np.linalg.lstsq(rows, np.r_[yc, np.zeros((p, q))], rcond=None)[0]
    vt = np.linalg.svd(rows @ full, full_matrices=False)[2]
    for rank in (1, 3, 5):
        solution = solve_reduced_rank(moments_of(x, y), rank=rank, penalty=penalty)
        np.testing.assert_allclose(
            solution.weight, full @ vt[:rank].T @ vt[:rank], rtol=1e-7, atol=1e-9
        )
        assert solution.rank == np.linalg.matrix_rank(solution.weight, tol=1e-8) == rank


def test_a_reduced_rank_map_beats_the_truncated_decomposition_of_the_ridge():
    x, y = draw(decades=1.5, noise=1.0)
    moments = moments_of(x, y)
    u, s, vt = torch.linalg.svd(solve_least_squares(moments).weight, full_matrices=False)
    truncated = u[:, :2] * s[:2] @ vt[:2]
    reduced = solve_reduced_rank(moments, rank=2, penalty=0.0).weight
    assert error_of(x, y, reduced) < 0.99 * error_of(x, y, truncated)


@pytest.mark.parametrize("codes", ["means", "samples"])
@pytest.mark.parametrize("penalty", [0.0, 2.0])
def test_without_noise_errors_in_variables_are_ridge(codes, penalty):
    moments = moments_of(*draw())
    solution = solve_errors_in_variables(
        moments, noise=torch.zeros(12), penalty=penalty, codes=codes
    )
    assert torch.equal(solution.weight, solve_ridge(moments, penalty=penalty).weight)


def test_noise_of_posterior_means_is_ridge_on_all_its_samples():
    x, y = (part.double() for part in draw(n=50, p=4, q=3, decades=0.5))
    noise = torch.tensor([0.3, 0.01, 0.0, 1.5], dtype=torch.float64)
    # Every combination of plus and minus one deviation has exactly the moments of the noise.
    signs = torch.tensor(list(product([-1.0, 1.0], repeat=4)), dtype=torch.float64)
    sampled = (x[:, None] + signs * noise.sqrt()).flatten(0, 1)
    expected = solve_ridge(moments_of(sampled, y.repeat_interleave(16, 0)), penalty=16 * 2.0)
    solution = solve_errors_in_variables(moments_of(x, y), noise=noise, penalty=2.0)
    np.testing.assert_allclose(solution.weight, expected.weight, rtol=1e-10)
    np.testing.assert_allclose(solution.bias, expected.bias, rtol=1e-10)


def test_noise_of_samples_is_taken_away():
    x, y = draw(n=20_000, p=6, q=3, decades=0.5)
    noise = torch.tensor([0.5, 0.1, 0.0, 0.2, 0.05, 0.02])
    noisy = x + noise.sqrt() * torch.randn(x.shape, generator=torch.manual_seed(7))
    clean = solve_least_squares(moments_of(x, y)).weight
    moments = moments_of(noisy, y)
    ridge = solve_least_squares(moments).weight
    solution = solve_errors_in_variables(moments, noise=noise, codes="samples")
    assert (solution.weight - clean).norm() < 0.1 * (ridge - clean).norm()


def test_variables_with_less_variance_than_noise_are_left_out():
    x = torch.randn(500, 3, generator=torch.manual_seed(0)) * torch.tensor([1.0, 1.0, 0.1])
    moments = moments_of(x, x)
    noise = torch.tensor([0.0, 0.0, 1.0])
    solution = solve_errors_in_variables(moments, noise=noise, codes="samples")
    assert solution.rank == 2
    assert solution.weight.abs().max() < 2
