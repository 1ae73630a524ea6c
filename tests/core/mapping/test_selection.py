import numpy as np
import pytest
import torch
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GroupKFold, KFold

from latentmap.codes import Codes, Space, pair
from latentmap.errors import MapError
from latentmap.mapping import METHODS, moments_of
from latentmap.mapping.gathering import moments_by_fold, moments_of_pairs
from latentmap.mapping.leaving_out import leave_one_out
from latentmap.mapping.selection import (
    Selection,
    assign_folds,
    candidates_for,
    generalised,
    k_fold,
    penalty_grid,
    size_grid,
    solver_of,
)
from latentmap.mapping.sparse import solve_sparse


@pytest.mark.parametrize("seed", range(4))
def test_folds_are_those_of_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    n, folds = int(generator.integers(20, 200)), 2 + 3 * seed
    expected = np.empty(n, np.int64)
    for number, (_, held) in enumerate(
        KFold(folds, shuffle=True, random_state=seed).split(np.empty(n))
    ):
        expected[held] = number
    assert assign_folds(n, folds=folds, seed=seed).tolist() == expected.tolist()
    # Groups of many sizes, some of them equal.
    groups = np.sort(generator.integers(0, 15, n) ** 2)
    for number, (_, held) in enumerate(GroupKFold(folds).split(np.empty(n), groups=groups)):
        expected[held] = number
    assert assign_folds(n, folds=folds, seed=seed, groups=groups).tolist() == expected.tolist()


def test_a_large_seed_gives_folds():
    large, small = (assign_folds(60, folds=5, seed=seed) for seed in (2**32 + 5, 5))
    assert (large == small).all()


def draw(n, p, q, *, noise=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=generator) * torch.logspace(0, -1.5, p) + 2
    weight = torch.randn(p, q, generator=generator)
    return x, x @ weight + noise * torch.randn(n, q, generator=generator)


def pairs_of(x, y):
    ids = [str(i) for i in range(len(x))]
    return pair(
        Codes.from_array(ids, x, space=Space("z", x.shape[1], "a", "aa")),
        Codes.from_array(ids, y, space=Space("z", y.shape[1], "b", "bb")),
    )


def chosen_penalty(pairs, **options):
    return leave_one_out(pairs, moments_of_pairs(pairs), **options).chosen["penalty"]


def brute_force(x, y, penalty, *, intercept=True):
    x, y = x.double().numpy(), y.double().numpy()
    errors = []
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        model = Ridge(alpha=penalty, solver="svd", fit_intercept=intercept).fit(x[rest], y[rest])
        errors.append((model.predict(x[i : i + 1])[0] - y[i]) ** 2)
    return float(np.mean(errors))


# Leaving one pair out.


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n", "p", "q"), [(40, 5, 3), (12, 20, 4), (2, 3, 2)])
def test_errors_are_those_of_leaving_every_pair_out(n, p, q, intercept):
    x, y = draw(n, p, q)
    pairs = pairs_of(x, y)
    moments = moments_of_pairs(pairs)
    moments = moments if intercept else moments.about_zero()
    penalties = torch.tensor([1e-3, 0.1, 1.0, 100.0], dtype=torch.float64)
    result = leave_one_out(pairs, moments, penalties=penalties)
    expected = [brute_force(x, y, float(penalty), intercept=intercept) for penalty in penalties]
    np.testing.assert_allclose(result.errors, expected, rtol=1e-7)
    assert [candidate["penalty"] for candidate in result.candidates] == penalties.tolist()
    assert result.criterion == "loo"


@pytest.mark.parametrize(
    ("n", "p", "q", "noise"),
    [(128, 30, 10, 1.0), (64, 64, 20, 3.0), (30, 50, 5, 0.5), (600, 20, 3, 10.0)],
)
def test_the_penalty_is_that_of_scikit_learn(n, p, q, noise):
    x, y = draw(n, p, q, noise=noise)
    pairs = pairs_of(x, y)
    moments = moments_of_pairs(pairs)
    grid = penalty_grid(moments)
    # Extremely small penalties are ill-defined for scikit-learn when pairs are fewer than
    # variables.
    grid = grid[grid > 1e-7 * float(moments.xx.trace())]
    other = RidgeCV(alphas=grid.numpy()).fit(x.double().numpy(), y.double().numpy())
    assert chosen_penalty(pairs, penalties=grid) == pytest.approx(other.alpha_)


