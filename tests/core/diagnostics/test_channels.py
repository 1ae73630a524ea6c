import json

import numpy as np
import pytest
import scipy.stats
import torch
from PIL import Image

from latentmap.codes.channels import by_position, channels_of
from latentmap.diagnostics import diagnose_channels
from latentmap.diagnostics.channel_figures import (
    channels_plot,
    channels_section,
    reconstructions_of,
)
from latentmap.diagnostics.channel_tables import ChannelDiagnoses
from latentmap.errors import ImageError, ModelError
from latentmap.images import open_images
from latentmap.model.testing import LinearModel
from latentmap.report import save_figure
from latentmap.report.parts import Curve, Table
from latentmap.report.pictures import ImageRows, Picture
from tests.core.grids import Blind, Grid, Noisy

MIXING = torch.tensor([[1.0, 0, 0, 0], [0.5, 2, 0, 0], [0, 0, -1, 0.3], [0, 0, 0, 0.1]])
BIAS = torch.tensor([3.0, -1, 0, 0.5])


def stored(folder, pixels, name="images.npy"):
    np.save(folder / name, pixels)
    return open_images(folder / name)


@pytest.fixture
def images(tmp_path):
    generator = np.random.default_rng(0)
    # Pixels of an image are alike: positions are not independent.
    base = generator.integers(0, 200, (150, 1, 1))
    return stored(tmp_path, (base + generator.integers(0, 56, (150, 8, 8))).astype(np.uint8))


def codes_of(model, images):
    """All codes at once, float64 ``(n, p, c)``."""
    pixels = np.stack([images.read(i) for i in range(len(images))])
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return by_position(model.encode(x).double(), model.latent_shape).numpy()


def values(found, name):
    return np.array([getattr(one, name).value for one in found.channels])


def test_shapes_have_channels_at_positions():
    codes = torch.arange(24.0).reshape(2, 12)
    assert channels_of((12,)) == (12, 1)
    assert torch.equal(by_position(codes, (12,))[:, 0], codes)
    assert torch.equal(by_position(codes, (3, 2, 2))[1, 3], codes.view(2, 3, 2, 2)[1, :, 1, 1])
    assert channels_of((4, 3)) == (3, 4)
    assert torch.equal(by_position(codes, (4, 3)), codes.view(2, 4, 3))


@pytest.mark.parametrize("shape", [(4, 4, 4), (16, 4)])
def test_figures_are_those_of_all_codes_at_once(images, shape):
    model = (Grid if len(shape) == 3 else Blind)(weight=MIXING, bias=BIAS, shape=shape)
    found = diagnose_channels(model, images, batch_size=64)
    codes = codes_of(model, images)
    rows = codes.reshape(-1, 4)
    assert (found.n, found.n_units, found.shape) == (150, 150, shape)
    np.testing.assert_allclose(values(found, "mean"), rows.mean(0), rtol=1e-6)
    np.testing.assert_allclose(values(found, "std"), rows.std(0), rtol=1e-6)
    assert found.mean.value == pytest.approx(rows.mean(), rel=1e-6)
    assert found.std.value == pytest.approx(rows.std(), rel=1e-6)
    assert found.scaling_factor.value == pytest.approx(1 / rows.std(), rel=1e-6)
    covariance = np.cov(rows.T, bias=True)
    spectrum = [one.value for one in found.covariance.spectrum]
    np.testing.assert_allclose(spectrum, np.linalg.eigvalsh(covariance)[::-1], rtol=1e-6)
    effective = np.trace(covariance) ** 2 / np.square(covariance).sum()
    assert found.covariance.effective.value == pytest.approx(effective, rel=1e-6)
    np.testing.assert_allclose(found.covariance.correlation, np.corrcoef(rows.T), atol=1e-7)
    assert found.covariance.strongest(0)[0] == np.abs(np.corrcoef(rows.T)[0])[1:].argmax() + 1
    assert found.kl is None


