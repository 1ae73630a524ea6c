from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch

from latentmap.mapping import moments_of
from latentmap.mapping.transport import solve_gaussian_ot
from tests.core.mapping.drawing import centred, draw


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


def unpaired(x, y):
    """The moments of two clouds, each alone: no covariance between them."""
    left, right = moments_of(x, x), moments_of(y, y)
    scale = left.n / right.n
    return replace(
        left,
        mean_y=right.mean_y,
        xy=torch.zeros(left.p, right.p).double(),
        squares_y=right.squares_y * scale,
        yy=right.yy * scale,
    )


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
    solution = solve_gaussian_ot(unpaired(x, y[order]))
    np.testing.assert_allclose(solution.weight, expected.weight, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(solution.bias, expected.bias, rtol=1e-8, atol=1e-10)
    # Other numbers of codes: the covariances count, not the products.
    unequal = unpaired(x, y.repeat(3, 1))
    again = solve_gaussian_ot(unequal)
    np.testing.assert_allclose(again.weight, expected.weight, rtol=1e-8, atol=1e-10)
    assert (unequal.xy == 0).all()
    np.testing.assert_allclose(unequal.squares_y, unequal.yy.diagonal(), rtol=1e-12)


def test_optimal_transport_without_pairs_between_unequal_sizes_keeps_the_covariance():
    x, y = draw(n=300, p=5, q=3, decades=0.5)
    moments = unpaired(x, y[:200])
    weight = solve_gaussian_ot(moments).weight
    np.testing.assert_allclose(weight.T @ moments.xx @ weight, moments.yy, rtol=1e-7, atol=1e-7)
