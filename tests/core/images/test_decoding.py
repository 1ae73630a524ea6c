import io

import numpy as np
import pytest
from PIL import Image

from latentmap.errors import ImageError
from latentmap.images import decoding
from latentmap.images.decoding import decode, picture_shape, plain_jpeg


@pytest.fixture(params=["pillow", "simplejpeg"])
def decoder(request, monkeypatch):
    """Each test runs with simplejpeg, and as where it is not installed."""
    if request.param == "pillow":
        monkeypatch.setattr(decoding, "simplejpeg", None)
    else:
        pytest.importorskip("simplejpeg")


def photograph(mode="RGB", size=(37, 26), seed=0):
    """A smooth picture with some noise, (width, height) as Pillow counts."""
    random = np.random.default_rng(seed)
    columns, rows = np.meshgrid(np.linspace(0, 3, size[0]), np.linspace(0, 3, size[1]))
    waves = np.stack([np.sin(columns), np.cos(rows), np.sin(rows * columns)], axis=2)
    pixels = 127 + 100 * waves + random.normal(0, 5, waves.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert(mode)


def encode(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def oriented(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


JPEGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "4:4:4": {"subsampling": 0},
    "4:2:2": {"subsampling": 1},
    "optimised": {"optimize": True},
    "restarts": {"restart_marker_rows": 1},
    "stored as RGB": {"keep_rgb": True},
    "comment": {"comment": b"\xff\xd8 not a start"},
    "upright": {"exif": oriented(1)},
    "icc": {"icc_profile": b"profile" * 10000},
}


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_both_decoders_give_the_pixels_of_pillow(decoder, mode, options):
    if mode == "L" and "keep_rgb" in options:
        pytest.skip("grey has no RGB to keep")
    data = encode(photograph(mode), "JPEG", **options)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    pixels = decode(data)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels.squeeze(), expected)
    assert picture_shape(data) == pixels.shape == (26, 37, 3 if mode == "RGB" else 1)


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
def test_simplejpeg_takes_every_ordinary_jpeg(options):
    pytest.importorskip("simplejpeg")
    data = encode(photograph(), "JPEG", **options)
    assert plain_jpeg(data) == (26, 37, 3)
    assert decoding.decode_plain_jpeg(data, np.empty((26, 37, 3), np.uint8))


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411"])
@pytest.mark.parametrize("size", [(37, 26), (1, 1), (16, 17)])
def test_both_decoders_smooth_the_same_colours(monkeypatch, subsampling, size):
    simplejpeg = pytest.importorskip("simplejpeg")
    # Pillow writes but three of these.
    pixels = np.asarray(photograph(size=size))
    data = simplejpeg.encode_jpeg(pixels, colorsubsampling=subsampling)
    assert plain_jpeg(data) == pixels.shape
    decoded = decode(data)
    monkeypatch.setattr(decoding, "simplejpeg", None)
    assert np.array_equal(decode(data), decoded)


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
def test_a_jpeg_that_is_cut_off_is_refused_wherever_it_is_cut(decoder, options):
    data = encode(photograph(), "JPEG", **options)
    for length in [2, 3, 10, 100, len(data) // 2, len(data) - 40, len(data) - 3]:
        with pytest.raises(ImageError, match=r"damaged or cut off|no image that can be read"):
            decode(data[:length])


def test_both_decoders_accept_and_refuse_the_same_damaged_files(monkeypatch):
    pytest.importorskip("simplejpeg")
    random = np.random.default_rng(7)
    good = encode(photograph(), "JPEG", quality=90)

    def outcome(data):
        try:
            return decode(data).tobytes()
        except ImageError as error:
            return str(error)

    broken = []
    for _ in range(150):
        data = bytearray(good)
        data[random.integers(2, len(data))] ^= 1 << random.integers(8)
        broken.append(bytes(data))
    fast = [outcome(data) for data in broken]
    monkeypatch.setattr(decoding, "simplejpeg", None)
    assert [outcome(data) for data in broken] == fast


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(decoder, file_format, orientation):
    image = photograph(size=(48, 32))
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = encode(image, file_format, exif=oriented(orientation), **options)
    upright = np.asarray(
        Image.open(io.BytesIO(encode(image, file_format, **options))).convert("RGB")
    )
    turn = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: np.swapaxes(a, 0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.swapaxes(np.rot90(a, 2), 0, 1),
        8: np.rot90,
    }[orientation]
    pixels = decode(data)
    assert np.array_equal(pixels, turn(upright))
    assert picture_shape(data) == pixels.shape


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P"])
def test_lossless_files_give_their_pixels(file_format, mode):
    image = photograph(mode)
    data = encode(image, file_format)
    channels = 1 if mode in ("L", "1") else 3
    expected = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    assert np.array_equal(decode(data).squeeze(), expected)
    assert picture_shape(data) == (26, 37, channels)


def test_transparency_is_laid_over_white():
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 0] = 200
    pixels[0, :, 3] = (0, 128, 255)
    result = decode(encode(Image.fromarray(pixels)))
    assert result[0, 0].tolist() == [255, 255, 255]
    assert result[0, 2].tolist() == [200, 0, 0]
    # Half of 200 and half of 255; half of 0 and half of 255.
    assert np.abs(result[0, 1].astype(int) - [227, 127, 127]).max() <= 1


def test_grey_with_transparency_stays_grey():
    pixels = np.array([[[10, 0], [10, 255]]], np.uint8)
    data = encode(Image.fromarray(pixels))
    assert decode(data)[0, :, 0].tolist() == [255, 10]
    assert picture_shape(data) == (1, 2, 1)


def test_a_transparent_colour_of_a_palette_or_of_rgb_is_white():
    palette = Image.new("P", (2, 1))
    palette.putpalette([9, 9, 9, 50, 60, 70])
    palette.putpixel((1, 0), 1)
    assert decode(encode(palette, transparency=0))[0].tolist() == [[255] * 3, [50, 60, 70]]
    plain = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert decode(encode(plain, transparency=(1, 2, 3)))[0].tolist() == [[255] * 3, [4, 5, 6]]


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb_as_pillow_does_it(decoder, file_format):
    data = encode(photograph().convert("CMYK"), file_format)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(decode(data), expected)
    assert picture_shape(data) == (26, 37, 3)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bits_are_rounded_to_eight(file_format):
    values = np.array([[0, 128, 129, 257, 32896, 65535]], np.uint16)
    data = encode(Image.fromarray(values), file_format)
    assert decode(data)[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
    assert picture_shape(data) == (1, 6, 1)


def test_floats_are_rounded_when_they_are_in_the_unit_range():
    values = np.array([[0, 0.5, 1]], np.float32)
    assert decode(encode(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == [0, 128, 255]
    with pytest.raises(ImageError, match=r"float pixels must be in \[0, 1\], not 0 to 2"):
        decode(encode(Image.fromarray(values * 2), "TIFF"))


def test_grey_values_beyond_sixteen_bits_are_refused():
    values = Image.fromarray(np.array([[0, 70000]], np.int32))
    with pytest.raises(ImageError, match="grey values must be from 0 to 65535, not 0 to 70000"):
        decode(encode(values, "TIFF"))


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a" * 9])
def test_what_is_no_image_says_which_formats_are(decoder, data):
    with pytest.raises(ImageError, match=r"that can be read \(JPEG, PNG|damaged or cut|is empty"):
        decode(data)
    with pytest.raises(ImageError, match=r"that can be read \(JPEG, PNG|damaged or cut|is empty"):
        picture_shape(data)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "BMP", "TIFF"])
def test_other_files_that_are_cut_off_are_refused_too(file_format):
    data = encode(photograph(), file_format)
    with pytest.raises(ImageError, match=r"damaged or cut off|no image"):
        decode(data[: len(data) // 2])


def test_pillows_limit_of_pixels_holds_for_both_decoders(decoder, monkeypatch):
    data = encode(photograph(), "JPEG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(
        ImageError, match=r"limit allows: Image size \(962 pixels\) exceeds limit of 200"
    ):
        decode(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert decode(data).shape == (26, 37, 3)


def test_real_photographs_are_the_same_from_both_decoders(shared_data, monkeypatch):
    pytest.importorskip("simplejpeg")
    import zipfile

    with zipfile.ZipFile(shared_data / "celeba_originals.zip") as archive:
        datas = [archive.read(member) for member in archive.infolist()[:200]]
    fast = [decode(data) for data in datas]
    monkeypatch.setattr(decoding, "simplejpeg", None)
    assert all(np.array_equal(a, decode(data)) for a, data in zip(fast, datas, strict=True))
