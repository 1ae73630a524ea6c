import math
from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import LinearRegression, MultiTaskElasticNet, Ridge

from latentmap.codes import Codes, Space, pair
from latentmap.errors import MapError
from latentmap.mapping import SOLVERS, moments_of
from latentmap.mapping.orthogonal import (
    solve_permutation,
    solve_procrustes,
    solve_similarity,
    solve_whitened_procrustes,
)
from latentmap.mapping.projections import solve_cca, solve_pls, solve_regularised_cca
from latentmap.mapping.regression import (
    solve_errors_in_variables,
    solve_least_squares,
    solve_published,
    solve_reduced_rank,
    solve_ridge,
)
from latentmap.mapping.robust import solve_robust
from latentmap.mapping.solvers import FAMILIES, largest_size, options_of
from latentmap.mapping.sparse import largest_penalty, solve_sparse
from latentmap.mapping.transport import moments_of_unpaired, solve_gaussian_ot

METHODS = tuple(SOLVERS)
# A published map has no intercept; optimal transport and permutations cannot be any rotation.
AFFINE = tuple(name for name in METHODS if name != "published")
ROTATING = tuple(name for name in AFFINE if name not in ("gaussian-ot", "permutation"))
# Methods whose map is found by iteration, up to a tolerance of their own.
ITERATED = ("procrustes", "similarity", "whitened-procrustes", "sparse")


def draw(n=400, p=12, q=5, *, decades=2.0, mean=1.0, noise=0.1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=generator) * torch.logspace(0, -decades, p) + mean
    y = x @ torch.randn(p, q, generator=generator) + noise * torch.randn(n, q, generator=generator)
    return x, y


def codes_of(x, name="a"):
    ids = [f"{i}.png" for i in range(len(x))]
    return Codes.from_array(ids, x, space=Space("z", x.shape[1], name, 2 * name))


def solve(name, x, y, *, zero=False, **others):
    """The map of a method with hardly any penalty and of full size."""
    moments = moments_of(x, y)
    moments = moments.about_zero() if zero else moments
    given = {
        "penalty": 1e-6 if name == "sparse" else 1e-3,
        "rank": min(moments.p, moments.q),
        "components": largest_size(name, moments),
        "noise": torch.zeros(moments.p),
    }
    given = {
        key: given[key]
        for key, option in options_of(name).items()
        if option.default is option.empty or (name == "errors-in-variables" and key == "penalty")
    }
    if name == "robust":
        given["pairs"] = pair(codes_of(x), codes_of(y, "b"))
    return SOLVERS[name](moments, **given, **others)


def centred(*arrays):
    arrays = [np.asarray(array, dtype=float) for array in arrays]
    return [array - array.mean(0) for array in arrays]


def rotation_of(p, seed=1):
    return torch.linalg.qr(torch.randn(p, p, generator=torch.manual_seed(seed)).double())[0]


def error_of(x, y, weight):
    xc, yc = centred(x, y)
    return float(np.square(yc - xc @ np.asarray(weight)).sum())


# Least squares and its kin.


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
    other = LinearRegression(tol=1e-12).fit(x.double().numpy(), y.double().numpy())
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


# Maps that keep angles.


@pytest.mark.parametrize("seed", [0, 1])
def test_procrustes_between_equal_sizes_is_scipys(seed):
    x, y = draw(p=6, q=6, seed=seed)
    expected = scipy.linalg.orthogonal_procrustes(*centred(x, y))[0]
    solution = solve_procrustes(moments_of(x, y))
    np.testing.assert_allclose(solution.weight, expected, atol=1e-9)
    assert torch.allclose(solution.weight @ solution.weight.T, torch.eye(6).double())


def test_a_smaller_source_is_embedded():
    x, y = draw(p=3, q=6, decades=0.5)
    solution = solve_procrustes(moments_of(x, y))
    assert torch.allclose(solution.weight @ solution.weight.T, torch.eye(3).double())
    # With orthonormal rows of the map, padding the source with zeros is an independent solution.
    xc, yc = centred(x, y)
    padded = np.c_[xc, np.zeros((len(xc), 3))]
    best = scipy.linalg.orthogonal_procrustes(padded, yc)[0][:3]
    assert error_of(x, y, solution.weight) == pytest.approx(error_of(x, y, best), rel=1e-10)


