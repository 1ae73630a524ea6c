"""Figures one after the other are frames of one file."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.report import image_grid
from latentmap.report.animations import animation


def read(data):
    """The frames of a file as RGB, and how long each is shown, by another pass over it."""
    image = Image.open(io.BytesIO(data))
    frames, durations = [], []
    for number in range(image.n_frames):
        image.seek(number)
        frames.append(np.asarray(image.convert("RGB")))
        durations.append(image.info["duration"])
    return frames, durations, image.info.get("loop")


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_frames_are_the_pictures_of_the_figures(kind):
    # Three colours and black: a GIF has all of them.
    values = torch.eye(3)[:, :, None, None].expand(3, 3, 8, 8)
    grids = [image_grid([("", one[None])]) for one in values]
    frames, durations, loop = read(animation(grids, kind=kind, per_second=4))
    assert durations == [250] * 3 and loop == 0
    for frame, grid in zip(frames, grids, strict=True):
        np.testing.assert_array_equal(frame, np.asarray(grid.picture()))
    there, _, _ = read(animation(grids, kind=kind, per_second=4, loop="back"))
    assert [frame[4, 4].argmax() for frame in there] == [0, 1, 2, 1]
    _, _, once = read(animation(grids, kind=kind, per_second=4, loop="once"))
    assert once == {"gif": None, "webp": 1}[kind]


def test_two_figures_there_and_back_are_two():
    grids = [image_grid([("", torch.full((1, 1, 8, 8), value))]) for value in (0.0, 1.0)]
    assert len(read(animation(grids, kind="webp", per_second=1, loop="back"))[0]) == 2
