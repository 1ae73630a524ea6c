"""Attributes as arrays that are aligned with codes."""

import numpy as np
import pytest

from latentmap import encode, open_images, read_attributes
from latentmap.encoders import build
from latentmap.errors import ImageError


@pytest.fixture
def attributes(tmp_path):
    path = tmp_path / "known.csv"
    path.write_text("file,n,word\n" + "".join(f"{i},{i / 2},w{i}\n" for i in range(8, -1, -2)))
    return read_attributes(path)


def test_values_are_those_of_the_rows_of_codes(attributes):
    config = {"architecture": "dense", "image_shape": [1, 8, 8], "widths": [4], "latent_dim": 2}
    codes = encode(build("vae", config), open_images("digits", limit=4))
    assert attributes.names == ("n", "word")
    np.testing.assert_array_equal(attributes.values("n", codes.ids), [0, np.nan, 1, np.nan])
    assert attributes.values("word", codes.ids).tolist() == ["w0", "", "w2", ""]
    turned = codes.take(np.array([2, 0]))
    assert attributes.values("n", turned.ids).tolist() == [1, 0]


def test_images_are_found_by_base_names_and_the_table_must_have_some(attributes):
    assert attributes.values("n", ["a/4", "b/8"]).tolist() == [2, 4]
    with pytest.raises(ImageError, match=r"has no column 'm': it has n, word"):
        attributes.values("m", ["0"])
    with pytest.raises(ImageError, match=r"none of the 2 images \(x is the first\) is in"):
        attributes.values("n", ["x", "y"])
