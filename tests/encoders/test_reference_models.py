"""Models without trained weights: thumbnails, principal components, the mean image."""

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.encoders import load, load_all
from latentmap.encoders.references import parse_reference
from latentmap.errors import ModelError
from latentmap.images import open_images
from latentmap.model import count_seen
from latentmap.model.testing import check_model


@pytest.mark.parametrize("reference", ["pixels:4?size=16x8", "pixels:3x5?size=16x8&channels=1"])
def test_thumbnails_keep_the_contract(reference):
    check_model(load(reference))


def test_a_thumbnail_is_the_mean_of_each_cell():
    model = load("pixels:4?size=8x12")
    images = torch.rand(3, 3, 8, 12)
    cells = images.unflatten(3, (3, 4)).unflatten(2, (2, 4)).mean((3, 5))
    assert model.latent_shape == (3, 2, 3)
    assert torch.allclose(model.encode(images), cells.flatten(1), atol=1e-6)
    back = model.decode(cells)
    assert torch.equal(back, cells.repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_means_are_exact_in_any_precision():
    model = load("pixels:4?size=8x12")
    pixels = torch.randint(0, 256, (3, 3, 8, 12), dtype=torch.uint8)
    exact = model.encode_pixels(pixels)
    assert torch.equal(model.encode_pixels(pixels, precision="bfloat16"), exact)


def test_cells_that_do_not_divide_the_image_are_whole_pixels():
    model = load("pixels:2x3?size=5x7&channels=1")
    image = torch.arange(35.0).reshape(1, 1, 5, 7) / 35
    array = image[0, 0].numpy()
    rows, columns = [(0, 3), (3, 5)], [(0, 3), (3, 5), (5, 7)]
    by_hand = [array[a:b, c:d].mean() for a, b in rows for c, d in columns]
    assert np.allclose(model.encode(image)[0], by_hand, atol=1e-6)
    codes = model.encode(image)
    assert torch.allclose(model.encode(model.decode(codes)), codes, atol=1e-6)


def test_a_factor_and_cells_that_are_the_same_are_one_space():
    assert load("pixels:4?size=8x8").space.same_as(load("pixels:2x2?size=8x8").space)
    assert not load("pixels:4?size=8x8").space.same_as(load("pixels:4?size=16x16").space)


def test_a_reference_model_sees_what_the_first_other_model_sees():
    pixels, svae, mean = load_all(["pixels:8", "svae", "mean"])
    assert pixels.view == svae.view == mean.view
    assert pixels.latent_shape == (3, 8, 8)
    (alone,) = load_all(["pixels:8"], size=(16, 24))
    assert alone.latent_shape == (3, 2, 3)


def test_a_size_that_no_memory_holds_is_refused_before_any_is_taken():
    with pytest.raises(ModelError, match="the size 60000x8 is too large: give 16384 pixels at mo"):
        load("pixels:8?size=60000x8")


def test_principal_components_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA

    images = open_images("digits", limit=200)
    unfitted = load("pca:5?size=8x8&channels=1")
    with pytest.raises(ModelError, match="pca:5 is fitted on training images"):
        unfitted.encode(torch.rand(2, 1, 8, 8))
    model = unfitted.completed(images)
    check_model(model)
    assert model.completed(images) is model
    (batch,) = images.batches([model.view], batch_size=200)
    rows = batch.floats(0).flatten(1).double().numpy()
    pca = PCA(5, svd_solver="full").fit(rows)
    codes, expected = model.encode(batch.floats(0)).numpy(), pca.transform(rows)
    half = model.encode_pixels(batch.images[0], precision="bfloat16").numpy()
    assert np.array_equal(half, model.encode_pixels(batch.images[0]).numpy())
    # Components have no sign; the randomised solver's differ by what it left out.
    signs = np.sign((codes * expected).sum(0))
    assert np.abs(codes * signs - expected).max() < 1e-3
    rebuilt = np.clip(pca.inverse_transform(expected), 0, 1)
    assert np.abs(model.decode(torch.from_numpy(codes)).flatten(1).numpy() - rebuilt).max() < 1e-3
    with pytest.raises(ModelError, match="as many training images as components"):
        unfitted.completed(images.subset(range(4)))


@pytest.mark.parametrize("reference", ["pca:5", "mean"])
def test_what_was_fitted_knows_the_images_that_it_was_fitted_on(reference):
    images = open_images("digits", limit=200)
    model = load(f"{reference}?size=8x8&channels=1").completed(images.split("train"))
    counted = count_seen([model], images.digests, images.groups)
    assert counted == {model.name: len(images.split("train"))}


def test_the_mean_image():
    images = open_images("digits", limit=50)
    model = load("mean?size=8x8&channels=1").completed(images)
    check_model(model)
    (batch,) = images.batches([model.view], batch_size=50)
    assert torch.allclose(model.decode(torch.zeros(1, 1))[0], batch.floats(0).mean(0), atol=1e-6)
    assert torch.equal(model.encode(batch.floats(0)), torch.zeros(50, 1))


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("pixels:8", "see.* what another model sees.*pixels:8.size=64x64"),
        ("pixels:8?size=20x16", "multiples of 8, not 20x16"),
        ("pixels:0?size=8x8", "give pixels:8 or pixels:4x5"),
        ("pixels:9x9?size=8x8", "more than images of 8x8 have pixels"),
        ("pca:many?size=8x8", "give pca:64"),
        ("pca:400?size=8x8", "more components than images have numbers"),
        ("mean?size=8x", "the size 8x is no size: give one number, or height x width"),
        ("mean?size=8x8&size=8x8", "each once"),
        ("mean?size=8x8&colour=red", "no option 'colour' here: known are channels"),
        ("mean?size=8x8&channels=2", "1 or 3 channels"),
        ("nothing:8", "no scheme .nothing.: known are .*mean:.*pca:, pixels:"),
        ("svae?size=8x8", "64x64 pixels alone, not 8x8"),
        ("svae?features=cls", "no option 'features' here: it takes none"),
    ],
)
def test_references_that_are_none(reference, said):
    with pytest.raises(ModelError, match=said):
        load(reference)


def test_a_size_in_a_reference_is_one_as_of_the_option():
    assert load("mean?size=8").image_shape == load("mean?size=8x8").image_shape == (3, 8, 8)


def test_a_size_for_all_has_no_effect_on_a_model_of_one_size():
    assert load("svae", size=(8, 8)).image_shape == (3, 64, 64)


def test_a_file_is_meant_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mean:x?size=2").touch()
    assert parse_reference("mean:x?size=2").scheme is None
    assert parse_reference("mean:x?size=2x2").scheme == "mean"
    assert parse_reference("C:model.safetensors").scheme is None


def test_images_that_cannot_be_read_are_no_images_to_fit_components_on(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(6):
        pixels = rng.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    images = open_images(tmp_path)
    for broken, there in ((1, 5), (6, 0)):
        for number in range(broken):
            (tmp_path / f"{number}.png").write_bytes(b"nothing")
        unfitted = load("pca:6?size=8x8&channels=1")
        with pytest.raises(ModelError, match=f"images as components, and there are {there}:"):
            unfitted.completed(images)
