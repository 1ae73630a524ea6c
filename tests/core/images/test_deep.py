import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from latentmap.errors import ImageError
from latentmap.images import open_images
from latentmap.images.decoding import decode, decode_values, picture_shape
from latentmap.images.values import ValueRange

VALUES = np.random.default_rng(0).integers(0, 65536, (5, 4, 4)).astype(np.uint16)
# (v + 128) // 257 is 255 v / 65535 rounded: 65535 is 255 times 257.
ROUNDED = ((VALUES.astype(int) + 128) // 257).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values, bits=16, exif=b""):
    height, width, channels = values.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = [chunk(b"IHDR", head), chunk(b"eXIf", exif) if exif else b""]
    parts += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(values, order="<", compression=1, bits=16):
    """A TIFF of 16-bit words with one strip, by hand: Pillow writes none in colour."""
    height, width, channels = values.shape
    data = values.astype(f"{order}u2").tobytes()
    if bits == 12:
        whole = np.unpackbits(values.astype(">u2").view(np.uint8).reshape(-1, 2), axis=1)[:, 4:]
        data = b"".join(np.packbits(row).tobytes() for row in whole.reshape(height, -1))
    data = zlib.compress(data) if compression == 8 else data
    data += b"\0" * (len(data) % 2)
    entries = [(256, width), (257, height), (258, bits), (259, compression)]
    entries += [(262, 2 if channels == 3 else 1), (273, 8), (277, channels), (278, height)]
    entries += [(279, len(data))]
    start = 8 + len(data)
    after = start + 2 + 12 * len(entries) + 4
    fields = struct.pack(f"{order}H", len(entries))
    for tag, value in entries:
        if tag == 258 and channels == 3:
            fields += struct.pack(f"{order}HHII", tag, 3, 3, after)
        else:
            fields += struct.pack(f"{order}HHII", tag, 4, 1, value)
    head = b"II*\0" if order == "<" else b"MM\0*"
    end = struct.pack(f"{order}I", 0) + struct.pack(f"{order}HHH", bits, bits, bits)
    return head + struct.pack(f"{order}I", start) + data + fields + end


FILES = {
    "png grey": png(VALUES[..., :1]),
    "png colour": png(VALUES[..., :3]),
    "tiff grey": tiff(VALUES[..., :1]),
    **{
        f"tiff colour {order}{compression}": tiff(VALUES[..., :3], order, compression)
        for order in "<>"
        for compression in (1, 8)
    },
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_all_sixteen_bits_are_read_and_rounded(data):
    channels = 1 if picture_shape(data)[2] == 1 else 3
    values = decode_values(data)
    assert np.array_equal(values.colours, VALUES[..., :channels])
    assert values.white == 65535
    assert np.array_equal(decode(data), ROUNDED[..., :channels])


def test_colour_with_transparency_is_rounded_and_laid_over_white():
    values = VALUES.copy()
    values[..., 3] = 65535
    assert np.array_equal(decode(png(values)), ROUNDED[..., :3])
    values[..., 3] = 0
    assert (decode(png(values)) == 255).all()


def test_grey_with_transparency_keeps_all_its_bits_and_is_grey():
    values = VALUES[..., :2] % 4096
    values[..., 1] = 65535
    data = png(values)
    assert picture_shape(data) == (5, 4, 1)
    assert np.array_equal(decode_values(data).colours, values[..., :1])
    expected = ValueRange(0.0, 4095.0).to_eight_bits(values[..., :1])
    assert np.array_equal(decode(data, ValueRange(0.0, 4095.0)), expected)
    values[..., 1] = 0
    assert (decode(png(values)) == 255).all()
    exif = Image.Exif()
    exif[0x0112] = 6
    data = png(values, exif=exif.tobytes().removeprefix(b"Exif\0\0"))
    assert decode(data).shape == picture_shape(data) == (4, 5, 1)


def test_deep_colour_is_turned_as_exif_says():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = png(VALUES[..., :3], exif=exif.tobytes().removeprefix(b"Exif\0\0"))
    assert np.array_equal(decode(data), np.rot90(ROUNDED[..., :3], -1))
    assert picture_shape(data) == (4, 5, 3)


def test_a_range_is_applied_to_all_bits():
    low = VALUES[..., :3] % 4096
    expected = ValueRange(0.0, 4095.0).to_eight_bits(low)
    for data in (png(low), tiff(low)):
        assert np.array_equal(decode(data, ValueRange(0.0, 4095.0)), expected)


def test_a_tiff_of_twelve_bits_says_what_is_white():
    values = (VALUES[..., :1] % 4096).astype(np.uint16)
    data = tiff(values, bits=12)
    assert decode_values(data).white == 4095
    assert np.array_equal(decode(data), ValueRange(0.0, 4095.0).to_eight_bits(values))


@pytest.mark.parametrize("white", [1, 3, 15, 100, 254, 256, 1000, 1023, 4095, 16383, 65535])
@pytest.mark.parametrize("kind", ["P2", "P5", "P3", "P6"])
def test_netpbm_says_what_is_white(kind, white):
    values = np.arange(white + 1)
    channels = 3 if kind in ("P3", "P6") else 1
    flat = np.repeat(values, channels)
    body = (
        ("# a comment\n" + " ".join(map(str, flat))).encode()
        if kind in ("P2", "P3")
        else flat.astype(">u2" if white > 255 else "u1").tobytes()
    )
    data = f"{kind}\n# made by hand\n{white + 1} 1\n{white}\n".encode() + body
    expected = (values * 510 + white) // (2 * white)
    pixels = decode(data)
    assert pixels.shape == picture_shape(data) == (1, white + 1, channels)
    assert np.array_equal(pixels[0], np.repeat(expected[:, None], channels, axis=1))
    low = decode(data, ValueRange(0.0, 2.0 * white))
    assert np.array_equal(low[0, :, 0], ValueRange(0.0, 2.0 * white).to_eight_bits(values))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"P5\n4 4\n1023\n" + bytes(30), "cut off: 15 of 16 values are there"),
        (b"P2\n2 1\n100\n5 101\n", "damaged: it holds 101, and says that 100 is white"),
        (b"P2\n2 1\n100\n5 x\n", "damaged or cut off"),
    ],
)
def test_netpbm_files_that_are_damaged_are_refused(data, message):
    with pytest.raises(ImageError, match=message):
        decode(data)


def test_images_whose_pixels_are_read_better_are_other_images(tmp_path):
    """Codes kept for the upper 8 bits must not be taken for those of all 16."""
    import hashlib

    (tmp_path / "1.png").write_bytes(png(VALUES[..., :3]))
    (tmp_path / "2.png").write_bytes(png(VALUES[..., :1]))
    Image.fromarray(ROUNDED[..., :3]).save(tmp_path / "3.png")
    digests = open_images(tmp_path).digests
    plain = [hashlib.sha256((tmp_path / f"{i}.png").read_bytes()).digest()[:16] for i in (1, 2, 3)]
    assert [bytes(d) == p for d, p in zip(digests, plain, strict=True)] == [False, True, True]


def test_large_files_are_refused_with_their_name_and_size(tmp_path, monkeypatch):
    Image.new("L", (40, 30), 200).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    message = r"'large.png' of .* more pixels than .* \(1200 pixels\) exceeds limit of 1000 pixels"
    with pytest.raises(ImageError, match=message):
        open_images(tmp_path).read(0)
    Image.new("L", (40, 30), 200).save(tmp_path / "large.jpg")
    assert (open_images(tmp_path).shapes == 0).all()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    assert decode((tmp_path / "large.png").read_bytes()).shape == (30, 40, 1)
