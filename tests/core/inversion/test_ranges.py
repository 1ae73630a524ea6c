"""The range of a model, and searches that are held inside it."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import chi2

from latentmap.inversion import SearchSettings, invert_tensor
from latentmap.inversion.anywhere import go_on_anywhere
from latentmap.inversion.code_search import search_codes
from latentmap.inversion.ranges import CodeRange, at_border, range_of
from latentmap.inversion.starts import draw_samples
from latentmap.model import Mixture, Model
from latentmap.model.testing import LinearModel


class Normal(LinearModel):
    """The same with the standard normal prior."""

    _sample = Model._sample


class Skewed(LinearModel):
    """A prior of two variables, of which one varies ten times as much, turned by 45 degrees."""

    def _sample(self, n, generator):
        axes = torch.randn(n, 2, generator=generator) * torch.tensor([0.4, 0.04])
        return 0.2 + axes @ torch.tensor([[1.0, 1.0], [-1.0, 1.0]]) / 2**0.5


def the_range(model, *, seed=0):
    return range_of(model, draw_samples(model, seed=seed), seed=seed)


def test_the_range_of_the_standard_normal_prior_is_known():
    model = Normal(6)
    found = the_range(model)
    assert found.limit == pytest.approx(chi2.ppf(0.999, 6) ** 0.5)
    codes = model.sample(50, seed=1)
    torch.testing.assert_close(found.distances(codes), codes.norm(dim=1))
    assert the_range(model, seed=3).limit == found.limit


def test_a_prior_that_was_fitted_has_a_range_of_its_own():
    model = Normal(4)
    model.prior = Mixture.normal(torch.ones(4), 0.25 * torch.eye(4))
    found = the_range(model)
    away = (torch.full((1, 4), 2.0), torch.ones(1, 4))
    far, middle = (float(found.distances(one)) for one in away)
    assert far == pytest.approx(4, rel=0.05)
    assert middle < 0.1
    assert found.limit == pytest.approx(chi2.ppf(0.999, 4) ** 0.5, rel=0.06)
    assert found.spread == pytest.approx(0.5, rel=0.03)


def test_999_of_1000_fresh_samples_lie_inside():
    # In many variables the samples that a covariance is made of lie nearer than others.
    class Wide(LinearModel):
        def _sample(self, n, generator):
            return torch.randn(n, 400, generator=generator) * torch.linspace(0.1, 1, 400)

    model = Wide(400, (1, 20, 20))
    found = the_range(model)
    outside = float((found.distances(model.sample(20_000, seed=9)) > found.limit).float().mean())
    assert 0.0002 < outside < 0.003
    mine = draw_samples(model, seed=0)
    assert float(found.distances(mine).max()) < found.limit


def test_a_place_is_independent_and_comes_back():
    model = Skewed(2, (1, 4, 4))
    found = the_range(model)
    samples = model.sample(4000, seed=5)
    places = found.places(samples)
    torch.testing.assert_close(torch.cov(places[:, 0].T), torch.eye(2), atol=0.08, rtol=0)
    torch.testing.assert_close(found.codes(places), samples, atol=1e-5, rtol=0)


def test_variables_that_are_more_than_samples_can_tell_are_scaled_each_by_itself():
    class Many(LinearModel):
        def _sample(self, n, generator):
            return 3 * torch.rand(n, 1200, generator=generator)

    model = Many(1200, (1, 40, 40))
    found = the_range(model)
    assert found.whiten.shape == (1200,)
    assert float(found.distances(found.mean[None] + 3 / 12**0.5)) == pytest.approx(
        1200**0.5, rel=0.01
    )


def test_codes_of_layers_are_judged_in_their_mean():
    class Layers(LinearModel):
        parts = 2

        def _sample(self, n, generator):
            return torch.randn(n, 2, generator=generator).repeat(1, 2)

    model = Layers(4)
    found = the_range(model)
    codes = torch.tensor([[3.0, 0, 3, 0], [3, 0, 0, 0]])
    expected = [3, (9 / 2) ** 0.5]
    assert found.distances(codes).tolist() == pytest.approx(expected, rel=0.05)
    held = found.codes(found.hold(found.places(10 * codes)))
    assert found.distances(held).tolist() == pytest.approx([found.limit] * 2, rel=1e-4)


def test_places_inside_are_held_as_they_are():
    found = the_range(Normal(3))
    inside = torch.tensor([[[1.0, 2.0, -1.0]]])
    assert torch.equal(found.hold(inside), inside)
    torch.testing.assert_close(
        found.hold(10 * inside), inside / inside.norm() * found.limit, rtol=1e-4, atol=0
    )


def test_only_what_leads_out_is_taken_from_a_gradient():
    ones = torch.ones(2)
    disc = CodeRange(torch.zeros(2), ones, ones, 1.0, 1.0, (2,), 1)
    border = torch.tensor([[[1.0, 0.0]]])
    outwards, inwards = torch.tensor([[[-2.0, 3.0]]]), torch.tensor([[[2.0, 3.0]]])
    assert disc.along(border, outwards).tolist() == [[[0.0, 3.0]]]
    assert torch.equal(disc.along(border, inwards), inwards)
    assert torch.equal(disc.along(0.5 * border, outwards), outwards)


@pytest.mark.parametrize("model", [Skewed(2, (1, 4, 4)), Normal(2, (1, 4, 4))])
def test_a_held_search_finds_the_best_code_of_the_range(model):
    found = the_range(model)
    model._step /= 8  # No image of these codes is cut off.
    codes = torch.tensor([[0.9, -0.9], [-0.8, 0.1]]) * (1 if isinstance(model, Skewed) else 6)
    targets = model.decode(codes)
    pictures, step = model._pictures.double(), model._step

    def inwards(code):
        return found.limit - float(found.distances(torch.tensor(code[None]).float()))

    def image(code):
        return 0.5 + step * pictures @ torch.as_tensor(code).double()

    result = search_codes(model, targets, search=SearchSettings(steps=400, starts=2))
    assert at_border(result.distance, result.limit).all()
    assert (result.distance <= result.limit).all()
    for target, code in zip(targets, result.codes, strict=True):
        best = minimize(
            lambda at, target=target: float((image(at) - target.flatten()).square().sum()),
            found.mean.double().numpy(),
            constraints={
                "type": "ineq",
                "fun": lambda at: (
                    found.limit - float(found.distances(torch.tensor(at)[None].float()))
                ),
            },
            method="SLSQP",
            options={"eps": 1e-4, "ftol": 1e-12, "maxiter": 500},
        )
        np.testing.assert_allclose(code.numpy(), best.x, atol=0.1 * found.spread)


def test_a_search_goes_on_from_the_border_alone():
    model = Normal(4)
    inner, outer = 0.3 * torch.ones(2, 4), torch.zeros(2, 4)
    outer[0, 0], outer[1, 2] = 0.99, -0.99
    images = model.decode(torch.cat([inner, outer]))
    model.prior = Mixture.normal(torch.zeros(4), 0.04 * torch.eye(4))
    settings = SearchSettings(steps=200, starts=2)
    inside = invert_tensor(model, images, method="search", search=settings)
    assert at_border(inside.distance, inside.limit).tolist() == [False, False, True, True]
    told = []
    found = go_on_anywhere(
        model, images, inside, progress=lambda done, total: told.append((done, total))
    )
    assert found.n_gone_on == 2
    assert torch.equal(found.mse[:2], inside.mse[:2])
    assert torch.equal(found.distance[:2], inside.distance[:2])
    assert (found.mse[2:] < 0.1 * inside.mse[2:]).all()
    assert (found.distance[2:] > inside.limit).all()
    assert told[-1] == (200, 200)


def test_a_search_may_be_let_go_anywhere():
    model = Normal(4)
    model.prior = Mixture.normal(torch.zeros(4), 0.01 * torch.eye(4))
    codes = torch.full((1, 4), 0.9)
    settings = SearchSettings(inside=False)
    found = search_codes(model, model.decode(codes), search=settings)
    torch.testing.assert_close(found.codes, codes, atol=0.02, rtol=0)
    assert float(found.distance) == pytest.approx(18, rel=0.1)
    held = search_codes(model, model.decode(codes))
    assert float(held.distance) <= held.limit < 6


def test_nothing_goes_on_where_all_lie_inside():
    model = Normal(4)
    images = model.decode(0.3 * torch.ones(2, 4))
    inside = invert_tensor(model, images, method="search")
    found = go_on_anywhere(model, images, inside)
    assert found.n_gone_on == 0
    assert torch.equal(found.mse, inside.mse)
