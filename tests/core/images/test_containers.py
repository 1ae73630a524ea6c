import gzip
import io
import struct
import zipfile

import h5py
import numpy as np
import pytest
from PIL import Image

from latentmap.errors import ImageError
from latentmap.images import open_images


def png(value=0, size=(6, 4), mode="RGB"):
    buffer = io.BytesIO()
    Image.new(mode, size, value if mode == "L" else (value,) * 3).save(buffer, "PNG")
    return buffer.getvalue()


def write_files(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def write_zip(path, files, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_idx(path, array, magic=None, cut=0):
    head = magic or bytes([0, 0, 8, array.ndim])
    data = head + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    data = data[: len(data) - cut]
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


FILES = {
    "b/10.png": png(10),
    "b/2.PNG": png(2),
    "a.jpeg.png": png(1),
    "__MACOSX/b/2.png": b"",
    "b/._2.png": b"",
    ".cache/3.png": b"",
    "Thumbs.db": b"",
    "readme.txt": b"hello",
}
IDS = ["a.jpeg.png", "b/2.PNG", "b/10.png"]


def test_a_folder_is_searched_deeply_and_what_is_no_image_is_left_out(tmp_path):
    write_files(tmp_path, FILES)
    source = open_images(tmp_path)
    assert source.ids.tolist() == IDS
    assert [int(source.read(i)[0, 0, 0]) for i in range(3)] == [1, 2, 10]


def test_linked_folders_are_followed_but_not_in_circles(tmp_path):
    write_files(tmp_path / "elsewhere", {"1.png": png()})
    write_files(tmp_path / "data", {"2.png": png()})
    (tmp_path / "data" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "circle").symlink_to(tmp_path / "data")
    assert open_images(tmp_path / "data").ids.tolist() == ["2.png", "link/1.png"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_gives_what_its_folder_gives(tmp_path, compression):
    write_files(tmp_path / "images", FILES)
    path = write_zip(tmp_path / "images.zip", FILES, compression)
    zipped, folder = open_images(path), open_images(tmp_path / "images")
    assert zipped.ids.tolist() == IDS
    assert zipped.fingerprint == folder.fingerprint
    assert all(np.array_equal(zipped.read(i), folder.read(i)) for i in range(3))


def test_long_extra_fields_in_a_zip_are_skipped(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        member = zipfile.ZipInfo("1.png")
        member.extra = struct.pack("<HH", 0xCAFE, 4000) + b"x" * 4000
        archive.writestr(member, png(9))
    assert open_images(tmp_path / "a.zip").read(0).max() == 9


def test_a_zip_that_is_damaged_names_the_image(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"1.png": png(1), "2.png": png(2)}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT")] ^= 1
    path.write_bytes(data)
    source = open_images(path)
    with pytest.raises(ImageError, match=r"image '1.png' of .* its checksum in the archive"):
        source.read(0)
    assert source.read(1).max() == 2
    assert (source.shapes[:, 0] > 0).tolist() == [False, True]


@pytest.mark.parametrize("place", ["compressed data", "local header"])
def test_other_damage_in_a_zip_is_named_too(tmp_path, place):
    path = write_zip(tmp_path / "a.zip", {"1.png": bytes(1000)})
    data = bytearray(path.read_bytes())
    data[0 if place == "local header" else 35] ^= 0xFF
    path.write_bytes(data)
    expected = "archive is damaged or cut" if place == "local header" else "in the archive is"
    with pytest.raises(ImageError, match=expected):
        open_images(path).read(0)


def test_an_archive_that_inflates_to_more_than_it_says_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"1.png": bytes(100000)})
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 100000), struct.pack("<I", 10)))
    with pytest.raises(ImageError, match="its checksum in the archive is another"):
        open_images(path).read(0)


def test_encrypted_or_unusually_compressed_files_say_what_to_do(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"1.png": png()}, zipfile.ZIP_BZIP2)
    with pytest.raises(ImageError, match="neither stored nor deflated: unpack the archive first"):
        open_images(path).read(0)
    path = write_zip(tmp_path / "b.zip", {"1.png": png()})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(ImageError, match="it is encrypted: unpack the archive first"):
        open_images(path).read(0)


