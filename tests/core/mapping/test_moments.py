import math

import pytest
import torch

from latentmap.errors import MapError
from latentmap.mapping import Moments, moments_of
from latentmap.mapping.moment_sums import MomentSums
from latentmap.mapping.moments import merge_all, spectrum_of


def draw(n=500, p=7, q=4, *, mean=0.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=generator) * torch.logspace(0, -2, p) + mean
    y = x @ torch.randn(p, q, generator=generator) + torch.randn(n, q, generator=generator)
    return x, y


def parts(moments):
    return (
        moments.mean_x,
        moments.mean_y,
        moments.xx,
        moments.xy,
        moments.yy,
        moments.squares_y,
    )


def assert_same(left, right, *, rtol=1e-11):
    assert (left.n, left.centred, left.fast) == (right.n, right.centred, right.fast)
    for a, b in zip(parts(left), parts(right), strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == torch.float64
            assert (a - b).abs().max() <= rtol * max(float(b.abs().max()), 1e-300)


def test_merged_parts_are_one_pass():
    x, y = draw(mean=100.0)
    cuts = (x.split((123, 7, 370)), y.split((123, 7, 370)))
    first, second, third = (moments_of(*part) for part in zip(*cuts, strict=True))
    assert_same(first.merge(second.merge(third)), moments_of(x, y), rtol=1e-10)
    assert_same(merge_all([third, first, second]), moments_of(x, y), rtol=1e-10)


def test_merging_keeps_what_both_parts_know():
    x, y = draw()
    known = moments_of(x[:200], y[:200])
    squares = moments_of(x[200:], y[200:], targets="squares")
    merged = known.merge(squares)
    assert merged.yy is None
    whole = moments_of(x, y)
    assert torch.allclose(merged.squares_y, whole.yy.diagonal(), rtol=1e-11)
    assert torch.allclose(merged.xy, whole.xy, rtol=1e-9, atol=1e-11)
    assert not known.merge(known).fast
    assert known.merge(moments_of(x, y, precision="fast")).fast


def test_moments_of_other_spaces_or_about_zero_cannot_be_merged():
    x, y = draw()
    moments = moments_of(x, y)
    with pytest.raises(MapError, match=r"\(7, 4\) variables, about their means, not of \(4, 7\)"):
        moments.merge(moments_of(y, x))
    with pytest.raises(MapError, match=r"about their means, not of \(7, 4\), about zero"):
        moments.merge(moments.about_zero())


def test_moments_about_zero_are_plain_products():
    x, y = draw(mean=3.0)
    zero = moments_of(x, y).about_zero()
    xd, yd = x.double(), y.double()
    expected = Moments(
        500,
        torch.zeros(7).double(),
        torch.zeros(4).double(),
        xd.T @ xd,
        xd.T @ yd,
        yd.square().sum(0),
        yd.T @ yd,
        centred=False,
    )
    assert_same(zero, expected)
    halves = (moments_of(x[:100], y[:100]).about_zero(), moments_of(x[100:], y[100:]).about_zero())
    assert_same(merge_all(halves), expected)
    assert moments_of(x, y, targets="squares").about_zero().yy is None


def test_transformed_moments_are_those_of_transformed_codes():
    x, y = draw(mean=1.0)
    a = torch.randn(7, 5, generator=torch.manual_seed(1)).double()
    b = torch.randn(4, 4, generator=torch.manual_seed(2)).double()
    moments = moments_of(x, y)
    assert_same(moments.transform(a, b), moments_of(x.double() @ a, y.double() @ b), rtol=1e-10)
    assert_same(
        moments.about_zero().transform(a, b),
        moments_of(x.double() @ a, y.double() @ b).about_zero(),
        rtol=1e-10,
    )


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("targets", ["products", "squares"])
def test_the_squared_error_is_that_of_the_rows(zero, targets):
    x, y = draw(mean=2.0)
    weight = torch.randn(7, 4, generator=torch.manual_seed(1)).double()
    bias = torch.randn(4, generator=torch.manual_seed(2)).double()
    moments = moments_of(x, y, targets=targets)
    if zero:
        bias.zero_()  # Moments about zero are of maps without intercept.
    expected = (y.double() - x.double() @ weight - bias).square().sum(0)
    error = (moments.about_zero() if zero else moments).squared_error(weight, bias)
    assert torch.allclose(error, expected, rtol=1e-10)


def test_the_squared_error_of_an_exact_map_is_never_below_zero():
    x, _ = draw(mean=100.0)
    weight = torch.randn(7, 4, generator=torch.manual_seed(1)).double()
    moments = moments_of(x, x.double() @ weight)
    error = moments.squared_error(weight, torch.zeros(4).double())
    assert (error >= 0).all()
    assert (error <= 1e-10 * moments.squares_y).all()


@pytest.mark.parametrize("targets", ["products", "squares"])
@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_moments_come_back_from_their_tensors_as_they_were(targets, precision):
    moments = moments_of(*draw(), targets=targets, precision=precision)
    for kept in (moments, moments.about_zero()):
        assert_same(Moments.from_tensors(kept.tensors()), kept, rtol=0)


def test_a_weighted_number_of_pairs_survives():
    x, y = draw(n=3)
    moments = moments_of(x, y, weights=torch.tensor([0.1, 0.2, 0.4]))
    assert Moments.from_tensors(moments.tensors()).n == moments.n


def test_products_that_were_not_gathered_are_asked_for():
    moments = moments_of(*draw(), targets="squares")
    for use in (
        lambda: moments.products_y,
        lambda: moments.target_spectrum,
        lambda: moments.transform(torch.eye(7).double(), torch.eye(4).double()),
    ):
        with pytest.raises(MapError, match=r'only their squares were gathered.*targets="products"'):
            use()


def test_the_spectrum_rebuilds_the_products():
    moments = moments_of(*draw())
    for spectrum, products in (
        (moments.source_spectrum, moments.xx),
        (moments.target_spectrum, moments.yy),
    ):
        rebuilt = spectrum.directions * spectrum.values @ spectrum.directions.T
        assert torch.allclose(rebuilt, products, atol=1e-9)
        assert (spectrum.values.diff() <= 0).all()


@pytest.mark.parametrize("n", [30, 3000])
def test_directions_of_rounding_alone_are_left_out_at_any_number_of_pairs(n):
    x, y = draw(n=n)
    x[:, 2] = 1.3
    x[:, 3] = 1.3 * (1 + 5e-8 * torch.randn(n, generator=torch.manual_seed(5)))
    x[:, 4] = 2 * x[:, 0]
    spectrum = moments_of(x, y).source_spectrum
    assert len(spectrum.values) == 4
    assert spectrum.values[-1] > 1e-5 * n


@pytest.mark.parametrize("mean", [0.0, 3.0])
@pytest.mark.parametrize("unit", [1e-4, 1e-8, 1e-12])
def test_the_unit_of_a_variable_does_not_decide_whether_it_varies(unit, mean):
    generator = torch.manual_seed(0)
    # A power of two rounds as the variable itself.
    unit = 2.0 ** round(math.log2(unit))
    x = torch.randn(300, 6, generator=generator) + mean
    x[:, 3] = mean + 1
    x[:, 4] = (mean + 1) * (1 + 5e-8 * torch.randn(300, generator=generator))
    x[:, 5] = x[:, 0] + x[:, 1]
    scale = torch.tensor([1, 1, unit, unit, unit, unit])
    for codes in (x, x * scale):
        moments = moments_of(codes, codes)
        for spectrum in (moments.source_spectrum, moments.target_spectrum):
            assert len(spectrum.values) == 3
            # The inverse along them, in units of the variables.
            inverse = spectrum.directions / spectrum.values @ spectrum.directions.T
            turned = (moments.xx @ inverse @ moments.xx)[:3, :3]
            torch.testing.assert_close(turned, moments.xx[:3, :3], rtol=1e-4, atol=0)


@pytest.mark.parametrize("small", [1e-9, -1e-9])
def test_float32_products_say_nothing_of_directions_that_hardly_vary(small):
    mean = torch.zeros(3, dtype=torch.float64)
    products = torch.diag(torch.tensor([1.0, 1e-4, small], dtype=torch.float64))
    assert len(spectrum_of(products, 10, mean).values) == (3 if small > 0 else 2)
    with pytest.raises(MapError, match=r"unsafe for these codes \(condition number 3\.16e\+04"):
        spectrum_of(products, 10, mean, fast=True)
    dead = torch.diag(torch.tensor([1.0, 1e-4, 0.0], dtype=torch.float64))
    assert len(spectrum_of(dead, 10, mean, fast=True).values) == 2


def test_moments_between_any_two_of_three_spaces_are_those_of_the_pair():
    generator = torch.manual_seed(0)
    spaces = [torch.randn(300, d, generator=generator) + d for d in (3, 5, 2)]
    sums = MomentSums((3, 5, 2))
    sums.update(spaces)
    joint = sums.moments()
    for i, x in enumerate(spaces):
        for j, y in enumerate(spaces):
            assert_same(joint.between(i, j), moments_of(x, y), rtol=1e-10)


def test_moments_between_spaces_own_their_numbers():
    sums = MomentSums((2, 2))
    sums.update(draw(p=2, q=2))
    joint = sums.moments()
    moments = joint.between(0, 1)
    moments.xx.zero_()
    assert joint.between(0, 1).xx.abs().max() > 0
