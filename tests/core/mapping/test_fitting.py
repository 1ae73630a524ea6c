import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from latentmap.codes import Codes, Space, pair
from latentmap.errors import MapError
from latentmap.frames import Frame
from latentmap.mapping import METHODS, FitOptions, LinearMap, Method, Solution, affine, fit
from latentmap.mapping.fitting import refined
from latentmap.mapping.gathering import moments_by_fold, moments_of_pairs
from latentmap.mapping.leaving_out import leave_one_out
from latentmap.mapping.near_minimum import smallest_left_out
from latentmap.mapping.regression import solve_ridge
from latentmap.mapping.selection import assign_folds, generalised, k_fold


def draw(n=120, p=6, q=4, *, decades=0.5, mean=1.0, noise=0.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=generator) * torch.logspace(0, -decades, p) + mean
    y = x @ torch.randn(p, q, generator=generator) + noise * torch.randn(n, q, generator=generator)
    return x, y


def codes_of(x, name="a", **others):
    ids = [f"{i}.png" for i in range(len(x))]
    return Codes.from_array(ids, x, space=Space("z", x.shape[1], name, 2 * name), **others)


def pairs_of(x, y):
    return pair(codes_of(x, frame=Frame("celeba")), codes_of(y, "b"))


def needed(method, p=6):
    """The settings that a method cannot choose."""
    return {"noise": torch.full((p,), 0.01)} if method == "errors-in-variables" else {}


def error_of(fitted, x, y):
    return float((fitted.apply(x).double() - y.double()).square().mean())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_chooses_what_it_needs_and_says_so(method):
    x, y = draw()
    pairs = pairs_of(x, y)
    fitted = fit(pairs, method=method, settings=needed(method))
    assert fitted.method == method
    assert fitted.weight.shape == (6, 4)
    free = set(METHODS[method].free)
    assert set(fitted.settings) == free
    json.dumps([fitted.record, dict(fitted.settings), dict(fitted.figures)], allow_nan=False)
    names = [set(part["chosen"]) for part in fitted.record["selection"]]
    assert set().union(*names) == free
    mean = float(y.double().var(0, correction=0).mean())
    # A permutation has no scale, and optimal transport between unequal sizes sees no pair.
    if method not in ("permutation", "gaussian-ot"):
        assert error_of(fitted, x, y) < 0.8 * mean


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [2, 3])
def test_a_few_pairs_make_a_map_of_every_method(method, n):
    x, y = draw(n=n)
    fitted = fit(pairs_of(x, y), method=method, settings=needed(method))
    assert fitted.weight.isfinite().all()
    assert fitted.bias.isfinite().all()
    assert fitted.n_pairs == n


@pytest.mark.parametrize("method", METHODS)
def test_without_intercept_no_map_has_a_bias(method):
    x, y = draw()
    options = FitOptions(method, needed(method), intercept=False)
    fitted = fit(pairs_of(x, y), options)
    assert (fitted.bias == 0).all()
    assert fitted.record["intercept"] is False
    assert fitted.moments.centred


def test_the_penalty_of_ridge_is_that_of_the_criterion():
    pairs = pairs_of(*draw(2500, noise=1.0))
    moments = moments_of_pairs(pairs)
    by_gcv = fit(pairs, FitOptions(select="gcv"))
    assert by_gcv.record["selection"] == [generalised(moments).to_json()]
    left_out = leave_one_out(pairs, moments)
    for select in (None, "loo"):
        fitted = fit(pairs, FitOptions(select=select))
        assert fitted.penalty == left_out.chosen["penalty"]
        # Only penalties near it were tried.
        assert fitted.record["selection"] == [smallest_left_out(pairs, moments).to_json()]
        assert len(fitted.record["selection"][0]["candidates"]) < 20
    zero = fit(pairs, FitOptions(intercept=False))
    assert zero.penalty == leave_one_out(pairs, moments.about_zero()).chosen["penalty"]


