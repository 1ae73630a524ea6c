import math

import numpy as np
import pytest
import torch

from latentmap.codes import pair
from latentmap.errors import MapError
from latentmap.mapping import FitOptions, fit, moments_of
from latentmap.mapping.outlying import outlying_weights
from latentmap.mapping.regression import solve_ridge
from latentmap.mapping.robust import choose_robust_penalty, solve_robust
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


def spoiled(kind, x, y):
    x, y, n = x.clone(), y.clone(), len(x)
    if kind == "one source code":
        x[7] *= 1000
    elif kind == "one target code":
        y[7] *= 1000
    elif kind == "one number":
        x[7, 2] += 500
    elif kind == "both codes":
        x[7] *= 1000
        y[7] *= 1000
    elif kind == "source codes":
        x[: n // 10] *= 10
    elif kind == "target codes":
        y[: n // 10] *= 10
    elif kind == "one image many times":
        x[: n // 10], y[: n // 10] = x[0] + 20, y[1]
    return x, y


@pytest.mark.parametrize("select", ["loo", "gcv"])
@pytest.mark.parametrize(
    ("n", "p", "q", "noise"), [(100, 20, 5, 1.5), (60, 80, 10, 1.0), (600, 60, 3, 4.0)]
)
@pytest.mark.parametrize(
    "kind",
    [
        "one source code",
        "one target code",
        "one number",
        "both codes",
        "source codes",
        "target codes",
        "one image many times",
    ],
)
def test_pairs_that_do_not_fit_decide_neither_map_nor_penalty(kind, n, p, q, noise, select):
    x, y = draw(n=n + 2000, p=p, q=q, decades=1.0, noise=noise)
    new = [part[n:].double() for part in (x, y)]
    options = FitOptions("robust", select=select)

    def error(x, y):
        linear_map = fit(pair(codes_of(x), codes_of(y, "b")), options)
        missed = new[1] - new[0] @ linear_map.weight - linear_map.bias
        variance = new[1].sub(new[1].mean(0)).square().sum()
        return float(missed.square().sum() / variance)

    # A tenth of the pairs is lost, where there is no more to lose.
    kept = slice(n // 10, n)
    assert error(*spoiled(kind, x[:n], y[:n])) < error(x[kept], y[kept]) + 0.02


def test_the_penalty_of_clean_pairs_is_that_of_ridge():
    x, y = draw(n=300, p=20, q=4, decades=1.0, noise=2.0)
    pairs = pair(codes_of(x), codes_of(y, "b"))
    found = [fit(pairs, FitOptions(method)).penalty for method in ("robust", "ridge")]
    # Within the ratio of neighbours in the grid.
    assert abs(math.log10(found[0] / found[1])) < 14 / 64 + 1e-9


def test_a_robust_map_keeps_the_moments_of_its_weights():
    x, y = draw(n=200, p=6, q=4, decades=0.5)
    x[3] *= 1000
    for intercept in (True, False):
        options = FitOptions("robust", intercept=intercept)
        linear_map = fit(pair(codes_of(x), codes_of(y, "b")), options)
        moments = linear_map.moments
        assert moments.centred
        assert moments.n == pytest.approx(199, abs=2)
        # The variance without the far code, at most 1 a variable.
        assert float(moments.xx.diagonal().max()) < 2 * 200
        solved = solve_ridge(
            moments if intercept else moments.about_zero(), penalty=linear_map.penalty
        )
        assert torch.allclose(solved.weight, linear_map.weight)


def test_copies_are_left_out_together():
    x, y = draw(n=40, p=30, q=3, decades=0.5, noise=3.0)
    once = choose(x, y)
    numbers = np.tile(np.arange(40), 3)
    thrice = [part.repeat(3, 1) for part in (x, y)]
    blind, seeing = choose(*thrice), choose(*thrice, units=numbers)
    assert blind < 0.1 * once
    # Three copies of each pair are the same problem with three times the penalty.
    assert abs(math.log10(seeing / (3 * once))) < 14 / 64 + 1e-9
    assert choose(*thrice, units=numbers, criterion="gcv") == seeing


def test_a_fit_leaves_groups_out_together():
    x, y = draw(n=40, p=30, q=3, decades=0.5, noise=3.0)
    pairs = pair(codes_of(x.repeat(3, 1)), codes_of(y.repeat(3, 1), "b"))
    numbers = np.tile(np.arange(40), 3)
    for select in ("loo", "gcv"):
        linear_map = fit(pairs, FitOptions("robust", select=select), groups=numbers)
        (selection,) = linear_map.record["selection"]
        assert (selection["criterion"], selection["n_units"]) == ("loo", 40)
        chosen = choose(x.repeat(3, 1), y.repeat(3, 1), units=numbers)
        assert linear_map.penalty == pytest.approx(chosen)


def choose(x, y, **options):
    pairs = pair(codes_of(x), codes_of(y, "b"))
    return choose_robust_penalty(moments_of(x, y), pairs=pairs, **options).chosen["penalty"]


def test_one_pair_or_unit_cannot_be_left_out():
    x, y = draw(n=3, p=2, q=2)
    with pytest.raises(MapError, match="leaving one pair out needs at least 2 pairs, not 1"):
        choose(x[:1], y[:1])
    with pytest.raises(MapError, match="leaving one group out needs at least 2 groups, not 1"):
        choose(x, y, units=np.zeros(3, dtype=np.int64))


def test_codes_that_are_mostly_the_same_do_not_lose_their_weight():
    x, y = draw(n=400, p=6, q=4, decades=0.5)
    x[:, 2] = 0
    x[::20, 2] = 3.0
    x[:, 3] = 0.7
    robust = solve_robust(moments_of(x, y), pairs=pair(codes_of(x), codes_of(y, "b")), penalty=1.0)
    assert robust.figures["down_weighted"] < 0.02


@pytest.mark.parametrize(("rate", "p"), [(0.02, 10), (0.05, 10), (0.01, 64)])
def test_features_that_most_codes_do_not_have_keep_their_weight(rate, p):
    # Most codes have none of them, and are at one place: that is no reason to doubt the others.
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(400, p, generator=generator) < rate).double()
    assert (x.sum(1) == 0).double().mean() > 0.5
    assert (outlying_weights(codes_of(x)) > 0.5).all()
    y = x @ torch.randn(p, 4, generator=generator, dtype=torch.float64)
    linear_map = fit(pair(codes_of(x), codes_of(y, "b")), FitOptions("robust"))
    # A feature of one or two codes cannot be told from a mistake.
    missed = y - linear_map.apply(x)
    assert missed.square().sum() < 0.05 * (y - y.mean(0)).square().sum()


def test_a_few_codes_that_are_far_off_are_seen_beside_others_that_are_equally_far():
    # Plus and minus 1 in turn: the median is 0, and all are equally far from it.
    x = torch.ones(100, 2)
    x[::2] = -1
    x[7] *= 1000
    weights = outlying_weights(codes_of(x))
    assert weights[7] < 1e-6 and (np.delete(weights, 7) == 1).all()


def test_pairs_fewer_than_variables_without_a_penalty_tell_none_from_another():
    x, y = draw(n=12, p=20, q=3)
    pairs = pair(codes_of(x), codes_of(y, "b"))
    linear_map = fit(pairs, method="robust", settings={"penalty": 0.0})
    assert linear_map.figures["down_weighted"] == 0