def test_a_name_that_is_twice_in_a_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/1.png", png())
        archive.writestr("a//1.png", png())
    with pytest.raises(ImageError, match=r"holds 'a/1.png' twice"):
        open_images(tmp_path / "a.zip")


ROWS = np.random.default_rng(0).integers(0, 256, (7, 5, 4), dtype=np.uint8)


@pytest.mark.parametrize("name", ["t-images-idx3-ubyte", "t-images-idx3-ubyte.gz", "t.idx"])
def test_idx_files_are_read_zipped_or_not(tmp_path, name):
    source = open_images(write_idx(tmp_path / name, ROWS))
    assert source.ids.tolist() == [str(i) for i in range(7)]
    assert source.channels == 1
    assert np.array_equal(source.read(6)[:, :, 0], ROWS[6])


def test_mnist_is_read(shared_data):
    source = open_images(shared_data / "mnist" / "t10k-images-idx3-ubyte.gz")
    assert (len(source), source.channels, source.read(0).shape) == (10000, 1, (28, 28, 1))
    assert len(np.unique(source.digests, axis=0)) == 10000


@pytest.mark.parametrize(
    ("magic", "cut", "message"),
    [
        (b"\0\0\x08\x01", 0, "must begin with 00000803, not 00000801: it holds labels"),
        (b"\x03\x08\0\0", 0, "must begin with 00000803, not 03080000"),
        (None, 1, r"should hold 7 x 5 x 4 pixels, which is 140 bytes, but holds 139"),
        (None, 145, r"should hold 0 x 0 x 0 pixels, which is 0 bytes, but holds 0|cut off"),
        (None, 156, "must begin with 00000803, not nothing"),
    ],
)
@pytest.mark.parametrize("name", ["a-idx3-ubyte", "a-idx3-ubyte.gz"])
def test_what_is_no_idx_file_of_images_is_refused(tmp_path, name, magic, cut, message):
    path = write_idx(tmp_path / name, ROWS, magic, cut)
    with pytest.raises(ImageError, match=message):
        open_images(path)


def test_a_gzip_file_that_is_cut_off_or_is_none_is_refused(tmp_path):
    path = write_idx(tmp_path / "a-idx3-ubyte.gz", ROWS)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ImageError, match="is no gzip file, or is cut off"):
        open_images(path)
    path.write_bytes(b"\x1f\x8bhello")
    with pytest.raises(ImageError, match="is no gzip file, or is cut off"):
        open_images(path)


COLOUR = np.random.default_rng(1).integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (ROWS, ROWS[..., None]),
        (COLOUR, COLOUR),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR),
        (ROWS[:, None], ROWS[..., None]),
        (ROWS / 255, ROWS[..., None]),
        ((COLOUR / 255).astype(np.float32), COLOUR),
        ((ROWS / 255).astype(">f4"), ROWS[..., None]),
    ],
)
@pytest.mark.parametrize("kind", ["npy", "npz", "h5", "h5 in chunks"])
def test_arrays_are_read_from_every_file(tmp_path, array, expected, kind):
    path = tmp_path / f"a.{kind[:3].strip()}"
    if kind == "npy":
        np.save(path, array)
    elif kind == "npz":
        np.savez(path, array)
    else:
        chunks = (2, *array.shape[1:]) if "chunks" in kind else None
        with h5py.File(path, "w") as file:
            file.create_dataset("images", data=array, chunks=chunks)
    source = open_images(path)
    assert np.array_equal(np.stack([source.read(i) for i in range(len(source))]), expected)
    # The file format does not belong to the content; neither does the order of reading.
    reversed_source = source.subset(np.arange(len(source))[::-1])
    assert np.array_equal(reversed_source.digests[::-1], source.digests)
    np.save(tmp_path / "same.npy", expected)
    assert open_images(tmp_path / "same.npy").fingerprint == source.fingerprint


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 3), np.uint8), r"has shape \(4, 3\): images need \(n, h, w\)"),
        (np.zeros((2, 5, 5, 2), np.uint8), r"has shape \(2, 5, 5, 2\)"),
        (np.zeros((0, 5, 5), np.uint8), "at least one image"),
        (np.zeros((2, 5, 5), np.int32), r"must hold uint8, or floats in \[0, 1\], not int32"),
        (np.zeros((2, 5, 5), bool), "not bool"),
    ],
)
def test_arrays_that_are_no_images_are_refused(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ImageError, match=message):
        open_images(tmp_path / "a.npy")