def test_what_is_scaled_has_mean_0_and_deviation_1(images):
    model = Grid(weight=MIXING, bias=BIAS)
    found = diagnose_channels(model, images)
    codes = codes_of(model, images)
    whole, by_channel = found.config(), found.config(by_channel=True)
    scaled = (codes - whole["shift_factor"]) * whole["scaling_factor"]
    assert (scaled.mean(), scaled.std()) == (pytest.approx(0, abs=1e-5), pytest.approx(1, rel=1e-5))
    mean, std = (np.array(by_channel[f"latents_{name}"]) for name in ("mean", "std"))
    scaled = (codes - mean) / std * by_channel["scaling_factor"]
    np.testing.assert_allclose(scaled.mean((0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std((0, 1)), 1, rtol=1e-5)
    # Some pipelines use all four: each of the two says nothing of what the other says.
    assert whole["latents_mean"] is whole["latents_std"] is by_channel["shift_factor"] is None


@pytest.mark.parametrize("std", [(2.0,), (2.0, 0.5, 1.0, 4.0)])
def test_a_configuration_is_of_what_the_network_gives(images, std):
    plain = Grid(weight=MIXING, bias=BIAS)
    scale = torch.tensor(std).expand(4)

    class Scaled(Blind):
        latent_scaling = ((0.5,), std)

    scaled = Scaled(weight=MIXING / scale[:, None], bias=(BIAS - 0.5) / scale)
    expected, found = (diagnose_channels(model, images) for model in (plain, scaled))
    for by_channel in (False, True):
        told = found.config(by_channel=by_channel)
        for name, one in expected.config(by_channel=by_channel).items():
            assert told[name] == (one if one is None else pytest.approx(one, rel=1e-5, abs=1e-6))
    assert found.scaling_factor.value != pytest.approx(expected.scaling_factor.value, rel=0.1)
    assert found.to_json()["latent_scaling"] == {"mean": [0.5], "std": list(std)}
    assert "its network gives" in str(found)
    assert "its network gives" not in str(expected)


def test_intervals_are_those_of_a_bootstrap_over_images(images):
    model = Grid(weight=MIXING, bias=BIAS)
    found = diagnose_channels(model, images)
    codes = codes_of(model, images)
    directions = np.linalg.eigh(np.cov(codes.reshape(-1, 4).T, bias=True))[1][:, ::-1]

    def figures(rows):
        chosen = codes[rows].reshape(-1, 4)
        along = chosen @ directions
        return np.array([chosen.mean(0)[1], chosen.std(0)[1], 1 / chosen.std(), along.var(0)[0]])

    expected = scipy.stats.bootstrap(
        (np.arange(150),), figures, vectorized=False, n_resamples=1000, rng=np.random.default_rng(9)
    ).confidence_interval
    channel = found.channels[1]
    estimates = (channel.mean, channel.std, found.scaling_factor, found.covariance.spectrum[0])
    for estimate, low, high in zip(estimates, expected.low, expected.high, strict=True):
        ends = [estimate.low, estimate.high]
        np.testing.assert_allclose(ends, [low, high], atol=0.12 * (high - low))


def test_positions_are_no_images(tmp_path):
    # Sixteen copies of a position say no more than one.
    blocks = np.random.default_rng(0).integers(0, 256, (80, 2, 2), dtype=np.uint8)
    once = diagnose_channels(Grid(2, 2), stored(tmp_path, blocks, "once.npy"))
    often = diagnose_channels(Grid(), stored(tmp_path, np.tile(blocks, (1, 4, 4)), "often.npy"))
    for one, other in zip(once.channels, often.channels, strict=True):
        np.testing.assert_allclose(one.mean, other.mean, rtol=1e-6)
        np.testing.assert_allclose(one.std, other.std, rtol=1e-6)
    np.testing.assert_allclose(once.covariance.low, often.covariance.low, atol=1e-6)
    assert once.scaling_factor == pytest.approx(often.scaling_factor, rel=1e-6)


def test_intervals_of_correlations_are_by_jackknife_over_images(images):
    model = Grid(weight=MIXING, bias=BIAS)
    found = diagnose_channels(model, images).covariance
    codes = codes_of(model, images)
    n = len(codes)

    def z(rows):
        return np.arctanh(np.corrcoef(codes[rows].reshape(-1, 4).T)[0, 1])

    left = np.array([z(np.delete(np.arange(n), i)) for i in range(n)])
    error = np.sqrt((n - 1) / n * np.square(left - left.mean()).sum())
    reach = scipy.stats.t.ppf(0.975, n - 1) * error
    expected = np.tanh(z(np.arange(n)) + np.array([-reach, reach]))
    np.testing.assert_allclose([found.low[0, 1], found.high[0, 1]], expected, rtol=1e-6)


def test_a_posterior_has_noise_and_a_divergence(images):
    model = Noisy()
    found = diagnose_channels(model, images)
    codes = codes_of(model, images)
    variance = 0.01 * np.arange(1.0, 5)
    np.testing.assert_allclose(values(found, "noise"), np.sqrt(variance), rtol=1e-6)
    prior = torch.distributions.Normal(0, 1)
    posterior = torch.distributions.Normal(
        torch.from_numpy(codes), torch.from_numpy(variance).sqrt()
    )
    kl = torch.distributions.kl_divergence(posterior, prior).numpy()
    np.testing.assert_allclose(values(found, "kl"), kl.mean((0, 1)), rtol=1e-5)
    assert found.kl.value == pytest.approx(kl.sum((1, 2)).mean(), rel=1e-5)


def test_sampled_figures_are_those_of_codes_from_the_posteriors(images):
    plain, sampled = (diagnose_channels(Noisy(), images, sampled=one) for one in (False, True))
    variance = values(plain, "std") ** 2 + 0.01 * np.arange(1.0, 5)
    np.testing.assert_allclose(values(sampled, "std") ** 2, variance, rtol=1e-6)
    codes = codes_of(Noisy(), images)
    noise = np.random.default_rng(5).standard_normal((40, *codes.shape))
    drawn = (codes + 0.1 * np.sqrt(np.arange(1.0, 5)) * noise).reshape(-1, 4)
    assert sampled.std.value == pytest.approx(drawn.std(), rel=2e-3)
    spectrum = [one.value for one in sampled.covariance.spectrum]
    np.testing.assert_allclose(
        spectrum, np.linalg.eigvalsh(np.cov(drawn.T, bias=True))[::-1], rtol=2e-2
    )
    np.testing.assert_allclose(sampled.covariance.correlation, np.corrcoef(drawn.T), atol=5e-3)
    assert plain.mse.value == pytest.approx(0, abs=1e-10)
    assert sampled.mse.value > 1e-3
    assert "of codes drawn from the posteriors" in str(sampled)
    with pytest.raises(ModelError, match=r"grid .* has no posterior"):
        diagnose_channels(Grid(), images, sampled=True)


def test_what_decodes_is_left_out_of_an_encoder_alone(images):
    found, whole = (diagnose_channels(one, images) for one in (Blind(), Grid()))
    assert found.mse is None
    assert found.channels == whole.channels
    assert "mse" not in found.to_json()
    assert "mse" not in str(found)
    assert whole.mse.value == 0
    assert reconstructions_of(Blind(), images, found) is None


def test_batches_do_not_matter(images):
    one, other = (diagnose_channels(Noisy(), images, batch_size=size) for size in (7, 150))
    np.testing.assert_allclose(values(one, "std"), values(other, "std"), rtol=1e-9)
    np.testing.assert_allclose(one.covariance.low, other.covariance.low, rtol=1e-6)


def test_copies_of_an_image_are_one(tmp_path, images):
    pixels = np.stack([images.read(i)[..., 0] for i in range(40)])
    once = diagnose_channels(Grid(), stored(tmp_path, pixels, "once.npy"))
    twice = diagnose_channels(Grid(), stored(tmp_path, np.repeat(pixels, 2, 0), "twice.npy"))
    assert (twice.n, twice.n_units) == (80, 40)
    np.testing.assert_allclose(once.std, twice.std, rtol=1e-9)
    assert "40" in str(twice.tables()[-1].rows[0].cells)


def test_many_images_are_measured_by_blocks(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (450, 8, 8), dtype=np.uint8)
    images = stored(tmp_path, pixels)
    found = diagnose_channels(Grid(), images)
    rows = codes_of(Grid(), images).reshape(-1, 4)
    np.testing.assert_allclose(values(found, "std"), rows.std(0), rtol=1e-6)
    # Of pixels that are all independent the standard error of a mean is known.
    wide = found.channels[0].mean.high - found.channels[0].mean.low
    assert wide == pytest.approx(2 * 1.96 * rows[:, 0].std() / np.sqrt(len(rows)), rel=0.2)


def test_a_channel_that_does_not_vary_has_no_correlation(images):
    found = diagnose_channels(
        Blind(weight=torch.diag(torch.tensor([1.0, 1, 1, 0])), bias=BIAS), images
    )
    assert values(found, "std")[3] == 0
    assert np.isnan(found.covariance.correlation[3]).all()
    assert found.covariance.strongest(3) is None
    assert json.dumps(found.to_json(), allow_nan=False)


def test_codes_that_are_all_equal_have_no_scale(images):
    found = diagnose_channels(Blind(weight=torch.zeros(4, 4), bias=torch.full((4,), 0.1)), images)
    assert found.std.value == pytest.approx(0, abs=1e-7)
    assert np.isnan(found.scaling_factor.value)
    assert found.config()["scaling_factor"] is None
    assert json.dumps(found.to_json(), allow_nan=False)
    assert channels_plot(ChannelDiagnoses([found])).picture().width


def test_of_very_many_channels_there_is_no_covariance(tmp_path, monkeypatch):
    monkeypatch.setattr("latentmap.diagnostics.channel_sums.MOST_CHANNELS", 3)
    images = stored(tmp_path, np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8))
    found = diagnose_channels(Grid(), images)
    assert found.covariance is None
    assert "spectrum" not in found.to_json()
    assert [table.title for table in found.tables()] == ["Channels", "All channels"]
    assert channels_plot(ChannelDiagnoses([found])).picture().width


def test_of_many_channels_a_terminal_shows_those_that_vary_most(images, monkeypatch):
    monkeypatch.setattr("latentmap.diagnostics.channel_tables._SHOWN", 2)
    table = diagnose_channels(Grid(weight=MIXING), images).tables()[0]
    assert [row.cells[0] for row in table.rows] == [0, 1]
    assert "2 channels that vary less are in --json" in table.note


def test_a_vector_is_one_position(tmp_path):
    images = stored(tmp_path, np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8))
    model = LinearModel(latent_dim=3)
    found = diagnose_channels(model, images)
    codes = codes_of(model, images)[:, 0]
    np.testing.assert_allclose(values(found, "std"), codes.std(0), rtol=1e-6)
    assert found.kl.value == pytest.approx(values(found, "kl").sum())
    assert "positions" not in str(found.tables()[-1].columns)


