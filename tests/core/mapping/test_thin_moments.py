import dataclasses

import numpy as np
import pytest
import torch

from latentmap.codes import pair
from latentmap.errors import MapError
from latentmap.mapping import METHODS, LinearMap, fit, gathering, moments_of, shared_factors
from latentmap.mapping.gathering import moments_by_fold, moments_of_pairs
from latentmap.mapping.moments import merge_all
from latentmap.mapping.options import FitOptions
from latentmap.mapping.stored_map import StoredMap
from latentmap.mapping.summary import describe
from latentmap.mapping.thin_moments import ThinMoments
from latentmap.mapping.uncertainty import carry, predict
from tests.core.mapping.drawing import codes_of, draw

# Pairs, source variables and target variables: fewer pairs than those of either space, or of both.
SHAPES = [(30, 50, 6), (30, 8, 50), (30, 44, 40)]
NAMES = ("mean_x", "mean_y", "xx", "xy", "yy", "squares_x", "squares_y")


def dense(x, y, weights=None):
    weights = torch.ones(len(x)).double() if weights is None else weights
    sums = gathering.MomentSums((x.shape[1], y.shape[1]))
    sums.update([x, y], weights)
    return sums.moments().between(0, 1)


def codes(shape, **given):
    x, y = draw(*shape, noise=1.0, **given)
    return x, y


def assert_same(found, expected, rtol=1e-9):
    for name in NAMES:
        one, other = getattr(found, name), getattr(expected, name)
        torch.testing.assert_close(one, other, rtol=rtol, atol=rtol * float(other.abs().max()))


@pytest.mark.parametrize("shape", SHAPES)
def test_moments_of_few_pairs_are_those_of_their_products(shape):
    x, y = codes(shape)
    weights = torch.linspace(0, 2, len(x), dtype=torch.float64)
    for given in (None, weights):
        found = moments_of(x, y, weights=given)
        assert isinstance(found, ThinMoments)
        assert_same(found, dense(x, y, given))
        assert_same(found.dense(), dense(x, y, given))
        assert_same(found.about_zero(), dense(x, y, given).about_zero())
        a = torch.randn(shape[1], 3, generator=torch.manual_seed(1)).double()
        b = torch.randn(shape[2], 4, generator=torch.manual_seed(2)).double()
        assert_same(found.transform(a, b), dense(x, y, given).transform(a, b))


@pytest.mark.parametrize("shape", SHAPES)
def test_moments_of_few_pairs_merge_to_those_of_all(shape):
    x, y = codes(shape)
    parts = moments_by_fold(pair(codes_of(x), codes_of(y, "b")), np.arange(len(x)) % 3)
    assert isinstance(parts[0], ThinMoments)
    assert_same(merge_all(parts), dense(x, y))
    assert_same(parts[0].merge(dense(x[:9], y[:9])), parts[0].dense().merge(dense(x[:9], y[:9])))
    # Of more pairs than variables the products are smaller.
    many = merge_all([moments_of(x, y)] * 3)
    assert not isinstance(many, ThinMoments)
    assert_same(many, dense(x.repeat(3, 1), y.repeat(3, 1)))