@pytest.mark.parametrize("bad", [1.5, -0.1, np.nan])
def test_floats_outside_the_unit_range_are_refused(tmp_path, bad):
    array = np.zeros((2, 5, 5))
    array[1, 2, 2] = bad
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ImageError, match=r"a.npy: float pixels must be in \[0, 1\]"):
        open_images(tmp_path / "a.npy").digests  # noqa: B018  # a property that reads


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_python_objects_in_arrays_are_never_loaded(tmp_path, suffix):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    array = np.array([[[Bomb()]]], dtype=object)
    path = tmp_path / f"a.{suffix}"
    np.save(path, array) if suffix == "npy" else np.savez(path, array)
    with pytest.raises(ImageError, match="cannot be read as an array of numbers"):
        open_images(path)


@pytest.mark.parametrize("suffix", ["npy", "npz", "h5", "zip"])
def test_files_that_are_cut_off_are_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, COLOUR)
    elif suffix == "npz":
        np.savez(path, COLOUR)
    elif suffix == "zip":
        write_zip(path, FILES)
    else:
        with h5py.File(path, "w") as file:
            file["images"] = COLOUR
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ImageError, match=r"cut off|cannot be read as an array"):
        open_images(path)


def test_one_of_several_arrays_is_chosen_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", x=ROWS, y=ROWS[:3])
    assert len(open_images(f"{tmp_path}/a.npz:/y")) == 3
    with pytest.raises(ImageError, match=r"holds x, y: say which, as a.npz:/NAME"):
        open_images(tmp_path / "a.npz")
    with pytest.raises(ImageError, match="has no array 'z': it has x, y"):
        open_images(f"{tmp_path}/a.npz:/z")


