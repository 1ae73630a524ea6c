import numpy as np
import pytest
import scipy.linalg
import torch
from sklearn.cross_decomposition import PLSRegression

from latentmap.mapping import METHODS, moments_of
from latentmap.mapping.projections import solve_cca, solve_pls, solve_regularised_cca
from latentmap.mapping.regression import solve_least_squares
from tests.core.mapping.drawing import centred, draw


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


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].sizes])
def test_one_decomposition_gives_the_map_of_each_size(name):
    method = METHODS[name]
    moments = moments_of(*draw(p=6, q=4, decades=0.5))
    others = {"penalty": 2.0} if "penalty" in method.settings else {}
    maps = method.sizes.maps(moments, **others)
    for number in (3, 1, 4):
        alone = method.solve(moments, **{method.sizes.setting: number}, **others)
        assert torch.allclose(maps(number).weight, alone.weight, rtol=1e-12)
