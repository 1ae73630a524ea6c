"""Archives that ask for more than they are: refused in one line, before it is given to them."""

import gzip
import io
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from latentmap.errors import ImageError
from latentmap.images import open_images
from latentmap.limits import raised_limits


def png(value):
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 6), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def zip_of(path, entries):
    """An archive of empty members: bytes that are names, and what else an entry says."""
    directory, body = io.BytesIO(), b""
    for name, said in entries:
        entry = {"flags": 0, "packed": 0, "size": 0, "offset": len(body), **said}
        body += b"PK\3\4" + bytes(26)
        directory.write(
            struct.pack(
                "<4s6H3I5H2I",
                *(b"PK\1\2", 20, 20, entry["flags"], 0, 0, 0),
                *(0, entry["packed"], entry["size"], len(name), 0, 0, 0, 0, 0, entry["offset"]),
            )
        )
        directory.write(name)
    content = directory.getvalue()
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0, 0, len(content), len(body), 0)
    path.write_bytes(body + content + end)
    return path


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([(b"%d.png" % i, {}) for i in range(300)], "the names of more than .* files"),
        (
            [(b"x" * 5000 + b".png", {})],
            "a.zip has a name of 5004 letters, such as 'xxxx.*is none of a file",
        ),
        ([(b"x" * 4000 + b".png", {})] + [(b"%d.png" % i, {}) for i in range(9)], "ids of 4004"),
        ([(b"a.png", {"offset": 0}), (b"b.png", {"offset": 0})], "its members overlap"),
        ([(b"a.png", {"packed": 99})], "its members are larger than the archive"),
        ([(b"a.png", {"offset": 99})], "its members are larger than the archive"),
        ([(b"\xff.png", {"flags": 0x800})], "codec can't decode"),
        ([(b"a\0.png", {})], "which no file can be called"),
        ([(b"../a.png", {})], "which leads out of it"),
    ],
)
def test_a_zip_that_lies_is_refused(tmp_path, entries, message):
    path = zip_of(tmp_path / "a.zip", entries)
    with raised_limits({"memory": 100_000}), pytest.raises(ImageError, match=message) as raised:
        open_images(path)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("damage", ["no entry", "long directory", "no end"])
def test_a_zip_with_a_damaged_directory_is_refused(tmp_path, damage):
    path = zip_of(tmp_path / "a.zip", [(b"a.png", {})])
    data = bytearray(path.read_bytes())
    if damage == "no entry":
        data[data.index(b"PK\1\2")] = 0
    elif damage == "long directory":
        data[-10:-6] = struct.pack("<I", 2**31)
    else:
        data[-22:] = b""
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"no zip archive, or is cut off \(it"):
        open_images(path)


def test_a_zip_behind_another_file_and_with_a_comment_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", png(7))
        archive.comment = b"a comment"
    path = tmp_path / "b.zip"
    path.write_bytes(b"#!program" * 100 + (tmp_path / "a.zip").read_bytes())
    assert open_images(path).read(0).max() == 7


def test_a_zip_with_long_numbers_is_read(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("1.png", "w", force_zip64=True) as member,
    ):
        member.write(png(7))
    data = (tmp_path / "a.zip").read_bytes()
    place, size = data.index(b"PK\1\2"), len(png(7))
    packed = struct.unpack_from("<I", data, place + 20)[0]
    extra = struct.pack("<2H2Q", 1, 16, size, packed)
    entry = bytearray(data[place : data.index(b"PK\5\6")] + extra)
    entry[20:28] = b"\xff" * 8
    entry[30:32] = struct.pack("<H", len(extra))
    end = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(entry), place)
    end += struct.pack("<4sIQI", b"PK\6\7", 0, place + len(entry), 1)
    end += struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)
    (tmp_path / "a.zip").write_bytes(data[:place] + entry + end)
    assert open_images(tmp_path / "a.zip").read(0).max() == 7


def test_a_member_that_inflates_too_far_is_refused_and_can_be_allowed(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.png", png(7) + bytes(400_000))
    with raised_limits({"memory": 300_000}):
        images = open_images(tmp_path / "a.zip")
        with pytest.raises(ImageError, match=r"MB of memory, .*: if that is right, raise"):
            images.read(0)
    assert images.read(0).max() == 7


def tar_gz(path, *blocks):
    path.write_bytes(gzip.compress(b"".join(blocks) + bytes(1024)))
    return path


def header(name="a.png", size=0, kind=tarfile.REGTYPE):
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([header(size=2**40)], "'a.png' is larger than the archive: it is cut off"),
        ([header(size=400_000, kind=tarfile.XHDTYPE), bytes(400_384)], "the headers of its files"),
        ([header(size=2**30, kind=tarfile.XHDTYPE)], "it has a header of 1073741824 bytes"),
        ([header(size=9000, kind=tarfile.XHDTYPE), b"1" * 9216], "a number of 1000 digits"),
        ([header(f"{i}.png") for i in range(150)], "the headers of its files"),
        ([bytes(1023), b"x" * 1_000_000], "takes more than .* bytes unpacked, .*unpacked=N"),
    ],
)
def test_a_tar_that_lies_is_refused(tmp_path, monkeypatch, blocks, message):
    monkeypatch.setattr("latentmap.files.spool._SMALL", 500_000)
    path = tar_gz(tmp_path / "a.tar.gz", *blocks)
    with raised_limits({"memory": 100_000}), pytest.raises(ImageError, match=message):
        open_images(path)


