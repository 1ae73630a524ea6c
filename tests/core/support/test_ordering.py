import itertools
import json

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.cache import encode
from latentmap.codes import Codes, Space
from latentmap.errors import SpaceError, SupportError
from latentmap.images import open_images
from latentmap.model.testing import LinearModel
from latentmap.report import save_figure
from latentmap.support import OrderOptions
from latentmap.support.gains import gains_plot, traversals_figure
from latentmap.support.meter import Meter
from latentmap.support.ordering import order_by_gain
from latentmap.support.race import CONFIDENCE, look_sizes

SCALES = np.array([0.1, 0.9, 0.02, 0.5, 0.3, 0.7, 0.2, 0.4])


def make_images(path, model, *, n=400, mean=0.0, scales=SCALES, seed=0):
    """Images of codes that are uniform about ``mean``, with a width for each variable."""
    z = np.random.default_rng(seed).uniform(-1, 1, (n, len(scales))) * scales + mean
    pixels = (model.decode(torch.from_numpy(z).float()) * 255).round().to(torch.uint8)
    np.save(path, pixels.permute(0, 2, 3, 1).numpy())
    return open_images(path)


@pytest.fixture
def model():
    return LinearModel(latent_dim=8, image_shape=(1, 8, 8))


@pytest.fixture
def images(tmp_path, model):
    return make_images(tmp_path / "images.npy", model)


def known_gains(model, codes, center=0.0):
    """Of a decoder with orthogonal pictures: mean (z_i - c_i)^2 |picture_i|^2 / pixels."""
    pictures = model._step * model._pictures
    z = codes.vectors.double() - center
    return (z.square().mean(0) * pictures.double().square().mean(0)).numpy()


def in_w(model):
    model.space = Space("w", model.latent_dim, model.name, model.fingerprint)
    return model


def test_the_gains_of_orthogonal_pictures_are_known(model, images):
    codes = encode(model, images)
    options = OrderOptions(exhaustive=True, center="zero")
    result = order_by_gain(model, images, codes, options, seed=0)
    expected = known_gains(model, codes)
    np.testing.assert_allclose(result.gain, expected, rtol=1e-3, atol=1e-9)
    assert result.order.tolist() == np.argsort(-expected).tolist() == [1, 5, 3, 7, 4, 6, 0, 2]
    assert (result.low < expected).all() and (expected < result.high).all()
    assert result.confidence == 1
    assert result.decodes == result.exhaustive_decodes == 400 * 9
    assert result.images.tolist() == [400] * 8


def test_the_race_gives_the_order_of_all_decodes_for_fewer(model, images):
    codes = encode(model, images)
    result = order_by_gain(model, images, codes, OrderOptions(leading=5), seed=0)
    # Here a gain follows from the code, so the first look tells them all apart.
    assert result.order.tolist() == [1, 5, 3, 7, 4, 6, 0, 2]
    np.testing.assert_allclose(result.gain, known_gains(model, codes), rtol=0.02, atol=1e-8)
    assert result.images[[1, 5, 3, 7, 4]].max() <= 64
    # Those of a group of weak variables come on top.
    assert result.decodes <= 64 * 9 + 48
    assert result.saved > 5
    assert result.confidence == CONFIDENCE
    assert result.ties == ()


def test_a_gain_is_the_one_of_its_definition_image_by_image(tmp_path):
    # Images that are not the model's own, and a decoder that clips.
    model = LinearModel(latent_dim=3, image_shape=(1, 4, 4), seed=4)
    pixels = np.random.default_rng(1).integers(0, 256, (20, 4, 4), dtype=np.uint8)
    np.save(tmp_path / "noise.npy", pixels)
    images = open_images(tmp_path / "noise.npy")
    codes = encode(model, images)
    result = order_by_gain(model, images, codes, OrderOptions(leading=3, exhaustive=True), seed=0)
    for variable in range(3):
        gains = []
        for row in range(20):
            x = torch.from_numpy(pixels[row]).double() / 255
            z = codes.vectors[row : row + 1].clone()
            before = (x - model.decode(z)[0, 0]).square().mean()
            z[0, variable] = float(result.center[variable])
            gains.append(float((x - model.decode(z)[0, 0]).square().mean() - before))
        assert result.gain[variable] == pytest.approx(np.mean(gains), rel=1e-5)
        width = 2.093 * np.std(gains, ddof=1) / np.sqrt(20)  # Student, 19 degrees of freedom.
        assert result.high[variable] - result.gain[variable] == pytest.approx(width, rel=1e-3)


