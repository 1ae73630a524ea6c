import numpy as np
import pytest
import torch

from latentmap.codes import pair
from latentmap.errors import MapError
from latentmap.mapping import fit, random_features
from latentmap.mapping import nonlinear as under_test
from latentmap.mapping.nonlinear import fit_nonlinear
from tests.core.mapping.drawing import codes_of
from tests.core.mapping.grids import grid_pairs, random_grids


@pytest.fixture(autouse=True)
def _few_features(monkeypatch):
    monkeypatch.setattr(random_features, "_MANY", 512)
    monkeypatch.setattr(random_features, "_FEW", 256)


def normal(n, p, seed=0):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed))


def of(x, function, noise=0.1, seed=9):
    y = function(x)
    return pair(codes_of(x), codes_of(y + noise * normal(*y.shape, seed=seed), "b"))


def waved(x):
    return torch.sin(3 * x)


def straight(x):
    return x @ normal(x.shape[1], 3, seed=5)


def r2(one, pairs):
    y = pairs.target.vectors
    missed = (one.apply(pairs.source.vectors) - y).square().sum()
    return 1 - float(missed / (y - y.mean(0)).square().sum())


def test_what_is_linear_a_linear_map_has_nearly_all_of():
    found = fit_nonlinear(of(normal(400, 3), straight))
    new = of(normal(400, 3, seed=1), straight, seed=8)
    linear = fit(of(normal(400, 3), straight))
    assert r2(linear, new) >= 0.99 * r2(found, new)
    assert found.errors[found.by] == min(found.errors.values())


def test_where_nothing_is_better_it_is_linear_ridge_of_all_pairs(monkeypatch):
    """The others are of no use here."""
    error = under_test._error
    monkeypatch.setattr(
        under_test,
        "_error",
        lambda one, *rest: error(one, *rest) * (1 if hasattr(one, "weight") else 1e9),
    )
    pairs = of(normal(400, 3), straight)
    found = fit_nonlinear(pairs)
    assert (found.by, found.n_pairs) == ("linear", 400)
    x = normal(9, 3, seed=2)
    assert torch.equal(found.apply(x), fit(pairs).apply(x))
    assert found.to_json()["by"] == "linear"


def test_what_waves_is_predicted_much_better_than_by_a_linear_map():
    steps = []
    pairs, new = of(normal(400, 2), waved), of(normal(400, 2, seed=1), waved, seed=8)
    found = fit_nonlinear(pairs, progress=lambda *step: steps.append(step))
    assert r2(found, new) > r2(fit(pairs), new) + 0.4
    assert set(found.errors) == {"linear", "perceptron", "random features"}
    assert found.by != "linear"
    assert found.n_pairs == (400 if found.by == "random features" else 320)
    assert steps[-1][0] == steps[-1][1]


@pytest.mark.parametrize("by", ["perceptron", "random features"])
def test_the_best_by_pairs_that_were_kept_back_is_taken(monkeypatch, by):
    kinds = {"perceptron": "Perceptron", "random features": "FeatureMap"}
    monkeypatch.setattr(
        under_test, "_error", lambda one, *rest: float(type(one).__name__ != kinds[by])
    )
    found = fit_nonlinear(of(normal(200, 2), waved))
    assert found.by == by
    assert type(found.function).__name__ == kinds[by]
    assert found.settings == found.function.settings


def test_it_follows_its_seed():
    pairs, x = of(normal(200, 2), waved), normal(9, 2, seed=2)
    one, same = (fit_nonlinear(pairs, seed=3) for _ in range(2))
    assert torch.equal(one.apply(x), same.apply(x))
    assert one.errors == same.errors
    assert fit_nonlinear(pairs, seed=4).errors != one.errors


def test_images_of_a_group_are_never_on_both_sides(monkeypatch):
    """Neither by what it is stopped, nor by what it is judged."""
    parts = []
    of_part, stopped = under_test._error, under_test.fit_perceptron
    monkeypatch.setattr(
        under_test,
        "_error",
        lambda one, pairs, index: parts.append(index) or of_part(one, pairs, index),
    )
    monkeypatch.setattr(
        under_test,
        "fit_perceptron",
        lambda pairs, linear, stop, **rest: (
            parts.extend(stop) or stopped(pairs, linear, stop, **rest)
        ),
    )
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(30), 7))
    fit_nonlinear(of(normal(210, 2), waved), groups=groups)
    train, held, judged, *_ = parts
    assert sorted(np.concatenate([train, held, judged])) == list(range(210))
    for one, other in ((train, held), (train, judged), (held, judged)):
        assert not {*groups[one]} & {*groups[other]}


def test_too_few_pairs_or_groups_are_refused():
    pairs = of(normal(19, 2), waved)
    with pytest.raises(MapError, match="at least 20 pairs, or groups of these, not 19"):
        fit_nonlinear(pairs)
    pairs = of(normal(200, 2), waved)
    with pytest.raises(MapError, match="at least 20 pairs, or groups of these, not 10"):
        fit_nonlinear(pairs, groups=np.arange(200) % 10)
    assert fit_nonlinear(of(normal(20, 2), waved)).apply(normal(3, 2)).isfinite().all()


def test_maps_of_patches_have_none():
    grids = random_grids(30, (2, 4, 4))
    with pytest.raises(MapError, match="a nonlinear ceiling is of flat codes"):
        fit_nonlinear(grid_pairs(grids, grids))


def test_spaces_that_are_too_large_are_refused():
    with pytest.raises(MapError, match=r"at most 8192 variables .* not 8191 and 2"):
        fit_nonlinear(pair(codes_of(torch.zeros(30, 8191)), codes_of(torch.zeros(30, 2), "b")))