def polar(matrix):
    u, _, vt = np.linalg.svd(matrix, full_matrices=False)
    return u @ vt


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scaled", [False, True])
def test_a_larger_source_is_projected_as_the_best_of_many_starts(seed, scaled):
    x, y = draw(n=60, p=4, q=2, decades=1.0, noise=0.5, seed=seed)
    xc, yc = centred(x, y)
    products, mixed, total = xc.T @ xc, xc.T @ yc, np.square(yc).sum()

    def error(flat):
        weight = polar(flat.reshape(4, 2))
        spread, shared = (weight * (products @ weight)).sum(), (weight * mixed).sum()
        return total - max(shared, 0) ** 2 / spread if scaled else total + spread - 2 * shared

    starts = np.random.default_rng(seed).normal(size=(12, 8))
    best = min(scipy.optimize.minimize(error, start).fun for start in starts)
    solution = (solve_similarity if scaled else solve_procrustes)(moments_of(x, y))
    scale = solution.figures["scale"] if scaled else 1.0
    np.testing.assert_allclose(
        solution.weight.T @ solution.weight, scale**2 * np.eye(2), atol=1e-9 * scale**2
    )
    assert error_of(x, y, solution.weight) <= best * (1 + 1e-6)


@pytest.mark.parametrize(("p", "q"), [(10, 4), (30, 20)])
def test_a_larger_source_is_projected_better_than_by_padding_or_chance(p, q):
    x, y = draw(p=p, q=q, decades=1.0, noise=0.5)
    weight = solve_procrustes(moments_of(x, y)).weight
    assert torch.allclose(weight.T @ weight, torch.eye(q).double())
    xc, yc = centred(x, y)
    padded = scipy.linalg.orthogonal_procrustes(xc, np.c_[yc, np.zeros((len(yc), p - q))])[0]
    assert error_of(x, y, weight) < error_of(x, y, padded[:, :q])
    random = np.random.default_rng(0)
    chance = [error_of(x, y, polar(random.normal(size=(p, q)))) for _ in range(20)]
    assert error_of(x, y, weight) < 0.9 * min(chance)


def test_a_projection_that_was_there_is_found():
    x, _ = draw(p=8, q=2, decades=1.0)
    truth = rotation_of(8)[:, :3]
    solution = solve_procrustes(moments_of(x, x.double() @ truth))
    np.testing.assert_allclose(solution.weight, truth, atol=1e-5)


@pytest.mark.parametrize(("p", "q"), [(5, 5), (3, 5)])
def test_a_similarity_is_a_rotation_and_the_scale_of_its_formula(p, q):
    x, y = draw(p=p, q=q, decades=0.5)
    xc, yc = centred(x, y)
    u, s, vt = np.linalg.svd(xc.T @ yc, full_matrices=False)
    scale = s.sum() / np.square(xc).sum()
    solution = solve_similarity(moments_of(x, y))
    assert solution.figures["scale"] == pytest.approx(scale)
    np.testing.assert_allclose(solution.weight, scale * u @ vt, atol=1e-9)
    assert error_of(x, y, solution.weight) <= error_of(
        x, y, solve_procrustes(moments_of(x, y)).weight
    )


def test_a_similarity_from_a_larger_source_is_stationary():
    x, y = draw(p=9, q=4, decades=1.0, noise=0.5)
    solution = solve_similarity(moments_of(x, y))
    xc, yc = centred(x, y)
    scale = solution.figures["scale"]
    weight = solution.weight.numpy() / scale
    products, mixed = xc.T @ xc, xc.T @ yc
    assert scale == pytest.approx((weight * mixed).sum() / (weight * (products @ weight)).sum())
    gradient = scale * products @ weight - mixed
    inner = weight.T @ gradient
    tangent = gradient - weight @ (inner + inner.T) / 2
    assert np.linalg.norm(tangent) < 1e-4 * np.linalg.norm(mixed)


