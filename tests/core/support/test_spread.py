"""Distances between the images of all pairs, and how sure they are."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from latentmap.cache import encode
from latentmap.errors import ImageError, SupportError
from latentmap.images import open_images
from latentmap.model.testing import LinearModel
from latentmap.support import ChoiceOptions, SupportSet, choose_support_set
from latentmap.support.spread import Spread, mean_pair_distance, measure_spread, pair_distances
from latentmap.support.tables import distances_table


def random_pixels(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 3, 5, 1), dtype=np.uint8)


def test_the_distance_is_the_mean_squared_error_in_0_to_1():
    pixels = np.array([[[[0], [255]]], [[[255], [255]]], [[[0], [51]]]], dtype=np.uint8)
    expected = np.array([[0, 0.5, 0.32], [0.5, 0, 0.82], [0.32, 0.82, 0]])
    np.testing.assert_allclose(pair_distances(pixels), expected, atol=1e-6)


def test_the_mean_is_over_pairs_of_different_images():
    x = random_pixels(20).reshape(20, -1) / 255
    pairs = [((x[i] - x[j]) ** 2).mean() for i in range(20) for j in range(i)]
    estimate = mean_pair_distance(pair_distances(random_pixels(20)), seed=0)
    assert estimate.value == pytest.approx(np.mean(pairs), rel=1e-5)
    assert estimate.low < estimate.value < estimate.high


def test_the_interval_holds_the_truth_as_often_as_it_says():
    # Images of two pixels, uniform: the expected distance is twice the variance, 1/6.
    hits = 0
    for seed in range(200):
        pixels = np.random.default_rng(seed).integers(0, 256, (60, 1, 2, 1), dtype=np.uint8)
        _, low, high = mean_pair_distance(pair_distances(pixels), seed=seed)
        hits += low <= 2 * (256**2 - 1) / 12 / 255**2 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_pairs_of_one_unit_do_not_count():
    x = random_pixels(9).reshape(9, -1) / 255
    units = np.array([3, 0, 3, 1, 0, 0, 2, 1, 3])
    pairs = [
        ((x[i] - x[j]) ** 2).mean() for i in range(9) for j in range(i) if units[i] != units[j]
    ]
    distances = pair_distances(random_pixels(9))
    estimate = mean_pair_distance(distances, units, seed=0)
    assert estimate.value == pytest.approx(np.mean(pairs), rel=1e-5)
    assert np.isnan(mean_pair_distance(distances, np.zeros(9), seed=0)).all()
    # Each its own: as without units.
    assert mean_pair_distance(distances, np.arange(9)[::-1]) == mean_pair_distance(distances)


def test_the_interval_over_units_holds_the_truth_as_often_as_it_says():
    # 30 persons of four all but equal images: over images it held the truth 125 times.
    hits = 0
    for seed in range(200):
        pixels = np.random.default_rng(seed).integers(0, 256, (30, 1, 2, 1), dtype=np.uint8)
        distances = pair_distances(np.repeat(pixels, 4, axis=0))
        _, low, high = mean_pair_distance(distances, np.arange(30).repeat(4), seed=seed)
        hits += low <= 2 * (256**2 - 1) / 12 / 255**2 <= high
    assert 0.86 <= hits / 200 <= 0.99


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "few.npy"
    np.save(path, random_pixels(300)[:, :, :, 0])
    images = open_images(path)
    model = LinearModel(4, (1, 3, 5))
    codes = encode(model, images)
    support = choose_support_set(
        codes, (0, 1, 2), ChoiceOptions(threshold=1.2 * float(codes.vectors.std()), size=12), seed=0
    ).with_settings(image_shape=[1, 3, 5])
    return support, images


def test_a_support_set_is_compared_with_random_images(built):
    support, images = built
    spread = measure_spread(support, images, seed=0)
    pixels = random_pixels(300)
    mine = pixels[[int(name) for name in support.ids]]
    assert spread.support.value == pytest.approx(
        mean_pair_distance(pair_distances(mine), seed=0)[0]
    )
    assert spread.random.value == pytest.approx(
        mean_pair_distance(pair_distances(pixels), seed=0)[0]
    )
    assert spread.ratio.value == pytest.approx(spread.support.value / spread.random.value)
    assert spread.ratio.low < spread.ratio.value < spread.ratio.high
    own = mine[~support.filled & ~support.relaxed]
    assert 2 <= len(own) < len(mine)
    assert spread.occupied.value == pytest.approx(
        mean_pair_distance(pair_distances(own), seed=0)[0]
    )
    assert spread.n_random == 300


def test_images_of_a_group_are_one_unit(built):
    support, images = built
    grouped = images.subset(np.arange(300))
    grouped.groups = np.array([f"{number // 10}" for number in range(300)])
    spread = measure_spread(support, grouped, seed=0)
    units = np.array([int(name) // 10 for name in support.ids])
    distances = pair_distances(random_pixels(300)[[int(name) for name in support.ids]])
    assert spread.support == mean_pair_distance(distances, units, seed=0)
    n_units = len(set(units.tolist()))
    assert (spread.n_random, spread.n_support, spread.n_support_units) == (30, 12, n_units)
    assert n_units < 12
    assert f"the set has 12 images of {n_units} groups" in distances_table(spread).note
    assert Spread.from_json(spread.to_json()).to_json() == spread.to_json()
    grouped.groups = np.array(["one"] * 300)
    with pytest.raises(SupportError, match=r"and 1 in the data .* images of one group being one"):
        measure_spread(support, grouped, seed=0)


def test_images_that_are_in_the_set_are_not_read_again(built, monkeypatch):
    support, images = built
    read = measure_spread(support, images, seed=0)
    whole = support.with_images(images)
    monkeypatch.setattr(SupportSet, "pixels_in", None)
    assert measure_spread(whole, images, seed=0).to_json() == read.to_json()


def test_a_set_that_holds_its_images_is_still_refused_with_other_data(built):
    support, images = built
    whole = support.with_images(images)
    with pytest.raises(SupportError, match="it is a support set of other data"):
        measure_spread(whole, open_images("digits", limit=30), seed=0)


@pytest.fixture
def damaged(tmp_path):
    """A folder of 8 images that can be read, and one, the last, that cannot."""
    pixels = random_pixels(9)
    for number in range(8):
        Image.fromarray(pixels[number, :, :, 0]).save(tmp_path / f"{number}.png")
    sound = open_images(tmp_path)
    codes = encode(LinearModel(4, (1, 3, 5)), sound)
    support = choose_support_set(codes, (), ChoiceOptions(strategy="random", size=4), seed=0)
    (tmp_path / "8.png").write_bytes(b"no picture")
    return support, open_images(tmp_path), sound


def test_random_images_that_cannot_be_read_are_skipped_if_so_wished(damaged):
    support, images, sound = damaged
    with pytest.raises(ImageError, match=r"8\.png.*skip it"):
        measure_spread(support, images, seed=0)
    spread = measure_spread(support, images, seed=0, on_error="skip")
    assert (spread.n_random, spread.skipped) == (8, ("8.png",))
    assert spread.random == measure_spread(support, sound, seed=0).random
    assert Spread.from_json(spread.to_json()).skipped == spread.skipped


def test_a_member_that_cannot_be_read_is_not_skipped(damaged):
    support, images, _ = damaged
    digests = support.digests.copy()
    digests[0] = images.digests[8]
    broken = replace(support, digests=digests)
    with pytest.raises(SupportError, match=r"1 of the 4 images .* cannot be read .*\(8\.png is"):
        measure_spread(broken, images, seed=0, on_error="skip")


def test_json_gives_the_figures_back(built):
    record = measure_spread(*built, seed=0).to_json()
    assert record["support_mse_low"] < record["support_mse"] < record["support_mse_high"]
    assert Spread.from_json(record).to_json() == record


def test_one_image_has_no_distance(built):
    support, images = built
    with pytest.raises(
        SupportError, match="a distance needs two images, but there are 1 in the su"
    ):
        measure_spread(support.take(np.array([0])), images, seed=0)


def test_one_image_that_can_be_read_has_no_distance(damaged):
    support, images, _ = damaged
    twice = support.take(np.array([0, 0]))
    pair = images.subset([int(support.ids[0].removesuffix(".png")), 8])
    with pytest.raises(SupportError, match="2 in the support set and 1 in the data that can be"):
        measure_spread(twice, pair, seed=0, on_error="skip")
