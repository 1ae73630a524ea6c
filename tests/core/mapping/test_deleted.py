import numpy as np
import pytest
import torch

from latentmap.codes import pair
from latentmap.mapping import moments_of
from latentmap.mapping.deleted import deleted_residuals
from latentmap.mapping.regression import solve_ridge
from tests.core.mapping.drawing import codes_of, draw

PENALTIES = torch.tensor([1e-2, 1.0, 50.0], dtype=torch.float64)


def squared(x, y, weights, units=None, *, intercept=True):
    """Of all rows, in their order, ``(n, m)``."""
    moments = moments_of(x, y, weights=weights)
    moments = moments if intercept else moments.about_zero()
    pairs = pair(codes_of(x), codes_of(y, "b"))
    found = np.full((len(x), len(PENALTIES)), np.nan)
    for index, squares in deleted_residuals(
        pairs, moments, PENALTIES, weights=weights, units=units
    ):
        found[index] = squares
    return found


def by_refits(x, y, weights, units, *, intercept):
    found = np.empty((len(x), len(PENALTIES)))
    for unit in np.unique(units):
        rest, held = units != unit, units == unit
        moments = moments_of(x[rest], y[rest], weights=weights[rest])
        moments = moments if intercept else moments.about_zero()
        for number, penalty in enumerate(PENALTIES.tolist()):
            solution = solve_ridge(moments, penalty=penalty)
            missed = y[held].double() - x[held].double() @ solution.weight - solution.bias
            found[held, number] = missed.square().sum(1)
    return found


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n", "p", "q"), [(40, 5, 3), (12, 20, 3), (40, 5, 30)])
@pytest.mark.parametrize("grouped", [False, True])
def test_deleted_residuals_are_those_of_refits(grouped, n, p, q, intercept):
    x, y = draw(n=n, p=p, q=q, decades=1.0, noise=1.0)
    generator = np.random.default_rng(0)
    weights = generator.uniform(0, 2, n)
    weights[:2] = 0, 1e-12
    units = generator.integers(0, n // 3, n) if grouped else np.arange(n)
    found = squared(x, y, weights, units if grouped else None, intercept=intercept)
    expected = by_refits(x, y, weights, units, intercept=intercept)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_units_over_many_blocks_are_those_of_one_each():
    x, y = draw(n=3000, p=4, q=2)
    weights = np.ones(len(x))
    units = np.arange(len(x))[::-1].copy()
    np.testing.assert_array_equal(squared(x, y, weights, units), squared(x, y, weights))


@pytest.mark.parametrize("units", [None, np.repeat(np.arange(3), 2)])
def test_what_decides_its_own_prediction_has_no_deleted_residual(units):
    x, y = draw(n=6, p=10, q=2, decades=0.5)
    pairs = pair(codes_of(x), codes_of(y, "b"))
    ((_, squares),) = deleted_residuals(
        pairs, moments_of(x, y), torch.zeros(1).double(), weights=np.ones(6), units=units
    )
    assert torch.isinf(squares).all()
