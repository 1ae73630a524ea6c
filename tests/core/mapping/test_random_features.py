import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from latentmap.codes import pair
from latentmap.mapping import FitOptions, fit
from latentmap.mapping import random_features as under_test
from latentmap.mapping.random_features import RandomFeatures, _draw, fit_features
from tests.core.mapping.drawing import codes_of


def normal(n, p, seed=0):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed))


def features_of(x, d, width=1.0, scaling="as they are", seed=0):
    return _draw(x, scaling, width, d, seed)


def waves(features, x):
    """The random part of the features, without the codes themselves."""
    return features.apply(x)[:, x.shape[1] :].double()


def bent(n, seed=0):
    """A target that no linear map of the source can predict."""
    x = normal(n, 2, seed)
    return pair(codes_of(x), codes_of(torch.cos(2 * x), "b"))


def test_products_of_many_features_are_those_of_a_gaussian_kernel():
    x = 3 * normal(20, 4) + 5
    features = features_of(x, 200_000, width=0.7)
    found = waves(features, x) @ waves(features, x).T
    distances = torch.cdist(x.double(), x.double())
    width = 0.7 * torch.pdist(x.double()).median()
    kernel = torch.exp(-(distances**2) / (2 * width**2))
    # A product is a mean of 200,000 numbers of a variance of at most 1: 5 standard errors.
    assert float((found - kernel).abs().max()) < 5 / math.sqrt(200_000)


def test_the_first_features_are_the_codes_about_their_mean():
    x = normal(30, 3) + 4
    assert torch.allclose(features_of(x, 8).apply(x)[:, :3], x - x.mean(0), atol=1e-6)


def test_by_deviations_the_unit_of_a_variable_is_nothing():
    x, unit = normal(50, 3), torch.tensor([1.0, 100, 0.01])
    one, other = (
        features_of(part, 16, scaling="each variable by its deviation") for part in (x, x * unit)
    )
    torch.testing.assert_close(one.apply(x), other.apply(x * unit), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("scaling", under_test._SCALINGS)
def test_variables_that_do_not_vary_are_no_features(scaling):
    x = normal(50, 3)
    x[:, 1] = 7
    features = features_of(x, 16, scaling=scaling)
    again = x.clone()
    again[:, 1] += 1e-7
    assert features.apply(x)[:, 1].abs().max() == 0
    assert torch.equal(features.apply(again), features.apply(x))
    constant = features_of(torch.full((50, 3), 7.0), 16, scaling=scaling)
    assert constant.apply(torch.full((2, 3), 7.0)).isfinite().all()


def test_features_follow_their_seed_and_not_the_order_of_codes():
    x = normal(40, 3)
    one, same, other = (features_of(x, 16, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.apply(x), same.apply(x))
    assert not torch.equal(one.apply(x), other.apply(x))
    turned = features_of(x.flip(0), 16, seed=1)
    torch.testing.assert_close(turned.apply(x), one.apply(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(one.apply(x.flip(0)), one.apply(x).flip(0))


def ridge_on(features: RandomFeatures, pairs, penalty):
    wide = replace(pairs, source=features.of(pairs.source))
    return fit(wide, FitOptions(settings={"penalty": penalty}, patch="full"))


def test_ridge_on_features_is_that_of_scikit_learn():
    pairs = bent(120)
    x, y = pairs.source.vectors, pairs.target.vectors
    features = features_of(x, 64)
    rows = features.apply(x).double().numpy()
    found = ridge_on(features, pairs, 0.5).apply(features.apply(x)).numpy()
    expected = Ridge(alpha=0.5).fit(rows, y.numpy()).predict(rows)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_with_many_features_it_is_ridge_with_the_kernel():
    """On centred codes and targets, with the kernel of codes and waves together."""
    pairs = bent(60)
    x = pairs.source.vectors
    features = features_of(x, 20_000)
    penalty = 0.5
    found = ridge_on(features, pairs, penalty).apply(features.apply(x)).double()
    z = (x - x.mean(0)).double().numpy()
    y = pairs.target.vectors.double().numpy()
    width = float(torch.pdist(x.double()).median())
    distances = torch.cdist(x.double(), x.double()).numpy()
    kernel = z @ z.T + np.exp(-(distances**2) / (2 * width**2))
    middle = np.eye(60) - 1 / 60
    of_kernel = KernelRidge(alpha=penalty, kernel="precomputed")
    expected = of_kernel.fit(middle @ kernel @ middle, y - y.mean(0)).predict(
        middle @ kernel @ middle
    )
    # Products of features are as exact as a mean of 20,000.
    np.testing.assert_allclose(found.numpy(), expected + y.mean(0), atol=0.05)


def test_a_map_finds_what_is_not_linear(monkeypatch):
    monkeypatch.setattr(under_test, "_MANY", 256)
    pairs, new = bent(600), bent(300, seed=1)
    steps = []
    found = fit_features(pairs, progress=lambda *step: steps.append(step))
    truth = new.target.vectors
    error = (found.apply(new.source.vectors) - truth).square().mean()
    straight = (fit(pairs).apply(new.source.vectors) - truth).square().mean()
    assert error < 0.2 * straight
    assert steps[-1] == (9, 9)
    assert found.settings["features"] == 256
    assert found.settings["penalty"] == found.ridge.penalty


def test_few_pairs_are_not_followed_to_the_last():
    """Generalised cross-validation takes no penalty here, and R2 of new codes is -50."""
    x, new = normal(360, 2, seed=10), normal(400, 2, seed=30)
    y = torch.sin(3 * x) + 0.1 * normal(360, 2, seed=20)
    found = fit_features(pair(codes_of(x), codes_of(y, "b"))).apply(new)
    assert (found - torch.sin(3 * new)).square().mean() < 0.1 * torch.sin(3 * new).square().mean()


def test_the_width_is_that_of_the_smallest_error(monkeypatch):
    """What waves quickly is found by a narrow kernel, what hardly bends by a wide one."""
    monkeypatch.setattr(under_test, "_MANY", 64)
    x = normal(800, 1)

    def width(y):
        return fit_features(pair(codes_of(x), codes_of(y, "b"))).width

    noise = 0.3 * normal(800, 1, seed=1)
    assert width(torch.sin(6 * x) + noise) == 0.5
    assert width(x + 0.1 * x**2 + noise) > 0.5


def test_other_pairs_have_the_same_features(monkeypatch):
    monkeypatch.setattr(under_test, "_MANY", 64)
    found = fit_features(bent(200))
    again = found.refit(bent(300, seed=1))
    assert again.features is found.features
    assert again.ridge.n_pairs == 300
    assert (again.width, again.scaling) == (found.width, found.scaling)


def test_width_and_scaling_are_chosen_on_some_of_many_pairs(monkeypatch):
    monkeypatch.setattr(under_test, "_TRIED", 100)
    monkeypatch.setattr(under_test, "_MANY", 64)
    pairs = bent(300)
    groups = np.repeat(np.arange(100), 3)
    found = fit_features(pairs, groups=groups)
    assert found.ridge.n_pairs == 300
    # One pair of each group: these are the codes that the features are centred by.
    drawn = pairs.take(pairs.draw(100, groups=groups)).source.vectors
    torch.testing.assert_close(found.features.mean, drawn.mean(0))
