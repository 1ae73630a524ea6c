"""The aggregate posterior and its distance from the prior, by their laws."""

import numpy as np
import pytest
import torch

from latentmap.diagnostics import aggregate_posterior, diagnose
from latentmap.diagnostics.aggregate import Aggregate
from latentmap.errors import ImageError, ModelError
from latentmap.images import open_images
from latentmap.model import Posterior
from latentmap.model.testing import LinearModel


def batches(n=200, size=64):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(n, 1, 4, 4, generator=generator).split(size)


def aggregate(mean, covariance):
    return Aggregate(10, torch.tensor(mean).double(), torch.tensor(covariance).double(), 0.0)


def test_moments_are_those_of_a_mixture_of_all_posteriors():
    model = LinearModel(latent_dim=3)
    found = aggregate_posterior(model, batches())
    posterior = model.posterior(torch.cat(batches()))
    mean, variance = posterior.mean.double(), posterior.variance.double()
    assert found.n == 200
    torch.testing.assert_close(found.mean, mean.mean(0))
    torch.testing.assert_close(
        found.covariance, torch.cov(mean.T, correction=0) + variance.mean(0).diag()
    )
    # Samples of the mixture have them as well, to their own error.
    drawn = mean + variance.sqrt() * torch.randn(
        50, *mean.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    drawn = drawn.flatten(0, 1)
    # The standard error of the second moments of 10,000 draws is below 0.015 of the variance.
    torch.testing.assert_close(torch.cov(drawn.T), found.covariance, rtol=0.06, atol=0.03)


def test_variance_and_divergence_are_those_that_diagnose_finds():
    model, images = LinearModel(latent_dim=3, image_shape=(1, 8, 8)), open_images("digits")
    found = aggregate_posterior(
        model, (batch.floats(0) for batch in images.batches([model.view], batch_size=100))
    )
    known = diagnose(model, images)
    np.testing.assert_allclose(found.law_deviation, known.law_deviation, rtol=1e-9, atol=1e-9)
    assert found.kl == pytest.approx(known.kl.value, rel=1e-9)


def test_the_divergence_is_that_of_torch():
    mean, covariance = [0.3, -0.2], [[2.0, 0.5], [0.5, 0.7]]
    normal = torch.distributions.MultivariateNormal
    expected = torch.distributions.kl_divergence(
        normal(torch.tensor(mean), torch.tensor(covariance)), normal(torch.zeros(2), torch.eye(2))
    )
    assert aggregate(mean, covariance).divergence == pytest.approx(float(expected), rel=1e-5)


def test_the_removable_part_is_all_of_it_without_correlations_and_less_with_them():
    apart = aggregate([0.3, -0.2], [[2.0, 0.0], [0.0, 0.7]])
    assert apart.removable == pytest.approx(apart.divergence, rel=1e-9)
    together = aggregate([0.3, -0.2], [[2.0, 0.5], [0.5, 0.7]])
    assert together.removable == pytest.approx(apart.removable, rel=1e-9)
    assert together.removable < together.divergence
    none = aggregate([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    assert (none.divergence, none.removable) == (0, 0)


def test_variances_that_underflow_leave_the_divergence_finite():
    flat = aggregate([0.0, 0.0], [[0.0, 0.0], [0.0, 1.0]])
    assert 0 < flat.divergence == flat.removable < 50
    assert flat.to_json()["law_deviation_max"] == 1


def test_a_model_without_posterior_and_no_image_are_refused():
    class Plain(LinearModel):
        def _posterior(self, images):
            raise ModelError(f"{self.name} has no posterior")

    with pytest.raises(ModelError, match="has no posterior"):
        aggregate_posterior(Plain(), batches())
    with pytest.raises(ImageError, match="have moments over images: give at least one"):
        aggregate_posterior(LinearModel(), [])


def test_what_the_prior_itself_has_is_nothing():
    class Prior(LinearModel):
        def _posterior(self, images):
            codes = torch.zeros(len(images), self.latent_dim)
            return Posterior(codes, torch.ones_like(codes))

    found = aggregate_posterior(Prior(), batches())
    assert found.divergence == pytest.approx(0, abs=1e-12)
    assert float(found.law_deviation.max()) == 0
