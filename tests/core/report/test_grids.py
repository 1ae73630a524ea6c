import io

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.errors import ImageError
from latentmap.report import GridRow, ImageGrid, image_grid


def test_every_image_stands_in_its_cell_with_its_own_colour():
    images = torch.stack([torch.zeros(3, 32, 32), torch.ones(3, 32, 32)])
    images[0, 0] = 1.0
    grid = np.asarray(image_grid([("", images)]).picture())
    assert grid.shape == (96, 96 + 4 + 96, 3)
    assert (grid[:, :96] == [255, 0, 0]).all()
    assert (grid[:, 100:] == 255).all()


def test_labels_take_room_at_the_left_and_leave_ink():
    images = torch.ones(2, 1, 28, 28)
    grid = np.asarray(image_grid([("reconstruction by a model", images)]).picture())
    plain = np.asarray(image_grid([("", torch.ones(2, 1, 28, 28))]).picture())
    assert grid.shape[0] == plain.shape[0]
    assert grid.shape[1] > plain.shape[1] + 50
    assert grid[:, : grid.shape[1] - plain.shape[1]].min() < 100


def test_a_line_below_the_rows_has_a_text_for_each_column():
    rows = [("", torch.ones(2, 1, 96, 96))]
    grid = np.asarray(image_grid(rows, below=("nearer", ["12 %", "99 %"])).picture())
    assert grid.shape[0] == 96 + 48
    line = grid[96:]
    assert (line[:, :-200] < 128).any()  # The label,
    assert (line[:, -196:-100] < 128).any()  # and both texts.
    assert (line[:, -96:] < 128).any()


def test_whole_multiples_repeat_pixels():
    images = torch.rand(1, 1, 8, 8, generator=torch.manual_seed(0))
    grid = np.asarray(image_grid([("", images)], scale=5).picture())[:, :, 0]
    expected = (images[0, 0] * 255).round().numpy().astype(np.uint8)
    assert (grid == expected.repeat(5, 0).repeat(5, 1)).all()


def test_rows_of_other_sizes_channels_and_numbers_are_brought_to_one_cell():
    rows = [
        ("a", torch.rand(3, 3, 64, 64)),
        ("b", torch.rand(2, 1, 24, 24)),
        ("c", torch.rand(1, 3, 32, 32)),
    ]
    grid = image_grid(rows).picture()
    assert grid.size[1] == 3 * 128 + 2 * 4
    assert grid.mode == "RGB"


def test_values_outside_zero_and_one_are_clipped():
    images = torch.tensor([-1.0, 2.0]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    grid = np.asarray(image_grid([("", images)]).picture())
    assert grid[0, 0, 0] == 0
    assert grid[0, -1, 0] == 255


def test_a_figure_without_images_is_refused():
    with pytest.raises(ImageError, match="needs at least one image"):
        image_grid([("nothing", torch.zeros(0, 3, 8, 8))])
    with pytest.raises(ImageError, match="needs at least one image"):
        image_grid([])


def test_a_row_of_another_shape_is_refused():
    with pytest.raises(
        ImageError, match=r"row 'codes' of a figure must have shape .* not \(4, 8\)"
    ):
        image_grid([("codes", torch.zeros(4, 8))])


def test_a_picture_as_wide_as_asked_for_repeats_pixels_whole_times():
    images = torch.rand(3, 1, 8, 8, generator=torch.manual_seed(0))
    picture = image_grid([("", images)]).picture(width=8, dpi=200)
    dpi = picture.info["dpi"][0]
    assert dpi >= 200
    assert picture.width / dpi * 2.54 == pytest.approx(8, rel=0.01)
    pixels = np.asarray(picture)[:, :, 0]
    expected = (images[0, 0] * 255).round().numpy().astype(np.uint8)
    factor = pixels.shape[0] // 8
    assert (pixels[:, : 8 * factor] == expected.repeat(factor, 0).repeat(factor, 1)).all()


def test_images_that_are_larger_than_their_cells_are_made_smaller():
    picture = image_grid([("", torch.rand(4, 3, 256, 256))]).picture(width=5, dpi=100)
    assert picture.info["dpi"] == (100, 100)
    assert picture.width == pytest.approx(5 / 2.54 * 100, abs=1)


def test_labels_stand_above_their_rows_where_there_is_no_room_beside_them():
    rows = [("reconstruction by a model", torch.zeros(4, 1, 8, 8))]
    wide, narrow = (np.asarray(image_grid(rows).picture(width=w)) for w in (17, 6))
    assert (wide[:, -3:] == 0).all()
    assert not (wide[:, :100] == 0).all(2).all(0).any()
    assert (narrow[-3:] == 0).all(2).mean() > 0.9  # Images begin at the left edge,
    assert (narrow[:4] == 255).all()  # below the label.


def test_texts_stand_under_images_in_their_colours_and_a_key_above_them():
    row = GridRow("", torch.ones(2, 1, 8, 8), [("1", "#ff0000"), ("2", "#0000ff")])
    pixels = np.asarray(ImageGrid([row], [("first", "#ff0000")], readable=64).picture())
    red = (pixels[:, :, 0] > 200) & (pixels[:, :, 1] < 60)
    rows = np.flatnonzero(red.any(1))
    assert rows.min() < 20 and rows.max() > 80
    assert red[:, : pixels.shape[1] // 2].sum() == red.sum()


def test_a_notebook_shows_the_picture_and_no_numbers():
    grid = image_grid([("black", torch.zeros(2, 1, 4, 4))])
    assert repr(grid) == "<ImageGrid>"
    with Image.open(io.BytesIO(grid._repr_png_())) as shown:
        assert shown.size == grid.picture().size
