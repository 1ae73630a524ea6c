import json
import re
from contextlib import contextmanager

import numpy as np
import pytest
import scipy.stats
import torch
from PIL import Image

from latentmap.diagnostics import diagnose, kl_divergence
from latentmap.errors import ImageError, ModelError
from latentmap.images import open_images
from latentmap.model import Model, Posterior
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


def reconstructed(model, images):
    x = pixels_of(images).float() / 255
    codes = model.encode(x)
    return x.double(), codes.double(), model.decode(codes).double()


def test_figures_are_those_of_all_images_at_once(images):
    model = LinearModel(latent_dim=3)
    result = diagnose(model, images, batch_size=64)
    x, codes, decoded = reconstructed(model, images)
    assert (result.n, result.n_units) == (300, 300)
    assert result.mse.value == pytest.approx(float((x - decoded).square().mean()), rel=1e-5)
    data = float(x.var(0, correction=0).mean())
    loss = data - float(decoded.var(0, correction=0).mean())
    assert result.data_variance == pytest.approx(data, rel=1e-6)
    assert result.variance_loss.value == pytest.approx(loss, rel=1e-4)
    assert result.loss_ratio.value == pytest.approx(loss / result.mse.value, rel=1e-4)
    for name, expected in (
        ("mean", codes.mean(0)),
        ("mean_variance", codes.var(0, correction=0)),
        ("posterior_variance", np.full(3, 0.25)),
        ("law_sum", codes.var(0, correction=0) + 0.25),
        ("skewness", scipy.stats.skew(codes.numpy())),
        ("excess_kurtosis", scipy.stats.kurtosis(codes.numpy())),
    ):
        np.testing.assert_allclose(
            result.values(name), np.asarray(expected), rtol=1e-4, atol=1e-5, err_msg=name
        )
    np.testing.assert_allclose(result.law_deviation, np.abs(result.values("law_sum") - 1))
    assert result.kl.value == pytest.approx(result.values("kl").sum())


def test_sampled_figures_are_those_of_codes_from_the_posteriors(images):
    model = LinearModel(latent_dim=3)
    result = diagnose(model, images, sampled=True, seed=3, batch_size=64)
    x, mean, _ = reconstructed(model, images)
    noise = np.random.default_rng((3, 1)).standard_normal((300, 3))
    decoded = model.decode((mean + 0.5 * torch.from_numpy(noise)).float()).double()
    assert result.mse.value == pytest.approx(float((x - decoded).square().mean()), rel=1e-5)
    loss = float(x.var(0, correction=0).mean() - decoded.var(0, correction=0).mean())
    assert result.variance_loss.value == pytest.approx(loss, rel=1e-4)
    plain = diagnose(model, images, seed=3)
    assert result.mse.value > plain.mse.value
    np.testing.assert_allclose(result.values("mean_variance"), plain.values("mean_variance"))
    assert (result.to_json()["sampled"], plain.to_json()["sampled"]) == (True, False)
    assert "of codes drawn from the posteriors" in str(result)


def test_the_loss_less_the_mse_is_twice_a_covariance_less_a_square(images):
    class Timid(LinearModel):
        """Shows too little of what it knows, and not about the mean."""

        def _decode(self, codes):
            return 0.1 + 0.6 * super()._decode(codes)

    model = Timid(latent_dim=4)
    result = diagnose(model, images)
    x, _, decoded = reconstructed(model, images)
    residual = x - decoded
    covariance = ((residual - residual.mean(0)) * (decoded - decoded.mean(0))).mean(0).mean()
    square = float(residual.mean(0).square().mean())
    assert result.squared_residual == pytest.approx(square, rel=1e-5)
    expected = 2 * float(covariance) - square
    assert result.loss_excess.value == pytest.approx(expected, rel=1e-4)
    assert result.loss_excess.value == pytest.approx(
        result.variance_loss.value - result.mse.value, rel=1e-6
    )


def test_a_projection_loses_exactly_the_variance_that_it_does_not_show(images):
    # For a linear projection the error is orthogonal to the reconstruction, so the law is exact
    # up to the mean image, which the projection moves as well.
    model = LinearModel(latent_dim=16, image_shape=(1, 4, 4))
    result = diagnose(model, images)
    assert result.variance_loss.value == pytest.approx(result.mse.value, abs=1e-4)


def test_intervals_are_those_of_a_bootstrap_over_images(images):
    model = LinearModel(latent_dim=3)
    subset = images.subset(np.arange(150))  # Each is a block.
    result = diagnose(model, subset)
    x, codes, decoded = (part.flatten(1).numpy() for part in reconstructed(model, subset))

    def losses(rows):
        mse = np.square(x[rows] - decoded[rows]).mean()
        loss = x[rows].var(0).mean() - decoded[rows].var(0).mean()
        return np.array([codes[rows, 1].var(), mse, loss, loss / mse])

    expected = scipy.stats.bootstrap(
        (np.arange(150),), losses, vectorized=False, n_resamples=1000, rng=np.random.default_rng(9)
    ).confidence_interval
    found = (
        result.variables[1].mean_variance,
        result.mse,
        result.variance_loss,
        result.loss_ratio,
    )
    for estimate, low, high in zip(found, expected.low, expected.high, strict=True):
        ends = [estimate.low, estimate.high]
        np.testing.assert_allclose(ends, [low, high], atol=0.1 * (high - low))