def test_one_of_several_datasets_is_chosen_by_name(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["faces/x"] = ROWS
        file["faces/y"] = ROWS[:3]
    assert len(open_images(f"{tmp_path}/a.h5:/faces/y")) == 3
    with pytest.raises(ImageError, match=r"holds faces/x, faces/y: say which, as a.h5:/NAME"):
        open_images(tmp_path / "a.h5")
    for name in ("images", "faces"):
        with pytest.raises(
            ImageError, match=rf"has no dataset '{name}' .*: it has faces/x, faces/y"
        ):
            open_images(f"{tmp_path}/a.h5:/{name}")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["images"] = ROWS[:2]
    assert len(open_images(tmp_path / "a.h5")) == 2


def test_datasets_that_other_files_hold_are_refused(tmp_path):
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["images"] = ROWS
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = h5py.ExternalLink("b.h5", "images")
        file.create_dataset("raw", ROWS.shape, "u1", external=[("b.h5", 0, ROWS.size)])
        file["inside"] = h5py.SoftLink("more/x")
        file["more/x"] = ROWS
    with pytest.raises(ImageError, match=r"no dataset 'images' .*images is a link out of the file"):
        open_images(f"{tmp_path}/a.h5:/images")
    with pytest.raises(
        ImageError, match=r"raw is a dataset whose values other files hold\): it has more/x"
    ):
        open_images(f"{tmp_path}/a.h5:/raw")
    assert np.array_equal(open_images(f"{tmp_path}/a.h5:/inside").read(1), ROWS[1][..., None])


def test_what_is_no_array_in_an_hdf5_file_is_one_line(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", shape=None, dtype="u1")
        file.attrs["format"] = ["latentmap images", "another"]
    with pytest.raises(ImageError, match=r"no dataset 'images' .* \(images is empty\)"):
        open_images(tmp_path / "a.h5")


@pytest.mark.parametrize("name", ["a.h5", "a.npy", "a.npz", "a-idx3-ubyte", "a-idx3-ubyte.gz"])
def test_images_of_a_byte_each_are_not_taken_in_any_number(tmp_path, name):
    path, pixels = tmp_path / name, np.zeros((500_000, 1, 1), np.uint8)
    if name == "a.h5":
        with h5py.File(path, "w") as file:
            file["images"] = pixels
    elif name == "a.npy":
        np.save(path, pixels)
    elif name == "a.npz":
        np.savez_compressed(path, images=pixels)
    else:
        data = b"\0\0\x08\3" + struct.pack(">3I", *pixels.shape) + pixels.tobytes()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    with pytest.raises(
        ImageError, match=r"asks for more memory than a file of its size may \(500000 images\)"
    ):
        open_images(path)


def test_of_many_datasets_some_are_listed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(30):
            file[f"{number:02}"] = ROWS
    with pytest.raises(ImageError, match=r"holds 00, .*, 19 and 10 more: say which"):
        open_images(tmp_path / "a.h5")


def test_rows_that_cannot_be_decompressed_are_one_line(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        rows = file.create_dataset("images", data=ROWS, chunks=ROWS.shape, compression="gzip")
        rows.id.write_direct_chunk((0, 0, 0), b"no gzip", 0)
    with pytest.raises(ImageError, match=r"a.h5:/images is not .*: get the file again"):
        open_images(tmp_path / "a.h5").digests  # noqa: B018  # a property that reads


def test_an_hdf5_file_without_datasets_says_so(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w"):
        pass
    with pytest.raises(ImageError, match="holds nothing: say which"):
        open_images(tmp_path / "a.h5")


def test_digits_are_there_when_asked_for():
    source = open_images("digits")
    assert (len(source), source.channels, source.read(0).shape) == (1797, 1, (8, 8, 1))
    levels = np.unique(np.stack([source.read(i) for i in range(len(source))]))
    assert levels.tolist() == [round(level * 255 / 16) for level in range(17)]


def make(tmp_path, kind):
    """A path that cannot be opened."""
    path = tmp_path / kind
    if kind == "empty":
        path.mkdir()
    elif kind == "texts":
        write_files(path, {"train-images-idx3-ubyte.gz": b"x"})
    elif kind in ("fake.zip", "fake.h5", "fake.npy", "fake.npz", "one.png", "notes.txt"):
        path.write_bytes(b"hello")
    elif kind == "weights.pkl":
        path.write_bytes(b"\x80\x04}.")
    elif kind == "faces.zip":
        path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid")
    elif kind == "none.zip":
        write_zip(path, {"readme.txt": b"hello"})
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "missing does not exist: give a folder, a .zip"),
        ("empty", r"empty holds no images \(.jpg, .jpeg, .*, it is empty: give a folder"),
        ("texts", "texts holds no images .* only files such as 'train-images-idx3-ubyte.gz'"),
        ("fake.zip", "fake.zip is no zip archive, or is cut off"),
        ("none.zip", "none.zip holds no images"),
        ("fake.h5", r"fake.h5 is not as .* \(it is no HDF5 file, or is cut off.*: get it again"),
        ("fake.npy", "fake.npy cannot be read as an array of numbers"),
        ("fake.npz", "fake.npz cannot be read as an array of numbers"),
        ("one.png", "one.png is one image: give a folder"),
        ("notes.txt", "notes.txt is of no kind that is known: give a folder"),
        ("weights.pkl", "weights.pkl is a pickle: give a folder"),
        ("faces.zip", "faces.zip is a Git LFS pointer, not the file itself: run"),
    ],
)
def test_what_cannot_be_opened_says_what_to_do(tmp_path, kind, message):
    with pytest.raises(ImageError, match=message) as raised:
        open_images(make(tmp_path, kind))
    assert "\n" not in str(raised.value)


def test_a_folder_that_cannot_be_read_is_not_called_empty(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    # Root may read everything, so the answer of the system is given here.
    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(ImageError, match="cannot be read: Permission denied"):
        open_images(tmp_path)


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "a.zip", {"1.png": png()})

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("latentmap.images.archives.open_regular", refuse)
    with pytest.raises(ImageError, match=r"a.zip cannot be read: Permission denied"):
        open_images(path)