def test_folds_choose_by_their_number_their_groups_and_the_seed():
    pairs = pairs_of(*draw())
    groups = np.arange(120) // 10
    cases = [
        (3, {"seed": 5}, assign_folds(120, folds=3, seed=5)),
        (4, {"groups": groups}, assign_folds(120, folds=4, seed=0, groups=groups)),
        # No more folds than groups.
        (5, {"groups": groups // 4}, assign_folds(120, folds=3, seed=0, groups=groups // 4)),
    ]
    for folds, others, numbers in cases:
        fitted = fit(pairs, FitOptions(select="kfold", folds=folds), **others)
        (selection,) = fitted.record["selection"]
        again = k_fold(METHODS["ridge"], moments_by_fold(pairs, numbers), selection["candidates"])
        np.testing.assert_allclose(selection["errors"], again.errors, rtol=1e-9)
        assert fitted.penalty == again.chosen["penalty"]


@pytest.mark.parametrize("select", [None, "loo", "gcv", "kfold"])
def test_a_reduced_rank_has_the_penalty_of_ridge_and_a_rank_by_folds(select):
    x, _ = draw(n=300, p=8)
    generator = torch.manual_seed(4)
    weight = torch.randn(8, 2, generator=generator) @ torch.randn(2, 6, generator=generator)
    pairs = pairs_of(x, x @ weight + torch.randn(300, 6, generator=generator))
    fitted = fit(pairs, FitOptions("reduced-rank", select=select))
    penalty, rank = fitted.record["selection"]
    assert fitted.penalty == penalty["chosen"]["penalty"]
    # The sums are those of the folds, so that their last digits differ.
    assert fitted.penalty == pytest.approx(fit(pairs, FitOptions(select=select)).penalty, rel=1e-9)
    assert rank["criterion"] == "kfold"
    assert fitted.settings["rank"] == rank["chosen"]["rank"] == 2
    given = fit(pairs, FitOptions("reduced-rank", {"rank": 3}, select=select))
    assert given.settings["rank"] == 3
    assert len(given.record["selection"]) == 1


def test_what_is_given_is_not_chosen():
    pairs = pairs_of(*draw())
    options = FitOptions("ridge", {"penalty": 2})
    for fitted in (
        fit(pairs, options),
        fit(pairs, settings={"penalty": 2}),
        fit(pairs, FitOptions("pls", {"components": 1}), method="ridge", settings={"penalty": 2}),
    ):
        assert fitted.settings == {"penalty": 2}
        assert fitted.record["selection"] == []
    half = fit(pairs, method="regularised-cca", settings={"components": 2})
    assert half.settings["components"] == 2
    assert [set(part["chosen"]) for part in half.record["selection"]] == [{"penalty"}]
    noisy = fit(pairs, method="errors-in-variables", settings=needed("errors-in-variables"))
    assert "noise" not in noisy.settings


def test_fast_moments_give_nearly_the_same_map():
    pairs = pairs_of(*draw(n=500))
    options = FitOptions(settings={"penalty": 1.0})
    exact, fast = fit(pairs, options), fit(pairs, replace(options, moments="fast"))
    assert torch.allclose(fast.weight, exact.weight, atol=1e-4)
    assert not torch.equal(fast.weight, exact.weight)
    assert fast.record["moments"] == "fast"
    ill = pairs_of(*draw(n=500, decades=3.2))
    with pytest.raises(MapError, match="float32 products are unsafe"):
        fit(ill, FitOptions("least-squares", moments="fast"))


def test_a_map_knows_what_it_was_fitted_from():
    pairs = pairs_of(*draw())
    fitted = fit(pairs, record={"command": "latentmap fit"})
    assert (fitted.source, fitted.target) == (pairs.source.space, pairs.target.space)
    assert (fitted.source_frame, fitted.target_frame) == (Frame("celeba"), Frame())
    assert (fitted.n_pairs, fitted.rank) == (120, 6)
    assert fitted.record["command"] == "latentmap fit"
    assert fitted.record["refined"] is False
    assert torch.equal(fitted.moments.xx, moments_of_pairs(pairs).xx)


def test_progress_is_called_for_every_pass():
    pairs = pairs_of(*draw())
    seen = []
    fit(pairs, progress=lambda *call: seen.append(call))
    # The moments, and what is left out in one pass or more.
    assert len(seen) >= 2 and set(seen) == {(120, 120)}


# Refinement.


def by_qr(x, y, penalty):
    """The ridge map in float64 from the decomposition of the rows."""
    xd, yd = x.double().numpy(), y.double().numpy()
    xc, yc = xd - xd.mean(0), yd - yd.mean(0)
    p = xc.shape[1]
    rows = np.r_[xc, np.sqrt(penalty) * np.eye(p)]
    q, r = np.linalg.qr(rows)
    return np.linalg.solve(r, q.T @ np.r_[yc, np.zeros((p, yc.shape[1]))])


@pytest.mark.parametrize("penalty", [None, 1e-4])
def test_four_decades_and_a_mean_ten_times_the_spread_keep_eight_digits(penalty):
    x, y = draw(n=5000, p=40, decades=4.0, mean=10.0, noise=0.1)
    expected = by_qr(x, y, penalty or 0.0)
    options = FitOptions("least-squares")
    if penalty is not None:
        options = FitOptions("ridge", {"penalty": penalty})
    errors = {}
    for refine in (False, True):
        fitted = fit(pairs_of(x, y), replace(options, refine=refine))
        assert fitted.record["refined"] is refine
        errors[refine] = np.linalg.norm(fitted.weight.numpy() - expected) / np.linalg.norm(expected)
    assert errors[False] <= 1e-8
    assert errors[True] <= 1e-8
    assert errors[True] <= errors[False]


@pytest.mark.parametrize("penalty", [0.0, 1e-3])
@pytest.mark.parametrize("intercept", [True, False])
def test_refinement_wins_back_digits_of_a_spoiled_map(penalty, intercept):
    x, y = draw(n=1000, p=10)
    pairs = pairs_of(x, y)
    moments = moments_of_pairs(pairs)
    moments = moments if intercept else moments.about_zero()
    solution = solve_ridge(moments, penalty=penalty)
    noise = torch.randn(10, 4, generator=torch.manual_seed(1)).double()
    spoiled = type(solution)(
        solution.weight + 1e-4 * noise, solution.bias, solution.rank, solution.condition
    )
    found = refined(pairs, moments, spoiled, penalty=penalty)
    assert torch.allclose(found.weight, solution.weight, rtol=1e-10, atol=1e-11)
    assert torch.allclose(found.bias, solution.bias, rtol=1e-10, atol=1e-10)


# A method of one's own.


def solve_diagonal(moments, *, penalty):
    """Each target variable from the source variable of the same number."""
    weight = torch.zeros_like(moments.xy)
    k = min(weight.shape)
    weight[range(k), range(k)] = moments.xy.diagonal() / (moments.xx.diagonal()[:k] + penalty)
    return affine(moments, weight, rank=k)


def solve_mean(moments):
    return Solution(torch.zeros_like(moments.xy), moments.mean_y, rank=0, condition=1.0)


def test_a_method_of_ones_own_is_fitted_as_it_says(tmp_path):
    x, y = torch.tensor([[1.0, 0.0], [3.0, 4.0]]), torch.tensor([[2.0, 1.0], [8.0, 3.0]])
    pairs = pairs_of(x, y)
    mean = Method("mean-only", solve_mean)
    fitted = fit(pairs, method=mean)
    assert (fitted.weight == 0).all()
    assert fitted.bias.tolist() == [5.0, 2.0]
    diagonal = Method("diagonal", solve_diagonal)
    # Products 6 and 4 of codes about their means, whose squares are 2 and 8.
    by_hand = [[6 / (2 + 1), 0.0], [0.0, 4 / (8 + 1)]]
    for fitted in (
        fit(pairs, method=diagonal, settings={"penalty": 1.0}),
        fit(pairs, FitOptions(diagonal, {"penalty": 1.0})),
    ):
        np.testing.assert_allclose(fitted.weight, by_hand, rtol=1e-12)
    fitted.save(str(tmp_path / "map.safetensors"))
    loaded = LinearMap.load(str(tmp_path / "map.safetensors"))
    assert (loaded.method, loaded.settings) == ("diagonal", {"penalty": 1.0})
    assert torch.equal(loaded.weight, fitted.weight)


def test_settings_of_ones_own_method_are_chosen_from_its_candidates_by_folds():
    pairs = pairs_of(*draw(n=60))
    for candidates in ([1e6, 0.5], lambda moments, settings: [moments.n * 1e6, 0.5]):
        method = Method("diagonal", solve_diagonal, candidates={"penalty": candidates})
        fitted = fit(pairs, method=method)
        assert fitted.settings == {"penalty": 0.5}
        (selection,) = fitted.record["selection"]
        assert selection["criterion"] == "kfold"
        assert [one["penalty"] for one in selection["candidates"]][1] == 0.5
        again = k_fold(
            method,
            moments_by_fold(pairs, assign_folds(60, folds=5, seed=0)),
            selection["candidates"],
        )
        np.testing.assert_allclose(selection["errors"], again.errors, rtol=1e-12)


def test_settings_without_candidates_are_asked_for():
    pairs = pairs_of(*draw(n=60))
    with pytest.raises(MapError, match="the method diagonal knows no candidates for penalty"):
        fit(pairs, method=Method("diagonal", solve_diagonal))

    def solve_rows(moments, *, pairs, share):
        return solve_mean(moments)

    rows = Method("rows", solve_rows, needs=("pairs",))
    with pytest.raises(MapError, match="and rows needs the pairs: give its share"):
        fit(pairs, method=rows)
    assert fit(pairs, method=rows, settings={"share": 0.5}).settings == {"share": 0.5}


# What is refused.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "unknown method 'magic': choose one of least-squares, ridge, pub"),
        (
            {"method": "procustes"},
            r"unknown method 'procustes' \(did you mean procrustes\?\): choose one of least",
        ),
        ({"select": "aic"}, "unknown criterion 'aic': choose one of loo, gcv, kfold"),
        ({"settings": {"rank": 2}}, "the method ridge takes no rank: it takes penalty"),
        (
            {"method": "procrustes", "settings": {"penalty": 1.0}},
            "the method procrustes takes no penalty: it has no settings",
        ),
        ({"method": "robust", "settings": {"pairs": 1}}, "robust takes no pairs: it takes penalty"),
        ({"settings": {"penalty": -1.0}}, "a penalty must be a number of at least 0, not -1"),
        (
            {"settings": {"penalty": math.nan}},
            "a penalty must be a number of at least 0, not nan",
        ),
        (
            {"method": "pls", "select": "loo"},
            "loo chooses the penalty of ridge, reduced-rank, robust: for pls choose kfold",
        ),
        ({"method": "regularised-cca", "select": "gcv"}, "gcv chooses .* choose kfold"),
        (
            {"method": "robust", "select": "kfold"},
            "the penalty of robust is chosen by loo or gcv, not by kfold",
        ),
        (
            {"method": "pls", "settings": {"components": 1}, "refine": True},
            "least-squares and ridge can be refined, pls cannot",
        ),
        (
            {"method": "errors-in-variables"},
            "the method errors-in-variables needs the noise of the source codes",
        ),
        (
            {"method": "cca", "settings": {"components": 5}},
            "the number of components must be from 1 to 4 for these codes, not 5",
        ),
        ({"select": "kfold", "folds": 1}, "120 pairs can be cut into 2 to 120 folds, not 1"),
        ({"moments": "half"}, "unknown precision 'half' of moments"),
    ],
)
def test_what_cannot_be_fitted_is_refused(options, message):
    with pytest.raises(MapError, match=message):
        fit(pairs_of(*draw()), FitOptions(**options))


