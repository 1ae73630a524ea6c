import pytest
import torch

from latentmap.codes import Codes, pair
from latentmap.encoders.reference_models import PixelsModel
from latentmap.errors import MapError, ModelError, SpaceError
from latentmap.frames import Frame
from latentmap.images import View
from latentmap.mapping import fit
from latentmap.model.testing import LinearModel
from latentmap.relocation.resizing import resized_map
from tests.core.relocation.grid_models import Grid


def a_map(source, target, *, patch=1):
    images = torch.rand(30, *source.image_shape, generator=torch.manual_seed(0))
    ids = [str(i) for i in range(30)]
    codes = [Codes.from_array(ids, one.encode(images), space=one.space) for one in (source, target)]
    return fit(pair(*codes), method="least-squares", patch=patch)


def test_a_map_of_patches_is_one_for_images_of_any_size():
    source, target = Grid(name="a"), Grid(block=4, seed=2, name="b")
    found, wide, also = resized_map(a_map(source, target), source, target, (24, 24))
    images = torch.rand(3, 1, 24, 24, generator=torch.manual_seed(1))
    assert (found.source, found.target) == (wide.space, also.space)
    assert wide.image_shape == (1, 24, 24)
    # A block of 4x4 pixels is linear in four blocks of 2x2.
    mapped = found.apply(wide.encode(images))
    assert torch.allclose(mapped, also.encode(images), atol=1e-4)


def test_what_cannot_be_resized_is_refused():
    source, target = Grid(name="a"), Grid(block=4, seed=2, name="b")
    found = a_map(source, target)
    with pytest.raises(SpaceError, match="this map goes from"):
        resized_map(found, target, source, (24, 24))
    with pytest.raises(MapError, match="a map of flat codes is of images of one size"):
        resized_map(a_map(source, target, patch="full"), source, target, (24, 24))
    large = a_map(Grid(name="a", size=12), Grid(block=4, seed=2, name="b", size=12), patch=3)
    models = (Grid(name="a", size=12), Grid(block=4, seed=2, name="b", size=12))
    with pytest.raises(MapError, match="larger than the grid of 2x2 cells"):
        resized_map(large, *models, (8, 8))


def test_cells_of_another_size_are_no_cells_of_the_map():
    source = Grid(name="a")
    target = PixelsModel(View(Frame(), (8, 8), 1), (2, 2), name="b")
    found = a_map(source, target)
    with pytest.raises(MapError, match=r"cells of this map are of \(2, 2\) .* be of \(4, 4\)"):
        resized_map(found, source, target, (16, 16))


def test_a_model_of_one_size_says_so():
    source = LinearModel(seed=1, name="a")
    with pytest.raises(ModelError, match="pixels alone"):
        source.resized(99, 99)
