import io

import numpy as np
import pytest
from PIL import Image

from latentmap.errors import ImageError
from latentmap.images import open_images
from latentmap.images.decoding import decode, picture_shape
from latentmap.images.formats import FORMATS, OTHER_FORMATS, SUFFIXES, count_suffixes

# What runs other programs, holds layers or pages, is video, needs to know what numbers mean, or
# Pillow gives up.
LEFT_OUT = {
    *(".ps", ".eps", ".wmf", ".emf", ".psd", ".pdf", ".fli", ".flc", ".mpg", ".mpeg"),
    *(".bufr", ".grib", ".h5", ".hdf", ".fit", ".fits", ".iim", ".palm", ".im"),
}


def picture(mode="RGB", size=(9, 8)):
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def encode(image, file_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def test_every_suffix_that_pillow_knows_is_read_or_left_out_on_purpose():
    Image.init()
    assert set(Image.registered_extensions()) <= {*SUFFIXES, *LEFT_OUT}
    assert not {*SUFFIXES} & LEFT_OUT
    unknown = {"EPS", "WMF", "PSD", "FLI", "MPEG", "BUFR", "GRIB", "HDF5", "FITS", "IPTC"}
    assert not {*FORMATS, *OTHER_FORMATS} & unknown


@pytest.mark.parametrize(
    ("file_format", "mode"),
    [
        *(("PPM", mode) for mode in ("RGB", "L", "1")),
        *(("TGA", mode) for mode in ("RGB", "L")),
        *(("PCX", mode) for mode in ("RGB", "L")),
        *(("SGI", mode) for mode in ("RGB", "L")),
        ("GIF", "L"),
        ("DIB", "RGB"),
        ("JPEG2000", "RGB"),
        ("JPEG2000", "L"),
        ("DDS", "RGB"),
        ("MSP", "1"),
        ("XBM", "1"),
        ("QOI", "RGB"),
        ("ICO", "RGB"),
    ],
)
def test_what_pillow_reads_is_read(file_format, mode):
    Image.init()
    if file_format not in Image.SAVE or file_format not in Image.OPEN:
        pytest.skip(f"this Pillow does not write {file_format}")
    image = picture(mode)
    options = {"irreversible": False} if file_format == "JPEG2000" else {}
    if file_format == "ICO":
        options["sizes"] = [image.size]
    data = encode(image, file_format, **options)
    expected = np.asarray(image.convert("L" if mode in ("L", "1") else "RGB"))
    assert np.array_equal(decode(data).squeeze(), expected)
    assert picture_shape(data) == (8, 9, 1 if mode in ("L", "1") else 3)


@pytest.mark.parametrize("animated", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_frames_the_first_is_taken(animated):
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if animated == "WEBP" else {}
    data = encode(frames[0], animated, save_all=True, append_images=frames[1:], **options)
    assert np.unique(decode(data).reshape(-1, 3), axis=0).tolist() == [[255, 0, 0]]


def test_a_gif_of_greys_is_grey_and_its_transparency_white():
    values = np.array([[0, 1, 2]], np.uint8)
    image = Image.fromarray(values).convert("P")
    image.putpalette([9, 9, 9, 100, 100, 100, 200, 200, 200])
    assert decode(encode(image, "GIF")).tolist() == [[[9], [100], [200]]]
    assert decode(encode(image, "GIF", transparency=1)).tolist() == [[[9], [255], [200]]]
    image.putpalette([9, 9, 9, 100, 100, 101, 200, 200, 200])
    assert decode(encode(image, "GIF")).shape == (1, 3, 3)
    assert picture_shape(encode(image, "GIF")) == (1, 3, 3)


def test_programs_layers_and_numbers_are_not_opened():
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
    windows = b"\xd7\xcd\xc6\x9a" + bytes(60)
    photoshop = b"8BPS" + bytes(60)
    for data in (postscript, windows, photoshop, b"\x89HDF\r\n\x1a\n" + bytes(60), b"GRIB" * 9):
        with pytest.raises(ImageError, match=r"no image that can be read|damaged"):
            decode(data)


def test_suffixes_are_counted_for_people():
    paths = ["a.txt", "b.TXT", "c.csv", "notes", "x/d.psd", "e.a", "f.b", "g.c"]
    assert count_suffixes(paths) == "2 .txt, 1 .a, 1 .b, 1 .c, 1 .csv, 2 others"


def test_what_is_no_image_is_told(tmp_path):
    for name in ("a.jpg", "b.jfif", "c.JPE"):
        picture().save(tmp_path / name, "JPEG")
    for name in ("d.txt", "e.txt", "f.psd", "list_eval_partition.txt"):
        (tmp_path / name).write_bytes(b"")
    source = open_images(tmp_path)
    assert source.ids.tolist() == ["a.jpg", "b.jfif", "c.JPE"]
    assert sorted(source.passed_over) == ["d.txt", "e.txt", "f.psd"]


def test_the_case_of_users_is_read(shared_data):
    source = open_images(shared_data.parent / "cases" / "suffixes")
    assert source.ids.tolist() == ["a.jpg", "b.jfif", "c.jpe", "d.pgm", "e.gif", "f.png"]
    assert source.channels == 1
    # d to f hold the same picture without loss.
    assert all(np.array_equal(source.read(3), source.read(i)) for i in (4, 5))


def test_what_stands_in_an_images_place_is_named(tmp_path):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    (tmp_path / "1.jpg").write_bytes(pointer)
    (tmp_path / "2.png").write_bytes(b"<!DOCTYPE html><title>Quota exceeded</title>")
    (tmp_path / "3.png").write_bytes(b"")
    images = open_images(tmp_path)
    for place, what in enumerate(("Git LFS pointer, .*git lfs pull", "web page", "it is empty: ")):
        with pytest.raises(ImageError, match=f"cannot be read: .*{what}"):
            images.read(place)
    (tmp_path / "groups.csv").write_bytes(pointer)
    with pytest.raises(
        ImageError, match=r"the table .*groups.csv is a Git LFS pointer, .*lfs pull"
    ):
        open_images(tmp_path, group_by=tmp_path / "groups.csv")