@pytest.mark.parametrize("kind", ["z", "w"])
def test_a_variable_is_set_to_its_mean(tmp_path, kind):
    model = LinearModel(latent_dim=8, image_shape=(1, 8, 8))
    if kind == "w":
        in_w(model)
    images = make_images(tmp_path / "w.npy", model, mean=0.3, scales=SCALES * 0.7)
    codes = encode(model, images)
    result = order_by_gain(model, images, codes, OrderOptions(exhaustive=True), seed=0)
    mean = codes.vectors.double().mean(0)
    np.testing.assert_allclose(result.center, mean.numpy(), rtol=1e-6)
    np.testing.assert_allclose(result.gain, known_gains(model, codes, mean), rtol=1e-3, atol=1e-9)
    deviation = codes.vectors.double().std(0, correction=0).numpy()
    np.testing.assert_allclose(result.unit, deviation if kind == "w" else np.ones(8))
    assert result.record["centered_on"] == "mean"
    if kind == "z":
        # All images moved to 0, which is far from every code, cost more than the codes say.
        zero = order_by_gain(model, images, codes, OrderOptions(exhaustive=True, center="zero"))
        assert (zero.gain > result.gain).all() and (zero.center == 0).all()
        np.testing.assert_allclose(zero.gain, known_gains(model, codes), rtol=1e-3, atol=1e-9)
    else:
        with pytest.raises(SupportError, match="zero is the center of a prior in z, and w of lin"):
            order_by_gain(model, images, codes, OrderOptions(center="zero"))


def test_what_variables_do_together_is_measured_as_they_are_left_out(model, images):
    codes = encode(model, images)
    center = codes.vectors.numpy().mean(0)
    meter = Meter(model, images, np.arange(400), codes=codes, center=center)
    rows = np.array([7, 2, 300])
    groups = np.array([[0, 1, 0, -1, 1, 1, -1, 0], [-1] * 8, [1, 1, 1, 0, 0, 1, 0, 1]])
    gains = meter.joint(rows, groups, 2)
    for row, own, found in zip(rows, groups, gains, strict=True):
        x = torch.from_numpy(images.read(row)[..., 0]).double() / 255
        z = codes.vectors[[row]]
        for group in range(2):
            moved = torch.where(torch.from_numpy(own == group), torch.from_numpy(center), z)
            errors = [(x - model.decode(one)[0, 0]).square().mean() for one in (moved, z)]
            assert found[group] == pytest.approx(float(errors[0] - errors[1]), abs=1e-8)
    np.testing.assert_allclose(gains[1], 0, atol=1e-9)
    # Each image as it is was decoded once, for all groups.
    assert meter.decodes == 3 * 2 + 3
    meter(rows, np.arange(8), np.ones((3, 8), bool))
    assert meter.decodes == 3 * 2 + 3 + 3 * 8


def test_variables_that_do_nothing_leave_at_the_first_look(tmp_path, model):
    scales = np.where(np.arange(8) < 3, 0.8, 0.0)
    images = make_images(tmp_path / "few.npy", model, scales=scales)
    codes = encode(model, images)
    result = order_by_gain(model, images, codes, OrderOptions(leading=5), seed=0)
    assert result.dropped == result.inactive == (3, 4, 5, 6, 7)
    assert set(result.order[:3].tolist()) == {0, 1, 2}
    assert result.images[3:].tolist() == [look_sizes(400)[0]] * 5


def test_a_variable_that_hardly_varies_but_matters_stays(tmp_path):
    # With small steps everything varies little; by its images alone nothing is left out.
    model = LinearModel(latent_dim=8, image_shape=(1, 8, 8))
    images = make_images(tmp_path / "small.npy", model, scales=SCALES * 0.2)
    codes = encode(model, images)
    assert float(codes.vectors.var(0).max()) < 0.05
    result = order_by_gain(model, images, codes, OrderOptions(leading=4), seed=0)
    assert result.order[:4].tolist() == [1, 5, 3, 7]
    assert result.inactive == tuple(range(8))
    assert not set(result.dropped) & {1, 5, 3, 7}


def test_a_seed_repeats_and_the_order_of_images_does_not_matter(model, images):
    codes = encode(model, images)
    first = order_by_gain(model, images, codes, OrderOptions(leading=3), seed=5)
    again = order_by_gain(model, images, codes, OrderOptions(leading=3), seed=5)
    other = order_by_gain(model, images, codes, OrderOptions(leading=3), seed=6)
    assert np.array_equal(first.gain, again.gain)
    assert not np.array_equal(first.gain, other.gain)
    shuffled = images.subset(np.random.default_rng(0).permutation(400))
    mixed = order_by_gain(model, shuffled, codes, OrderOptions(leading=3), seed=5)
    np.testing.assert_allclose(mixed.gain, first.gain, rtol=1e-6)
    assert np.array_equal(mixed.images, first.images)


