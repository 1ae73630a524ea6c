from itertools import permutations, product

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import torch

from latentmap.mapping import moments_of
from latentmap.mapping.orthogonal import (
    solve_permutation,
    solve_procrustes,
    solve_similarity,
    solve_whitened_procrustes,
)
from tests.core.mapping.drawing import centred, draw, error_of, rotation_of


def polar(matrix):
    u, _, vt = np.linalg.svd(matrix, full_matrices=False)
    return u @ vt


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


def stiefel_minimum(products, mixed, *, scaled, starts):
    """The least error but for its constant, from many starts, by SciPy's quasi-Newton steps."""
    p, q = mixed.shape

    def error(flat):
        u, s, vt = np.linalg.svd(flat.reshape(p, q), full_matrices=False)
        weight = u @ vt
        spread, shared = (weight * (products @ weight)).sum(), (weight * mixed).sum()
        scale = max(shared, 0.0) / spread if scaled else 1.0
        slope = 2 * scale * (scale * products @ weight - mixed)
        # The derivative of the polar factor of u s vt.
        turned = u.T @ slope @ vt.T
        inner = (turned - turned.T) / (s[:, None] + s)
        outer = (slope - u @ (u.T @ slope)) @ vt.T / s
        gradient = (u @ inner + outer) @ vt
        return scale**2 * spread - 2 * scale * shared, gradient.ravel()

    drawn = np.random.default_rng(7).normal(size=(starts, p * q))
    options = {"maxiter": 3000, "maxfun": 6000, "ftol": 1e-15, "gtol": 1e-10}
    return min(
        scipy.optimize.minimize(error, start, jac=True, method="L-BFGS-B", options=options).fun
        for start in drawn
    )


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("noise", [0.2, 2.0])
@pytest.mark.parametrize(("n", "p", "q"), [(10, 20, 5), (15, 20, 10), (10, 20, 14), (40, 20, 8)])
def test_a_larger_source_is_projected_as_well_as_by_any_of_many_starts(n, p, q, noise, scaled):
    for seed in range(2):
        x, _ = draw(n=n, p=p, q=1, decades=0.5, seed=seed)
        y = x.double() @ rotation_of(p, seed)[:, :q]
        y += noise * torch.randn(n, q, generator=torch.manual_seed(seed)).double()
        xc, yc = centred(x, y)
        total = np.square(yc).sum()
        solution = (solve_similarity if scaled else solve_procrustes)(moments_of(x, y))
        scale = solution.figures.get("scale", 1.0)
        square = solution.weight.T @ solution.weight
        np.testing.assert_allclose(square, scale**2 * np.eye(q), atol=1e-9 * scale**2)
        best = total + stiefel_minimum(xc.T @ xc, xc.T @ yc, scaled=scaled, starts=6)
        assert error_of(x, y, solution.weight) <= best + 1e-7 * total


@pytest.mark.parametrize(("n", "p", "q"), [(10, 40, 8), (20, 150, 64)])
def test_fewer_pairs_than_variables_that_a_projection_made_are_met(n, p, q):
    x, _ = draw(n=n, p=p, q=1, decades=0.5)
    y = x.double() @ rotation_of(p)[:, :q]
    weight = solve_procrustes(moments_of(x, y)).weight
    assert error_of(x, y, weight) < 1e-9 * np.square(y.numpy()).sum()


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


def test_a_permutation_of_a_larger_source_takes_the_variable_that_misses_least():
    # Costs G_ii - 2 C_i: 4 - 2 * 8 = -12 for the first source variable, 20.5 - 2 * 18 = -15.5.
    x = torch.tensor([[1.0, 2.5], [1.0, 2.0], [-1.0, -2.0], [-1.0, -2.5]], dtype=torch.float64)
    y = 2 * x[:, :1]
    solution = solve_permutation(moments_of(x, y))
    assert solution.weight[:, 0].tolist() == [0.0, 1.0]