def test_gains_are_what_images_lose_without_a_variable(images):
    model = LinearModel(latent_dim=3)
    result = diagnose(model, images)
    assert result.worth.gain_images == result.worth.n == 300
    x, codes, decoded = reconstructed(model, images)
    base = (x - decoded).square().flatten(1).mean(1)
    for number, variable in enumerate(result.variables):
        moved = codes.float().clone()
        moved[:, number] = moved[:, number].mean()
        lost = (x - model.decode(moved)).square().flatten(1).mean(1) - base
        assert variable.gain.value == pytest.approx(float(lost.mean()), rel=1e-3, abs=1e-8)
        assert variable.gain.low <= variable.gain.value <= variable.gain.high
    few = diagnose(model, images, gain_images=40)
    assert (few.worth.gain_images, few.worth.n) == (40, 40)
    dead = diagnose(Dead(), images, gain_images=40).worth
    assert (dead.gain_images, dead.n) == (40, 300)
    again, other = (diagnose(model, images, gain_images=40, seed=seed) for seed in (0, 1))
    assert again.values("gain").tolist() == few.values("gain").tolist()
    assert other.values("gain").tolist() != few.values("gain").tolist()


class Dead(LinearModel):
    """Its first variable says nothing, its second next to nothing."""

    def _posterior(self, images):
        posterior = super()._posterior(images)
        mean, variance = posterior.mean.clone(), posterior.variance.clone()
        mean[:, 0], variance[:, 0] = 0.5, 1.0
        mean[:, 1] *= 0.14
        variance[:, 1] = 0.9
        return Posterior(mean, variance)


def test_what_the_inactive_variables_are_worth(images):
    result = diagnose(Dead(), images)
    assert result.active == 2
    model = LinearModel()
    x = pixels_of(images).float() / 255
    mean = Dead().posterior(x).mean
    moved = mean.clone()
    moved[:, :2] = moved[:, :2].mean(0)
    before, after = ((x - model.decode(codes)).square().mean() for codes in (mean, moved))
    worth = result.worth
    assert worth.mse.value == pytest.approx(float(before), rel=1e-5)
    assert worth.mse.value == pytest.approx(result.mse.value, rel=1e-5)
    assert worth.mse_without.value == pytest.approx(float(after), rel=1e-5)
    assert worth.change.value == pytest.approx(float(after / before) - 1, rel=1e-2)
    assert worth.change.low < worth.change.value < worth.change.high
    assert "with 2 at their mean" in str(result)
    alive = diagnose(LinearModel(), images)
    assert alive.active == 4
    assert alive.worth.change == (0, 0, 0)
    assert "without inactive" not in str(alive)


def test_dead_variables_are_not_active(images):
    result = diagnose(Dead(), images)
    first = result.variables[0]
    assert not first.active
    assert first.mean == 0.5
    assert np.isnan([first.skewness, first.excess_kurtosis]).all()
    assert float(result.law_deviation[0]) == pytest.approx(0, abs=1e-12)
    record = result.to_json()
    assert record["active_variables"] == 2
    assert record["variables"][0]["skewness"] is None
    json.dumps(record, allow_nan=False)


def test_definitions_stand_side_by_side_and_say_what_images_cannot_decide(images):
    result = diagnose(Dead(), images)
    record = result.to_json()["definitions"]
    found = {one["definition"]: (one["active"], one["undecided"]) for one in record}
    # Of the second variable Var is 0.01 and mean s2 is 0.9; 0.25 of the others.
    assert found["Var > 0.05"] == (2, 0)
    assert found["Var > 0.01"][1] == 1
    assert found["mean s2 < 0.95"] == (3, 0)
    assert found["mean s2 < 0.8"] == (2, 0)
    assert re.search(r"^mean s2 < 0\.95 +3 +0 ", str(result), re.MULTILINE)


def test_copies_are_one_unit(images, tmp_path):
    once = np.stack([images.read(i)[..., 0] for i in range(60)])
    np.save(tmp_path / "twice.npy", np.concatenate([once, once]))
    single = diagnose(LinearModel(), images.subset(np.arange(60)))
    double = diagnose(LinearModel(), open_images(tmp_path / "twice.npy"))
    assert (double.n, double.n_units) == (120, 60)
    assert double.variance_loss == pytest.approx(single.variance_loss, rel=1e-4)
    np.save(tmp_path / "same.npy", once[[0, 0, 0]])
    same = diagnose(LinearModel(), open_images(tmp_path / "same.npy"))
    assert np.isnan([same.mse.low, same.mse.high]).all()
    assert {one["undecided"] for one in same.to_json()["definitions"]} == {None}


def test_a_variance_that_underflows_has_a_finite_divergence(images):
    class Sure(LinearModel):
        def _posterior(self, images):
            posterior = super()._posterior(images)
            return Posterior(torch.zeros_like(posterior.mean), torch.zeros_like(posterior.variance))

    kl = diagnose(Sure(), images).values("kl")
    smallest = float(torch.finfo(torch.float32).tiny)
    np.testing.assert_allclose(kl, -(np.log(smallest) + 1) / 2)


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
    assert result.mse.value == pytest.approx(good.mse.value)
    np.testing.assert_allclose(result.values("mean_variance"), good.values("mean_variance"))
    with pytest.raises(ImageError, match=r"none of the 2 images of .* can be read"):
        diagnose(model, open_images(tmp_path).subset([1, 2]), on_error="skip")


def test_each_stage_ends_at_its_number(images):
    calls = {}

    @contextmanager
    def stage(label, unit="images"):
        yield lambda *call: calls.setdefault((label, unit), []).append(call)

    diagnose(LinearModel(), images, batch_size=128, stage=stage)
    assert calls["measuring linear", "images"] == [(128, 300), (256, 300), (300, 300)]
    decodes = calls["measuring gains of linear", "decodes"]
    assert decodes[-1] == (1500, 1500)  # Of each image its own, and one for each variable.
    assert decodes == sorted(decodes)


def test_a_model_without_posterior_cannot_be_diagnosed(images):
    class Plain(LinearModel):
        _posterior = Model._posterior

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