def test_one_pair_makes_no_map():
    with pytest.raises(MapError, match="a map needs at least 2 pairs, not 1: give more images"):
        fit(pairs_of(*draw(n=1)))


def test_a_code_that_is_not_finite_is_named():
    x, y = draw()
    x[7, 2] = torch.nan
    for select in ("loo", "kfold"):
        with pytest.raises(MapError, match=r"the code of 7\.png in z of a .* NaN or infinite"):
            fit(pairs_of(x, y), FitOptions(select=select))


def test_copies_and_groups_are_left_out_together_by_every_criterion():
    x, y = draw(n=40, p=30, q=4, noise=2.0)
    ids = [str(i) for i in range(120)]
    digests = np.tile(np.arange(1, 41, dtype=np.uint8), 3)[:, None].repeat(16, 1)
    copied = pair(
        Codes.from_array(ids, x.repeat(3, 1), space=Space("z", 30, "a", "aa"), digests=digests),
        Codes.from_array(ids, y.repeat(3, 1), space=Space("z", 4, "b", "bb"), digests=digests),
    )
    moments = moments_of_pairs(copied)
    units = np.tile(np.arange(40), 3)
    by_unit = leave_one_out(copied, moments, units=units).chosen["penalty"]
    assert leave_one_out(copied, moments).chosen["penalty"] < 0.01 * by_unit
    for criterion in ("loo", "gcv", None):
        found = fit(copied, FitOptions(select=criterion))
        assert found.penalty == by_unit
        (selection,) = found.record["selection"]
        assert (selection["criterion"], selection["n_units"]) == ("loo", 40)
    folded = fit(copied, FitOptions(select="kfold"))
    assert 0.03 < folded.penalty / by_unit < 30
    assert folded.record["selection"][0]["n_units"] == 40
    # Groups of copies join them; every pair alone is what it was.
    paired_up = fit(copied, groups=np.tile(np.arange(40) // 2, 3))
    assert paired_up.record["selection"][0]["n_units"] == 20
    alone = fit(copied.take(np.arange(40)), groups=np.arange(40))
    assert alone.record["selection"][0]["n_units"] is None


def test_large_units_are_left_out_fold_by_fold(monkeypatch):
    monkeypatch.setattr("latentmap.mapping.fitting.LARGEST_UNIT", 5)
    pairs = pairs_of(*draw(n=40, p=6, q=3))
    (selection,) = fit(pairs, groups=np.arange(40) // 8).record["selection"]
    assert (selection["criterion"], selection["n_units"]) == ("kfold", 5)