def test_blocks_do_not_change_the_errors():
    x, y = draw(10_000, 4, 2)
    pairs = pairs_of(x, y)
    penalties = torch.tensor([0.0, 1.0], dtype=torch.float64)
    result = leave_one_out(pairs, moments_of_pairs(pairs), penalties=penalties)
    xc = np.c_[np.ones(len(x)), x.double().numpy()]
    q, _ = np.linalg.qr(xc)
    yy = y.double().numpy()
    free = 1 - (q**2).sum(1)
    expected = (((yy - q @ (q.T @ yy)) / free[:, None]) ** 2).mean()
    assert float(result.errors[0]) == pytest.approx(expected, rel=1e-10)


def test_an_exact_map_needs_no_penalty_and_pure_noise_gets_a_large_one():
    x, y = draw(200, 10, 5, noise=0.0)
    mean = float(moments_of(x, y).xx.trace()) / 10
    assert chosen_penalty(pairs_of(x, y)) < 1e-4 * mean
    noise = torch.randn(200, 5, generator=torch.manual_seed(3))
    assert chosen_penalty(pairs_of(x, noise)) > mean


def test_a_penalty_at_which_a_pair_decides_itself_is_never_chosen():
    x, y = draw(6, 10, 2)
    pairs = pairs_of(x, y)
    penalties = torch.tensor([0.0, 1e-30, 1.0], dtype=torch.float64)
    result = leave_one_out(pairs, moments_of_pairs(pairs), penalties=penalties)
    assert torch.isinf(result.errors[:2]).all()
    assert result.chosen == {"penalty": 1.0}
    assert result.to_json()["errors"][:2] == [None, None]


def test_among_equal_errors_the_largest_penalty_is_chosen():
    x, y = draw(50, 3, 2)
    pairs = pairs_of(x, torch.zeros_like(y))
    assert chosen_penalty(pairs) == float(penalty_grid(moments_of_pairs(pairs))[-1])


def test_source_codes_that_do_not_vary_take_any_penalty():
    _, y = draw(20, 3, 2)
    pairs = pairs_of(torch.full((20, 3), 0.1), y)
    result = leave_one_out(pairs, moments_of_pairs(pairs))
    assert result.chosen == {"penalty": 1.0}
    # Only the mean is left: its leave-one-out error is the variance times (n / (n - 1))^2.
    expected = float(y.double().var(0, correction=0).mean()) * (20 / 19) ** 2
    assert float(result.errors[0]) == pytest.approx(expected)


def test_penalties_reach_down_to_the_direction_that_varies_least():
    x, y = draw(200, 6, 3)
    ordinary = penalty_grid(moments_of(x, y))
    assert len(ordinary) == 65
    x[:, 3:] *= 2.0**-30
    moments = moments_of(x, y)
    grid = penalty_grid(moments)
    assert float(grid[0]) < 0.01 * float(moments.source_spectrum.values[-1])
    torch.testing.assert_close(grid.log().diff(), ordinary.log().diff()[:1].expand(len(grid) - 1))
    for selection in (generalised(moments), leave_one_out(pairs_of(x, y), moments)):
        solution = METHODS["ridge"].solve(moments, **selection.chosen)
        missed = moments.squared_error(solution.weight, solution.bias).sum()
        assert float(missed) < 1.5 * 200 * 3


def test_one_pair_cannot_be_left_out():
    pairs = pairs_of(*draw(1, 2, 2))
    moments = moments_of_pairs(pairs)
    with pytest.raises(MapError, match="needs at least 2 pairs, not 1"):
        leave_one_out(pairs, moments)
    with pytest.raises(MapError, match="cross-validation needs at least 2 pairs, not 1"):
        generalised(moments)


def test_progress_reaches_the_number_of_pairs():
    pairs = pairs_of(*draw(10, 2, 2))
    seen = []
    leave_one_out(pairs, moments_of_pairs(pairs), progress=lambda *call: seen.append(call))
    assert seen == [(10, 10)]


# Generalised cross-validation.


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n", "p"), [(40, 5), (12, 20)])
@pytest.mark.parametrize("targets", ["products", "squares"])
def test_generalised_errors_are_those_of_the_hat_matrix(n, p, intercept, targets):
    x, y = draw(n, p, 3)
    moments = moments_of(x, y, targets=targets)
    moments = moments if intercept else moments.about_zero()
    penalties = torch.tensor([1e-2, 1.0, 50.0], dtype=torch.float64)
    result = generalised(moments, penalties=penalties)
    xd, yd = x.double().numpy(), y.double().numpy()
    xc = xd - xd.mean(0) if intercept else xd
    for penalty, error in zip(penalties.tolist(), result.errors.tolist(), strict=True):
        hat = xc @ np.linalg.solve(xc.T @ xc + penalty * np.eye(p), xc.T)
        hat += np.full((n, n), 1 / n) if intercept else 0
        missed = np.square(yd - hat @ yd).mean()
        assert error == pytest.approx(missed / (1 - np.trace(hat) / n) ** 2, rel=1e-8)
    assert result.criterion == "gcv"