@pytest.mark.parametrize("batch_size", [1, 7, 4000])
def test_the_batch_size_does_not_matter(tmp_path, model, batch_size):
    images = make_images(tmp_path / "ten.npy", model, n=10)
    codes = encode(model, images)
    expected = order_by_gain(model, images, codes, seed=0)
    result = order_by_gain(model, images, codes, seed=0, batch_size=batch_size)
    np.testing.assert_allclose(result.gain, expected.gain, rtol=1e-5, atol=1e-9)
    assert result.decodes == 90


def test_images_without_codes_are_left_out(model, images):
    codes = encode(model, images)
    kept = np.arange(len(images)) % 4 != 0
    result = order_by_gain(model, images, codes.take(kept), OrderOptions(exhaustive=True), seed=0)
    alone = order_by_gain(
        model,
        images.subset(np.flatnonzero(kept)),
        codes.take(kept),
        OrderOptions(exhaustive=True),
        seed=0,
    )
    assert result.n_images == 300
    assert result.skipped == tuple(images.ids[~kept])
    np.testing.assert_allclose(result.gain, alone.gain)


def test_progress_counts_decodes_and_never_passes_its_total(model, images):
    calls = []
    result = order_by_gain(
        model, images, encode(model, images), seed=0, progress=lambda *call: calls.append(call)
    )
    assert calls[-1][0] == result.decodes
    # Beside all decodes those of groups of variables on each of the 48 images of a screening.
    assert all(done <= total <= 3600 + 48 * 8 for done, total in calls)
    assert all(a[0] <= b[0] for a, b in itertools.pairwise(calls))


def test_json_names_the_variables_in_order(model, images):
    result = order_by_gain(model, images, encode(model, images), OrderOptions(leading=4), seed=9)
    printed = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert printed["leading"] == [1, 5, 3, 7]
    assert [one["variable"] for one in printed["variables"]] == result.order.tolist()
    first = printed["variables"][0]
    assert first["gain_low"] < first["gain"] < first["gain_high"]
    assert printed["record"]["seed"] == 9
    assert printed["record"]["model_fingerprint"] == model.fingerprint


def test_codes_of_another_model_are_refused(model, images):
    codes = encode(LinearModel(latent_dim=8, image_shape=(1, 8, 8), seed=3), images)
    with pytest.raises(SpaceError, match="codes for linear must be in"):
        order_by_gain(model, images, codes, seed=0)


@pytest.mark.parametrize("leading", [0, 9])
def test_more_leading_variables_than_there_are_are_refused(model, images, leading):
    with pytest.raises(SupportError, match=f"1 to 8 of them can lead, not {leading}"):
        order_by_gain(model, images, encode(model, images), OrderOptions(leading=leading), seed=0)


def test_an_encoder_that_returns_constants_is_refused(model, images):
    vectors = np.full((400, 8), 0.37, np.float32)
    codes = Codes.from_array(images.ids, vectors, space=model.space)
    with pytest.raises(SupportError, match="gives all 400 images the same code"):
        order_by_gain(model, images, codes, seed=0)


def test_no_images_with_codes_are_refused(model, images):
    stranger = Codes.from_array(["elsewhere"], np.zeros((1, 8), np.float32), space=model.space)
    with pytest.raises(SupportError, match="at least 2 images with codes, not 0"):
        order_by_gain(model, images, stranger, seed=0)


def test_the_bar_figure_is_written(tmp_path, model, images):
    result = order_by_gain(model, images, encode(model, images), OrderOptions(leading=3), seed=0)
    save_figure(gains_plot(result, title="gains"), tmp_path / "gains.png")
    with Image.open(tmp_path / "gains.png") as read:
        pixels = np.asarray(read.convert("RGB")).reshape(-1, 3)
    colours = {tuple(colour) for colour in np.unique(pixels, axis=0)}
    assert {(0x00, 0x72, 0xB2), (0x99, 0xC6, 0xE0)} <= colours  # Leading variables, and others.


def test_traversals_move_one_variable_and_leave_the_others(model, images):
    result = order_by_gain(model, images, encode(model, images), OrderOptions(leading=2), seed=0)
    code = torch.full((8,), 0.1)
    grid = np.asarray(traversals_figure(model, result, code).picture())
    cell = 96
    assert grid.shape[0] == 2 * cell + 4
    left = grid.shape[1] - 7 * cell - 6 * 4
    for row, variable in enumerate(result.order[:2]):
        for column, step in ((0, -2.25), (3, 0.0), (6, 2.25)):
            moved = code.clone()
            moved[variable] = step + float(result.center[variable])
            expected = (model.decode(moved[None])[0, 0] * 255).round().numpy()
            x, y = left + column * (cell + 4), row * (cell + 4)
            assert np.array_equal(grid[y : y + cell : 12, x : x + cell : 12, 0], expected)
