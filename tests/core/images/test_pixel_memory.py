"""Images that ask for more memory or time than their files may."""

import io
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentmap.errors import ImageError
from latentmap.images import decoding, open_images, pillow
from latentmap.images.decoding import decode, decode_values, picture_shape
from latentmap.images.jpeg import coefficient_bytes
from latentmap.images.pixel_memory import ImageMemory, take_memory
from latentmap.limits import memory_for, raised_limits


def encode(image, file_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png_of_zeros(width, height, bits, colours):
    """A PNG of one colour, which packs a thousandfold."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colours]

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(range(6))) if colours == 3 else b""
    pixels = zlib.compress(bytes((1 + (width * samples * bits + 7) // 8) * height), 9)
    parts = chunk(b"IHDR", head) + palette + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


ONE_COLOUR = Image.new("RGB", (600, 500))
BOMBS = {
    **{
        f"png {bits} bits {colours}": png_of_zeros(600, 500, bits, colours)
        for bits, colours in [(16, 0), (16, 2), (16, 4), (16, 6), (8, 3), (8, 6), (1, 0), (1, 3)]
    },
    "jpeg": encode(ONE_COLOUR, "JPEG"),
    "progressive jpeg": encode(ONE_COLOUR, "JPEG", progressive=True),
    "gif": encode(ONE_COLOUR.convert("P"), "GIF"),
    "tiff": encode(ONE_COLOUR, "TIFF", compression="tiff_adobe_deflate"),
    "webp": encode(ONE_COLOUR, "WEBP", lossless=True),
    "text": b"P3\n600 500\n255\n0 0 0",
    "bitmap": b"P1\n600 500\n0",
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_what_takes_too_much_is_refused_before_it_is_decoded(data):
    with raised_limits({"memory": 100_000}):
        for read in (decode, decode_values, picture_shape):
            with pytest.raises(ImageError, match=r"MB of memory.* raise the limit: .*memory=N"):
                read(data)


def test_a_larger_limit_reads_it():
    with raised_limits({"memory": 10_000_000}):
        assert decode(BOMBS["png 16 bits 6"]).shape == (500, 600, 3)


def test_a_picture_within_another_format_is_counted():
    icon = encode(Image.new("RGB", (64, 64)), "ICO", sizes=[(64, 64)])
    assert decode(icon).shape == (64, 64, 3)
    place = icon.index(b"IHDR")
    claimed = icon[: place + 4] + struct.pack(">II", 9000, 9000) + icon[place + 12 :]
    with pytest.raises(ImageError, match="it takes 648 MB of memory"):
        decode(claimed)


def test_numbers_in_the_tags_of_a_tiff_are_counted():
    data = encode(Image.new("L", (8, 8)), "TIFF")
    place = data.index(struct.pack("<HH", 273, 4))
    claimed = data[: place + 4] + struct.pack("<I", 2**22) + data[place + 8 :]
    with pytest.raises(ImageError, match=r"it takes \d+ MB of memory"):
        decode(claimed)
    with pytest.raises(ImageError, match=r"damaged or cut off|no image"):
        decode(data[:9])


def segment(marker, content=b""):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def test_filling_without_end_takes_linear_time():
    begun = time.process_time()
    with pytest.raises(ImageError, match=r"no image that can be read|damaged"):
        decode(b"\xff\xd8" + b"\xff" * 300_000)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("decoder", ["pillow", "simplejpeg"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_scans_without_end_are_refused(monkeypatch, decoder, mode, options):
    if decoder == "pillow":
        monkeypatch.setattr(decoding, "simplejpeg", None)
    plain = encode(Image.new(mode, (64, 64)), "JPEG", **options)
    last = plain[plain.rindex(b"\xff\xda") : -2]
    expected = decode(plain)
    for read in (decode, picture_shape):
        with pytest.raises(ImageError, match="it has more than 64 scans"):
            read(plain[:-2] + last * 300 + plain[-2:])
    # A video may stand behind a picture, and hold any bytes.
    assert np.array_equal(decode(plain + last * 300), expected)


@pytest.mark.parametrize("decoder", ["pillow", "simplejpeg"])
@pytest.mark.parametrize("marker", [0xE1, 0xE2, 0xED, 0xFE])
def test_segments_without_end_take_linear_time(monkeypatch, decoder, marker):
    if decoder == "pillow":
        monkeypatch.setattr(decoding, "simplejpeg", None)
    plain = encode(Image.new("RGB", (8, 8), (10, 20, 30)), "JPEG")
    tags = {0xE1: b"Exif\0\0", 0xE2: b"ICC_PROFILE\0\1\1"}.get(marker, b"x")
    data = plain[:2] + segment(marker, tags) * 20_000 + plain[2:]
    begun = time.process_time()
    assert np.array_equal(decode(data), decode(plain))
    assert picture_shape(data) == (8, 8, 3)
    assert time.process_time() - begun < 2


def test_tables_without_end_are_refused(monkeypatch):
    monkeypatch.setattr(decoding, "simplejpeg", None)
    plain = encode(Image.new("L", (8, 8)), "JPEG")
    with pytest.raises(ImageError, match="more than 1024 segments before pixels"):
        decode(plain[:2] + segment(0xDD, b"\0\0") * 2000 + plain[2:])


def test_what_a_decoder_keeps_of_several_scans_is_counted():
    assert coefficient_bytes(encode(ONE_COLOUR, "JPEG")) == 0
    assert coefficient_bytes(encode(ONE_COLOUR, "JPEG", progressive=True)) == 3
    full = encode(ONE_COLOUR, "JPEG", progressive=True, subsampling=0)
    assert coefficient_bytes(full) == 6


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"P5\n" + b"#\n" * 50_000 + b"4 4\n1000\n" + bytes(32), "not in its first 65536 bytes"),
        (b"P2\n4 4\n255\n" + b"1" * 100_000, "what is no number of a pixel"),
        (b"P1\n2 2\n0 1 2 0", "a bitmap holds 0 and 1 alone"),
        (b"P2\n2 1\n255\n-1 3", "damaged: it holds -1"),
    ],
)
def test_texts_of_numbers_that_are_none_are_refused(data, message):
    with pytest.raises(ImageError, match=message):
        decode(data)


def test_texts_of_numbers_are_read_block_by_block():
    numbers = np.random.default_rng(0).integers(0, 256, (200, 300, 1))
    lines = [" ".join(map(str, row)) + " # of a row\n" for row in numbers[..., 0]]
    data = b"P2\n300 200\n255\n" + b" \n" * 100_000 + "".join(lines).encode()
    assert np.array_equal(decode(data), numbers)
    assert decode(b"P1\n3 2\n01 # x\n0\n111").tolist() == [[[255], [0], [255]], [[0], [0], [0]]]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "I;16"])
def test_large_pictures_are_converted_in_parts_that_fit(monkeypatch, mode):
    noise = np.random.default_rng(1).integers(0, 256, (37, 23, 3), np.uint8)
    image = Image.fromarray(noise).convert("I" if mode == "I;16" else mode)
    exif = Image.Exif()
    exif[0x0112] = 8
    options = {} if mode == "CMYK" else {"exif": exif}
    data = encode(image.convert(mode), "JPEG" if mode == "CMYK" else "PNG", **options)
    whole, values = decode(data), decode_values(data)
    monkeypatch.setattr(pillow, "_PART", 100)
    assert np.array_equal(decode(data), whole)
    assert np.array_equal(decode_values(data).colours, values.colours)


def test_threads_share_the_limit():
    held, waited = threading.Event(), []

    def second():
        with ImageMemory(0):
            take_memory(60_000_000, b"")
            waited.append(held.is_set())

    with raised_limits({"memory": 100_000_000}):
        thread = threading.Thread(target=second)
        with ImageMemory(0):
            take_memory(30_000_000, b"")
            take_memory(50_000_000, b"")  # In the place of the first.
            thread.start()
            thread.join(0.05)
            assert not waited
            held.set()
        thread.join(5)
    assert waited == [True]


def test_an_image_by_itself_may_take_more_than_the_limit():
    with raised_limits({"memory": 100}), ImageMemory(1000):
        take_memory(2000, b"")
        assert memory_for(1000) == 2100
        with pytest.raises(ImageError, match="too much for 1000 bytes"):
            take_memory(2101, b"")


PEAK = r"""
import re, sys
from pathlib import Path
from latentmap.images import View, open_images
from latentmap.frames import Frame
source = open_images(sys.argv[1])
view = View(Frame(), (8, 8), 3)
small = open_images(sys.argv[2])
list(small.batches([view], batch_size=2, threads=2))

def peak():
    return 1024 * int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1])

before = peak()
list(source.batches([view], batch_size=2, threads=2))
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_is_within_the_limit_as_measured(tmp_path):
    for name, size in (("large", (4000, 3000)), ("small", (8, 8))):
        (tmp_path / name).mkdir()
        for i in range(4):
            data = encode(Image.new("RGB", size), "PNG", compress_level=1)
            (tmp_path / name / f"{i}.png").write_bytes(data)
    run = [sys.executable, "-c", PEAK, tmp_path / "large", tmp_path / "small"]
    peak = int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
    assert 12e6 * 4 < peak < 200e6


def test_an_archive_of_a_bomb_names_the_image(tmp_path):
    (tmp_path / "bomb.png").write_bytes(BOMBS["png 8 bits 6"])
    with raised_limits({"memory": 100_000}):
        images = open_images(tmp_path)
        assert not images.shapes.any()
        with pytest.raises(ImageError, match=r"image 'bomb.png' of .* takes 2 MB of memory"):
            images.read(0)