def test_generalised_cross_validation_chooses_about_the_penalty_of_leave_one_out():
    pairs = pairs_of(*draw(500, 20, 5, noise=3.0))
    moments = moments_of_pairs(pairs)
    left = generalised(moments).chosen["penalty"]
    assert abs(np.log10(left / leave_one_out(pairs, moments).chosen["penalty"])) < 0.5


def test_a_penalty_that_leaves_no_freedom_is_never_chosen_by_generalised_cross_validation():
    moments = moments_of(*draw(6, 10, 2))
    result = generalised(moments, penalties=torch.tensor([0.0, 1.0]))
    assert torch.isinf(result.errors[0])
    assert result.chosen == {"penalty": 1.0}


# K folds.

K_FOLD = [
    ("ridge", {}, [{"penalty": 0.1}, {"penalty": 10.0}]),
    ("reduced-rank", {"penalty": 1.0}, [{"rank": 1}, {"rank": 3}]),
    ("cca", {}, [{"components": 1}, {"components": 3}]),
    ("regularised-cca", {}, [{"components": 2, "penalty": 1.0}, {"components": 3, "penalty": 9.0}]),
    ("pls", {}, [{"components": 1}, {"components": 4}]),
    ("sparse", {"l1_ratio": 0.5}, [{"penalty": 0.01}, {"penalty": 0.3}]),
    ("procrustes", {}, [{}]),
]


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("method", "fixed", "candidates"), K_FOLD)
def test_errors_of_folds_are_those_of_refitting_on_the_rows(method, fixed, candidates, intercept):
    x, y = draw(90, 6, 4)
    numbers = assign_folds(90, folds=4, seed=1)
    folds = moments_by_fold(pairs_of(x, y), numbers)
    folds = folds if intercept else [fold.about_zero() for fold in folds]
    result = k_fold(METHODS[method], folds, candidates, fixed=fixed)
    for candidate, error in zip(candidates, result.errors.tolist(), strict=True):
        total = 0.0
        for number in range(4):
            train, held = numbers != number, numbers == number
            moments = moments_of(x[train], y[train])
            moments = moments if intercept else moments.about_zero()
            solution = METHODS[method].solve(moments, **fixed, **candidate)
            predicted = x[held].double() @ solution.weight + solution.bias
            total += float((y[held].double() - predicted).square().sum())
        assert error == pytest.approx(total / (90 * 4), rel=1e-8)
    assert (result.criterion, result.candidates) == ("kfold", candidates)


def test_errors_of_folds_are_those_of_scikit_learn():
    x, y = draw(60, 5, 3)
    numbers = assign_folds(60, folds=3, seed=0)
    folds = moments_by_fold(pairs_of(x, y), numbers)
    models = {
        "ridge": ({"penalty": 2.0}, Ridge(alpha=2.0), 1e-8),
        "pls": ({"components": 2}, PLSRegression(2, scale=False, tol=1e-12, max_iter=5000), 1e-5),
    }
    xd, yd = x.double().numpy(), y.double().numpy()
    for method, (candidate, model, tolerance) in models.items():
        total = 0.0
        for number in range(3):
            train, held = numbers != number, numbers == number
            predicted = model.fit(xd[train], yd[train]).predict(xd[held])
            total += np.square(yd[held] - predicted).sum()
        error = float(k_fold(METHODS[method], folds, [candidate]).errors[0])
        assert error == pytest.approx(total / 180, rel=tolerance)


def test_k_folds_of_one_pair_are_leave_one_out():
    x, y = draw(12, 4, 2)
    pairs = pairs_of(x, y)
    candidates = [{"penalty": 0.5}, {"penalty": 5.0}]
    folds = k_fold(METHODS["ridge"], moments_by_fold(pairs, np.arange(12)), candidates)
    penalties = torch.tensor([0.5, 5.0], dtype=torch.float64)
    left = leave_one_out(pairs, moments_of_pairs(pairs), penalties=penalties)
    np.testing.assert_allclose(folds.errors, left.errors, rtol=1e-9)


def test_one_fold_is_refused():
    with pytest.raises(MapError, match="cross-validation needs at least 2 folds, not 1"):
        k_fold(METHODS["ridge"], [moments_of(*draw(9, 2, 2))], [{"penalty": 1.0}])


