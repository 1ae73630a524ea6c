import numpy as np
import pytest
import torch
from sklearn.linear_model import MultiTaskElasticNet

from latentmap.errors import MapError
from latentmap.mapping import moments_of
from latentmap.mapping.regression import solve_least_squares
from latentmap.mapping.sparse import (
    largest_penalty,
    solve_sparse,
    sparse_path,
    sparse_penalties,
)
from tests.core.mapping.drawing import centred, draw


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


def test_a_sparse_map_of_variables_that_are_nearly_one_meets_the_conditions_of_the_least():
    # Descent along coordinates takes more than 1000 sweeps here.
    x, y = nearly_one()
    moments = moments_of(x, y)
    penalty = 1e-3
    solution = solve_sparse(moments, penalty=penalty)
    xc, yc = centred(x, y)
    deviation = xc.std(0)
    residual = yc - xc @ solution.weight.numpy()
    slopes = (xc / deviation).T @ residual / len(x)
    rows = solution.weight.numpy() * deviation[:, None]
    lengths = np.linalg.norm(rows, axis=1)
    used = lengths > 0
    assert used.any()
    # The slope is as long as the penalty and along the row; at most as long where nothing is used.
    expected = penalty * rows[used] / lengths[used, None]
    np.testing.assert_allclose(slopes[used], expected, atol=1e-6 * penalty)
    assert (np.linalg.norm(slopes[~used], axis=1) <= penalty * (1 + 1e-6)).all()


def test_a_sparse_map_that_does_not_converge_is_refused(monkeypatch):
    monkeypatch.setattr("latentmap.mapping.group_lasso._STEPS", 2)
    with pytest.raises(MapError, match=r"did not converge at the penalty 0\.001: give a larger"):
        solve_sparse(moments_of(*nearly_one()), penalty=1e-3)


@pytest.mark.parametrize("sizes", [(12, 7), (6, 30)])
def test_a_path_of_sparse_maps_gives_what_each_penalty_gives_alone(sizes):
    moments = moments_of(*draw(p=sizes[0], q=sizes[1], decades=1.0, noise=1.0))
    solve = sparse_path(moments)
    for penalty in [*sparse_penalties(moments, {}), largest_penalty(moments) / 3]:
        alone, along = solve_sparse(moments, penalty=penalty), solve(penalty=penalty)
        assert alone.rank == along.rank and alone.condition == along.condition
        atol = 1e-8 * float(moments.xy.norm() / moments.xx.norm())
        torch.testing.assert_close(alone.weight, along.weight, rtol=1e-6, atol=atol)


def nearly_one():
    """Twelve source variables that are nearly the same."""
    generator = torch.manual_seed(0)
    x = torch.randn(400, 1, generator=generator) + 0.01 * torch.randn(400, 12, generator=generator)
    return x, x @ torch.randn(12, 5, generator=generator) / 0.01
