import numpy as np
import pytest
import torch

from latentmap.errors import MapError
from latentmap.mapping import moments_of
from latentmap.mapping.leading import LeadingVector
from latentmap.mapping.projections import cca_maps, pls_maps
from latentmap.mapping.regression import reduced_rank_maps
from tests.core.mapping.drawing import draw

MAPS = {
    "cca": cca_maps,
    "regularised-cca": lambda moments: cca_maps(moments, penalty=3.0),
    "pls": pls_maps,
    "reduced-rank": lambda moments: reduced_rank_maps(moments, penalty=3.0),
}


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("sizes", [(12, 5), (5, 9)])
@pytest.mark.parametrize("name", MAPS)
def test_the_errors_of_all_sizes_are_those_of_each_map(name, sizes, zero):
    x, y = draw(200, *sizes, noise=1.0)
    train, held = moments_of(x[:150], y[:150]), moments_of(x[150:], y[150:])
    if zero:
        train, held = train.about_zero(), held.about_zero()
    maps = MAPS[name](train)
    tried = [1, 2, maps.limit, 3]
    solutions = [maps(size) for size in tried]
    expected = [float(held.squared_error(one.weight, one.bias).sum()) for one in solutions]
    np.testing.assert_allclose(maps.squared_errors(held, tried), expected, rtol=1e-11)


def test_sizes_that_cannot_be_have_no_errors():
    moments = moments_of(*draw())
    with pytest.raises(MapError, match="the number of components must be from 1 to 5 for these"):
        cca_maps(moments).squared_errors(moments, [1, 6])


@pytest.mark.parametrize("shape", [(240, 200), (200, 260), (20, 30)])
def test_leading_vectors_are_those_of_all_singular_vectors(shape):
    generator = torch.manual_seed(0)
    matrix = torch.randn(*shape, generator=generator, dtype=torch.float64)
    expected = matrix.clone()
    leading = LeadingVector(matrix)
    for number in range(6):
        u, s, _ = torch.linalg.svd(expected)
        found = leading.find()
        # The nearer the next value, the farther rounding turns a vector.
        reach = 1e-11 * float(s[0] / (s[0] - s[1]))
        assert 1 - float(found @ u[:, 0]) ** 2 < reach**2 + 1e-14
        column = found + 0.1 * torch.randn(shape[0], generator=generator, dtype=torch.float64)
        row = expected.T @ found
        expected = expected - torch.outer(column, row)
        leading.subtract(column, row)
        if number == 3:
            leading.refresh()
    torch.testing.assert_close(leading.matrix, expected, rtol=0, atol=1e-10)


def test_a_leading_vector_among_equals_is_one_of_them():
    for values in (torch.ones(200), torch.cat([torch.ones(199), torch.full((1,), 0.5)])):
        matrix = torch.diag(values).double()
        found = LeadingVector(matrix).find()
        torch.testing.assert_close(matrix @ found, found, rtol=0, atol=1e-10)


def test_a_leading_vector_that_steps_do_not_find_is_decomposed(monkeypatch):
    monkeypatch.setattr("latentmap.mapping.leading._STEPS", 8)
    matrix = torch.randn(210, 220, generator=torch.manual_seed(1), dtype=torch.float64)
    expected = torch.linalg.svd(matrix)[0][:, 0]
    assert abs(float(LeadingVector(matrix).find() @ expected)) > 1 - 1e-12


@pytest.mark.parametrize("shape", [(210, 205), (205, 230)])
def test_pls_of_many_variables_is_that_of_all_singular_vectors(shape, monkeypatch):
    moments = moments_of(*draw(600, *shape, noise=3.0))
    fast = pls_maps(moments)
    found = [fast(size).weight for size in (1, 10, 40, 100)]
    monkeypatch.setattr("latentmap.mapping.leading._SMALL", 10**6)
    exact = pls_maps(moments)
    for size, weight in zip((1, 10, 40, 100), found, strict=True):
        expected = exact(size).weight
        assert float((weight - expected).norm()) < 1e-8 * float(expected.norm())