def test_progress_reaches_all_candidates_of_all_folds():
    folds = moments_by_fold(pairs_of(*draw(30, 3, 2)), np.arange(30) % 3)
    seen = []
    k_fold(
        METHODS["cca"],
        folds,
        [{"components": 1}, {"components": 2}],
        progress=lambda *call: seen.append(call),
    )
    # The errors of all sizes are found together.
    assert seen == [(2, 6), (4, 6), (6, 6)]


# Folds.


def test_folds_are_seeded_of_equal_size_and_have_every_number():
    numbers = assign_folds(103, folds=5, seed=3)
    sizes = np.bincount(numbers)
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() <= 1
    assert (numbers == assign_folds(103, folds=5, seed=3)).all()
    assert (numbers != assign_folds(103, folds=5, seed=4)).any()


def test_pairs_of_one_group_are_in_one_fold():
    groups = np.random.default_rng(0).integers(0, 12, 200).astype(str)
    numbers = assign_folds(200, folds=4, seed=0, groups=groups)
    assert sorted(set(numbers)) == [0, 1, 2, 3]
    for name in np.unique(groups):
        assert len(set(numbers[groups == name])) == 1


@pytest.mark.parametrize(
    ("n", "folds", "groups", "message"),
    [
        (3, 4, None, "3 pairs can be cut into 2 to 3 folds, not 4"),
        (9, 1, None, "9 pairs can be cut into 2 to 9 folds, not 1"),
        (4, 3, np.array(list("aabb")), "2 groups can be cut into 2 to 2 folds, not 3"),
    ],
)
def test_folds_that_cannot_be_are_refused(n, folds, groups, message):
    with pytest.raises(MapError, match=message):
        assign_folds(n, folds=folds, seed=0, groups=groups)


# What is tried and chosen.


def test_the_grid_follows_the_scale_of_the_codes():
    x, y = draw(100, 6, 2)
    small, large = (moments_of(scale * x, y) for scale in (1.0, 8.0))
    np.testing.assert_allclose(penalty_grid(large), 64 * penalty_grid(small), rtol=1e-9)
    assert len(penalty_grid(small)) == 65


def test_among_equals_the_smallest_size_and_then_the_largest_penalty_is_chosen():
    candidates = [
        {"rank": 3, "penalty": 9.0},
        {"rank": 2, "penalty": 1.0},
        {"rank": 2, "penalty": 5.0},
        {"rank": 1, "penalty": 7.0},
    ]
    equal = torch.tensor([1.0, 1.0 + 1e-12, 1.0, 1.1], dtype=torch.float64)
    selection = Selection("kfold", candidates, equal, "rank")
    assert selection.chosen == {"rank": 2, "penalty": 5.0}
    better = torch.tensor([0.9, 1.0, 1.0, 1.1], dtype=torch.float64)
    assert Selection("kfold", candidates, better, "rank").chosen == candidates[0]
    components = [{"components": 4}, {"components": 2}]
    assert Selection("kfold", components, torch.ones(2), "components").chosen == {"components": 2}


def test_a_selection_says_what_was_tried():
    selection = Selection("kfold", [{"rank": 1}, {"rank": 2}], torch.tensor([2.0, torch.inf]))
    assert selection.to_json() == {
        "criterion": "kfold",
        "n_units": None,
        "chosen": {"rank": 1},
        "candidates": [{"rank": 1}, {"rank": 2}],
        "errors": [2.0, None],
    }


def test_sizes_go_from_one_to_the_limit():
    assert size_grid(7).tolist() == [1, 2, 3, 4, 5, 6, 7]
    large = size_grid(500)
    assert (large[0], large[-1]) == (1, 500)
    assert len(large) <= 40
    assert (np.diff(large) > 0).all()


