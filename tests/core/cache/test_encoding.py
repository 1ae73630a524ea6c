import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.cache import encode
from latentmap.cache.encoding import encode_batches
from latentmap.errors import ImageError, ModelError
from latentmap.frames import Frame
from latentmap.images import open_images
from latentmap.model.testing import LinearModel


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    for number in range(23):
        pixels = generator.integers(0, 256, (8, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


def test_codes_are_those_of_each_image_alone(folder):
    images = open_images(folder)
    model = LinearModel(image_shape=(3, 4, 4), frame=Frame("center"))
    codes = encode(model, images, batch_size=5)
    assert codes.ids.tolist() == [f"{number}.png" for number in range(23)]
    assert codes.vectors.dtype == torch.float32
    assert codes.data == images.fingerprint
    for row in (0, 7, 22):
        single = encode(model, images.subset(np.array([row])))
        torch.testing.assert_close(single.vectors[0], codes.vectors[row])


def test_several_models_see_an_image_that_is_decoded_once(folder, monkeypatch):
    images = open_images(folder)
    models = [
        LinearModel(image_shape=(3, 4, 4)),
        LinearModel(image_shape=(1, 8, 8), frame=Frame("center")),
        LinearModel(image_shape=(3, 4, 4), seed=5),
    ]
    separate = [encode(model, images).vectors for model in models]
    together = [
        np.concatenate(parts)
        for parts in zip(
            *(b.codes for b in encode_batches(models, images, batch_size=8)), strict=True
        )
    ]
    for one, other in zip(separate, together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_encoding_goes_on_from_any_position(folder):
    images = open_images(folder)
    model = LinearModel(image_shape=(3, 4, 4))
    batches = list(encode_batches([model], images, start=10, batch_size=6))
    assert [(b.start, b.stop) for b in batches] == [(10, 16), (16, 22), (22, 23)]
    rest = np.concatenate([b.codes[0] for b in batches])
    np.testing.assert_allclose(rest, encode(model, images).vectors[10:], rtol=1e-5, atol=1e-6)


def test_a_broken_image_stops_with_its_name_or_is_listed(folder):
    broken = folder / "7.png"
    broken.write_bytes(broken.read_bytes()[:60])
    images = open_images(folder)
    model = LinearModel(image_shape=(3, 4, 4))
    with pytest.raises(ImageError, match=r"7\.png"):
        encode(model, images)
    codes = encode(model, images, on_error="skip", batch_size=4)
    assert codes.skipped == ("7.png",)
    assert len(codes) == 22 and "7.png" not in codes.ids


def test_a_batch_of_which_nothing_can_be_read_is_passed_over(folder):
    for number in range(4):
        (folder / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    codes = encode(
        LinearModel(image_shape=(3, 4, 4)), open_images(folder), on_error="skip", batch_size=4
    )
    assert len(codes) == 19 and len(codes.skipped) == 4


def test_codes_that_are_not_finite_are_named_by_image(folder):
    class Bad(LinearModel):
        def _encode(self, images):
            codes = super()._encode(images)
            codes[2, 1] = torch.nan
            return codes

    with pytest.raises(ModelError, match=r"gave a code that is not finite for image 2\.png"):
        encode(Bad(image_shape=(3, 4, 4)), open_images(folder))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_gives_nearly_the_same_float32_codes(folder, precision):
    images = open_images(folder)
    model = LinearModel(image_shape=(3, 4, 4))
    low, full = encode(model, images, precision=precision), encode(model, images)
    assert low.vectors.dtype == torch.float32
    assert not torch.equal(low.vectors, full.vectors)
    torch.testing.assert_close(low.vectors, full.vectors, atol=0.1, rtol=0.1)


def test_progress_ends_at_the_number_of_images(folder):
    calls = []
    encode(
        LinearModel(image_shape=(3, 4, 4)),
        open_images(folder),
        batch_size=10,
        progress=lambda *call: calls.append(call),
    )
    assert calls == [(10, 23), (20, 23), (23, 23)]