@pytest.mark.parametrize(("p", "q"), [(5, 5), (4, 6)])
@pytest.mark.parametrize("whitening", [0.0, 0.3, 1.0])
def test_whitened_procrustes_is_a_rotation_between_whitened_codes(p, q, whitening):
    x, y = draw(p=p, q=q, decades=0.5)
    xc, yc = centred(x, y)

    def whitener(codes):
        covariance = codes.T @ codes / len(codes)
        flat = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        blended = (1 - whitening) * flat + whitening * covariance
        return np.linalg.inv(scipy.linalg.sqrtm(blended))

    left, right = whitener(xc), whitener(yc)
    expected = left @ polar(left.T @ xc.T @ yc @ right) @ np.linalg.inv(right)
    solution = solve_whitened_procrustes(moments_of(x, y), whitening=whitening)
    np.testing.assert_allclose(solution.weight, expected, atol=1e-8)


def test_whitened_procrustes_without_whitening_is_a_rotation_times_the_ratio_of_spreads():
    x, y = draw(p=5, q=5, decades=0.5)
    moments = moments_of(x, y)
    ratio = (moments.yy.trace() / moments.xx.trace()).sqrt()
    solution = solve_whitened_procrustes(moments, whitening=0.0)
    np.testing.assert_allclose(solution.weight, ratio * solve_procrustes(moments).weight, atol=1e-9)


def test_whitened_procrustes_does_not_see_an_invertible_change_of_the_source():
    x, y = draw(p=5, q=7, decades=0.5)
    matrix = torch.randn(5, 5, generator=torch.manual_seed(3)).double() + 2 * torch.eye(5)
    plain, changed = moments_of(x, y), moments_of(x.double() @ matrix, y)
    errors = [
        moments.squared_error(solution.weight, solution.bias)
        for moments in (plain, changed)
        for solution in [solve_whitened_procrustes(moments, whitening=1.0)]
    ]
    assert torch.allclose(*errors, rtol=1e-8)
    half = solve_whitened_procrustes(changed, whitening=0.5)
    assert not torch.allclose(changed.squared_error(half.weight, half.bias), errors[0], rtol=1e-3)


@pytest.mark.parametrize(("p", "q"), [(4, 4), (3, 4), (4, 3)])
@pytest.mark.parametrize("signed", [True, False])
def test_a_permutation_is_the_best_of_all(p, q, signed):
    x, y = draw(p=p, q=q, decades=0.3, noise=1.0)
    small, large = min(p, q), max(p, q)
    errors = []
    for partners in permutations(range(large), small):
        for signs in product([1, -1], repeat=small) if signed else [(1,) * small]:
            weight = np.zeros((small, large))
            weight[range(small), partners] = signs
            errors.append(error_of(x, y, weight if p <= q else weight.T))
    solution = solve_permutation(moments_of(x, y), signed=signed)
    assert error_of(x, y, solution.weight) == pytest.approx(min(errors), rel=1e-10)
    assert int((solution.weight != 0).sum()) == small
    assert set(solution.weight[solution.weight != 0].tolist()) <= ({1, -1} if signed else {1})


def test_a_partner_is_chosen_by_its_error_and_not_by_its_product_alone():
    x = torch.tensor([[2.0, 1.0], [2.0, -1.0], [-2.0, 1.0], [-2.0, -1.0]])
    y = x @ torch.tensor([[0.875], [1.5]])
    # G_ii - 2 C_i is 16 - 2 * 14 for the first and 4 - 2 * 6 for the second.
    assert solve_permutation(moments_of(x, y)).weight[:, 0].tolist() == [1, 0]


def test_a_signed_permutation_is_recovered():
    x, _ = draw(p=9, decades=0.5)
    truth = torch.eye(9).double()[torch.randperm(9, generator=torch.manual_seed(1))]
    truth *= torch.tensor([1, -1, 1, 1, -1, -1, 1, -1, 1])
    solution = solve_permutation(moments_of(x, x.double() @ truth + 2))
    assert torch.equal(solution.weight, truth)
    assert torch.allclose(solution.bias, torch.full((9,), 2.0).double(), atol=1e-6)


# Maps through a few components.


