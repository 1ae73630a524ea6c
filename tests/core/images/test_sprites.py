"""Sprites: what their factors say is what is drawn."""

import numpy as np
import pytest

from latentmap.errors import ImageError
from latentmap.images import open_images
from latentmap.images.sprites import draw_sprites, random_factors, write_sprites


def center(image):
    return np.argwhere(image > 0).mean(0) + 0.5


def test_a_square_has_the_side_and_the_place_that_its_factors_say():
    (image,) = draw_sprites(np.array([[0, 1.0, 0.0, 0.5, 0.5]]))
    rows, columns = np.nonzero(image)
    assert set(np.unique(image)) == {0, 255}
    # Half a side is the largest extent over the root of 2, 8.5 pixels.
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (16, 16)
    assert (center(image) == 32).all()


def test_position_moves_a_sprite_and_nothing_else():
    images = draw_sprites(np.array([[1, 0.8, 0.3, x, y] for x, y in ((0, 0), (1, 0), (0, 1))]))
    origin, right, down = map(center, images)
    assert right - origin == pytest.approx([0, 32], abs=0.5)
    assert down - origin == pytest.approx([32, 0], abs=0.5)


@pytest.mark.parametrize(("shape", "turn"), [(0, np.pi / 2), (1, np.pi), (2, 2 * np.pi)])
def test_a_shape_turned_by_its_symmetry_is_the_same(shape, turn):
    a, b = draw_sprites(np.array([[shape, 0.9, 0.2, 0.5, 0.5], [shape, 0.9, 0.2 + turn, 0.5, 0.5]]))
    assert (a != b).mean() < 0.002  # Pixels on the border, by rounding.


def test_a_heart_has_no_smaller_symmetry():
    a, b = draw_sprites(np.array([[2, 0.9, 0.0, 0.5, 0.5], [2, 0.9, np.pi, 0.5, 0.5]]))
    assert (a != b).mean() > 0.01


def test_no_sprite_is_cut_off_at_the_border():
    ends = [[s, 1.0, o, x, y] for s in range(3) for o in (0.0, 0.8) for x in (0, 1) for y in (0, 1)]
    images = draw_sprites(np.array(ends, float))
    for border in (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]):
        assert not border.any()


def test_the_factors_are_different_and_of_the_seed():
    factors = random_factors(3000, seed=5)
    assert len(np.unique(factors, axis=0)) == 3000
    assert (factors == random_factors(3000, seed=5)).all()
    assert (factors != random_factors(3000, seed=6)).any()
    with pytest.raises(ImageError, match="1 to 737,280"):
        random_factors(0)


def test_a_file_of_sprites_is_read_as_images(tmp_path):
    write_sprites(tmp_path / "sprites.npz", 40, seed=1)
    images = open_images(tmp_path / "sprites.npz")
    with np.load(tmp_path / "sprites.npz") as arrays:
        assert (images.read(7)[..., 0] == arrays["images"][7]).all()
        assert arrays["factors"].shape == (40, 5)
        assert arrays["names"].tolist() == ["shape", "scale", "orientation", "x", "y"]
        assert set(arrays["labels"]) <= {"square", "ellipse", "heart"}
    assert len(images) == 40
