"""Searches for codes with channels at positions."""

import torch

from latentmap.inversion import SearchSettings
from latentmap.inversion.code_search import search_batch_size, search_codes
from latentmap.inversion.ranges import range_of
from latentmap.inversion.starts import draw_samples
from latentmap.model.testing import LinearModel
from tests.core.grids import Grid


class Mixed(Grid):
    """A grid whose prior has channels that vary together and lie about 0.5, and no limits that a
    gradient would stop at.
    """

    def _decode(self, codes):
        blocks = torch.einsum("oc,nchw->nohw", torch.linalg.inv(self._weight), codes)
        return torch.nn.functional.pixel_shuffle(blocks, 2).clamp(0, 1)

    def _sample(self, n, generator):
        channels = torch.randn(n, 4, 4, 4, generator=generator)
        mixing = torch.tensor([[1.0, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0.5, 1]])
        return (0.5 + 0.1 * torch.einsum("oc,nchw->nohw", mixing, channels)).flatten(1)


def test_a_search_finds_the_codes_of_a_grid():
    model = Mixed()
    codes = model.sample(3, seed=1).clamp(0.1, 0.9)
    found = search_codes(model, model.decode(codes), search=SearchSettings(steps=200, starts=2))
    torch.testing.assert_close(found.codes, codes, atol=0.02, rtol=0)


def test_the_prior_of_a_grid_is_that_of_one_position():
    model = Mixed()
    samples = draw_samples(model, seed=0)
    found = range_of(model, samples)
    assert found.whiten.shape == (4, 4)
    rows = samples.reshape(-1, 4, 16).transpose(1, 2).double()
    away = rows - rows.flatten(0, 1).mean(0)
    inverse = torch.cov(away.flatten(0, 1).T).inverse()
    distances = torch.einsum("npi,ij,npj->n", away, inverse, away)
    # Of 16 positions each, whose means differ by what 4,096 samples leave open.
    torch.testing.assert_close(
        16 * found.distances(samples).square().double(), distances, rtol=2e-2, atol=0
    )
    torch.testing.assert_close(found.codes(found.places(samples)), samples, rtol=0, atol=1e-5)


def test_codes_of_a_grid_are_not_held():
    # What has a code at each position has no prior that images follow.
    model = Mixed()
    codes = torch.full((2, 64), 0.95)
    limit = range_of(model, draw_samples(model)).limit
    found = search_codes(model, model.decode(codes), search=SearchSettings(steps=100, starts=1))
    assert (found.distance > limit).all()


def test_the_prior_pulls_codes_to_its_mean():
    model = Mixed()
    images = model.decode(model.sample(2, seed=3).clamp(0.1, 0.9))
    mean = draw_samples(model, seed=0).mean(0)
    away = [
        float(
            (search_codes(model, images, search=SearchSettings(200, 2, prior=weight)).codes - mean)
            .square()
            .mean()
        )
        for weight in (0.0, 10.0)
    ]
    assert away[1] < 0.1 * away[0]


def test_large_grids_have_fewer_samples_and_fewer_searches_at_a_time():
    class Large(Grid):
        def __init__(self):
            super().__init__(128, 256)

    assert len(draw_samples(Large(), seed=0)) == 512
    assert search_batch_size(Large()) == 16
    assert search_batch_size(LinearModel(4, (1, 128, 256))) == 64
    assert len(draw_samples(Grid(), seed=0)) == 4096
