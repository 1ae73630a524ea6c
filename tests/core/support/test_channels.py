"""Support sets and orderings of spatial codes: by channels, each at all its positions."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from latentmap.cache import Coder
from latentmap.codes.channel_means import channel_means, channel_space
from latentmap.diagnostics.traversals import STEPS, traverse
from latentmap.errors import SupportError
from latentmap.images import open_images
from latentmap.relocation import fit_training, score_models, training_pairs
from latentmap.report import save_figure
from latentmap.support import (
    ChoiceOptions,
    OrderOptions,
    StrategyOptions,
    SupportOptions,
    SupportSet,
    build_support_set,
    choose_support_set,
    compare_strategies,
    order_variables,
)
from latentmap.support.gains import gains_plot, traversals_figure
from latentmap.support.selection import STRATEGIES
from tests.core.grids import Blind, Grid

# Of the pixels of each block of 2x2, which the channels of a grid are.
SCALES = np.array([0.1, 0.4, 0.2, 0.3])
TURNED = torch.tensor([[0.5, 0.2, 0, 0], [0, 0.6, 0.1, 0], [0, 0, 0.5, 0.3], [0.1, 0, 0, 0.7]])


@pytest.fixture
def images(tmp_path):
    """120 grey images of 8x8, whose channels vary by ``SCALES`` as wholes and at each position."""
    generator = np.random.default_rng(0)
    wholes = generator.uniform(-1, 1, (120, 4, 1, 1))
    cells = 0.7 * wholes + 0.3 * generator.uniform(-1, 1, (120, 4, 4, 4))
    codes = torch.from_numpy(0.5 + SCALES[:, None, None] * cells).float()
    pixels = (255 * Grid()._decode(codes)).round().to(torch.uint8)
    np.save(tmp_path / "images.npy", pixels.permute(0, 2, 3, 1).numpy())
    return open_images(tmp_path / "images.npy")


def codes_of(model, images, folder):
    (codes,) = Coder.of(folder).codes([model], images)
    return codes


def test_means_of_channels_are_codes_of_their_own(images, tmp_path):
    codes = codes_of(Grid(), images, tmp_path / "cache")
    means = channel_means(codes)
    direct = codes.vectors.numpy().reshape(120, 4, 16).mean(axis=2)
    np.testing.assert_allclose(means.vectors.numpy(), direct, atol=1e-6)
    np.testing.assert_allclose(means.take(np.array([5, 3])).vectors, direct[[5, 3]], atol=1e-6)
    assert str(means.space).startswith("channel means of grid (4-d")
    assert channel_means(means) is means
    assert channel_space(means.space) == means.space
    tokens = Blind(shape=(16, 4))
    rows = codes_of(tokens, images, tmp_path / "cache").vectors.numpy()
    means = channel_means(codes_of(tokens, images, tmp_path / "cache"))
    np.testing.assert_allclose(means.vectors, rows.reshape(120, 16, 4).mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("exhaustive", [True, False])
def test_a_channel_gains_what_leaving_it_out_everywhere_costs(exhaustive, images, tmp_path):
    model = Grid()
    options = OrderOptions(4, exhaustive)
    found = order_variables(model, images, tmp_path / "cache", options)
    codes = codes_of(model, images, tmp_path / "cache").vectors.double().numpy()
    # A channel is a quarter of the pixels, which the decoder gives back exactly.
    costs = np.square(codes - codes.mean(axis=0)).reshape(120, 4, 16).mean(axis=(0, 2)) / 4
    assert found.what == "channel"
    assert found.order.tolist() == [1, 3, 2, 0]
    np.testing.assert_allclose(found.gain, costs, rtol=1e-4 if exhaustive else 0.1)
    assert found.exhaustive_decodes == 120 * 5
    assert found.mean.shape == (64,)
    np.testing.assert_allclose(found.center, codes.reshape(120, 4, 16).mean(axis=(0, 2)), rtol=1e-5)
    deviations = codes.reshape(120, 4, 16).mean(axis=2).std(axis=0)
    np.testing.assert_allclose(found.unit, deviations, rtol=1e-5)
    assert found.inactive is None
    assert "channel" in str(found)
    assert found.to_json()["what"] == "channel"


@pytest.mark.parametrize("shape", [(4, 4, 4), (16, 4)])
def test_without_a_decoder_variances_give_the_order(shape, images, tmp_path):
    model = Blind(shape=shape)
    found = order_variables(model, images, tmp_path / "cache", OrderOptions(3))
    codes = codes_of(model, images, tmp_path / "cache").vectors.double().numpy()
    away = np.square(codes - codes.mean(axis=0)).reshape(120, *shape)
    lost = away.mean(axis=1 if len(shape) == 2 else (2, 3))
    assert found.by == "variance"
    assert found.decodes == 0
    assert found.order.tolist() == [1, 3, 2, 0]
    np.testing.assert_allclose(found.gain, lost.mean(axis=0), rtol=1e-6)
    half = stats.t.ppf(0.975, 119) * lost.std(axis=0, ddof=1) / np.sqrt(120)
    np.testing.assert_allclose(found.high - found.gain, half, rtol=1e-4)
    assert found.ties == ()
    text = str(found)
    assert "the model has no decoder, so there is no gain of images" in text
    assert "decodes" not in text


def test_neighbours_in_variance_that_could_change_places_are_ties(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (30, 4, 4, 1), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    images = open_images(tmp_path / "images.npy")
    found = order_variables(Blind(4, 4), images, tmp_path / "cache", OrderOptions(2))
    first, second, third = found.order[:3].tolist()
    assert (first, second) in found.ties or (second, third) in found.ties


def test_a_traversal_moves_the_mean_of_a_channel_and_keeps_what_positions_differ_by():
    model = Grid()
    code = torch.rand(64, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    walked = traverse(model, code, 2, center=0.5, unit=0.1)
    blocks = torch.nn.functional.pixel_unshuffle(walked, 2)
    start = code.reshape(4, 4, 4)
    expected = 0.5 + 0.1 * torch.tensor(STEPS)
    torch.testing.assert_close(blocks[:, 2].mean((1, 2)), expected)
    away = (start[2] - start[2].mean()).expand(len(STEPS), 4, 4)
    torch.testing.assert_close(blocks[:, 2] - blocks[:, 2].mean((1, 2), keepdim=True), away)
    torch.testing.assert_close(blocks[:, [0, 1, 3]], start[[0, 1, 3]].expand(len(STEPS), 3, 4, 4))


def test_channels_are_drawn_by_their_numbers(images, tmp_path):
    model = Grid()
    found = order_variables(model, images, tmp_path / "cache", OrderOptions(2))
    save_figure(gains_plot(found, title="grid"), tmp_path / "gains.png")
    with Image.open(tmp_path / "gains.png") as picture:
        assert picture.width > 100
    picture = traversals_figure(model, found, torch.from_numpy(found.mean)).picture()
    assert picture.width > 7 * 8


def test_sectors_are_those_of_the_means_of_channels(images, tmp_path):
    model = Grid()
    options = SupportOptions(k=2, size=16)
    support = build_support_set(model, images, tmp_path / "cache", options)
    assert support.settings["variables"] == (1, 3) or support.settings["variables"] == [1, 3]
    means = support.codes.reshape(16, 4, 16).mean(axis=2)[:, [1, 3]]
    every = codes_of(model, images, tmp_path / "cache").vectors.numpy().reshape(120, 4, 16)
    middle, unit = (part(every.mean(axis=2)[:, [1, 3]], axis=0) for part in (np.mean, np.std))
    np.testing.assert_allclose(support.settings["center"], middle, rtol=1e-5)
    np.testing.assert_allclose(support.settings["unit"], unit, rtol=1e-5)
    signs = (means > middle).astype(int)
    right = support.wrong_signs == 0
    assert right.sum() >= 12
    assert (support.sector == signs[:, 0] + 2 * signs[:, 1])[right].all()
    assert "leading channels" in str(support)
    support.save(tmp_path / "support.h5")
    again = SupportSet.load(tmp_path / "support.h5")
    assert again.wrong_signs.tolist() == support.wrong_signs.tolist()
    assert again.space.shape == (4, 4, 4)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_chooses_by_the_means(strategy, images, tmp_path):
    codes = codes_of(Grid(), images, tmp_path / "cache")
    variables = [1, 3] if strategy == "sectors" else []
    options = ChoiceOptions(strategy, size=12)
    chosen = choose_support_set(codes, variables, options, seed=3)
    of_means = choose_support_set(channel_means(codes), variables, options, seed=3)
    assert chosen.ids.tolist() == of_means.ids.tolist()
    assert chosen.codes.shape == (12, 64)


def test_a_set_has_as_many_images_as_channels_unless_it_is_said(images, tmp_path):
    codes = codes_of(Grid(), images, tmp_path / "cache")
    assert len(choose_support_set(codes, [1])) == 4


def test_a_model_without_decoder_has_leading_channels(images, tmp_path):
    support = build_support_set(Blind(), images, tmp_path / "cache", SupportOptions(k=2, size=8))
    assert list(support.settings["variables"]) == [1, 3]
    assert len(support.settings["variance"]) == 2
    assert "gain" not in support.settings


def test_what_channels_have_not_is_refused(images, tmp_path):
    model = Grid()
    with pytest.raises(SupportError, match="grid has 4 latent channels, so 1 to 4 of them"):
        order_variables(model, images, tmp_path / "cache", OrderOptions(5))
    with pytest.raises(SupportError, match="channel means of grid"):
        order_variables(model, images, tmp_path / "cache", OrderOptions(2, center="zero"))
    with pytest.raises(SupportError, match="there are 4 latent variables, fewer than 5"):
        SupportOptions(k=5).check(model.space)


def test_maps_of_patches_are_compared(images, tmp_path):
    models = Grid(name="a"), Grid(name="b", weight=TURNED)
    split = images.split("train"), images.split("test")
    training = training_pairs(*models, images, tmp_path / "cache")
    options = StrategyOptions([8, 16], ["sectors", "kmeans"], draws=2, k=2, n_images=8)
    found = compare_strategies(training, split[1], tmp_path / "cache", options=options)
    assert found.record["variables"] == [1, 3]
    assert found.all_r2 == pytest.approx(1, abs=1e-3)
    assert all(point.r2.value > 0.99 for point in found.points)
    whole = fit_training(training)
    assert whole.patches is not None
    (scores,) = score_models([whole], *models, split[1], tmp_path / "cache", seen=[training.seen])
    assert found.all_r2 == pytest.approx(scores.to_json()["r2"], rel=1e-6)
