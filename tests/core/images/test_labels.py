"""Labels of images: found beside them, in their file, in their folders, or read from a table."""

import gzip
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from latentmap.errors import ImageError
from latentmap.images import open_images, pack_images
from latentmap.images.labels import read_labels
from latentmap.images.sprites import write_sprites

LABELS = [3, 1, 3, 0, 255, 7]


def write_idx(folder, *, name="train-images-idx3-ubyte", labels=LABELS, labelled=None, packed=True):
    pixels = np.random.default_rng(0).integers(0, 256, (len(LABELS), 4, 4), dtype=np.uint8)
    images = bytes([0, 0, 8, 3]) + struct.pack(">3I", *pixels.shape) + pixels.tobytes()
    (folder / name).write_bytes(images)
    data = bytes([0, 0, 8, 1]) + struct.pack(">I", len(labels)) + bytes(labels)
    labelled = labelled or name.replace("images", "labels").replace("idx3", "idx1")
    if packed:
        (folder / f"{labelled}.gz").write_bytes(gzip.compress(data))
    else:
        (folder / labelled).write_bytes(data)
    return folder / name


def write_png(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(path)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-images.idx3-ubyte"])
def test_labels_lie_beside_idx_images(tmp_path, name, packed):
    images = open_images(write_idx(tmp_path, name=name, packed=packed))
    assert images.labels.tolist() == [str(one) for one in LABELS]


def test_labels_follow_the_images_through_every_choice(tmp_path):
    path = write_idx(tmp_path)
    attributes = tmp_path / "odd.csv"
    attributes.write_text("file,odd\n" + "".join(f"{i},{i % 2}\n" for i in range(6)))
    images = open_images(path, attributes=attributes, where="odd == 1", limit=2)
    assert images.ids.tolist() == ["1", "3"]
    assert images.labels.tolist() == ["1", "0"]
    assert images.subset([1, 0]).labels.tolist() == ["0", "1"]
    every = open_images(path)
    for split in set(every.splits):
        part = every.split(split)
        assert part.labels.tolist() == [str(LABELS[int(i)]) for i in part.ids]


def test_images_without_labels_have_none(tmp_path):
    path = write_idx(tmp_path, labelled="other-labels")
    assert open_images(path).labels is None
    np.save(tmp_path / "images.npy", np.zeros((3, 4, 4), np.uint8))
    assert open_images(tmp_path / "images.npy", value_range=(0, 1)).labels is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (bytes([0, 0, 8, 1]) + struct.pack(">I", 5) + bytes(5), "holds 5 labels for 6 images"),
        (bytes([0, 0, 8, 1]) + struct.pack(">I", 6) + bytes(5), "should hold 6 labels, but .* 5"),
        (bytes([0, 0, 8, 1]) + struct.pack(">I", 6) + bytes(9), "should hold 6 labels, but .* 7"),
        (bytes([0, 0, 8, 3]) + bytes(20), "must begin with 00000801, not 00000803"),
        (b"", "must begin with 00000801, not nothing"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, data, message):
    path = write_idx(tmp_path)
    file = tmp_path / "train-labels-idx1-ubyte.gz"
    for content in (data, gzip.compress(data)):
        file.write_bytes(content)
        images = open_images(path)
        with pytest.raises(ImageError, match=message) as caught:
            _ = images.labels
        assert "\n" not in str(caught.value)


def test_a_damaged_file_of_labels_is_refused(tmp_path):
    path = write_idx(tmp_path)
    file = tmp_path / "train-labels-idx1-ubyte.gz"
    file.write_bytes(file.read_bytes()[:15])
    with pytest.raises(ImageError, match=r"train-labels-idx1-ubyte\.gz is not as it should be"):
        _ = open_images(path).labels


def test_sprites_have_the_names_of_their_shapes(tmp_path):
    write_sprites(tmp_path / "sprites.npz", 12)
    images = open_images(tmp_path / "sprites.npz", limit=5)
    with np.load(tmp_path / "sprites.npz") as file:
        assert images.labels.tolist() == file["labels"][:5].tolist()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array([2, 0, 10], np.uint8), ["2", "0", "10"]),
        (np.array([2.0, 0.0, 0.5]), ["2.0", "0.0", "0.5"]),
        (np.array([2.0, -1.0, 3.0]), ["2", "-1", "3"]),
    ],
)
def test_numbers_of_an_array_are_labels(tmp_path, labels, expected):
    pixels = np.full((3, 4, 4), 200, np.uint8)
    np.savez(tmp_path / "some.npz", images=pixels, labels=labels)
    assert open_images(tmp_path / "some.npz").labels.tolist() == expected


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((3, 2)), r"labels of shape \(3, 2\) for 3 images"),
        (np.zeros(2), r"labels of shape \(2,\) for 3 images"),
        (np.zeros(3, complex), "neither numbers nor words"),
    ],
)
def test_arrays_that_are_no_labels_are_refused(tmp_path, labels, message):
    np.savez(tmp_path / "some.npz", images=np.full((3, 4, 4), 200, np.uint8), labels=labels)
    with pytest.raises(ImageError, match=message):
        _ = open_images(tmp_path / "some.npz").labels


def test_the_folder_of_an_image_is_its_label(tmp_path):
    names = ["cats/1.png", "cats/2.png", "dogs/10.png", "more/dogs/9.png"]
    for number, name in enumerate(names):
        write_png(tmp_path / "folder" / name, 100 + number)
    expected = ["cats", "cats", "dogs", "dogs"]
    assert open_images(tmp_path / "folder").labels.tolist() == expected
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for name in names:
            archive.write(tmp_path / "folder" / name, f"pictures/{name}")
    images = open_images(tmp_path / "some.zip")
    assert images.labels.tolist() == expected
    pack_images(images, images.view(), tmp_path / "pack.h5")
    assert open_images(tmp_path / "pack.h5").labels.tolist() == expected


@pytest.mark.parametrize(
    "names",
    [
        ["all/1.png", "all/2.png", "all/3.png"],
        ["cats/1.png", "dogs/2.png", "3.png"],
        ["a/1.png", "b/1.png", "c/1.png"],
    ],
)
def test_folders_that_tell_nothing_are_no_labels(tmp_path, names):
    for name in names:
        write_png(tmp_path / name, 200)
    assert open_images(tmp_path).labels is None


def test_a_table_gives_labels(tmp_path):
    ids = np.array(["b.png", "sub/a.png"])
    one = tmp_path / "one.csv"
    one.write_text("file,identity\na.png,17\nb.png,8\nc.png,3\n")
    assert read_labels(ids, str(one)).tolist() == ["8", "17"]
    several = tmp_path / "several: all.csv"
    several.write_text("file,Male,Hair\na.png,1,red\nb.png,-1,brown\n")
    assert read_labels(ids, f"{several}:Hair").tolist() == ["brown", "red"]
    assert read_labels(ids, f"{several}:Male").tolist() == ["-1", "1"]
    with pytest.raises(ImageError, match=r"2 columns beside the images \(Male, Hair\): say which"):
        read_labels(ids, str(several))
    with pytest.raises(ImageError, match="no column 'Mal': did you mean 'Male'"):
        read_labels(ids, f"{several}:Mal")
    with pytest.raises(ImageError, match="no column 'identity': it has Male, Hair"):
        read_labels(ids, f"{several}:identity")
    with pytest.raises(ImageError, match=r"1 images are not in .*one.csv, such as 'd.png'"):
        read_labels(np.array(["a.png", "d.png"]), str(one))
    with pytest.raises(ImageError, match="cannot be read: No such file"):
        read_labels(ids, str(tmp_path / "missing.csv"))