@pytest.mark.parametrize(("p", "q"), [(6, 4), (4, 6), (5, 5)])
@pytest.mark.parametrize("penalty", [0.0, 20.0])
def test_canonical_components_are_those_of_the_generalised_eigenproblem(p, q, penalty):
    x, y = draw(p=p, q=q, decades=0.7, noise=2.0)
    xc, yc = centred(x, y)
    ratio = (np.square(yc).sum() / q) / (np.square(xc).sum() / p)
    left = xc.T @ xc + penalty * np.eye(p)
    right = yc.T @ yc + penalty * ratio * np.eye(q)
    mixed = xc.T @ yc
    block = np.block([[np.zeros((p, p)), mixed], [mixed.T, np.zeros((q, q))]])
    correlations = scipy.linalg.eigh(
        block, scipy.linalg.block_diag(left, right), eigvals_only=True
    )[::-1]
    regression = np.linalg.solve(left, mixed)
    axes = scipy.linalg.eigh(mixed.T @ regression, right)[1][:, ::-1]
    for components in (1, 2, 4):
        solution = solve_regularised_cca(moments_of(x, y), components=components, penalty=penalty)
        kept = axes[:, :components]
        np.testing.assert_allclose(
            solution.weight, regression @ kept @ kept.T @ right, rtol=1e-6, atol=1e-8
        )
        assert solution.figures["first_correlation"] == pytest.approx(correlations[0])
        assert solution.rank == components
        if penalty == 0:
            plain = solve_cca(moments_of(x, y), components=components)
            assert torch.equal(plain.weight, solution.weight)


