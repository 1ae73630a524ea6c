import pytest
import torch

from latentmap.codes import pair
from latentmap.mapping import moments_of
from latentmap.mapping.regression import solve_ridge
from latentmap.mapping.robust import solve_robust
from tests.core.mapping.drawing import codes_of, draw, solve


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