def test_attributes_of_all_files_are_counted_for_each(tmp_path):
    said = {f"x.{i}": "1" for i in range(100)}
    with tarfile.open(
        tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT, pax_headers=said
    ) as archive:
        for i in range(20):
            archive.addfile(tarfile.TarInfo(f"{i}.png"))
    with raised_limits({"memory": 100_000}), pytest.raises(ImageError, match="the attributes of"):
        open_images(tmp_path / "a.tar")


def test_a_large_member_of_a_small_tar_is_refused(tmp_path):
    path = tar_gz(tmp_path / "a.tar.gz", header(size=10_000_000), bytes(10_000_384))
    with raised_limits({"memory": 5_000_000}):
        images = open_images(path)
        with pytest.raises(ImageError, match="it takes 10 MB of memory"):
            images.read(0)


def npy(header, body=b""):
    text = header.encode()
    return b"\x93NUMPY\2\0" + struct.pack("<I", len(text)) + text + body


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_an_array_that_python_2_wrote_is_read(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    array_of("(4L, 5L, 5L)", path)
    images = open_images(path, notify=lambda _: None)  # They are black.
    assert images.shapes.tolist() == [[5, 5, 1]] * 4


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_header_that_is_nested_too_deeply_is_called_so(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    array_of("-" * 5000 + "1", path)
    with pytest.raises(ImageError, match="nested too deeply"):
        open_images(path)


SHAPES = {
    "larger than the file": "(1000000,1000,1000)",
    "beyond all numbers": f"({10**30},28,28)",
    "beyond all together": f"({2**40},{2**40},28)",
    "beyond all beside nothing": f"({2**40},{2**40},0)",
    "negative": "(-5,28,28)",
    "no numbers": "(True,'x')",
    "nested": "(" * 9000,
    "long": "(" + "1," * 20000 + ")",
}


def array_of(shape, path):
    """A file of 100 bytes whose header says another shape."""
    data = npy("{'descr':'|u1','fortran_order':False,'shape':" + shape + "}", bytes(100))
    if path.suffix == ".npy":
        path.write_bytes(data)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("images.npy", data)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_an_array_is_given_no_room_that_it_does_not_fill(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    array_of("(1000000000,28,28)", path)
    with pytest.raises(ImageError, match="it has no 784000000000 values of uint8"):
        open_images(path)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_array_that_lies_is_refused(tmp_path, suffix, shape):
    path = tmp_path / f"a.{suffix}"
    array_of(shape, path)
    with pytest.raises(ImageError, match="cannot be read as an array of numbers") as raised:
        open_images(path)
    assert "\n" not in str(raised.value)


def test_a_header_that_claims_any_length_or_a_type_of_objects_is_refused(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1) + b" " * 99)
    with pytest.raises(ImageError, match="no header of 4294967295 bytes"):
        open_images(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz", images=np.array([{}, 1], object))
    for name in ("a.npy", "b.npz"):
        with pytest.raises(ImageError, match="cannot be read as an array of numbers"):
            open_images(tmp_path / name)


def test_a_bomb_of_arrays_is_refused_and_can_be_allowed(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", images=np.full((500, 28, 28), 200, np.uint8))
    with raised_limits({"memory": 300_000}):
        message = r"\(the array images.npy, 392,128 bytes\): .*raise the limit"
        with pytest.raises(ImageError, match=message):
            open_images(tmp_path / "a.npz")
    assert len(open_images(tmp_path / "a.npz")) == 500


def test_an_encrypted_array_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((5, 28, 28), np.uint8))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    for place in (data.index(b"PK\3\4") + 6, data.index(b"PK\1\2") + 8):
        data[place] |= 1
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(ImageError, match=r"cannot be read as an array of numbers .*encrypted"):
        open_images(tmp_path / "a.npz")


def idx(shape, body=b""):
    return b"\0\0\x08\3" + struct.pack(">3I", *shape) + body


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (idx((1000, 28, 28), bytes(784_000)), "asks for more memory than a file of its size may"),
        (idx((2**31, 28, 28), bytes(9000)), "more than .* bytes can unpack to"),
        (idx((10, 28, 28), bytes(7841)), "should hold .* 7840 bytes, but holds 7841"),
        (b"\0" * 1_000_000, "must begin with 00000803"),
    ],
)
def test_a_compressed_idx_file_is_unpacked_no_further_than_it_may(tmp_path, data, message):
    (tmp_path / "a-ubyte.gz").write_bytes(gzip.compress(data))
    with raised_limits({"memory": 300_000}), pytest.raises(ImageError, match=message):
        open_images(tmp_path / "a-ubyte.gz")