@pytest.mark.parametrize(("p", "q"), [(6, 4), (4, 6)])
def test_all_canonical_components_are_least_squares(p, q):
    moments = moments_of(*draw(p=p, q=q, noise=1.0))
    solution = solve_cca(moments, components=4)
    np.testing.assert_allclose(
        solution.weight, solve_least_squares(moments).weight, rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize(("p", "q"), [(8, 3), (3, 8), (6, 1), (1, 4)])
def test_partial_least_squares_are_scikit_learns(p, q):
    x, y = draw(p=p, q=q, decades=0.7, noise=1.0)
    for components in sorted({1, 2, p} - set(range(p + 1, 9))):
        solution = solve_pls(moments_of(x, y), components=components)
        other = PLSRegression(components, scale=False, tol=1e-12, max_iter=5000)
        other.fit(x.double().numpy(), y.double().numpy())
        np.testing.assert_allclose(solution.weight, other.coef_.T, rtol=1e-5, atol=3e-6)
        np.testing.assert_allclose(
            solution.bias,
            other.intercept_ - other._x_mean @ other.coef_.T,
            rtol=1e-5,
            atol=1e-5,
        )
        assert solution.rank == components


def test_all_partial_least_squares_components_are_least_squares():
    moments = moments_of(*draw(p=6, q=3, decades=1.0))
    solution = solve_pls(moments, components=6)
    np.testing.assert_allclose(solution.weight, solve_least_squares(moments).weight, atol=1e-7)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_gives_the_map_of_each_size(name):
    size, make = FAMILIES[name]
    moments = moments_of(*draw(p=6, q=4, decades=0.5))
    others = {"penalty": 2.0} if "penalty" in options_of(name) else {}
    family = make(moments, **others)
    for number in (3, 1, 4):
        alone = SOLVERS[name](moments, **{size: number}, **others)
        assert torch.allclose(family(number).weight, alone.weight, rtol=1e-12)


# Optimal transport, sparse and robust maps.


def test_optimal_transport_is_the_formula_of_scipy():
    x, y = draw(p=5, q=5, decades=0.5)
    left, right = (codes.T @ codes / len(codes) for codes in centred(x, y))
    half = scipy.linalg.sqrtm(left)
    inverse = np.linalg.inv(half)
    expected = inverse @ scipy.linalg.sqrtm(half @ right @ half) @ inverse
    solution = solve_gaussian_ot(moments_of(x, y))
    np.testing.assert_allclose(solution.weight, expected, rtol=1e-7, atol=1e-9)
    carried = solution.weight.T.numpy() @ left @ solution.weight.numpy()
    np.testing.assert_allclose(carried, right, rtol=1e-8, atol=1e-9)
    mean = x.double().mean(0) @ solution.weight + solution.bias
    np.testing.assert_allclose(mean, y.double().mean(0), atol=1e-9)


@pytest.mark.parametrize(("p", "q"), [(6, 3), (3, 6)])
def test_optimal_transport_between_unequal_sizes_matches_leading_axes(p, q):
    x, y = draw(p=p, q=q, decades=0.5)
    left, right = (codes.T @ codes / len(codes) for codes in centred(x, y))
    solution = solve_gaussian_ot(moments_of(x, y))
    values, axes = np.linalg.eigh(right)
    kept = axes[:, -3:] * values[-3:] @ axes[:, -3:].T
    carried = solution.weight.T.numpy() @ left @ solution.weight.numpy()
    np.testing.assert_allclose(carried, kept, rtol=1e-7, atol=1e-9)
    # The signs are those of the pairs: along each axis the prediction goes with the target.
    xc, yc = centred(x, y)
    along = ((xc @ solution.weight.numpy() @ axes[:, -3:]) * (yc @ axes[:, -3:])).sum(0)
    assert (along > 0).all()


def test_optimal_transport_needs_no_pairs():
    x, y = draw(n=300, p=4, q=4, decades=0.5)
    order = torch.randperm(300, generator=torch.manual_seed(1))
    expected = solve_gaussian_ot(moments_of(x, y))
    solution = solve_gaussian_ot(moments_of_unpaired(codes_of(x), codes_of(y[order], "b")))
    np.testing.assert_allclose(solution.weight, expected.weight, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(solution.bias, expected.bias, rtol=1e-8, atol=1e-10)
    # Other numbers of codes: the covariances count, not the products.
    unequal = moments_of_unpaired(codes_of(x), codes_of(y.repeat(3, 1), "b"))
    again = solve_gaussian_ot(unequal)
    np.testing.assert_allclose(again.weight, expected.weight, rtol=1e-8, atol=1e-10)
    assert (unequal.xy == 0).all()
    np.testing.assert_allclose(unequal.squares_y, unequal.yy.diagonal(), rtol=1e-12)


def test_optimal_transport_without_pairs_between_unequal_sizes_keeps_the_covariance():
    x, y = draw(n=300, p=5, q=3, decades=0.5)
    moments = moments_of_unpaired(codes_of(x), codes_of(y[:200], "b"))
    weight = solve_gaussian_ot(moments).weight
    np.testing.assert_allclose(weight.T @ moments.xx @ weight, moments.yy, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
@pytest.mark.parametrize("share", [0.5, 0.05])
def test_a_sparse_map_is_scikit_learns_on_the_standardised_rows(l1_ratio, share):
    x, y = draw(decades=1.0, noise=1.0)
    moments = moments_of(x, y)
    penalty = share * largest_penalty(moments, l1_ratio=l1_ratio)
    solution = solve_sparse(moments, penalty=penalty, l1_ratio=l1_ratio)
    xc, yc = centred(x, y)
    deviation = xc.std(0)
    other = MultiTaskElasticNet(
        alpha=penalty, l1_ratio=l1_ratio, fit_intercept=False, max_iter=50_000, tol=1e-12
    )
    other.fit(np.asfortranarray(xc / deviation), np.asfortranarray(yc))
    expected = other.coef_.T / deviation[:, None]
    np.testing.assert_allclose(solution.weight, expected, atol=2e-3 * np.abs(expected).max())
    assert solution.rank == (np.abs(expected).max(1) > 0).sum()
    if share == 0.5:
        assert 0 < solution.rank < 12


def test_the_largest_sparse_penalty_is_the_first_that_uses_nothing():
    moments = moments_of(*draw(decades=1.0))
    top = largest_penalty(moments)
    assert solve_sparse(moments, penalty=top * 1.0001).rank == 0
    assert solve_sparse(moments, penalty=top * 0.99).rank == 1


def test_a_sparse_map_without_penalty_is_least_squares():
    moments = moments_of(*draw())
    solution = solve_sparse(moments, penalty=0)
    assert torch.equal(solution.weight, solve_least_squares(moments).weight)


def test_mispaired_rows_move_a_robust_map_less_than_ridge():
    x, y = draw(n=1000, p=6, q=4, decades=0.5)
    clean = solve_ridge(moments_of(x, y), penalty=1.0)
    spoiled = y.clone()
    spoiled[:100] = y[:100].roll(1, 0)
    pairs = pair(codes_of(x), codes_of(spoiled, "b"))
    moments = moments_of(x, spoiled)
    for zero in (False, True):
        moments = moments.about_zero() if zero else moments
        ridge = solve_ridge(moments, penalty=1.0)
        robust = solve_robust(moments, pairs=pairs, penalty=1.0)
        assert (robust.weight - clean.weight).norm() < 0.1 * (ridge.weight - clean.weight).norm()
        assert 0.08 < robust.figures["down_weighted"] < 0.13
        assert bool((robust.bias == 0).all()) == zero


def test_where_every_pair_fits_a_robust_map_is_ridge():
    x, y = draw(n=500, p=6, q=1, noise=0.0)
    y += torch.rand(y.shape, generator=torch.manual_seed(2)) - 0.5
    pairs = pair(codes_of(x), codes_of(y, "b"))
    moments = moments_of(x, y)
    robust = solve_robust(moments, pairs=pairs, penalty=1.0)
    assert torch.equal(robust.weight, solve_ridge(moments, penalty=1.0).weight)
    assert robust.figures["down_weighted"] == 0


@pytest.mark.parametrize("constant", [0.0, 0.3])
def test_a_robust_map_to_codes_that_do_not_vary_predicts_them(constant):
    x, _ = draw(n=50, p=3)
    robust = solve("robust", x, torch.full((50, 2), constant))
    assert robust.weight.abs().max() < 1e-8
    assert torch.allclose(robust.bias, torch.full((2,), constant).double(), atol=1e-7)


# Laws of all methods.


@pytest.mark.parametrize("name", ROTATING)
@settings(max_examples=8, deadline=None)
@given(p=st.integers(1, 7), seed=st.integers(0, 10_000), shift=st.sampled_from([0.0, 3.0, -40.0]))
def test_a_rotation_is_found(name, p, seed, shift):
    x, _ = draw(n=100, p=p, decades=0.5, seed=seed)
    rotation = rotation_of(p, seed)
    solution = solve(name, x, x.double() @ rotation + shift)
    assert torch.allclose(solution.weight, rotation, atol=1e-3)
    assert torch.allclose(solution.bias, torch.full((p,), shift).double(), atol=5e-3)


@pytest.mark.parametrize("name", METHODS)
def test_the_identity_is_found(name):
    x, _ = draw(p=6, decades=0.5)
    others = {"penalty": 0.0, "activity": 0.0} if name == "published" else {}
    solution = solve(name, x, x, **others)
    assert torch.allclose(solution.weight, torch.eye(6).double(), atol=1e-4)
    assert torch.allclose(solution.bias, torch.zeros(6).double(), atol=1e-4)
    assert solution.rank == 6


@pytest.mark.parametrize(("p", "q"), [(6, 4), (4, 6), (5, 5)])
@pytest.mark.parametrize("name", AFFINE)
def test_a_shift_of_the_codes_changes_the_bias_alone(name, p, q):
    # Whole multiples of 2^-10, so that the shifted codes are exact in float32.
    x, y = (torch.round(1024 * part) / 1024 for part in draw(p=p, q=q, decades=0.7))
    plain, shifted = solve(name, x, y), solve(name, x + 16, y - 32)
    atol = 1e-5 if name in ITERATED else 1e-8
    assert torch.allclose(plain.weight, shifted.weight, atol=atol)
    moved = plain.bias - 32 - 16 * plain.weight.sum(0)
    assert torch.allclose(shifted.bias, moved, atol=100 * atol)
    assert (shifted.bias - plain.bias).abs().max() > 1


@pytest.mark.parametrize(("p", "q"), [(6, 4), (4, 6), (5, 5)])
@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_pairs_does_not_matter(name, p, q):
    x, y = draw(p=p, q=q, decades=0.7)
    order = torch.randperm(len(x), generator=torch.manual_seed(1))
    left, right = solve(name, x, y), solve(name, x[order], y[order])
    atol = 1e-5 if name in ITERATED else 1e-8
    assert torch.allclose(left.weight, right.weight, atol=atol)
    assert torch.allclose(left.bias, right.bias, atol=10 * atol)


@pytest.mark.parametrize(("p", "q"), [(6, 4), (4, 6), (5, 5)])
@pytest.mark.parametrize("name", METHODS)
def test_moments_about_zero_give_no_bias(name, p, q):
    x, y = draw(p=p, q=q, decades=0.7)
    solution = solve(name, x, y, zero=True)
    assert (solution.bias == 0).all()
    assert solution.weight.abs().max() > 0.01


@pytest.mark.parametrize(("p", "q"), [(12, 8), (8, 12), (9, 9)])
@pytest.mark.parametrize("name", METHODS)
def test_dead_and_repeated_variables_never_blow_a_map_up(name, p, q):
    x, y = draw(n=5000, p=p, q=q, decades=0.5)
    for codes in (x, y):
        codes[:, 3] = 5.0
        codes[:, 4] = 5.0 + 1e-7 * torch.randn(len(x), generator=torch.manual_seed(2))
        codes[:, 5] = codes[:, 0]
        codes[:, 6] = 0.0
    solution = solve(name, x, y)
    assert solution.weight.isfinite().all()
    assert solution.bias.isfinite().all()
    assert solution.weight.abs().max() < 10
    assert 1 <= solution.rank <= p
    assert 1 <= solution.condition < 1e4
    error = moments_of(x, y).squared_error(solution.weight, solution.bias)
    assert error.isfinite().all()


@pytest.mark.parametrize("name", ["least-squares", "ridge", "robust", "errors-in-variables"])
def test_dead_variables_have_no_weight_and_repeated_ones_share_it(name):
    x, y = draw(n=20_000, decades=0.5)
    x[:, 3] = 5.0
    x[:, 4] = 5.0 + 1e-7 * torch.randn(len(x), generator=torch.manual_seed(2))
    x[:, 5] = x[:, 0]
    x[:, 6] = 0.0
    solution = solve(name, x, y)
    assert solution.rank == 12 - 4
    assert solution.weight[3].abs().max() < 1e-6
    assert torch.allclose(solution.weight[5], solution.weight[0], atol=1e-6)


@pytest.mark.parametrize("q", [2, 3, 5])
@pytest.mark.parametrize(
    "name", [name for name in AFFINE if name not in ("robust", "procrustes", "permutation")]
)
def test_source_codes_that_do_not_vary_predict_the_mean(name, q):
    _, y = draw(q=q)
    solution = solve(name, torch.full((len(y), 3), 0.3), y)
    assert solution.rank == 0
    assert solution.condition == 1
    assert solution.weight.abs().max() < 1e-12
    assert torch.allclose(solution.bias, y.double().mean(0))


# Procrustes maps and permutations keep the length of codes.
@pytest.mark.parametrize(
    "name", [name for name in AFFINE if name not in ("procrustes", "permutation")]
)
def test_target_codes_that_do_not_vary_are_predicted(name):
    x, _ = draw(p=4)
    solution = solve(name, x, torch.full((len(x), 4), 0.3))
    assert torch.allclose(
        x.double() @ solution.weight + solution.bias, torch.tensor(0.3).double(), atol=1e-6
    )


# What is refused.


@pytest.mark.parametrize("penalty", [-1e-9, math.nan, math.inf])
@pytest.mark.parametrize("name", [name for name in METHODS if "penalty" in options_of(name)])
def test_a_penalty_that_cannot_be_is_refused(name, penalty):
    x, y = draw(n=20)
    others = {
        key: value
        for key, value in {"rank": 1, "components": 1, "noise": torch.zeros(12)}.items()
        if key in options_of(name)
    }
    if name == "robust":
        others["pairs"] = pair(codes_of(x), codes_of(y, "b"))
    with pytest.raises(
        MapError, match=f"a penalty must be a number of at least 0, not {penalty:g}"
    ):
        SOLVERS[name](moments_of(x, y), penalty=penalty, **others)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("published", {"activity": -1.0}, "a penalty must be a number of at least 0, not -1"),
        ("reduced-rank", {"rank": 0, "penalty": 1.0}, "the rank must be from 1 to 5 .* not 0"),
        ("reduced-rank", {"rank": 6, "penalty": 1.0}, "the rank must be from 1 to 5 .* not 6"),
        ("cca", {"components": 6}, "the number of components must be from 1 to 5 .* not 6"),
        ("pls", {"components": 13}, "the number of components must be from 1 to 12 .* not 13"),
        ("whitened-procrustes", {"whitening": 1.5}, "whitening must be from 0 to 1, not 1.5"),
        ("whitened-procrustes", {"whitening": math.nan}, "whitening must be from 0 to 1, not nan"),
        ("sparse", {"penalty": 1.0, "l1_ratio": 0}, "l1 ratio must be above 0 .* not 0"),
        ("sparse", {"penalty": 1.0, "l1_ratio": 2}, "l1 ratio must be .* at most 1, not 2"),
        ("errors-in-variables", {"noise": torch.ones(3)}, r"noise must be 12 variances .*\(3,\)"),
        ("errors-in-variables", {"noise": -torch.ones(12)}, "noise must be 12 variances"),
        (
            "errors-in-variables",
            {"noise": torch.ones(12), "codes": "z"},
            "unknown kind of codes 'z': choose means or samples",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(name, options, message):
    with pytest.raises(MapError, match=message):
        SOLVERS[name](moments_of(*draw(n=20)), **options)


@pytest.mark.parametrize("name", ["cca", "regularised-cca", "whitened-procrustes", "gaussian-ot"])
def test_methods_that_need_the_products_of_the_target_say_so(name):
    x, y = draw(n=20)
    moments = moments_of(x, y, targets="squares")
    given = {"components": 1, "penalty": 1.0}
    options = {key: value for key, value in given.items() if key in options_of(name)}
    with pytest.raises(MapError, match="only their squares were gathered"):
        SOLVERS[name](moments, **options)


def test_a_sparse_map_that_does_not_converge_is_refused(monkeypatch):
    monkeypatch.setattr("latentmap.mapping.sparse._STEPS", 1)
    moments = moments_of(*draw(decades=1.0))
    with pytest.raises(MapError, match=r"did not converge at the penalty 0\.001: give a larger"):
        solve_sparse(moments, penalty=1e-3)


def test_float32_products_are_refused_where_they_would_harm_a_map():
    moments = moments_of(*draw(decades=3.2, p=6), precision="fast")
    for solution in (
        lambda: solve_least_squares(moments),
        lambda: solve_cca(moments, components=1),
    ):
        with pytest.raises(MapError, match="float32 products are unsafe"):
            solution()
    exact = replace(moments, fast=False)
    assert solve_least_squares(exact).condition > 1e3


@pytest.mark.parametrize("solve_one", [solve_least_squares, lambda m: solve_pls(m, components=6)])
def test_a_direction_that_float32_products_lose_is_not_lost_silently(solve_one):
    generator = torch.manual_seed(0)
    x = torch.randn(400, 6, generator=generator)
    scale = torch.tensor([1.0, 0.7, 0.5, 0.3, 0.1, 2e-4])
    moments = moments_of(x * scale, x, precision="fast")
    with pytest.raises(MapError, match="float32 products are unsafe"):
        solve_one(moments)


def test_a_permutation_of_a_larger_source_takes_the_variable_that_misses_least():
    # Costs G_ii - 2 C_i: 4 - 2 * 8 = -12 for the first source variable, 20.5 - 2 * 18 = -15.5.
    x = torch.tensor([[1.0, 2.5], [1.0, 2.0], [-1.0, -2.0], [-1.0, -2.5]], dtype=torch.float64)
    y = 2 * x[:, :1]
    solution = SOLVERS["permutation"](moments_of(x, y))
    assert solution.weight[:, 0].tolist() == [0.0, 1.0]
