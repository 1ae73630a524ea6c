"""Spaces with a shape, and models that only encode or only decode."""

import json

import pytest
import torch
from torch import Tensor, nn

from latentmap.cache import Coder
from latentmap.codes import Space
from latentmap.codes.export import export_codes
from latentmap.codes.reading import read_codes
from latentmap.errors import ModelError, SpaceError
from latentmap.images import open_images
from latentmap.model import Model
from latentmap.model.testing import check_model


class Blocks(Model):
    """Grey images as grids: each block of 2x2 pixels is a position with four channels."""

    family = "blocks-test"
    any_size = True

    def __init__(self, height=8, width=8, *, name="blocks"):
        shape = (4, height // 2, width // 2)
        super().__init__(
            nn.Module(),
            name=name,
            config={"image_shape": [1, height, width]},
            latent_dim=height * width,
            image_shape=(1, height, width),
            latent_shape=shape,
        )

    def resized(self, height, width):
        return Blocks(height, width, name=self.name)

    def _encode(self, images: Tensor) -> Tensor:
        return nn.functional.pixel_unshuffle(images, 2)

    def _decode(self, codes: Tensor) -> Tensor:
        assert codes.shape[1:] == self.latent_shape
        return nn.functional.pixel_shuffle(codes, 2).clamp(0, 1)

    def _sample(self, n, generator):
        return torch.rand(n, self.latent_dim, generator=generator)


class Shrunk(Blocks):
    """The same without a way back."""

    can_decode = False
    _decode = Model._decode


def test_a_grid_keeps_the_contract_and_is_flat_outside():
    model = Blocks()
    check_model(model)
    images = torch.rand(3, 1, 8, 8)
    codes = model.encode(images)
    assert codes.shape == (3, 64)
    assert torch.equal(codes.unflatten(1, (4, 4, 4)), nn.functional.pixel_unshuffle(images, 2))
    assert torch.equal(model.decode(codes), images)
    assert torch.equal(model.decode(codes.unflatten(1, (4, 4, 4))), images)
    pixels = (255 * images).round().to(torch.uint8)
    assert model.encode_pixels(pixels).shape == (3, 64)
    with pytest.raises(ModelError, match="takes codes of shape"):
        model.decode(codes.unflatten(1, (2, 8, 4)))


def test_a_size_is_part_of_the_space():
    small, large = Blocks(8, 8), Blocks().resized(8, 16)
    assert large.image_shape == (1, 8, 16)
    assert large.latent_shape == (4, 4, 8)
    assert not small.space.same_as(large.space)
    assert small.space.same_as(Blocks().space)


def test_a_model_of_one_size_has_no_other():
    from latentmap.model.testing import LinearModel

    model = LinearModel(image_shape=(1, 8, 8))
    assert model.resized(8, 8) is model
    with pytest.raises(ModelError, match="8x8 pixels alone, not 16x16"):
        model.resized(16, 16)


def test_an_encoder_alone_encodes_and_does_not_decode():
    model = Shrunk()
    check_model(model)
    codes = model.encode(torch.rand(2, 1, 8, 8))
    for call in (model.decode, model.decode_with_gradient, model.launch):
        with pytest.raises(ModelError, match="blocks is an encoder alone, and has no decoder"):
            call(codes)
    with pytest.raises(ModelError, match="no decoder"):
        model.sample(2)
    assert model._repr_html_() is None


def test_a_shape_is_kept_in_caches_and_files(tmp_path):
    model = Blocks()
    images = open_images("digits", limit=5)
    (codes,) = Coder.of(tmp_path / "cache").codes([model], images)
    assert codes.space.shape == (4, 4, 4)
    (again,) = Coder.of(tmp_path / "cache").codes([model], images)
    assert again.space == model.space
    assert torch.equal(again.vectors, codes.vectors)
    for name in ("codes.npz", "codes.h5"):
        export_codes(codes, tmp_path / name, provenance={}, force=False)
        assert read_codes(tmp_path / name, space=model.space).space.shape == (4, 4, 4)


def test_a_space_reads_what_it_writes():
    grid = Space("z", 64, "blocks", "0" * 64, (4, 4, 4))
    assert Space.from_json(json.loads(json.dumps(grid.to_json()))) == grid
    assert grid.is_grid
    vector = Space("z", 64, "blocks", "0" * 64)
    assert vector.shape == (64,)
    assert vector.to_json() == {"kind": "z", "dim": 64, "model": "blocks", "fingerprint": "0" * 64}
    assert Space.from_json(vector.to_json()) == vector
    assert not vector.same_as(grid)
    assert str(grid) == "z of blocks (4x4x4, 000000000000)"


def test_a_shape_has_as_many_places_as_variables():
    with pytest.raises(SpaceError, match=r"shape \(4, 4\) has 16 variables, not 15"):
        Space("z", 15, "blocks", "0" * 64, (4, 4))


@pytest.mark.parametrize(
    "shape", [[4, 4], [64.0], [], "64", [-8, -8], [1, 0], [True, 64], [1] * 8 + [64], None]
)
def test_a_shape_in_a_file_that_is_none(shape):
    record = {"kind": "z", "dim": 64, "model": "m", "fingerprint": "0" * 64, "shape": shape}
    with pytest.raises(ValueError, match="the shape of a space of 64 variables"):
        Space.from_json(record)


class Stiff(Blocks):
    """The same by a library that has no gradients."""

    has_gradients = False


def test_a_model_without_gradients_keeps_the_contract_and_refuses_them():
    check_model(Stiff())
    with pytest.raises(ModelError, match="blocks has no gradients"):
        Stiff().decode_with_gradient(torch.zeros(1, 64))


def test_the_check_finds_gradients_that_were_not_promised():
    class Loose(Stiff):
        def decode_with_gradient(self, codes):
            return self.decode(codes)

    with pytest.raises(ModelError, match="gradients are given"):
        check_model(Loose())
