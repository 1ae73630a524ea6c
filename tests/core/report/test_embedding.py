import base64
import io

import numpy as np
import torch
from PIL import Image

from latentmap.report import image_grid
from latentmap.report.embedding import embed_figure, image_strip, image_strips


def opened(embedded):
    head, _, data = embedded.uri.partition(";base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert head == f"data:image/{picture.format.lower()}"
    assert picture.size == (embedded.width, embedded.height)
    return picture


def test_grey_images_are_kept_exactly():
    images = torch.arange(3 * 4 * 5).reshape(3, 1, 4, 5) / 255
    strip = image_strip(images, "three")
    picture = opened(strip)
    assert (picture.format, strip.alternative) == ("PNG", "three")
    pixels = np.asarray(picture)
    for number in range(3):
        assert (
            pixels[:, 5 * number : 5 * number + 5].tolist()
            == (np.arange(20).reshape(4, 5) + 20 * number).tolist()
        )


def test_colour_images_are_near_and_small():
    ramp = torch.linspace(0, 1, 32).expand(32, 32)
    images = torch.stack([torch.stack([ramp, ramp.T, 1 - ramp])] * 10)
    picture = opened(image_strip(images, "ten"))
    assert (picture.format, picture.size) == ("JPEG", (320, 32))
    wanted = (images[0].permute(1, 2, 0) * 255).numpy()
    assert np.abs(np.asarray(picture)[:, :32] - wanted).mean() < 3


def test_values_outside_of_the_range_are_clipped():
    picture = opened(image_strip(torch.tensor([-1.0, 2.0]).reshape(2, 1, 1, 1), "two"))
    assert np.asarray(picture).tolist() == [[0, 255]]


def test_figures_are_embedded_as_what_is_smaller():
    plain = opened(embed_figure(image_grid([("", torch.ones(1, 1, 9, 9))]), "white"))
    assert (plain.format, plain.getpixel((3, 3))) == ("PNG", (255, 255, 255))
    noise = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    assert opened(embed_figure(image_grid([("", noise)]), "noise")).format == "JPEG"


def test_many_images_are_several_strips():
    strips = image_strips(torch.zeros(35, 3, 8, 8), "many")
    assert [(one.count, one.width) for one in strips] == [(16, 128), (16, 128), (3, 24)]
    assert image_strip(torch.zeros(4, 1, 8, 8), "four").count == 4
