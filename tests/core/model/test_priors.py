"""Priors that were fitted to codes: what they draw, and what a model makes of them."""

import numpy as np
import pytest
import torch

from latentmap.errors import ModelError
from latentmap.model import Mixture, fit_mixture, generated_images
from latentmap.model.testing import LinearModel


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def two_islands():
    """A mixture whose moments are known by hand."""
    roots = torch.stack([torch.tensor([[0.5, 0.0], [0.3, 0.4]]), 0.1 * torch.eye(2)])
    return Mixture(torch.tensor([0.25, 0.75]), torch.tensor([[4.0, 0.0], [0.0, 2.0]]), roots)


def test_a_mixture_draws_codes_with_its_moments():
    prior = two_islands()
    codes = prior.draw(100_000, seeded()).double()
    mean = torch.tensor([1.0, 1.5])
    torch.testing.assert_close(prior.mean, mean)
    # Within the components, and between them: w (1 - w) of the square of their distance.
    within = 0.25 * np.array([[0.25, 0.15], [0.15, 0.25]]) + 0.75 * 0.01 * np.eye(2)
    apart = np.array([4.0, -2.0])
    expected = within + 0.25 * 0.75 * np.outer(apart, apart)
    np.testing.assert_allclose(codes.mean(0), mean, atol=0.03)
    np.testing.assert_allclose(codes.T.cov(), expected, atol=0.04)
    near = (codes - torch.tensor([4.0, 0.0])).norm(dim=1) < 3
    assert float(near.double().mean()) == pytest.approx(0.25, abs=0.01)


def test_a_normal_distribution_has_its_mean_and_covariance():
    covariance = torch.tensor([[2.0, -0.7], [-0.7, 0.5]])
    prior = Mixture.normal(torch.tensor([3.0, -1.0]), covariance)
    codes = prior.draw(100_000, seeded()).double()
    np.testing.assert_allclose(codes.mean(0), [3.0, -1.0], atol=0.02)
    np.testing.assert_allclose(codes.T.cov(), covariance, atol=0.03)
    assert str(prior) == "a normal distribution"


def test_a_seed_gives_the_same_codes_and_another_seed_others():
    prior = two_islands()
    assert torch.equal(prior.draw(9, seeded(3)), prior.draw(9, seeded(3)))
    assert not torch.equal(prior.draw(9, seeded(3)), prior.draw(9, seeded(4)))


def test_islands_are_found_again():
    codes = two_islands().draw(4000, seeded(1))
    told = []
    fitted = fit_mixture(codes, 2, seed=5, progress=lambda done, total: told.append((done, total)))
    order = fitted.means[:, 0].argsort()
    np.testing.assert_allclose(fitted.means[order], [[0, 2], [4, 0]], atol=0.05)
    np.testing.assert_allclose(fitted.weights[order], [0.75, 0.25], atol=0.03)
    wide = fitted.roots[order[1]]
    np.testing.assert_allclose(wide @ wide.T, [[0.25, 0.15], [0.15, 0.25]], atol=0.05)
    assert told[0] == (0, 40) and fitted.record["converged"] is True
    assert fitted.fingerprint == fit_mixture(codes, 2, seed=5).fingerprint


def test_too_few_codes_are_refused():
    with pytest.raises(ModelError, match="a mixture of 3 takes at least 2 codes for each"):
        fit_mixture(torch.zeros(5, 2), 3)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (torch.ones(3) / 3, "a mixture has weights"),
        (torch.tensor([0.5, 0.4]), "have the sum 1"),
        (torch.tensor([-0.5, 1.5]), "are not below 0"),
        (torch.tensor([torch.nan, 1.0]), "finite and float32"),
        (torch.tensor([0.5, 0.5]).double(), "finite and float32"),
    ],
)
def test_numbers_that_are_no_mixture_are_refused(weights, message):
    prior = two_islands()
    with pytest.raises(ModelError, match=message):
        Mixture(weights, prior.means, prior.roots)


def with_prior():
    model = LinearModel(latent_dim=2)
    model.prior = two_islands()
    return model


def test_a_model_samples_from_its_prior_and_truncates_towards_the_mean_of_it():
    model, prior = with_prior(), two_islands()
    codes = model.sample(50, seed=2)
    torch.testing.assert_close(codes, prior.draw(50, seeded(2)))
    half = model.sample(50, seed=2, truncation=0.5)
    torch.testing.assert_close(half, (codes + prior.mean) / 2)
    torch.testing.assert_close(model.sample(3, truncation=0.0), prior.mean.expand(3, 2))


def test_images_of_another_prior_are_other_images(tmp_path):
    plain, fitted = LinearModel(latent_dim=2), with_prior()
    assert plain.fingerprint == fitted.fingerprint and plain.space == fitted.space
    first = generated_images(plain, 5, folder=tmp_path)
    second = generated_images(fitted, 5, folder=tmp_path)
    assert first.fingerprint != second.fingerprint
    codes = second.codes_in(plain.space)
    torch.testing.assert_close(codes.vectors, fitted.sample(5))
    assert generated_images(plain, 5, folder=tmp_path).fingerprint == first.fingerprint
