import numpy as np
import pytest
import torch
from sklearn.linear_model import MultiTaskElasticNet

from latentmap.errors import MapError
from latentmap.mapping import moments_of
from latentmap.mapping.regression import solve_least_squares
from latentmap.mapping.sparse import largest_penalty, solve_sparse
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


def test_a_sparse_map_that_does_not_converge_is_refused():
    # Twelve variables that are nearly one.
    generator = torch.manual_seed(0)
    x = torch.randn(400, 1, generator=generator) + 0.01 * torch.randn(400, 12, generator=generator)
    moments = moments_of(x, x @ torch.randn(12, 5, generator=generator) / 0.01)
    with pytest.raises(MapError, match=r"did not converge at the penalty 0\.001: give a larger"):
        solve_sparse(moments, penalty=1e-3)
