"""Arrays are taken where tensors are, with the same result, and refused by what they are."""

import numpy as np
import pytest
import torch

from latentmap import Codes, fit, pair
from latentmap.arrays import as_tensor
from latentmap.errors import LatentmapError, MapError, ModelError, SpaceError
from latentmap.mapping import typicality
from latentmap.mapping.nonlinear import fit_nonlinear
from latentmap.mapping.uncertainty import carry, predict
from latentmap.model.testing import LinearModel


@pytest.fixture(scope="module")
def scene():
    source, target = LinearModel(seed=1, name="a"), LinearModel(seed=2, name="b")
    images = source.decode(source.sample(60, seed=3))
    ids = [f"{i:02}" for i in range(60)]
    codes, others = (
        Codes.from_array(ids, model.encode(images).numpy(), space=model.space)
        for model in (source, target)
    )
    return source, target, images, pair(codes, others)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_models_take_arrays_of_images_and_codes(scene, dtype):
    source, _, images, pairs = scene
    array = images.numpy().astype(dtype)
    assert torch.equal(source.encode(array), source.encode(images))
    assert torch.equal(source.encode(torch.from_numpy(array)), source.encode(images))
    vectors = pairs.source.to_numpy().astype(dtype)
    assert torch.equal(source.decode(vectors), source.decode(pairs.source))
    assert torch.equal(source.decode(vectors[:2].tolist()), source.decode(pairs.source.vectors[:2]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_maps_take_arrays_of_codes_and_directions(scene, dtype):
    *_, pairs = scene
    linear_map, vectors = fit(pairs), pairs.source.vectors
    array = vectors.numpy().astype(dtype)
    assert torch.equal(linear_map.apply(array), linear_map.apply(vectors))
    assert torch.equal(predict(linear_map, array).mean, predict(linear_map, vectors).mean)
    assert torch.equal(predict(linear_map, pairs.source).mean, predict(linear_map, vectors).mean)
    carried = carry(linear_map, array[:1]).directions
    assert torch.equal(carried, carry(linear_map, vectors[:1]).directions)
    moved = linear_map.apply_direction(array[0])
    assert torch.equal(moved, linear_map.apply_direction(vectors[0]))
    found, expected = typicality(linear_map, array), typicality(linear_map, pairs.source)
    np.testing.assert_allclose(found.distances, expected.distances)
    nonlinear = fit_nonlinear(pairs)
    assert torch.equal(nonlinear.apply(array), nonlinear.apply(vectors))


def test_what_is_no_array_of_floats_or_has_another_shape_is_refused(scene):
    source, _, images, pairs = scene
    linear_map = fit(pairs)
    with pytest.raises(ModelError, match=r"takes images as floats in .* divide by 255"):
        source.encode((images.numpy() * 255).astype(np.uint8))
    with pytest.raises(ModelError, match=r"takes images of shape \(n, 1, 4, 4\), not \(4, 4\)"):
        source.encode(images.numpy()[0, 0])
    with pytest.raises(ModelError, match="decodes finite floating-point codes; these are"):
        source.decode([[1, 2, 3, 4]])
    with pytest.raises(MapError, match=r"takes codes of shape \(n, 4\), not \(60, 2\)"):
        linear_map.apply(pairs.source.to_numpy()[:, :2])
    with pytest.raises(SpaceError, match="codes for this map must be in"):
        predict(linear_map, pairs.target)
    with pytest.raises(ModelError, match=r"codes for a are an array .* not list of object"):
        source.decode([[1.0, 2.0], [3.0]])
    with pytest.raises(MapError, match=r"codes for this map are .* not ndarray of <U1"):
        linear_map.apply(np.array([["a"]]))


def test_an_array_that_may_not_be_written_to_is_copied():
    array = np.zeros((2, 2), np.float32)
    array.flags.writeable = False
    as_tensor(array, "codes", error=LatentmapError).add_(1)
    assert (array == 0).all()
    assert torch.isinf(as_tensor(np.array([1e300]), "codes", error=LatentmapError)).all()
    assert as_tensor(np.array([7], np.uint16), "codes", error=LatentmapError).tolist() == [7]


def test_codes_and_pairs_are_arrays_and_frames(scene):
    *_, pairs = scene
    codes = pairs.source
    array = np.asarray(codes)
    assert array.dtype == np.float32
    assert np.array_equal(array, codes.vectors.numpy())
    assert np.asarray(codes, dtype=np.float64).dtype == np.float64
    copied = np.array(codes, copy=True)
    copied += 1
    assert np.array_equal(np.asarray(codes), array)
    assert np.array_equal(pairs.to_numpy()[1], pairs.target.vectors.numpy())
    frame = codes.to_frame()
    assert frame.index.tolist() == codes.ids.tolist()
    assert np.array_equal(frame.to_numpy(), array)
    both = pairs.to_frame()
    assert both.shape == (60, 8)
    assert np.array_equal(both["target"].to_numpy(), pairs.target.to_numpy())
    assert both.loc["03", ("source", 1)] == array[3, 1]
