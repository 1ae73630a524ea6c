import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import HuberRegressor, LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from latentmap.errors import MapError
from latentmap.mapping import METHODS, estimators, moments_of
from latentmap.mapping.estimators import (
    CCAMap,
    ErrorsInVariablesMap,
    GaussianOTMap,
    LeastSquaresMap,
    PermutationMap,
    PLSMap,
    ProcrustesMap,
    PublishedMap,
    ReducedRankMap,
    RidgeMap,
    RobustMap,
    SimilarityMap,
    SparseMap,
    WhitenedProcrustesMap,
)
from latentmap.mapping.selection import generalised

MAPS = [
    LeastSquaresMap(),
    RidgeMap(),
    PublishedMap(),
    ReducedRankMap(),
    ProcrustesMap(),
    SimilarityMap(),
    WhitenedProcrustesMap(),
    PermutationMap(),
    CCAMap(),
    PLSMap(),
    GaussianOTMap(),
    SparseMap(),
    ErrorsInVariablesMap(),
    RobustMap(),
]
OF_MOMENTS = [one for one in MAPS if hasattr(one, "partial_fit")]
REGRESSIONS = [
    LeastSquaresMap(),
    RidgeMap(1e-8),
    ReducedRankMap(rank=4, penalty=0.0),
    CCAMap(components=4),
    PLSMap(components=6),
    SparseMap(penalty=1e-7),
    ErrorsInVariablesMap(),
    RobustMap(0.0),
]


def draw(n=120, p=6, q=4, *, noise=0.1, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, p)) * np.geomspace(1, 0.3, p) + 1
    return x, x @ random.normal(size=(p, q)) + noise * random.normal(size=(n, q)) - 2


