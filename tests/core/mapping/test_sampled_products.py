from dataclasses import replace

import numpy as np
import pytest
import torch

from latentmap.codes import Codes, Space, pair
from latentmap.errors import MapError
from latentmap.mapping import FitOptions, LinearMap, fit, moments_of, shared_factors
from latentmap.mapping.gathering import moments_of_pairs
from latentmap.mapping.regression import solve_least_squares
from latentmap.mapping.sampled_products import SAMPLED, with_sampled_products
from latentmap.mapping.uncertainty import carry, predict

N = 11_192


def draw(n=N, p=5, q=4, *, noise=1.0, seed=0):
    """Pairs whose residuals correlate between target variables; the last of these is constant."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=generator) * torch.logspace(0, -1, p) + 2
    mixed = torch.randn(n, q, generator=generator) @ torch.randn(q, q, generator=generator)
    y = x @ torch.randn(p, q, generator=generator) + noise * mixed - 1
    y[:, -1] = 3
    ids = np.arange(n).astype(np.str_)
    source, target = (
        Codes.from_array(ids, part, space=Space("z", part.shape[1], name, name))
        for part, name in ((x, "a"), (y, "b"))
    )
    return pair(source, target), x, y


def test_sampled_products_are_those_of_all_pairs_but_for_how_residuals_correlate():
    pairs, x, y = draw()
    full = moments_of(x, y)
    found = with_sampled_products(moments_of(x, y, targets="squares"), pairs)
    assert found.sampled and torch.allclose(found.yy.diagonal(), full.yy.diagonal(), rtol=1e-12)
    weight = solve_least_squares(full).weight
    explained = weight.T @ full.xx @ weight
    parts = [(one.yy - explained)[:3, :3] for one in (found, full)]
    sizes = parts[1].diagonal().sqrt()
    correlations = [part / torch.outer(sizes, sizes) for part in parts]
    # Of 4,096 of 11,192 pairs that is known to sqrt((1 - 4096 / 11192) / 4096) = 0.0124.
    assert (correlations[0] - correlations[1]).abs().max() < 4 * 0.0124
    assert (correlations[1] - torch.eye(3)).abs().max() > 0.2
    # Every direction has a variance.
    joint = torch.cat([torch.cat([found.xx, found.xy], 1), torch.cat([found.xy.T, found.yy], 1)])
    assert torch.linalg.eigvalsh(joint)[0] > -1e-10 * float(joint.trace())


def test_a_sample_of_all_pairs_gives_their_products():
    pairs, x, y = draw(300)
    found = with_sampled_products(moments_of(x, y, targets="squares"), pairs)
    # The products of residuals are of float32.
    torch.testing.assert_close(found.yy, moments_of(x, y).yy, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("settings", [{}, {"penalty": 300.0}])
@pytest.mark.parametrize("intercept", [True, False])
def test_intervals_of_a_map_of_many_pairs_are_from_all_of_them(settings, intercept):
    pairs, x, _ = draw()
    linear_map = fit(pairs, FitOptions(settings=settings, intercept=intercept))
    assert linear_map.moments.sampled
    full = replace(linear_map, moments=moments_of_pairs(pairs))
    found, expected = (predict(one, x[:7]) for one in (linear_map, full))
    torch.testing.assert_close(found.variances, expected.variances, rtol=1e-9, atol=1e-12)
    assert found.freedom == expected.freedom
    found, expected = (carry(one, torch.eye(5)) for one in (linear_map, full))
    torch.testing.assert_close(found.standard_error, expected.standard_error, rtol=1e-9, atol=1e-12)


def test_shared_factors_of_a_map_of_many_pairs_are_those_of_all_products():
    pairs, _, _ = draw()
    linear_map = fit(pairs)
    found = shared_factors(linear_map.moments, linear_map.weight)
    expected = shared_factors(moments_of_pairs(pairs), linear_map.weight)
    torch.testing.assert_close(found.share, expected.share, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.correlation, expected.correlation, rtol=0.05, atol=0)


def test_an_exact_map_leaves_nothing_that_correlates():
    pairs, x, y = draw(noise=0.0)
    found = with_sampled_products(moments_of(x, y, targets="squares"), pairs)
    torch.testing.assert_close(found.yy, moments_of(x, y).yy, rtol=1e-6, atol=1e-3)


def test_sampled_products_are_kept_in_a_file_and_told_from_those_of_all_pairs(tmp_path):
    pairs, _, _ = draw()
    linear_map = fit(pairs)
    linear_map.save(tmp_path / "map.safetensors")
    again = LinearMap.load(tmp_path / "map.safetensors").moments
    assert again.sampled and torch.equal(again.yy, linear_map.moments.yy)
    assert again.merge(moments_of_pairs(pairs)).sampled and again.about_zero().sampled
    with pytest.raises(MapError, match=r'only their squares were gathered.*targets="products"'):
        _ = again.products_y


def test_a_map_whose_method_needs_all_products_has_them():
    pairs, _, _ = draw()
    for linear_map in (
        fit(pairs, method="cca", settings={"components": 2}),
        fit(draw(SAMPLED)[0], settings={"penalty": 1.0}),
    ):
        assert not linear_map.moments.sampled and linear_map.moments.products_y is not None