def test_candidates_are_all_free_settings_together():
    moments = moments_of(*draw(50, 6, 4))
    both = candidates_for(METHODS["regularised-cca"], moments, {}, ["components", "penalty"])
    penalties = {candidate["penalty"] for candidate in both}
    assert {candidate["components"] for candidate in both} == {1, 2, 3, 4}
    assert len(both) == 4 * len(penalties) == 60
    assert len(candidates_for(METHODS["ridge"], moments, {}, ["penalty"])) == 65
    sizes = candidates_for(METHODS["pls"], moments, {}, ["components"])
    assert sizes == [{"components": size} for size in range(1, 7)]
    fixed = candidates_for(METHODS["regularised-cca"], moments, {"components": 2}, ["penalty"])
    assert all(list(candidate) == ["penalty"] for candidate in fixed)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_sparse_candidates_start_where_no_variable_is_used(l1_ratio):
    moments = moments_of(*draw(50, 6, 4))
    tried = candidates_for(METHODS["sparse"], moments, {"l1_ratio": l1_ratio}, ["penalty"])
    ranks = [
        solve_sparse(moments, penalty=1.0001 * candidate["penalty"], l1_ratio=l1_ratio).rank
        for candidate in tried
    ]
    assert ranks[0] == 0
    assert ranks[1] > 0
    assert ranks[-1] == 6


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].sizes])
def test_sharing_what_candidates_share_changes_no_map(name):
    method = METHODS[name]
    moments = moments_of(*draw(50, 6, 4))
    size = method.sizes.setting
    fixed = {"penalty": 2.0} if name in ("reduced-rank", "regularised-cca") else {}
    solve = solver_of(method, moments, fixed)
    for number in (3, 1, 2):
        alone = method.solve(moments, **fixed, **{size: number})
        assert torch.allclose(solve({size: number}).weight, alone.weight, rtol=1e-12)


def test_one_group_alone_cannot_be_held_out():
    with pytest.raises(MapError, match="needs at least 2 groups, not 1: give more groups"):
        assign_folds(6, folds=2, seed=0, groups=np.zeros(6))


# Leaving one unit out.


def without_units(x, y, units, penalty, *, intercept=True):
    x, y = x.double().numpy(), y.double().numpy()
    total = 0.0
    for unit in np.unique(units):
        held = units == unit
        model = Ridge(alpha=penalty, solver="svd", fit_intercept=intercept).fit(x[~held], y[~held])
        total += ((model.predict(x[held]).reshape(held.sum(), -1) - y[held]) ** 2).sum()
    return total / y.size


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n", "p", "q", "count"), [(60, 5, 3, 17), (24, 30, 4, 9), (9, 3, 1, 2)])
def test_errors_are_those_of_leaving_every_unit_out(n, p, q, count, intercept, monkeypatch):
    x, y = draw(n, p, q)
    units = np.random.default_rng(0).integers(0, count, n)
    pairs = pairs_of(x, y)
    moments = moments_of_pairs(pairs)
    moments = moments if intercept else moments.about_zero()
    penalties = torch.tensor([1e-2, 0.1, 1.0, 100.0], dtype=torch.float64)
    expected = [without_units(x, y, units, float(a), intercept=intercept) for a in penalties]
    for rows in (512, 1):  # All units of a size at a time, and one.
        monkeypatch.setattr("latentmap.mapping.deleted._BLOCK", rows)
        result = leave_one_out(pairs, moments, units=units, penalties=penalties)
        np.testing.assert_allclose(result.errors, expected, rtol=1e-7)
    assert (result.criterion, result.n_units) == ("loo", len(np.unique(units)))


def test_copies_under_three_names_choose_the_penalty_that_one_of_each_needs():
    # More variables than pictures: without leaving copies out together, none is needed.
    x, y = draw(60, 50, 5, noise=3.0)
    copied = pairs_of(x.repeat(3, 1), y.repeat(3, 1))
    units = np.tile(np.arange(60), 3)
    moments = moments_of_pairs(copied)
    naive = leave_one_out(copied, moments).chosen["penalty"]
    found = leave_one_out(copied, moments, units=units).chosen["penalty"]
    once = chosen_penalty(pairs_of(x, y))
    assert naive < 1e-3 * found
    # Three copies weigh three times as much against the same penalty.
    assert found / once == pytest.approx(3, rel=0.8)


def test_a_penalty_at_which_a_unit_decides_itself_is_never_chosen():
    x, y = draw(8, 10, 2)
    units = np.arange(8) // 2
    penalties = torch.tensor([0.0, 1.0], dtype=torch.float64)
    result = leave_one_out(
        pairs_of(x, y), moments_of_pairs(pairs_of(x, y)), units=units, penalties=penalties
    )
    assert torch.isinf(result.errors[0])
    assert result.chosen == {"penalty": 1.0}


def test_one_unit_cannot_be_left_out_and_progress_counts_pairs():
    pairs = pairs_of(*draw(10, 2, 2))
    moments = moments_of_pairs(pairs)
    with pytest.raises(MapError, match="leaving one group out needs at least 2 groups, not 1: gi"):
        leave_one_out(pairs, moments, units=np.zeros(10, np.int64))
    seen = []
    units = np.array([0, 0, 1, 2, 2, 2, 3, 4, 5, 6])
    leave_one_out(pairs, moments, units=units, progress=lambda *call: seen.append(call))
    assert seen[-1] == (10, 10)
