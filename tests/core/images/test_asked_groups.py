import numpy as np
import pytest
from PIL import Image

from latentmap.errors import ImageError
from latentmap.images import open_images
from latentmap.images.asked_groups import AskedGroups
from latentmap.images.pixel_attributes import pixel_attributes


@pytest.fixture
def pictures(tmp_path):
    """Eight pictures, brighter and brighter, on backgrounds that are darker and darker."""
    pixels = np.zeros((8, 32, 32, 3), np.uint8)
    for number in range(8):
        pixels[number] = 255 - 30 * number
        pixels[number, 4:-4, 4:-4] = 30 * number
    np.savez(tmp_path / "some.npz", images=pixels, labels=np.array(list("aabbbbbb")))
    return open_images(tmp_path / "some.npz")


@pytest.fixture
def strangers(tmp_path):
    folder = tmp_path / "strangers"
    folder.mkdir()
    for number in range(5):
        Image.new("L", (9, 9), 10 * number).save(folder / f"stranger{number}.png")
    return open_images(folder)


@pytest.fixture
def table(tmp_path, pictures):
    path = tmp_path / "some.csv"
    rows = [f"{name},{1 if i % 2 else -1},{i}" for i, name in enumerate(pictures.ids[:6])]
    path.write_text("\n".join(["file,Hat,Age", *rows]))
    return path


def test_groups_by_a_table_leave_out_who_is_not_in_it(pictures, table):
    ((hat, both),) = AskedGroups.of([("Hat",), ("Hat", "labels")], table).cut(pictures)
    assert hat.by == "Hat" and hat.names == ("Hat", "not Hat")
    assert hat.number.tolist() == [1, 0, 1, 0, 1, 0, -1, -1]
    assert both.names == (
        "Hat, labels a",
        "Hat, labels b",
        "not Hat, labels a",
        "not Hat, labels b",
    )
    assert both.number.tolist() == [2, 0, 3, 1, 3, 1, -1, -1]


def test_what_the_pixels_say_is_measured(pictures):
    brightness, background = pixel_attributes(pictures, ["brightness", "background"])
    edge, inside = 255 - 30 * np.arange(8), 30 * np.arange(8)
    np.testing.assert_allclose(background.values, edge / 255)
    share = (24 / 32) ** 2
    expected = (share * inside + (1 - share) * edge) / 255
    np.testing.assert_allclose(brightness.values, expected)
    ((dark,),) = AskedGroups.of([("background",)]).cut(pictures)
    assert dark.names[0] == "background low (to 0.451)"
    assert dark.number.tolist() == [2, 2, 2, 1, 1, 0, 0, 0]


def test_a_picture_that_cannot_be_read_is_in_no_group_of_pixels(tmp_path):
    for number in range(3):
        Image.new("L", (9, 9), 80 * number).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:40])
    (found,) = pixel_attributes(open_images(tmp_path), ["brightness"])
    np.testing.assert_allclose(found.values, [0, np.nan, 160 / 255], atol=1e-6)


def test_a_source_that_nothing_is_known_of_has_no_groups(pictures, table, strangers):
    asked = AskedGroups.of([("Hat",), ("labels",)], table)
    (_, of_labels), (hat, labels) = asked.cut(pictures, strangers)
    assert of_labels.names == ("labels a", "labels b")
    assert hat.names == labels.names == () and not hat.known.any() and not labels.known.any()


def test_what_cannot_be_known_is_refused(table, strangers):
    with pytest.raises(ImageError, match="Hat is a column of a table of attributes: give the"):
        AskedGroups.of([("brightness", "Hat")])
    with pytest.raises(ImageError, match=r"has no column 'Hut': did you mean 'Hat'\?"):
        AskedGroups.of([("Hut",)], table)
    with pytest.raises(ImageError, match="groups by labels,Hat are asked for twice: ask once"):
        AskedGroups.of([("Hat", "labels"), ("labels", "Hat")], table)
    with pytest.raises(ImageError, match=r"the labels of .* are not known: take the column"):
        AskedGroups.of([("labels",)]).cut(strangers)
    with pytest.raises(ImageError, match="none of the 5 images"):
        AskedGroups.of([("Hat",)], table).cut(strangers)