def test_pictures_and_a_section_show_all_of_it(tmp_path, images):
    models = [Noisy(), Blind(name="blind")]
    found = ChannelDiagnoses([diagnose_channels(model, images) for model in models])
    assert repr(found) == "<ChannelDiagnoses of grid, blind>"
    assert [row.cells[0] for row in found.tables()[0].rows] == ["grid", "blind"]
    save_figure(channels_plot(found), tmp_path / "channels.png")
    with Image.open(tmp_path / "channels.png") as drawn:
        assert drawn.size == channels_plot(found).picture().size
    examples = [
        reconstructions_of(*pair) for pair in zip(models, [images] * 2, found.results, strict=True)
    ]
    torch.testing.assert_close(examples[0].originals, examples[0].reconstructions)
    section = channels_section(found, examples, {}, plot=channels_plot(found))
    assert [type(one) for one in section.blocks] == [Table, Picture, ImageRows]
    alone = channels_section(ChannelDiagnoses(found.results[:1]), [None], {})
    assert [type(one) for one in alone.blocks] == [Table, Table, Table, Curve]


def test_what_cannot_be_measured_is_refused(tmp_path, images):
    class Silent(Grid):
        can_encode = False

    class Damaged(Blind):
        def _encode(self, images):
            return super()._encode(images) / 0

    with pytest.raises(ModelError, match="grid has no encoder"):
        diagnose_channels(Silent(), images)
    with pytest.raises(ModelError, match="gave codes that are not finite"):
        diagnose_channels(Damaged(), images)
    with pytest.raises(ImageError, match="at least 2 images that can be read, not 1: give more"):
        diagnose_channels(Grid(), images.subset([0]))
    folder = tmp_path / "faces"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match="at least 2 images that can be read, not 0"):
        diagnose_channels(Grid(), open_images(folder), on_error="skip")


def test_images_that_cannot_be_read_are_skipped(tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in "abcd":
        Image.fromarray(generator.integers(0, 256, (8, 8), dtype=np.uint8)).save(
            folder / f"{name}.png"
        )
    (folder / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = diagnose_channels(Grid(), open_images(folder), on_error="skip")
    assert (found.n, found.skipped) == (3, ("b.png",))
