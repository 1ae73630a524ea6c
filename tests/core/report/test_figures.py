import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.errors import ImageError, OutputError
from latentmap.report import image_grid, save_figure, save_plot


def test_every_image_stands_in_its_cell_with_its_own_colour():
    images = torch.stack([torch.zeros(3, 32, 32), torch.ones(3, 32, 32)])
    images[0, 0] = 1.0
    grid = np.asarray(image_grid([("", images)]))
    assert grid.shape == (96, 96 + 4 + 96, 3)
    assert (grid[:, :96] == [255, 0, 0]).all()
    assert (grid[:, 100:] == 255).all()


def test_labels_take_room_at_the_left_and_leave_ink():
    grid = np.asarray(image_grid([("reconstruction by a model", torch.ones(2, 1, 28, 28))]))
    plain = np.asarray(image_grid([("", torch.ones(2, 1, 28, 28))]))
    assert grid.shape[0] == plain.shape[0]
    assert grid.shape[1] > plain.shape[1] + 50
    assert grid[:, : grid.shape[1] - plain.shape[1]].min() < 100


def test_a_line_below_the_rows_has_a_text_for_each_column():
    rows = [("", torch.ones(2, 1, 96, 96))]
    grid = np.asarray(image_grid(rows, below=("nearer", ["12 %", "99 %"])))
    assert grid.shape[0] == 96 + 48
    line = grid[96:]
    assert (line[:, :-200] < 128).any()  # The label,
    assert (line[:, -196:-100] < 128).any()  # and both texts.
    assert (line[:, -96:] < 128).any()


def test_whole_multiples_repeat_pixels():
    images = torch.rand(1, 1, 8, 8, generator=torch.manual_seed(0))
    grid = np.asarray(image_grid([("", images)], scale=5))[:, :, 0]
    expected = (images[0, 0] * 255).round().numpy().astype(np.uint8)
    assert (grid == expected.repeat(5, 0).repeat(5, 1)).all()


def test_rows_of_other_sizes_channels_and_numbers_are_brought_to_one_cell():
    rows = [
        ("a", torch.rand(3, 3, 64, 64)),
        ("b", torch.rand(2, 1, 24, 24)),
        ("c", torch.rand(1, 3, 32, 32)),
    ]
    grid = image_grid(rows)
    assert grid.size[1] == 3 * 128 + 2 * 4
    assert grid.mode == "RGB"


def test_values_outside_zero_and_one_are_clipped():
    images = torch.tensor([-1.0, 2.0]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    grid = np.asarray(image_grid([("", images)]))
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


def test_a_figure_is_written_by_its_suffix(tmp_path):
    figure = image_grid([("", torch.zeros(1, 1, 8, 8))])
    save_figure(figure, tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as read:
        assert (read.format, read.size) == ("PNG", figure.size)
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]


def test_a_figure_of_no_known_format_is_refused(tmp_path):
    figure = image_grid([("", torch.zeros(1, 1, 8, 8))])
    with pytest.raises(OutputError, match="must end as a picture does"):
        save_figure(figure, tmp_path / "grid.txt")
    with pytest.raises(OutputError, match="must end as a picture does"):
        save_figure(figure, tmp_path / "grid.psd")  # Can be read, but not written.


@pytest.mark.parametrize(
    "name", ["a$\\frac$", "50$ to 60$", "bad\udcff", "\u202eabc", "日本", "a\nb"]
)
def test_figures_show_any_name(tmp_path, name):
    from matplotlib.figure import Figure

    figure = Figure()
    axis = figure.subplots()
    axis.plot([1, 2], [1, 2], label=name)
    axis.set_title(name)
    axis.legend()
    save_plot(figure, tmp_path / "plot.png")
    save_figure(image_grid([(name, torch.ones(1, 1, 8, 8))]), tmp_path / "grid.png")
    assert (tmp_path / "plot.png").exists() and (tmp_path / "grid.png").exists()
