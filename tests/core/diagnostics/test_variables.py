import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.diagnostics import diagnose, kl_divergence
from latentmap.errors import ImageError, ModelError
from latentmap.images import open_images
from latentmap.model import Posterior
from latentmap.model.testing import LinearModel


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (300, 4, 4), dtype=np.uint8))
    return open_images(path)


def pixels_of(images):
    return torch.stack([torch.from_numpy(images.read(i)) for i in range(len(images))]).permute(
        0, 3, 1, 2
    )


def test_the_divergence_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(5, 3, generator=generator)
    variance = torch.rand(5, 3, generator=generator) + 0.1
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, variance.sqrt()), torch.distributions.Normal(0, 1)
    )
    torch.testing.assert_close(kl_divergence(mean, variance, variance.log()), expected)


def test_figures_are_those_of_all_images_at_once(images):
    model = LinearModel(latent_dim=3)
    result = diagnose(model, images, batch_size=64)
    x = pixels_of(images).float() / 255
    codes = model.encode(x)
    decoded = model.decode(codes)
    assert result.n == 300
    assert result.mse == pytest.approx(float((x - decoded).square().mean()), rel=1e-5)
    expected = x.var(0, correction=0).mean() - decoded.var(0, correction=0).mean()
    assert result.variance_loss == pytest.approx(float(expected), rel=1e-4)
    torch.testing.assert_close(
        result.mean_variance.float(), codes.var(0, correction=0), rtol=1e-4, atol=1e-6
    )
    torch.testing.assert_close(result.posterior_variance, torch.full((3,), 0.25).double())
    torch.testing.assert_close(
        result.law_deviation, (result.mean_variance + 0.25 - 1).abs(), rtol=1e-6, atol=1e-9
    )


def test_a_projection_loses_exactly_the_variance_that_it_does_not_show(images):
    # For a linear projection the error is orthogonal to the reconstruction, so the law is exact
    # up to the mean image, which the projection moves as well.
    model = LinearModel(latent_dim=16, image_shape=(1, 4, 4))
    result = diagnose(model, images)
    assert result.variance_loss == pytest.approx(result.mse, abs=1e-4)


def test_dead_variables_are_not_active(images):
    class Dead(LinearModel):
        def _posterior(self, images):
            posterior = super()._posterior(images)
            mean, variance = posterior.mean.clone(), posterior.variance.clone()
            mean[:, 0], variance[:, 0] = 0.0, 1.0
            return Posterior(mean, variance)

    result = diagnose(Dead(), images)
    assert result.active == 3
    assert float(result.law_deviation[0]) == 0
    assert result.to_json()["active_variables"] == 3


def test_a_variance_that_underflows_has_a_finite_divergence(images):
    class Sure(LinearModel):
        def _posterior(self, images):
            posterior = super()._posterior(images)
            return Posterior(torch.zeros_like(posterior.mean), torch.zeros_like(posterior.variance))

    kl = diagnose(Sure(), images).kl
    smallest = torch.tensor(torch.finfo(torch.float32).tiny).double()
    torch.testing.assert_close(kl, (-(smallest.log() + 1) / 2).expand_as(kl))


def test_images_that_cannot_be_read_are_skipped_and_not_counted(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 4), dtype=np.uint8)
    for name, image in zip("abcd", pixels, strict=True):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    model = LinearModel()
    good = diagnose(model, open_images(tmp_path).subset([0, 3]))
    for name in "bc":
        (tmp_path / f"{name}.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"b\.png"):
        diagnose(model, open_images(tmp_path))
    result = diagnose(model, open_images(tmp_path), batch_size=1, on_error="skip")
    assert (result.n, result.skipped) == (2, ("b.png", "c.png"))
    assert result.mse == pytest.approx(good.mse)
    torch.testing.assert_close(result.mean_variance, good.mean_variance)
    with pytest.raises(ImageError, match=r"none of the 2 images of .* can be read"):
        diagnose(model, open_images(tmp_path).subset([1, 2]), on_error="skip")


def test_progress_ends_at_the_number_of_images(images):
    calls = []
    diagnose(LinearModel(), images, batch_size=128, progress=lambda *call: calls.append(call))
    assert calls == [(128, 300), (256, 300), (300, 300)]


def test_a_model_without_posterior_cannot_be_diagnosed(images):
    class Plain(LinearModel):
        def _posterior(self, images):
            raise ModelError(f"{self.name} has no posterior")

    with pytest.raises(ModelError, match="has no posterior"):
        diagnose(Plain(), images)


def test_one_image_does_not_vary(images, tmp_path):
    with pytest.raises(ImageError, match="how they vary, which needs at least 2 images, not 1"):
        diagnose(LinearModel(latent_dim=3), images.subset([0]))
    for i in range(2):
        Image.fromarray(images.read(i)[..., 0]).save(tmp_path / f"{i}.png")
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match="at least 2 images, not 1"):
        diagnose(LinearModel(latent_dim=3), open_images(tmp_path), on_error="skip")