@pytest.mark.parametrize("mean", [1.0, 300.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_spectra_of_few_pairs_are_those_of_their_products(shape, mean):
    x, y = codes(shape, mean=mean)
    x[:, 1] = 7 + 1e-7 * x[:, 1]  # A collapsed variable, and two that are one.
    x[:, 3] = x[:, 2]
    found, expected = moments_of(x, y), dense(x, y)
    for name in ("source_spectrum", "target_spectrum"):
        one, other = getattr(found, name), getattr(expected, name)
        torch.testing.assert_close(one.values, other.values, rtol=1e-7, atol=0)
        turned = [part.directions @ part.directions.T for part in (one, other)]
        torch.testing.assert_close(*turned, rtol=0, atol=1e-6)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("method", METHODS)
def test_every_map_of_few_pairs_is_that_of_all_products(method, shape, intercept, monkeypatch):
    x, y = codes(shape, decades=1.0)
    pairs = pair(codes_of(x), codes_of(y, "b"))
    settings = {"noise": torch.full((shape[1],), 0.1)} if method == "errors-in-variables" else {}
    if method == "cca" and len(x) < min(shape[1:]):
        # All canonical correlations are 1 then, and only all components together are defined.
        settings = {"components": len(x)}
    options = FitOptions(method, settings, intercept=intercept)
    found = fit(pairs, options)
    monkeypatch.setattr(gathering, "_thin_by_fold", None)
    monkeypatch.setattr(gathering, "_is_thin", lambda *given: False)
    expected = fit(pairs, options)
    assert isinstance(found.moments, ThinMoments) or method == "robust"
    assert not isinstance(expected.moments, ThinMoments)
    assert found.rank == expected.rank
    for name, value in expected.settings.items():
        assert found.settings[name] == pytest.approx(value, rel=1e-6)
    # The search of a projection stops within the root of rounding of the least error.
    reach = 1e-5 if shape[1] > shape[2] else 1e-6
    error = float((found.weight - expected.weight).norm())
    assert error < reach * float(expected.weight.norm())


def test_a_map_of_few_pairs_says_what_that_of_all_products_says(tmp_path):
    x, y = codes((30, 50, 6))
    found = fit(pair(codes_of(x), codes_of(y, "b")))
    expected = dataclasses.replace(found, moments=found.moments.dense())
    found.save(tmp_path / "few.safetensors")
    kept, stored = (kind.load(tmp_path / "few.safetensors") for kind in (LinearMap, StoredMap))
    assert isinstance(kept.moments, ThinMoments)
    assert_same(kept.moments, expected.moments)
    # A file does not hold the codes of single images.
    centred = found.moments.root_x
    assert float((kept.moments.root_x @ centred.T).abs().amax(1).min()) < 0.9 * float(
        centred.square().sum(1).min()
    )
    for one in (found, kept, stored):
        said, other = describe(one), describe(expected)
        for name in ("explained", "effective_rank", "explained_per_variable", "relevance"):
            np.testing.assert_allclose(said[name], other[name], rtol=1e-6, atol=1e-9)
    code = x[:3] + 0.1
    for one in (found, kept):
        given, other = predict(one, code), predict(expected, code)
        torch.testing.assert_close(given.scale, other.scale, rtol=1e-7, atol=0)
        torch.testing.assert_close(given.covariance, other.covariance, rtol=1e-6, atol=1e-9)
        shares = [shared_factors(m.moments, m.weight).share for m in (one, expected)]
        torch.testing.assert_close(*shares, rtol=1e-7, atol=1e-12)
        inverse = [m.inverse().figures["kept_variance"] for m in (one, expected)]
        assert inverse[0] == pytest.approx(inverse[1], rel=1e-7)
        with pytest.raises(MapError, match="leave nothing to judge the residuals"):
            carry(one, x[:2])


def test_moments_of_few_pairs_of_other_spaces_do_not_merge():
    one, *others = (moments_of(*codes(shape)) for shape in ((9, 12, 5), (9, 11, 5), (9, 12, 6)))
    for other in (*others, one.about_zero()):
        with pytest.raises(MapError, match=r"can be merged with moments of \(12, 5\)"):
            one.merge(other)


def test_products_of_targets_are_not_computed_for_a_fit_of_few_pairs(monkeypatch):
    monkeypatch.setattr("latentmap.mapping.fitting.SAMPLED", 20)
    x, y = codes((30, 8, 50))
    assert "yy" not in vars(fit(pair(codes_of(x), codes_of(y, "b"))).moments)


def test_codes_of_few_pairs_that_cannot_be_are_refused():
    x, y = codes((30, 50, 6))
    pairs = pair(codes_of(x), codes_of(y, "b"))
    with pytest.raises(MapError, match="moments need at least one pair, but there is none"):
        moments_by_fold(pairs, np.zeros(30, dtype=np.int64), weights=np.zeros(30))
    for weights in (-torch.ones(30), torch.full((30,), torch.nan), torch.ones(29)):
        with pytest.raises(MapError, match="weights must be 30 numbers"):
            moments_of(x, y, weights=weights)
        with pytest.raises(MapError, match="weights must be 30 numbers"):
            moments_of_pairs(pairs, weights=weights.numpy())
    x[4, 5] = torch.nan
    with pytest.raises(MapError, match=r"the code of 4\.png .* has NaN or infinite"):
        moments_of_pairs(pair(codes_of(x), codes_of(y, "b")))


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("root_x", torch.zeros(30, 49, dtype=torch.float64)),
        ("root_y", torch.zeros(29, 6, dtype=torch.float64)),
        ("root_x", torch.full((30, 50), 1e200, dtype=torch.float64)),
        ("root_y", torch.full((30, 6), torch.nan, dtype=torch.float64)),
    ],
)
def test_a_file_with_roots_that_cannot_be_is_refused(tmp_path, name, part, monkeypatch):
    x, y = codes((30, 50, 6))
    found = fit(pair(codes_of(x), codes_of(y, "b")))
    given = found.moments.tensors() | {name: part}
    monkeypatch.setattr(ThinMoments, "tensors", lambda moments: given)
    found.save(tmp_path / "few.safetensors")
    for kind in (LinearMap, StoredMap):
        with pytest.raises(MapError, match="make it again"):
            kind.load(tmp_path / "few.safetensors")


def test_a_file_with_roots_of_no_pair_is_refused(tmp_path, monkeypatch):
    x, y = codes((30, 50, 6))
    found = fit(pair(codes_of(x), codes_of(y, "b")))
    none = {name: torch.zeros(0, dim).double() for name, dim in (("root_x", 50), ("root_y", 6))}
    given = found.moments.tensors() | none
    monkeypatch.setattr(ThinMoments, "tensors", lambda moments: given)
    found.save(tmp_path / "few.safetensors")
    for kind in (LinearMap, StoredMap):
        with pytest.raises(MapError, match="the moments must be those of its spaces"):
            kind.load(tmp_path / "few.safetensors")