def rotation(size, *, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


def name(estimator):
    return type(estimator).__name__


def test_every_map_of_the_module_is_tested_here():
    public = {each for each in vars(estimators) if each.endswith("Map") and each[0] != "_"}
    assert public == {name(one) for one in MAPS}
    assert {one._method.name for one in MAPS} | {"cca"} == set(METHODS)


@pytest.mark.parametrize("estimator", MAPS, ids=name)
def test_a_map_keeps_every_contract_of_scikit_learn(estimator):
    results = check_estimator(estimator, on_skip=None)
    assert {result["status"] for result in results} == {"passed", "skipped"}


@pytest.mark.parametrize("estimator", MAPS, ids=name)
def test_parameters_are_those_that_the_solver_knows(estimator):
    known = set(estimator._method.settings) | {"fit_intercept"}
    assert set(estimator.get_params()) <= known


@pytest.mark.parametrize("estimator", MAPS, ids=name)
def test_learned_shapes_follow_the_target(estimator):
    x, y = draw()
    fitted = clone(estimator).fit(x, y)
    assert fitted.coef_.shape == (4, 6)
    assert fitted.intercept_.shape == (4,)
    assert fitted.coef_.dtype == fitted.intercept_.dtype == np.float64
    assert fitted.predict(x).shape == fitted.transform(x).shape == (120, 4)
    assert fitted.inverse_transform(y).shape == (120, 6)
    assert 1 <= fitted.rank_ <= 6 and fitted.condition_ >= 1 and fitted.n_features_in_ == 6
    flat = clone(estimator).fit(x, y[:, 0])
    assert flat.coef_.shape == (6,)
    assert isinstance(flat.intercept_, float)
    assert flat.predict(x).shape == (120,) and flat.transform(x).shape == (120, 1)
    assert flat.inverse_transform(y[:, 0]).shape == (120, 6)


@pytest.mark.parametrize("estimator", MAPS, ids=name)
def test_more_target_than_source_variables_are_mapped_as_well(estimator):
    x, y = draw(p=3, q=5)
    fitted = clone(estimator).fit(x, y)
    assert fitted.predict(x).shape == (120, 5)
    assert fitted.inverse_transform(y).shape == (120, 3)


@pytest.mark.parametrize("estimator", REGRESSIONS, ids=name)
def test_regressions_of_full_size_agree_with_least_squares(estimator):
    x, y = draw()
    other = LinearRegression().fit(x, y)
    np.testing.assert_allclose(clone(estimator).fit(x, y).predict(x), other.predict(x), atol=2e-2)
    assert clone(estimator).fit(x, y).score(x, y) == pytest.approx(other.score(x, y), abs=1e-4)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("penalty", [1e-6, 1.0, 1e3])
def test_ridge_agrees_with_that_of_scikit_learn(penalty, intercept):
    x, y = draw()
    ours = RidgeMap(penalty, fit_intercept=intercept).fit(x, y)
    other = Ridge(alpha=penalty, fit_intercept=intercept, solver="svd").fit(x, y)
    np.testing.assert_allclose(ours.coef_, other.coef_, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(ours.intercept_, other.intercept_, rtol=1e-9, atol=1e-11)
    assert ours.penalty_ == penalty


def test_pls_agrees_with_that_of_scikit_learn():
    x, y = draw()
    ours = PLSMap(components=3).fit(x, y)
    other = PLSRegression(n_components=3, scale=False, tol=1e-14, max_iter=5000).fit(x, y)
    # Its iterations stop when the squared step is below the tolerance.
    np.testing.assert_allclose(ours.predict(x), other.predict(x), atol=1e-6)


def test_a_penalty_that_is_not_given_is_that_of_generalised_cross_validation():
    x, y = draw(noise=2.0)
    expected = generalised(moments_of(x, y)).chosen["penalty"]
    for estimator in (RidgeMap(), ReducedRankMap(rank=3), RobustMap()):
        assert clone(estimator).fit(x, y).penalty_ == expected


def test_an_exact_map_is_found_by_the_chosen_penalty():
    x, y = draw(noise=0.0)
    other = LinearRegression().fit(x, y)
    np.testing.assert_allclose(RidgeMap().fit(x, y).coef_, other.coef_, atol=1e-6)


def test_errors_in_variables_take_their_noise_from_the_parameters():
    x, y = draw(n=5000, noise=0.01)
    noise = np.full(6, 0.05)
    noisy = x + np.random.default_rng(1).normal(size=x.shape) * np.sqrt(noise)
    ours = ErrorsInVariablesMap(noise, codes="samples").fit(noisy, y)
    truth = LinearRegression().fit(x, y).coef_
    naive = LinearRegression().fit(noisy, y).coef_
    assert np.linalg.norm(ours.coef_ - truth) < 0.2 * np.linalg.norm(naive - truth)
    with pytest.raises(MapError, match="the noise must be 6 variances"):
        ErrorsInVariablesMap(noise[:2]).fit(x, y)


def test_a_robust_map_is_that_of_the_good_pairs():
    x, y = draw(n=400)
    bad = y.copy()
    bad[::10] += 50
    ours = RobustMap(1e-6).fit(x, bad)
    good = LinearRegression().fit(np.delete(x, np.s_[::10], 0), np.delete(y, np.s_[::10], 0))
    worst = LinearRegression().fit(x, bad)
    np.testing.assert_allclose(ours.predict(x), good.predict(x), atol=0.1)
    assert np.abs(worst.predict(x) - good.predict(x)).max() > 3
    assert ours.figures_["down_weighted"] == pytest.approx(0.1, abs=0.02)


def test_a_robust_map_of_float64_codes_is_not_rounded_to_float32():
    x, y = draw(noise=0.1)
    truth = RobustMap(0.0).fit(x, y)
    moved = RobustMap(0.0).fit(x * (1 + 1e-9), y)
    change = np.linalg.norm(moved.coef_ - truth.coef_) / np.linalg.norm(truth.coef_)
    assert change == pytest.approx(1e-9, rel=0.05)
    huber = HuberRegressor(alpha=0.0, max_iter=1000).fit(x, y[:, 0])
    np.testing.assert_allclose(RobustMap(0.0).fit(x, y[:, 0]).coef_, huber.coef_, atol=0.05)


@pytest.mark.parametrize("estimator", OF_MOMENTS, ids=name)
def test_parts_give_the_map_of_all_pairs(estimator):
    x, y = draw(n=150)
    whole = clone(estimator).fit(x, y)
    parts = clone(estimator)
    for rows in (slice(0, 7), slice(7, 100), slice(100, 150)):
        assert parts.partial_fit(x[rows], y[rows]) is parts
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(parts.intercept_, whole.intercept_, rtol=1e-9, atol=1e-9)
    assert parts.moments_.n == 150
    np.testing.assert_allclose(parts.fit(x, y).coef_, whole.coef_, rtol=1e-9, atol=1e-9)
    assert parts.moments_.n == 150


@pytest.mark.parametrize("estimator", OF_MOMENTS, ids=name)
def test_a_weight_counts_a_pair_so_many_times(estimator):
    x, y = draw()
    counts = np.random.default_rng(3).integers(0, 4, size=len(x))
    weighted = clone(estimator).fit(x, y, sample_weight=counts)
    repeated = clone(estimator).fit(np.repeat(x, counts, 0), np.repeat(y, counts, 0))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, rtol=1e-8, atol=1e-9)


def test_parts_too_small_to_choose_a_penalty_leave_a_map_unfitted():
    x, y = draw()
    ridge = RidgeMap()
    with pytest.raises(MapError, match="cross-validation needs at least 2 pairs, not 1"):
        ridge.partial_fit(x[:1], y[:1])
    with pytest.raises(NotFittedError):
        ridge.predict(x)
    assert ridge.partial_fit(x, y).moments_.n == len(x)


def test_a_part_with_other_variables_is_refused_and_changes_nothing():
    x, y = draw()
    fitted = RidgeMap(1.0).partial_fit(x, y)
    before = fitted.coef_.copy()
    with pytest.raises(ValueError, match="expecting 6 features"):
        fitted.partial_fit(x[:, :5], y)
    with pytest.raises(MapError, match="moments can be merged with moments of \\(6, 4\\)"):
        fitted.partial_fit(x, y[:, :3])
    assert fitted.moments_.n == len(x)
    np.testing.assert_array_equal(fitted.coef_, before)


@pytest.mark.parametrize("estimator", [ProcrustesMap(), SimilarityMap(), LeastSquaresMap()])
def test_a_rotation_is_found_and_undone(estimator):
    x, _ = draw()
    y = x @ rotation(6) + 3
    fitted = clone(estimator).fit(x, y)
    np.testing.assert_allclose(fitted.coef_, rotation(6).T, atol=1e-9)
    np.testing.assert_allclose(fitted.inverse_transform(fitted.transform(x)), x, atol=1e-9)


def test_the_scale_of_a_similarity_is_among_its_figures():
    x, _ = draw()
    assert SimilarityMap().fit(x, 2.5 * x @ rotation(6)).figures_["scale"] == pytest.approx(2.5)


def test_only_the_directions_of_a_low_rank_map_are_inverted():
    x, y = draw()
    fitted = ReducedRankMap(rank=2, penalty=0.0).fit(x, y)
    back = fitted.inverse_transform(fitted.transform(x))
    assert np.linalg.matrix_rank(fitted.coef_, tol=1e-9) == fitted.rank_ == 2
    np.testing.assert_allclose(fitted.transform(back), fitted.transform(x), atol=1e-9)
    assert np.abs(back).max() < 1e3


def test_codes_of_another_size_are_not_mapped_back():
    x, y = draw()
    with pytest.raises(MapError, match="must have 4 variables, not 6"):
        LeastSquaresMap().fit(x, y).inverse_transform(x)


@pytest.mark.parametrize("estimator", [ReducedRankMap(99), CCAMap(99), PLSMap(99)], ids=name)
def test_a_size_beyond_the_codes_is_the_largest_and_one_below_1_is_refused(estimator):
    x, y = draw()
    fitted = clone(estimator).fit(x, y)
    size = next(iter({"rank", "components"} & set(estimator.get_params())))
    largest = clone(estimator).set_params(**{size: 6 if name(estimator) == "PLSMap" else 4})
    np.testing.assert_allclose(fitted.coef_, largest.fit(x, y).coef_, atol=1e-12)
    assert fitted.get_params()[size] == 99
    with pytest.raises(MapError, match="not 0"):
        clone(estimator).set_params(**{size: 0}).fit(x, y)


def test_the_penalty_of_ridge_is_searched_in_a_pipeline():
    x, y = draw(n=60, noise=3.0)
    grid = {"ridgemap__penalty": [1e-3, 1.0, 10.0, 100.0]}
    ours = GridSearchCV(make_pipeline(StandardScaler(), RidgeMap()), grid, cv=4).fit(x, y)
    other = make_pipeline(StandardScaler(), Ridge(solver="svd"))
    other = GridSearchCV(other, {"ridge__alpha": grid["ridgemap__penalty"]}, cv=4).fit(x, y)
    key = "mean_test_score"
    np.testing.assert_allclose(ours.cv_results_[key], other.cv_results_[key], rtol=1e-8)
    assert ours.best_params_["ridgemap__penalty"] == other.best_params_["ridge__alpha"]


def test_the_components_of_pls_are_searched():
    x, y = draw()
    search = GridSearchCV(PLSMap(), {"components": [1, 2, 6]}, cv=3).fit(x, y)
    assert search.best_params_ == {"components": 6}
    assert search.best_score_ > 0.9


def test_a_map_is_a_step_in_the_middle_of_a_pipeline():
    x, y = draw()
    steps = make_pipeline(RidgeMap(1.0), PCA(2)).fit(x, y)
    expected = PCA(2).fit_transform(RidgeMap(1.0).fit(x, y).transform(x))
    np.testing.assert_allclose(steps.transform(x), expected, atol=1e-10)


def test_features_are_named_after_the_map():
    x, y = draw()
    names = ReducedRankMap().fit(x, y).get_feature_names_out()
    assert list(names) == [f"reducedrankmap{number}" for number in range(4)]
    steps = make_pipeline(StandardScaler(), RidgeMap()).fit(x, y[:, 0])
    assert list(steps.get_feature_names_out()) == ["ridgemap0"]


def test_only_methods_that_need_them_gather_the_targets_products():
    x, y = draw()
    known = {name(one) for one in MAPS if clone(one).fit(x, y).moments_.yy is not None}
    assert known == {"WhitenedProcrustesMap", "CCAMap", "GaussianOTMap"}


def test_no_intercept_means_a_map_through_zero():
    x, y = draw()
    for estimator in MAPS:
        if "fit_intercept" in estimator.get_params():
            fitted = clone(estimator).set_params(fit_intercept=False).fit(x, y)
            np.testing.assert_array_equal(fitted.intercept_, 0)
            np.testing.assert_allclose(fitted.predict(np.zeros((1, 6))), 0)
            assert fitted.moments_.centred
    np.testing.assert_array_equal(PublishedMap().fit(x, y).intercept_, 0)


def test_codes_that_torch_cannot_share_are_taken_all_the_same():
    x, y = draw()
    expected = LeastSquaresMap().fit(x, y).coef_
    fixed = x.copy()
    fixed.flags.writeable = False
    np.testing.assert_allclose(LeastSquaresMap().fit(fixed, y).coef_, expected)
    np.testing.assert_allclose(LeastSquaresMap().fit(x[::-1], y[::-1]).coef_, expected)
    np.testing.assert_allclose(LeastSquaresMap().fit(torch.tensor(x), y).coef_, expected)


def test_impossible_parameters_are_refused():
    x, y = draw()
    with pytest.raises(MapError, match="a penalty must be a number of at least 0"):
        RidgeMap(-1.0).fit(x, y)
    with pytest.raises(MapError, match="the whitening must be from 0 to 1"):
        WhitenedProcrustesMap(2.0).fit(x, y)
    with pytest.raises(MapError, match="weights must be"):
        RidgeMap().fit(x, y, sample_weight=-np.ones(len(x)))
